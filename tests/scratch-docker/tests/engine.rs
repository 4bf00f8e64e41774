//! Against the real engine: `cargo xtask engine up` starts it.

use scratch_docker::{Engine, ImageConfig, NO_FILES, Project, program_files, registry_has};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn a_program_runs_out_of_an_image_that_was_pushed_and_pulled() {
    let engine = Engine::shared();
    let reference = Name::new("program");
    let folder = tempfile::tempdir().unwrap();
    let greeting = folder.path().join("greeting");
    fs::write(&greeting, "hello out of an image\n").unwrap();
    let mut files = program_files(Path::new("/bin/cat"));
    assert!(files.len() > 1, "`cat` is linked dynamically: {files:?}");
    files.push(("/data/greeting".to_owned(), greeting));
    let config = ImageConfig {
        entrypoint: words(&["/usr/local/bin/cat"]),
        cmd: words(&["/data/greeting"]),
        ..ImageConfig::default()
    };
    engine.image(&reference.0, None, &files, &config);

    assert!(!is_local(&reference.0), "the engine has to pull it");
    assert!(registry_has(engine.registry(), &reference.repository(), "1"));
    assert_eq!(engine.succeed(&["run", "--rm", &reference.0]), "hello out of an image");
}

#[test]
fn an_image_takes_over_what_its_base_has_and_adds_its_own() {
    let engine = Engine::shared();
    let (reference, onto) = (Name::new("labels"), Name::new("onto"));
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let config = ImageConfig {
        cmd: words(&["sh", "-c", "echo \"$GREETING\" && wc -c < /lib/x/file"]),
        env: vec![pair("GREETING", "two  words and a \"quote\"")],
        labels: vec![pair("org.example.version", "1.2.3")],
        expose: vec![8080],
        keep: true,
        ..ImageConfig::default()
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "12345").unwrap();
    // `/lib` is a link in the base image.
    engine.image(&reference.0, Some(&engine.base("busybox:1")), &[("/lib/x/file", file.path())], &config);
    assert!(is_local(&reference.0));
    let expected = "two  words and a \"quote\"\n5";
    assert_eq!(engine.succeed(&["run", "--rm", &reference.0]), expected);
    let read = |format: &str| engine.succeed(&["image", "inspect", "--format", format, &reference.0]);
    assert_eq!(read(r#"{{index .Config.Labels "org.example.version"}}"#), "1.2.3");
    assert_eq!(read("{{json .Config.ExposedPorts}}"), r#"{"8080/tcp":{}}"#);

    // Nothing but a label differs: the command stays.
    let labelled = ImageConfig { labels: vec![pair("org.example.version", "1.2.4")], ..ImageConfig::default() };
    engine.image(&onto.0, Some(&reference.0), NO_FILES, &labelled);
    assert_eq!(engine.succeed(&["run", "--rm", &onto.0]), expected);
}

#[test]
#[should_panic(expected = "has to begin with")]
fn an_image_of_another_registry_is_refused() {
    Engine::shared().image("registry.example/a:1", None, NO_FILES, &ImageConfig::default());
}

#[test]
fn a_dropped_project_takes_all_that_is_its_own_and_nothing_else() {
    let engine = Engine::shared();
    let (gone, kept) = (Pair::up(engine), Pair::up(engine));
    let name = gone.project.name().to_owned();
    for kind in ["container", "network", "volume"] {
        let expected = if kind == "container" { 2 } else { 1 };
        assert_eq!(gone.project.things(kind).len(), expected, "{kind}");
    }
    let kept_before = ["container", "network", "volume"].map(|kind| kept.project.things(kind));
    drop(gone);

    let filter = format!("label=com.docker.compose.project={name}");
    for kind in ["container", "network", "volume"] {
        let all: &[&str] = if kind == "container" { &["--all"] } else { &[] };
        let listed = engine.succeed(&[&[kind, "ls", "--quiet", "--filter", &filter][..], all].concat());
        assert_eq!(listed, "", "{kind} of the dropped project");
    }
    assert_eq!(["container", "network", "volume"].map(|kind| kept.project.things(kind)), kept_before);
    // It still serves: by its published port, and each service finds the other by its name.
    assert_eq!(kept.asked_from_here(), "served");
    assert_eq!(kept.asked_by_its_neighbour(), "served");
}

#[test]
fn postgres_has_the_user_and_the_database_that_its_environment_names() {
    let engine = Engine::shared();
    let project = engine.project("scratch-postgres");
    let environment = ["POSTGRES_USER=shop", "POSTGRES_PASSWORD=it's", "POSTGRES_DB=orders"];
    let container = run(&project, &engine.base("postgres:15"), &environment);
    let url = "postgresql://shop:it's@127.0.0.1/orders";
    let asked = || exec(engine, &container, &["psql", url, "-qAtc", "select current_user, current_database()"]);
    assert_eq!(eventually(asked), "shop|orders");
    let wrong = exec(engine, &container, &["psql", "postgresql://shop:wrong@127.0.0.1/orders", "-c", "select 1"]);
    assert!(wrong.unwrap_err().contains("password authentication failed"));
}

#[test]
fn mariadb_has_the_user_and_the_database_that_its_environment_names() {
    let engine = Engine::shared();
    let project = engine.project("scratch-mariadb");
    let environment =
        ["MYSQL_ROOT_PASSWORD=over'all", "MYSQL_DATABASE=orders", "MYSQL_USER=shop", "MYSQL_PASSWORD=it's \\ one"];
    let container = run(&project, &engine.base("mariadb:10.11"), &environment);
    let ask = |user: &str, password: &str, sql: &str| {
        let password = format!("--password={password}");
        exec(engine, &container, &["mariadb", "--host=127.0.0.1", "--user", user, &password, "-BNe", sql, "orders"])
    };
    assert_eq!(eventually(|| ask("shop", "it's \\ one", "create table a (b int); select database()")), "orders");
    assert!(ask("shop", "it's \\ one", "select * from mysql.user").unwrap_err().contains("denied"));
    assert_eq!(ask("root", "over'all", "select count(*) from a").unwrap(), "0");
    assert!(ask("shop", "wrong", "select 1").is_err());
}

#[test]
fn nginx_serves() {
    let engine = Engine::shared();
    let project = engine.project("scratch-nginx");
    let container = run(&project, &engine.base("nginx:1"), &[]);
    let page = eventually(|| exec(engine, &container, &["wget", "-qO-", "http://127.0.0.1/"]));
    assert!(page.contains("nginx"), "{page}");
}

/// Two services, a network and a volume.
struct Pair {
    project: Project,
    _folder: tempfile::TempDir,
}

impl Pair {
    fn up(engine: &Engine) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("compose.yaml");
        let image = engine.base("busybox:1");
        let text = format!(
            "services:\n  web:\n    image: {image}\n    init: true\n    ports: ['127.0.0.1::80']\n    volumes: ['data:/data']\n    \
             command: sh -c 'echo served > /data/index.html && exec httpd -f -h /data'\n  neighbour:\n    image: {image}\n    \
             init: true\n    command: sleep 1000\nvolumes:\n  data:\n"
        );
        fs::write(&file, text).expect("the folder is there");
        let project = engine.project("scratch-pair");
        let mut up = project.compose();
        let output = up.arg("--file").arg(&file).args(["up", "--detach"]).output().expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Self { project, _folder: folder }
    }

    fn container(&self, service: &str) -> String {
        let filter = format!("label=com.docker.compose.service={service}");
        let own = self.project.things("container");
        let listed = self.project.engine().succeed(&["container", "ls", "--quiet", "--no-trunc", "--filter", &filter]);
        listed.lines().find(|id| own.iter().any(|one| one == id)).expect("it runs").to_owned()
    }

    fn asked_from_here(&self) -> String {
        let address = self.project.engine().succeed(&["port", &self.container("web"), "80"]);
        eventually(|| output(Command::new("curl").args(["-sSf", "--max-time", "2", &format!("http://{address}/")])))
    }

    fn asked_by_its_neighbour(&self) -> String {
        let neighbour = self.container("neighbour");
        eventually(|| exec(self.project.engine(), &neighbour, &["wget", "-qO-", "http://web/"]))
    }
}

/// A name in the registry that no other run has, and no image under it when it goes.
struct Name(String);

impl Name {
    fn new(what: &str) -> Self {
        let engine = Engine::shared();
        Self(format!("{}/scratch/{what}-{}:1", engine.registry(), std::process::id()))
    }
    fn repository(&self) -> String {
        let path = self.0.strip_prefix(Engine::shared().registry()).expect("it begins so").trim_start_matches('/');
        path.trim_end_matches(":1").to_owned()
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = Engine::shared().docker().args(["image", "rm", "--force", &self.0]).output();
    }
}

/// A container that ends with its project.
fn run(project: &Project, image: &str, environment: &[&str]) -> String {
    let label = format!("com.docker.compose.project={}", project.name());
    let mut arguments = vec!["run", "--detach", "--init", "--label", &label];
    arguments.extend(environment.iter().flat_map(|variable| ["--env", variable]));
    arguments.push(image);
    project.engine().succeed(&arguments)
}

fn exec(engine: &Engine, container: &str, arguments: &[&str]) -> Result<String, String> {
    output(engine.docker().args(["exec", container]).args(arguments))
}

fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().expect("it starts");
    let [out, error] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    if output.status.success() { Ok(out) } else { Err(error) }
}

fn eventually(mut ask: impl FnMut() -> Result<String, String>) -> String {
    let began = Instant::now();
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(why) => assert!(began.elapsed() < Duration::from_secs(60), "{why}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn is_local(reference: &str) -> bool {
    Engine::shared().docker().args(["image", "inspect", reference]).output().expect("it starts").status.success()
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
