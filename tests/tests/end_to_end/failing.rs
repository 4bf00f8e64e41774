//! Releases that are no good: users have what they had.

use upgraded_tests::{Daemon, Release, Setup, Site, kind, last_run, outcome, why};

fn at_1_1_0() -> Site {
    Site::new(&Setup { version: "1.1.0", ..Setup::default() })
}

#[test]
fn a_healthy_and_wrong_release_is_rolled_back_and_not_tried_again() {
    let site = at_1_1_0();
    let before = site.checksums();
    let mut daemon = Daemon::start(&site).settled();
    site.edit_version("1.2.0");
    let now = daemon.end_of_run_to("1.2.0");
    assert_eq!((outcome(&now), kind(&now)), ("rolled-back", "quarantined"), "{now:#}");
    assert_eq!(now["installed"], "1.1.0");
    site.is_whole("1.1.0", Some(&before));
    let first = last_run(&now);

    // Saved again, looked at again, started again: no other run begins.
    site.edit(|text| format!("{text}# saved again\n"));
    daemon.look();
    daemon.wait("it looked", |now| kind(now) == "quarantined");
    daemon.stop();
    let mut daemon = Daemon::start(&site);
    daemon.wait("it looked after its start", |now| kind(now) == "quarantined");
    assert_eq!(daemon.runs(), 1);

    daemon.told(&["retry", &site.name]);
    let now = daemon.end_of_run_after(first);
    assert_eq!(outcome(&now), "rolled-back", "{now:#}");
    assert_eq!(daemon.runs(), 2);
    site.is_whole("1.1.0", Some(&before));

    site.edit_version("1.1.0");
    let now = daemon.wait("another version lifts it", |now| now["wanted"] == "1.1.0" && kind(now) == "idle");
    assert_eq!(now["installed"], "1.1.0");
    site.edit_version("1.3.0");
    let now = daemon.end_of_run_to("1.3.0");
    assert_eq!((outcome(&now), kind(&now)), ("committed", "idle"), "{now:#}");
    site.is_whole("1.3.0", None);
}

/// How a release is found out, and that users have what they had.
fn rolls_back(version: &str, because: &str) {
    let site = at_1_1_0();
    site.edit(|text| text.replace("drill = \"off\"\n", "drill = \"off\"\nidle = \"3s\"\n"));
    site.edit(|text| text.replace("[platform]\n", "[platform]\nidle-seconds = 3\n"));
    let switches = "schema = 2\n[behaviour]\nloses-uploads = true";
    site.publish(&Release { version: "1.11.0", base: "1.1.0", switches, migration: None });
    // What `notes` itself makes of a disk that is too small.
    site.edit_product(|text| format!("quota-bytes = 3000000\n{text}"));
    let before = site.checksums();
    let mut daemon = Daemon::start(&site).settled();
    site.edit_version(version);
    let now = daemon.end_of_run_to(version);
    assert_eq!((outcome(&now), kind(&now)), ("rolled-back", "quarantined"), "{now:#}");
    assert_eq!(now["installed"], "1.1.0", "{now:#}");
    assert!(why(&now).contains(because), "{now:#}");
    site.is_whole("1.1.0", Some(&before));
}

#[test]
fn a_migration_that_fails_half_way_is_rolled_back() {
    rolls_back("1.5.0", "meets a row that it did not expect");
}

#[test]
fn a_migration_that_says_nothing_for_too_long_is_rolled_back() {
    rolls_back("1.4.0", "nothing was heard of it");
}

#[test]
fn a_release_that_crashes_at_start_is_rolled_back() {
    rolls_back("1.6.0", "notes_by_mood");
}

#[test]
fn a_release_that_hangs_at_start_is_rolled_back() {
    rolls_back("1.7.0", "is not healthy");
}

#[test]
fn a_release_that_loses_rows_is_rolled_back() {
    rolls_back("1.8.0", "40 notes were written, 36 are there");
}

#[test]
fn a_release_that_fills_the_disk_is_rolled_back() {
    rolls_back("1.9.0", "No space left on device");
}

#[test]
fn a_release_that_loses_uploads_is_rolled_back() {
    rolls_back("1.11.0", "is not what was uploaded");
}
