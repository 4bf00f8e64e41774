//! Files as people have them.

use super::*;
use std::collections::BTreeMap;

fn read(files: &[(&str, &str)]) -> Result<Option<Project>, Mistake> {
    read_named(&Named::default(), files)
}

fn read_named(named: &Named, files: &[(&str, &str)]) -> Result<Option<Project>, Mistake> {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    Project::read(named, &|file| Ok(files.get(file).map(|text| (*text).to_owned())))
}

/// The image of a service, where it is written, and by which path.
fn image(project: &Project, service: &str) -> String {
    let image = project.service(service).and_then(|service| service.get("image")).unwrap();
    let place = &image.place;
    format!("{} {}:{} {}", image.text().unwrap(), place.file, place.line, place.path.as_deref().unwrap_or("-"))
}

#[test]
fn a_value_is_found_where_it_is_written() {
    let text = "x-image: &image r/shop:1\nx-base: &base\n  image: r/base:1\n  environment: [A=1]\nservices:\n  web: { image: *image }\n  \
                worker:\n    <<: *base\n    environment: { B: 2 }\n  \"odd.name\":\n    <<: [*base]\n    image: r/odd:1\n";
    let project = read(&[("compose.yaml", text)]).unwrap().unwrap();
    assert_eq!(image(&project, "web"), "r/shop:1 compose.yaml:1 x-image");
    assert_eq!(image(&project, "worker"), "r/base:1 compose.yaml:3 x-base.image");
    assert_eq!(image(&project, "odd.name"), "r/odd:1 compose.yaml:12 services.\"odd.name\".image");
    let worker = project.service("worker").unwrap();
    assert_eq!(worker.get("environment").unwrap().pairs(), [("B", Some("2"))]);
}

#[test]
fn files_are_laid_over_each_other() {
    let files = [
        ("compose.yml", "services:\n  web: { image: 'r/web:1', environment: [A=1, B=1], ports: ['1:1'] }\n"),
        (
            "compose.override.yml",
            "services:\n  web: { environment: { B: 2 }, ports: !override ['2:2'] }\n  db: { image: 'postgres:15' }\n",
        ),
        ("other.yaml", "services: { web: { image: 'r/web:2' } }\n"),
    ];
    let project = read(&files).unwrap().unwrap();
    assert_eq!(project.files, ["compose.yml", "compose.override.yml"]);
    let web = project.service("web").unwrap();
    assert_eq!(web.get("environment").unwrap().pairs(), [("A", Some("1")), ("B", Some("2"))]);
    assert_eq!(web.get("ports").unwrap().texts(), ["2:2"]);
    assert_eq!(image(&project, "db"), "postgres:15 compose.override.yml:3 services.db.image");

    let mut listed = files.to_vec();
    listed.push((".env", "COMPOSE_FILE=compose.yml:other.yaml\n"));
    assert_eq!(image(&read(&listed).unwrap().unwrap(), "web"), "r/web:2 other.yaml:1 services.web.image");
    let named = Named { files: vec!["other.yaml".into()], ..Named::default() };
    assert_eq!(read_named(&named, &listed).unwrap().unwrap().files, ["other.yaml"]);
    assert!(read(&[]).unwrap().is_none());
}

#[test]
fn files_are_found_whatever_they_are_called() {
    let found = |there: &[&str]| default_files(&|name| there.contains(&name));
    assert_eq!(
        found(&["docker-compose.yml", "docker-compose.yaml", "compose.override.yaml", "docker-compose.override.yml"]),
        ["docker-compose.yml", "compose.override.yaml"]
    );
    let overridden = found(&["compose.yaml", "docker-compose.override.yaml"]);
    assert_eq!(overridden, ["compose.yaml", "docker-compose.override.yaml"]);
    assert!(found(&["compose.override.yml"]).is_empty());
    let listed = |separator: Option<&str>| {
        let value = |key: &str| match key {
            "COMPOSE_FILE" => Some("a.yaml:b,c.yaml".to_owned()),
            _ => separator.map(str::to_owned),
        };
        listed_files(&value)
    };
    assert_eq!(listed(None), ["a.yaml", "b,c.yaml"]);
    assert_eq!(listed(Some("")), ["a.yaml", "b,c.yaml"]);
    assert_eq!(listed(Some(",")), ["a.yaml:b", "c.yaml"]);
}

