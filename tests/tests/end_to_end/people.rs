//! What waits for a person or for a time, and a person's change of mind.

use std::fs;
use upgraded_tests::{Daemon, Setup, Site, kind, outcome};

fn with_policy(version: &'static str, policy: &str) -> Site {
    Site::new(&Setup { version, policy: format!("{policy}\ndrill = \"off\"\n"), ..Setup::default() })
}

#[test]
fn a_run_waits_for_its_approval_and_can_be_cancelled_before() {
    let site = with_policy("1.0.0", "approve = \"always\"");
    let before = site.checksums();
    let mut daemon = Daemon::start(&site).settled();
    let approval = |now: &serde_json::Value| kind(now) == "waiting" && now["state"]["reason"] == "approval";
    site.edit_version("1.1.0");
    daemon.wait("it asks for an approval", approval);
    daemon.told(&["cancel", &site.name]);
    let now = daemon.end_of_run_to("1.1.0");
    assert_ne!(outcome(&now), "committed", "{now:#}");
    site.is_whole("1.0.0", Some(&before));

    site.edit_version("1.0.0");
    daemon.wait("back at what runs", |now| now["wanted"] == "1.0.0" && kind(now) == "idle");
    site.edit_version("1.1.0");
    daemon.wait("it asks again", approval);
    // A restart doesn't make up for a person's word.
    daemon.kill();
    let mut daemon = Daemon::start(&site);
    daemon.wait("it still asks", approval);
    let (refused, code) = daemon.upgradectl(&["rollback", &site.name, "--yes"]);
    let why = refused.to_string();
    assert!(code == Some(3) && why.contains("has touched nothing yet"), "nothing is there to go back: {refused:#}");
    let (refused, code) = daemon.upgradectl(&["rehearse", &site.name]);
    assert_eq!(code, Some(3), "one run at a time: {refused:#}");
    let watched = |arguments: &[&str]| daemon.command(arguments).arg("--watch").output().expect("`upgradectl`");
    let seen = watched(&["approve", &site.name]);
    assert_eq!(seen.status.code(), Some(0), "{seen:?}");
    site.is_whole("1.1.0", None);
    let seen = watched(&["rollback", &site.name, "--yes"]);
    assert_eq!(seen.status.code(), Some(0), "it went back as it was told to: {seen:?}");
    site.is_whole("1.0.0", Some(&before));
}

#[test]
fn a_run_waits_for_its_window() {
    let site = with_policy("1.0.0", "window = [\"Sat 02:00-06:00 UTC\"]");
    let clock = site.path("clock");
    // A Friday.
    fs::write(&clock, "2026-01-02T12:00:00Z").expect("the clock");
    let clock_file = clock.display().to_string();
    let mut daemon = Daemon::start_with(&site, &[("UPGRADED_CLOCK_FILE", &clock_file)]).settled();
    site.edit_version("1.1.0");
    let now = daemon.wait("it waits for the window", |now| now["state"]["reason"] == "window");
    assert_eq!(now["state"]["until"], "2026-01-03T02:00:00Z", "{now:#}");
    assert_eq!(site.version_for_users(), "1.0.0");
    fs::write(&clock, "2026-01-03T02:00:01Z").expect("the clock");
    let now = daemon.end_of_run_to("1.1.0");
    assert_eq!(outcome(&now), "committed", "{now:#}");
    site.is_whole("1.1.0", None);
}

#[test]
fn a_run_that_is_cancelled_during_its_downtime_turns_round() {
    // 1.3.0 migrates for seconds.
    let site = with_policy("1.1.0", "approve = \"breaking\"");
    let before = site.checksums();
    let mut daemon = Daemon::start(&site).settled();
    site.edit_version("1.3.0");
    daemon.wait("it migrates", |now| now["state"]["phase"] == "apply");
    daemon.told(&["cancel", &site.name]);
    let now = daemon.end_of_run_to("1.3.0");
    assert_eq!(outcome(&now), "rolled-back", "{now:#}");
    site.is_whole("1.1.0", Some(&before));
}
