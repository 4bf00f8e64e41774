//! What somebody does to the project in the middle of a run, and between runs: it goes on or it goes back, and what the
//! operator wrote is not lost.

use crate::failure;
use std::fs;
use std::path::Path;
use upgraded_tests::{Composed, Cut, Daemon, Replicas, Stack, StackInstall, kind, outcome, why};

const IMAGES: [(&str, &str, Option<&str>); 3] =
    [("1.4.0", "1.4.0", None), ("1.5.0", "1.5.0", None), ("1.6.0", "1.5.1", None)];

/// What is in the file afterwards.
fn append(file: &Path, line: &str) -> String {
    let text = fs::read_to_string(file).expect("a file of the project") + line + "\n";
    fs::write(file, &text).expect("a file of the project");
    text
}

/// The first container of a service.
fn container(project: &Composed, service: &str) -> String {
    let ids = project.compose(&["ps", "--all", "--quiet", service]);
    ids.lines().next().unwrap_or_else(|| panic!("no container of `{service}`")).to_owned()
}

#[test]
fn an_operator_who_edits_and_removes_meanwhile() {
    let replicas = Replicas::new("1.4.0", &IMAGES);
    let env = replicas.file(".env");
    let whole = |version: &str| {
        assert_eq!(replicas.replicas(), vec![format!("{version} running healthy"); 2]);
        replicas.is_what_the_files_say();
        replicas.nothing_is_left();
    };

    // Before the run's own edit: nothing is written over.
    let original = fs::read_to_string(&env).expect("`.env`");
    let daemon = Daemon::start(&replicas).settled();
    replicas.cut_at(Cut::Started("h0-edits"));
    replicas.edit_version("1.5.0");
    daemon.dies();
    replicas.no_cut();
    let theirs = append(&env, "# before");
    let mut daemon = Daemon::start(&replicas);
    let now = daemon.end_of_run_to("1.5.0");
    assert_eq!(outcome(&now), "rolled-back", "{now:#}");
    assert!(why(&now).contains("`.env` was changed by somebody else"), "{now:#}");
    let kept =
        [".env", ".env.changed-during-1"].map(|name| fs::read_to_string(replicas.file(name)).unwrap_or_default());
    assert!(kept.contains(&theirs), "{kept:?}");
    fs::write(&env, &original).expect("`.env`");
    whole("1.4.0");

    // After it: the run goes on, and makes what somebody removed.
    replicas.cut_at(Cut::Started("h0-apply-main-0"));
    daemon.told(&["retry", &replicas.name]);
    daemon.dies();
    replicas.no_cut();
    let theirs = append(&env, "# after");
    replicas.engine().succeed(&["rm", "--force", &container(&replicas, "api")]);
    let mut daemon = Daemon::start(&replicas);
    let now = daemon.end_of_run_after(1);
    assert_eq!(outcome(&now), "committed", "{now:#}");
    assert_eq!(fs::read_to_string(&env).expect("`.env`"), theirs);
    whole("1.5.0");

    // After it, and the run turns round.
    replicas.cut_at(Cut::Started("h0-verify-main"));
    replicas.edit_version("1.6.0");
    daemon.dies();
    replicas.no_cut();
    let theirs = append(&env, "# in vain");
    replicas.engine().succeed(&["kill", &container(&replicas, "api")]);
    let mut daemon = Daemon::start(&replicas);
    let now = daemon.end_of_run_to("1.6.0");
    assert_eq!(outcome(&now), "rolled-back", "{now:#}");
    assert_eq!(fs::read_to_string(replicas.file(".env.changed-during-3")).expect("the operator's change"), theirs);
    let told = [daemon.told(&["show", "3"]), daemon.told(&["logs", &replicas.name])].map(|answer| answer.to_string());
    assert!(told.iter().any(|told| told.contains(".env.changed-during-3")), "it is named: {told:#?}");
    whole("1.5.0");

    // Between runs.
    replicas.engine().succeed(&["kill", &container(&replicas, "api")]);
    let (answer, code) = daemon.upgradectl(&["plan", &replicas.name, "--to", "1.4.0"]);
    assert_ne!(code, Some(0), "{answer:#}");
    replicas.compose(&["up", "--detach", "--wait", "--pull", "never"]);
    whole("1.5.0");
}

#[test]
fn a_migration_that_somebody_kills() {
    let policy = "drill = \"off\"\nidle = \"20s\"\n";
    let stack = Stack::new(&StackInstall { version: "1.5.0", policy });
    stack.publish("1.10.0");
    let (data, things) = (stack.data(), stack.things());
    let mut daemon = Daemon::start(&stack).settled();
    stack.edit_version("1.10.0");
    // It takes seconds: the engine itself is asked, which is quicker than by way of the project's files.
    let project = format!("label=com.docker.compose.project={}", stack.project.name());
    let service = "label=com.docker.compose.service=model-service";
    let mut migrating = String::new();
    daemon.wait("it migrates", |_| {
        migrating = stack.engine().succeed(&["ps", "--quiet", "--filter", &project, "--filter", service]);
        let log = stack.engine().try_to(&["logs", &migrating]);
        log.is_ok_and(|log| log.contains("/10)"))
    });
    stack.engine().succeed(&["kill", &migrating]);
    let now = daemon.end_of_run_to("1.10.0");
    assert_eq!(outcome(&now), "rolled-back", "{now:#}");
    assert_eq!(kind(&now), "quarantined");
    let run = daemon.told(&["show", "1"]);
    let (step, why) = failure(&run);
    assert_eq!(step, "h0-apply-main-0");
    assert!(why.contains("ended"), "{why}");
    stack.is_whole("1.5.0", Some(&data));
    assert_eq!(stack.things(), things);
}
