//! The vendor's index over HTTP, and the health check of the images, as processes.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

struct Index {
    process: Child,
    url: String,
}

impl Index {
    fn serve() -> Self {
        let mut evose = Command::new(env!("CARGO_BIN_EXE_evose"));
        let mut process =
            evose.args(["releases", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn().expect("evose");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("it is piped")).read_line(&mut line).expect("a line");
        let url = line.trim().strip_prefix("[releases] ").expect("where it listens").to_owned();
        Self { process, url }
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it was started");
    }
}

fn evose(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_evose")).args(arguments).output().expect("evose")
}

#[test]
fn the_index_is_served_and_the_health_check_tells_an_answer_from_another() {
    let index = Index::serve();
    let found = evose(&["health", &index.url]);
    let said = String::from_utf8(found.stdout).expect("text");
    assert!(found.status.success() && said.contains(r#""version":"2.1.0""#), "{said}");
    let other = evose(&["health", &index.url.replace("releases.json", "health")]);
    let said = String::from_utf8(other.stdout).expect("text");
    assert!(!other.status.success() && said.contains("answers 404"), "{said}");
    let nobody = evose(&["health", "http://127.0.0.1:1/health"]);
    assert!(!nobody.status.success());
}

#[test]
fn a_service_says_what_it_lacks() {
    let run = |release: Option<&str>| {
        let mut init = Command::new(env!("CARGO_BIN_EXE_evose"));
        init.arg("init").env_clear().envs(release.map(|release| ("EVOSE_RELEASE", release)));
        let output = init.output().expect("evose");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stdout).expect("text")
    };
    assert!(run(None).starts_with("[init] error: `EVOSE_RELEASE` is not set"));
    assert!(run(Some("1.3.9")).contains("`1.3.9` is no release; there are 1.2.0, 1.3.0"));
    assert!(run(Some("1.3.0")).contains("`EVOSE_MYSQL_PASSWORD` is not set"));
}
