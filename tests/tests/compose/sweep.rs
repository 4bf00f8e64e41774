//! The daemon is killed at records of its journal all through a run that turns round on a real engine: whatever the
//! instant, the next daemon ends it with the data, the files and the containers of the old version.
//!
//! `UPGRADED_COMPOSE_STRIDE=1` cuts at every record: an hour.

use upgraded_tests::{Cut, Daemon, Stack, StackInstall, kind, last_run, outcome, stride};

const FROM: &str = "1.5.0";
const TO: &str = "1.8.0";

#[test]
fn a_run_that_turns_round_ends_whole() {
    let policy = "drill = \"off\"\nidle = \"20s\"\n";
    let stack = Stack::new(&StackInstall { version: FROM, policy });
    stack.publish(TO);
    let (data, things) = (stack.data(), stack.things());
    let mut daemon = Daemon::start(&stack).settled();
    let mut run = 0;
    let mut record = 3;
    loop {
        run += 1;
        stack.cut_at(Cut::Record(record));
        match run {
            1 => stack.edit_version(TO),
            _ => drop(daemon.told(&["retry", &stack.name])),
        }
        let over = |now: &serde_json::Value| {
            now["last_run"]["id"] == run && !now["last_run"]["outcome"].is_null() && kind(now) == "quarantined"
        };
        let died = daemon.dies_unless(over);
        stack.no_cut();
        if died {
            daemon = Daemon::start(&stack);
        }
        let now = daemon.wait("the run ends", over);
        assert_eq!(outcome(&now), "rolled-back", "cut at record {record}: {now:#}");
        assert_eq!(last_run(&now), run, "nothing began by itself");
        stack.is_whole(FROM, Some(&data));
        assert_eq!(stack.things(), things, "cut at record {record}");
        if !died {
            break;
        }
        record += stride("UPGRADED_COMPOSE_STRIDE", 71);
    }
    assert!(run > 2, "a run has more records than that: {record}");
}
