//! Releases that are no good: everything is as it was.

use crate::writers::{account_for, write_models, wrote_again};
use crate::{failure, run_to};
use upgraded_tests::{Daemon, Stack, StackInstall, kind};

const POLICY: &str = "drill = \"off\"\nidle = \"20s\"\n";

/// From a release to a bad one and back; where and why it turned round.
fn comes_back(from: &'static str, to: &str) -> (String, String) {
    let stack = Stack::new(&StackInstall { version: from, policy: POLICY });
    stack.publish(to);
    let (data, things) = (stack.data(), stack.things());
    let files = ["compose.yaml", ".env"].map(|name| std::fs::read(stack.file(name)).expect("a file of the project"));
    let mut daemon = Daemon::start(&stack).settled();
    let run = run_to(&mut daemon, to, "rolled-back");
    stack.is_whole(from, Some(&data));
    assert_eq!(stack.things(), things);
    let now = ["compose.yaml", ".env"].map(|name| std::fs::read(stack.file(name)).expect("a file of the project"));
    assert_eq!(files, now, "the files are byte for byte what they were");
    assert_eq!(kind(&daemon.now()), "quarantined");
    let (step, why) = failure(&run);
    (step.to_owned(), why.to_owned())
}

#[test]
fn a_migration_that_fails_half_way() {
    let (step, why) = comes_back("1.5.0", "1.8.0");
    assert_eq!(step, "h0-apply-main-0");
    assert!(why.contains("[migrate] failed: 0011_move_owners"), "{why}");
}

#[test]
fn a_service_that_crashes_at_start() {
    let (step, why) = comes_back("1.4.0", "1.4.2");
    // It has no health check: where the machine is slow, it stands long enough to be found a step later.
    assert!(["h0-apply-main-1", "h0-verify-wave-main-1"].contains(&step.as_str()), "{step}");
    assert!(why.contains("main/query-router") && why.contains("keeps ending"), "{why}");
}

/// Users write until the gate shuts, and again once it is open.
#[test]
fn a_release_that_loses_models_and_says_that_it_is_healthy() {
    let stack = Stack::new(&StackInstall { version: "1.5.0", policy: POLICY });
    stack.publish("1.7.1");
    let things = stack.things();
    let mut daemon = Daemon::start(&stack).settled();
    let (run, writes) = write_models(&stack, || {
        let run = run_to(&mut daemon, "1.7.1", "rolled-back");
        wrote_again(&mut daemon, &stack);
        run
    });
    account_for(&stack, &run, &writes);
    stack.is_whole("1.5.0", None);
    assert_eq!(stack.things(), things);
    let (step, why) = failure(&run);
    assert_eq!(step, "h0-verify");
    assert!(why.contains("the models are not what the catalogue says"), "{why}");
}
