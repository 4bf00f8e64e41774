//! The daemon is killed at records of its journal: whatever the instant, the next daemon ends the run whole.
//!
//! `UPGRADED_CLOUD_STRIDE=1` cuts at every record.

use crate::{account_for, write_models};
use serde_json::Value;
use upgraded_tests::{Cloud, Cut, Daemon, kind, outcome, stride};

#[test]
fn a_run_that_turns_round_ends_whole() {
    let cloud = Cloud::new("1.5.0", "approve = \"never\"\n");
    cloud.publish("1.8.0");
    let data = cloud.data();
    let mut daemon = Daemon::start(&cloud).settled();
    let (mut run, mut record) = (0, 5);
    loop {
        run += 1;
        cloud.cut_at(Cut::Record(record));
        match run {
            1 => cloud.edit_version("1.8.0"),
            _ => drop(daemon.told(&["retry", &cloud.name])),
        }
        let over = |now: &Value| {
            now["last_run"]["id"] == run && !now["last_run"]["outcome"].is_null() && kind(now) == "quarantined"
        };
        let died = daemon.dies_unless(over);
        cloud.no_cut();
        if died {
            daemon = Daemon::start(&cloud);
        }
        let now = daemon.wait("the run ends", over);
        assert_eq!(outcome(&now), "rolled-back", "cut at record {record}: {now:#}");
        cloud.is_whole("1.5.0", Some(&data));
        if !died {
            break;
        }
        record += stride("UPGRADED_CLOUD_STRIDE", 27);
    }
    assert!(run > 2, "a run has more records than that: {record}");
}

/// In the middle of a shift, while both revisions serve: nobody is turned away, and the shift goes on where it was.
#[test]
fn a_shift_of_traffic_that_is_cut_off_goes_on() {
    let cloud = Cloud::new("1.5.0", "approve = \"never\"\n");
    cloud.publish("1.5.1");
    let mut daemon = Daemon::start(&cloud).settled();
    let split = |name: &str| cloud.traffic(name).len() > 1;
    let ((), writes) = write_models(&cloud, "once", || {
        cloud.edit_version("1.5.1");
        for name in ["model-service", "frontend"] {
            daemon.wait("traffic is split", |_| split(name));
            daemon.kill();
            assert!(split(name), "it stays so while the daemon is away");
            daemon = Daemon::start(&cloud);
        }
        let now = daemon.end_of_run_to("1.5.1");
        assert_eq!(outcome(&now), "committed", "{now:#}");
    });
    cloud.is_whole("1.5.1", None);
    account_for(&cloud, "once", &writes);
    let failed: Vec<_> = writes.iter().filter(|write| !write.is_fine()).collect();
    assert!(failed.is_empty(), "{} of {}: {failed:#?}", failed.len(), writes.len());
}
