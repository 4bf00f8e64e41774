//! What policy no longer keeps.

use crate::run_to;
use scratch_docker::Engine;
use std::fs;
use upgraded_tests::{Daemon, Stack, StackInstall, succeed};

/// Two releases later, and two days: the frozen copy goes, and the images that no kept run goes back to. Those of the
/// release before stay, since a rollback needs no network.
#[test]
fn copies_and_images_are_let_go_and_what_a_rollback_needs_stays() {
    let policy = "drill = \"off\"\nkeep-backups = 1\nkeep-frozen = \"24h\"\n";
    let stack = Stack::new(&StackInstall { policy, ..StackInstall::default() });
    let mut daemon = Daemon::start(&stack).settled();
    for version in ["1.4.1", "1.5.0"] {
        stack.publish(version);
        run_to(&mut daemon, version, "committed");
    }
    let copies = || stack.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'tessallite\\_up\\_%'");
    let held = |version: &str| {
        let id = docker(&["image", "inspect", "--format", "{{.Id}}", &image(&stack, version)]);
        let all = ["image", "ls", "--no-trunc", "--format", "{{.ID}}", &format!("upgraded/{}", stack.name)];
        docker(&all).contains(&id)
    };
    assert_ne!(copies(), "0", "frozen copies stay a while");
    assert!(["1.4.0", "1.4.1", "1.5.0"].into_iter().all(held), "all of them");

    daemon.kill();
    let clock = stack.path("clock");
    let later = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(48);
    fs::write(&clock, later.to_string()).expect("the clock");
    let clock = clock.display().to_string();
    let environment = [("UPGRADED_CLOCK_FILE", clock.as_str()), ("UPGRADED_HOUSE_SECONDS", "1")];
    let mut daemon = Daemon::start_with(&stack, &environment).settled();
    daemon.wait("the copy and the oldest images are let go", |_| copies() == "0" && !held("1.4.0"));
    assert!(["1.4.1", "1.5.0"].into_iter().all(held), "a rollback needs no network");
    stack.is_whole("1.5.0", None);
}

fn image(stack: &Stack, version: &str) -> String {
    format!("{}/tessallite/gateway:{version}", stack.registry())
}

fn docker(arguments: &[&str]) -> String {
    succeed(Engine::shared().docker().args(arguments)).trim().to_owned()
}