#[test]
fn included_files_and_extended_services() {
    let files = [
        (
            "compose.yaml",
            "include:\n  - db/compose.yaml\n  - path: [mail/a.yaml, mail/b.yaml]\nservices:\n  web:\n    extends: { file: common/base.yaml, service: base }\n    \
             ports: ['1:1']\n  worker: { extends: web }\n",
        ),
        ("db/compose.yaml", "services: { db: { image: 'postgres:15', volumes: ['./data:/data'] } }\n"),
        ("mail/a.yaml", "services: { mail: { image: 'mail:1' } }\n"),
        ("mail/b.yaml", "services: { mail: { image: 'mail:2' } }\n"),
        ("common/base.yaml", "services: { base: { extends: root, ports: ['2:2'] }, root: { image: 'r/web:1' } }\n"),
    ];
    let project = read(&files).unwrap().unwrap();
    assert_eq!(image(&project, "mail"), "mail:2 mail/b.yaml:1 services.mail.image");
    assert_eq!(image(&project, "worker"), "r/web:1 common/base.yaml:1 services.root.image");
    assert_eq!(project.service("worker").unwrap().get("ports").unwrap().texts(), ["2:2", "1:1"]);
    let volume = &project.service("db").unwrap().get("volumes").unwrap().items()[0];
    assert_eq!(volume.path_of("./data"), "db/data");
}

#[test]
fn mistakes_name_their_line() {
    let wrong = |text: &str| read(&[("compose.yaml", text)]).unwrap_err().to_string();
    assert!(wrong("services:\n  web: [\n").starts_with("`compose.yaml`, line "), "{}", wrong("services:\n  web: [\n"));
    assert_eq!(wrong("a: 1\ninclude: [b.yaml]\n"), "`compose.yaml`, line 2: there is no file `b.yaml`");
    let text = "services:\n  web:\n    extends: base\n";
    assert_eq!(wrong(text), "`compose.yaml`, line 3: there is no service `base` to extend");
    assert_eq!(
        wrong("services:\n  a: { extends: b }\n  b: { extends: a }\n"),
        "`compose.yaml`, line 3: services extend each other"
    );
    assert_eq!(wrong("include: [compose.yaml]\n"), "`compose.yaml`, line 1: files include each other");
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, before) in ["b", "c", "d", "e", "f"].into_iter().zip(["a", "b", "c", "d", "e"]) {
        let aliases = vec![format!("*{before}"); 10].join(", ");
        bomb.push_str(&format!("{name}: &{name} [{aliases}]\n"));
    }
    assert!(wrong(&bomb).contains("aliases make too much"), "{}", wrong(&bomb));
}

#[test]
fn variables_and_images() {
    let value = |name: &str| match name {
        "TAG" => Some("2".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    let filled = |text: &str| interpolated(text, &value);
    assert_eq!(filled("${REGISTRY:-r:5000}/web:${TAG}$$x"), "r:5000/web:2$x");
    assert_eq!(filled("$TAG-${EMPTY:-a}-${EMPTY-b}-${A:-${TAG}}-${TAG:+c}-${A:?no}"), "2-a--2-c-");
    assert_eq!(keys("${A:-${B}}:$C"), ["A", "B", "C"]);

    let image = Image::of("${REGISTRY:-r:5000/x}/shop/web:${TAG:-1}@sha256:ab");
    assert_eq!((image.name, image.tag), ("${REGISTRY:-r:5000/x}/shop/web", Some("${TAG:-1}")));
    assert_eq!((image.digest, image.short_name()), (Some("sha256:ab"), "web"));
    assert_eq!(Image::of("localhost:5000/web").tag, None);
    assert_eq!(Image::of("web@sha256:ab"), Image { name: "web", tag: None, digest: Some("sha256:ab") });
    assert_eq!(variables("# a\nexport A=\"x y\" # b\nB='1'\n C = 2 # d\n")[0], ("A".into(), "x y".into()));
}
