//! Releases that don't stand, and somebody else at work.

use crate::{account_for, failure, run_to, write_models};
use upgraded_tests::{CLOUD_SERVICES, Cloud, Daemon};

/// Healthy and wrong: nothing but the catalogue tells. Traffic goes back, and the data with it.
#[test]
fn a_release_that_loses_models_goes_back_with_the_data() {
    let cloud = Cloud::new("1.5.1", "approve = \"never\"\n");
    cloud.publish("1.7.1");
    let before: Vec<_> = CLOUD_SERVICES.map(|name| cloud.traffic(name)).into();
    let mut daemon = Daemon::start(&cloud).settled();
    let (run, writes) = write_models(&cloud, "once", || run_to(&mut daemon, "1.7.1", "rolled-back"));
    assert_eq!(failure(&run).0, "h0-verify", "{}", failure(&run).1);
    assert!(failure(&run).1.contains("the models are not what the catalogue says"), "{}", failure(&run).1);
    cloud.is_whole("1.5.1", None);
    account_for(&cloud, "once", &writes);
    let after: Vec<_> = CLOUD_SERVICES.map(|name| cloud.traffic(name)).into();
    assert_eq!(after, before, "the revisions that served before");
    assert_eq!(cloud.calls("backupRuns.insert"), 2, "the final one, and what the restore set aside");
}

/// A service that somebody edits after it was staged is left as it is.
#[test]
fn what_somebody_else_edits_meanwhile_stays() {
    let cloud = Cloud::new("1.5.0", "approve = \"always\"\n");
    cloud.publish("1.5.1");
    let mut daemon = Daemon::start(&cloud).settled();
    cloud.edit_version("1.5.1");
    daemon.wait("it waits for an approval", |now| now["state"]["kind"] == "waiting");
    cloud.edit_by_somebody_else("optimizer");
    let (_, writes) = write_models(&cloud, "once", || {
        daemon.told(&["approve", &cloud.name]);
        let now = daemon.end_of_run_to("1.5.1");
        assert_eq!(upgraded_tests::outcome(&now), "rolled-back", "{now:#}");
    });
    let run = daemon.told(&["show", "1"]);
    assert_eq!(failure(&run).0, "h0-apply-main-2", "{}", failure(&run).1);
    assert!(failure(&run).1.contains("somebody-else@example.com"), "{}", failure(&run).1);
    assert_eq!(cloud.service("optimizer")["labels"]["edited-by"], "somebody-else");
    cloud.is_whole("1.5.0", None);
    let failed: Vec<_> = writes.iter().filter(|write| !write.is_fine()).collect();
    assert!(failed.is_empty(), "{} of {}: {failed:#?}", failed.len(), writes.len());
}
