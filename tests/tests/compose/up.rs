//! Upgrades that succeed.

use crate::run_to;
use upgraded_tests::{Daemon, Stack, StackInstall, kind};

#[test]
fn a_minor_release_migrates_and_keeps_what_users_wrote() {
    let stack = Stack::new(&StackInstall { policy: "drill = \"ahead\"\nrehearse = true\n", ..StackInstall::default() });
    stack.publish("1.5.0");
    let things = stack.things();
    let mut daemon = Daemon::start(&stack).settled();
    let run = run_to(&mut daemon, "1.5.0", "committed");
    stack.is_whole("1.5.0", None);
    assert_eq!(stack.sql("SELECT count(*) FROM models"), "2");
    assert_eq!(stack.sql("SELECT max(version) FROM schema_migrations"), "0009");
    assert_eq!(stack.things(), things, "nothing is there that wasn't");
    let steps = run["steps"].as_array().expect("steps");
    assert!(steps.iter().any(|step| step["id"] == "drill-main"), "the backup was proved: {steps:#?}");
    assert!(run["rehearsed"]["downtime_s"].is_f64(), "it was rehearsed: {run:#}");
    assert_eq!(kind(&daemon.now()), "idle");
}
