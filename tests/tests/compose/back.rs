//! Releases that are no good: everything is as it was.

use crate::writers::{account_for, write_models, wrote_again};
use crate::{failure, run_to};
use upgraded_tests::{Daemon, Stack, StackInstall};

const POLICY: &str = "drill = \"off\"\nidle = \"20s\"\n";

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
