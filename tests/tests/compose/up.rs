//! Upgrades that succeed.

use crate::writers::{account_for, write_models, wrote_again};
use upgraded_tests::{Daemon, Stack, StackInstall, kind, last_run, outcome};

/// Users write all the while: through the drill and the rehearsal, and again once they are let in.
#[test]
fn a_minor_release_migrates_and_keeps_what_users_wrote() {
    let policy = "drill = \"ahead\"\nrehearse = true\n";
    let stack = Stack::new(&StackInstall { policy, ..StackInstall::default() });
    stack.publish("1.5.0");
    let things = stack.things();
    let mut daemon = Daemon::start(&stack).settled();
    let (run, writes) = write_models(&stack, || {
        stack.edit_version("1.5.0");
        let now = daemon.end_of_run_to("1.5.0");
        assert_eq!(outcome(&now), "committed", "{now:#}\n{}", stack.log());
        wrote_again(&mut daemon, &stack);
        daemon.told(&["show", &last_run(&now).to_string()])
    });
    account_for(&stack, &run, &writes);
    stack.is_whole("1.5.0", None);
    assert_eq!(stack.sql("SELECT count(*) FROM models WHERE name NOT LIKE 'written-%'"), "2");
    assert_eq!(stack.sql("SELECT max(version) FROM schema_migrations"), "0009");
    assert_eq!(stack.things(), things, "nothing is there that wasn't");
    let steps = run["steps"].as_array().expect("steps");
    assert!(steps.iter().any(|step| step["id"] == "drill-main"), "the backup was proved: {steps:#?}");
    assert!(run["rehearsed"]["downtime_s"].is_f64(), "it was rehearsed: {run:#}");
    assert_eq!(kind(&daemon.now()), "idle");
}
