//! The daemon is killed at records of its journal all through a run that turns round on a real engine: whatever the
//! instant, the next daemon ends it with the data, the files and the containers of the old version.
//!
//! `UPGRADED_COMPOSE_STRIDE=1` cuts at every record: half an hour.

use upgraded_tests::{Cut, Stack, StackInstall, turns_round_at};

const FROM: &str = "1.5.0";
const TO: &str = "1.8.0";

#[test]
fn a_run_that_turns_round_ends_whole() {
    let policy = "drill = \"off\"\nidle = \"20s\"\n";
    let stack = Stack::new(&StackInstall { version: FROM, policy });
    stack.publish(TO);
    let (data, things) = (stack.data(), stack.things());
    let cuts = Cut::records(3, "UPGRADED_COMPOSE_STRIDE", 71);
    let died = turns_round_at(&stack, TO, cuts, |cut| {
        stack.is_whole(FROM, Some(&data));
        assert_eq!(stack.things(), things, "cut at `{cut}`");
    });
    assert!(died > 1, "a run has more records than that: {died}");
}
