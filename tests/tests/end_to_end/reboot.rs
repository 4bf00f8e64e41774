//! The machine's power fails in the middle of a run: when it is back, boot scripts start what is enabled, then the daemon
//! comes, and the site is whole again without a person's help.

use upgraded_tests::{Cut, Daemon, Setup, Site, is_over, kind, outcome};

const BOTH: [&str; 2] = ["web", "front"];

/// At each cut: which services the boot may not start.
fn power_fails_at(version: &'static str, to: &str, ends_as: &str, stands: &str, cuts: &[(Cut, &[&str])]) {
    let site = Site::new(&Setup { version, ..Setup::default() });
    let before = site.checksums();
    let mut daemon = Daemon::start(&site).settled();
    for (number, (cut, held)) in cuts.iter().enumerate() {
        site.cut_at(*cut);
        match number {
            0 => site.edit_version(to),
            _ => _ = daemon.told(&["retry", &site.name]),
        }
        daemon.dies();
        site.power_fails();
        site.no_cut();
        assert_eq!(site.boots(), *held, "held at the boot after {cut}");
        if held.is_empty() {
            assert_eq!(site.version_for_users(), version, "users have it before the daemon is there: {cut}");
        }
        daemon = Daemon::start(&site);
        let run = number as u64 + 1;
        let now = daemon.wait("the run ends", |now| is_over(now, run) && kind(now) != "running");
        assert_eq!(outcome(&now), ends_as, "{cut}: {now:#}");
        site.is_whole(stands, (stands == version).then_some(&*before));
    }
    daemon.stop();
}

#[test]
fn on_the_way_forward_it_goes_on() {
    for cut in [Cut::Succeeded("seal-uploads"), Cut::Started("h0-apply-main-1")] {
        power_fails_at("1.0.0", "1.1.0", "committed", "1.1.0", &[(cut, &BOTH)]);
    }
}

#[test]
fn before_the_quiesce_under_the_fence_and_on_the_way_back_the_old_version_stands() {
    let cuts: [(Cut, &[&str]); 6] = [
        (Cut::Started("recheck"), &[]),
        (Cut::Succeeded("fence-main"), &BOTH),
        (Cut::Succeeded("freeze-main"), &BOTH),
        (Cut::Started("h0-apply-main-0"), &BOTH),
        (Cut::Started("b0-restore-main"), &BOTH),
        (Cut::Started("b0-revert-main"), &BOTH),
    ];
    power_fails_at("1.1.0", "1.2.0", "rolled-back", "1.1.0", &cuts);
}

/// No cut of a record: the migration itself is at work, and goes with the power.
#[test]
fn in_the_middle_of_a_migration_it_goes_on() {
    let site = Site::new(&Setup { version: "1.1.0", ..Setup::default() });
    let mut daemon = Daemon::start(&site).settled();
    site.edit_version("1.3.0");
    daemon.wait("it migrates", |now| now["state"]["phase"] == "apply");
    daemon.power_fails();
    assert_eq!(site.boots(), BOTH);
    let mut daemon = Daemon::start(&site);
    let now = daemon.end_of_run_to("1.3.0");
    assert_eq!((outcome(&now), kind(&now)), ("committed", "idle"), "{now:#}");
    site.is_whole("1.3.0", None);
}
