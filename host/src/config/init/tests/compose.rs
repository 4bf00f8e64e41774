//! Compose projects as people have them.

use super::*;
use crate::config::init::stack::Version;

#[test]
fn a_key_of_the_env_file_and_every_kind_of_data() {
    let project = Project::with(&[
        (".env", "COMPOSE_PROJECT_NAME=shop\nSHOP_VERSION=v1.4.0   # keep\nDB_PASSWORD=hunter2\nHTTP_PORT=8080\n"),
        ("mysql.env", "MARIADB_DATABASE=blog\nMARIADB_ROOT_PASSWORD=hunter3\n"),
        ("gateway/shop.conf", "x"),
        (
            "compose.yaml",
            r#"
x-app: &app
  restart: unless-stopped
  environment: { DATABASE_URL: "postgres://shop:${DB_PASSWORD}@db/shop" }
services:
  gateway:
    image: nginx:1
    ports: ["${HTTP_PORT}:80"]
    volumes: ["./gateway/shop.conf:/etc/nginx/conf.d/shop.conf"]
  db:
    image: timescale/timescaledb:latest-pg15
    environment: [POSTGRES_USER=shop, "POSTGRES_DB=shop_live", "POSTGRES_PASSWORD=${DB_PASSWORD}"]
    volumes: [db:/var/lib/postgresql/data]
  blog-db:
    image: mariadb:10.11
    env_file: mysql.env
    volumes: [blog:/var/lib/mysql]
  cache: { image: "redis:7", volumes: [cache:/data] }
  init: { <<: *app, image: "registry.example.com/shop/web:${SHOP_VERSION:-v1}-alpine" }
  web:
    <<: *app
    image: "registry.example.com/shop/web:${SHOP_VERSION:-v1}-alpine"
    ports: ["127.0.0.1:3000:3000"]
    volumes: ["uploads:/uploads", "./themes:/themes:ro", "/var/run/docker.sock:/var/run/docker.sock"]
  search:
    image: elasticsearch:8.11
    volumes: [{ type: volume, source: index, target: /data }, { type: bind, source: ../shared, target: /shared }]
  mail: { image: "mail:1", profiles: [mail], volumes: [mail:/mail] }
volumes:
  db:
  blog:
  cache:
  uploads:
  mail:
  index: { name: search_index }
"#,
        ),
        (
            "compose.override.yaml",
            "services:\n  web:\n    volumes: [\"./media:/media\", \"./media/public:/public\"]\n  search: { volumes: [\"fast:/cache\"] }\n\
             volumes: { fast: { external: true } }\n",
        ),
    ]);
    let text = project.proposal();
    assert!(!text.contains("hunter"), "{text}");
    let deployment = parse(&text);
    assert_eq!(deployment.version, "1.4.0");
    let shared = project.root().parent().unwrap().join("shared").display().to_string();
    insta::assert_snapshot!(text.replace(&shared, "/opt/shared"));
}

#[test]
fn tags_in_the_files() {
    let project = Project::with(&[
        ("docker-compose.yml", "name: paper\ninclude: [apps/web.yml]\nservices:\n  broker: { image: 'redis:7' }\n"),
        (
            "apps/web.yml",
            "services:\n  web:\n    image: ghcr.io/paper/web:2.4.1@sha256:00\n    volumes: [./data:/data]\n    ports: [{ target: 80, published: '8000' }]\n  \
             worker:\n    image: ghcr.io/paper/web:2.4.1\n  pdf: { image: 'gotenberg:8' }\n",
        ),
    ]);
    assert_eq!(project.stack().services, ["web", "worker"]);
    insta::assert_snapshot!(project.proposal());
}

#[test]
fn where_the_version_stands() {
    let of = |env: &str, image: &str| {
        let compose = format!("services: {{ db: {{ image: 'postgres:${{PG:-15}}' }}, web: {{ image: '{image}' }} }}\n");
        let project = Project::with(&[(".env", env), ("compose.yml", &compose)]);
        project.proposal();
        match project.stack().version {
            Version::Key { key, written, version, text, tag } => format!("{key} {written} {version} {text} {tag}"),
            Version::Tags { services, version, text } => format!("{services:?} {version} {text}"),
            Version::Told(_) | Version::Unknown => "unknown".into(),
        }
    };
    assert_eq!(of("", "r:5000/web:${TAG:-1.2.3}"), "TAG false 1.2.3 {version} {version}");
    assert_eq!(of("TAG=1.3.0\n", "r:5000/web:v$TAG"), "TAG true 1.3.0 {version} v{version}");
    assert_eq!(of("WEB=r:5000/web:v1.3.0\n", "${WEB}"), "WEB true 1.3.0 r:5000/web:v{version} v{version}");
    assert_eq!(of("R=r:5000\n", "${R}/web:1.3.0"), "[\"web\"] 1.3.0 {version}");
    assert_eq!(of("", "web:v2"), "[\"web\"] 2 v{version}");
    assert_eq!(of("", "web:latest"), "unknown");
    assert_eq!(of("", "web"), "unknown");
}

#[test]
fn a_file_that_is_no_yaml_is_named_with_its_line() {
    let project = Project::with(&[("compose.yaml", "services:\n  web:\n    image: web:1\n   wrong: [\n")]);
    let error = look(&project.root(), &[]).unwrap_err().to_string();
    assert!(error.starts_with("`compose.yaml`, line 4: this is no YAML"), "{error}");
    project.write("compose.yaml", "services:\n  web: { extends: { file: base.yaml, service: web } }\n");
    let error = look(&project.root(), &[]).unwrap_err().to_string();
    assert_eq!(error, "`compose.yaml`, line 2: there is no file `base.yaml`");
}

/// A checkout that units run may have Compose files for its developers.
#[test]
fn what_units_run_is_no_compose_project() {
    let project = Project::with(&[("compose.yaml", "services: { web: { image: 'web:1' } }\n")]);
    let root = project.root().display().to_string();
    project.write("units/web.service", &format!("[Service]\nExecStart={root}/bin/web\n"));
    assert_eq!(project.found().stack, None);
    project.write("units/web.service", &format!("[Service]\nWorkingDirectory={root}\nExecStart=docker compose up\n"));
    assert!(project.found().stack.is_some());
}

#[test]
fn the_examples_are_understood() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let of = |folder: &str, files: &[&str], env: &str| {
        let project = Project::with(&[(".env", env)]);
        for file in files {
            project.write(file, &std::fs::read_to_string(examples.join(folder).join(file)).unwrap());
        }
        let (_, deployment) = project.proposed();
        let stores = stores(&deployment).join(" ");
        (deployment.version, stores)
    };
    assert_eq!(of("tessallite", &["compose.yaml"], "REGISTRY=r:5000\n"), ("1.4.0".into(), "postgres".into()));
    assert_eq!(
        of("evose/edition", &["compose.yaml"], "EVOSE_REGISTRY=r:5000\n"),
        ("1.3.0".into(), "mysql postgres files".into())
    );
    assert_eq!(
        of("infrahub", &["docker-compose.yml"], "VERSION=1.6.4\nINFRAHUB_DOCKER_IMAGE=r:5000/infrahub\n"),
        ("1.6.4".into(), "files".into())
    );
}
