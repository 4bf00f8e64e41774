//! The backup that is taken after users are in.

use std::fs;
use upgraded_tests::{Daemon, Setup, Site, kind, outcome};

#[test]
fn a_late_backup_that_fails_is_retried_and_says_so() {
    let site = Site::new(&Setup::default());
    site.can_hold("migrate", "platform.commands.migrate", "argv");
    let mut daemon = Daemon::start(&site).settled();
    let held = site.hold("migrate");
    site.edit_version("1.1.0");
    held.reached();
    // The disk of the vault is away, and a mount point is no vault.
    let away = site.path("vault-away");
    fs::rename(site.path("vault"), &away).expect("the vault is taken away");
    fs::write(site.path("vault"), "").expect("something else in its place");
    held.release();

    let waits = |now: &serde_json::Value| kind(now) == "waiting" && now["state"]["reason"] == "backoff";
    let now = daemon.wait("it says that it tries again", waits);
    let message = now["state"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("backup-late-main") && message.contains("vault"), "{now:#}");
    assert_eq!(site.version_for_users(), "1.1.0", "users are in");
    assert_eq!(now["last_run"]["outcome"], serde_json::Value::Null, "not committed without its backup");

    fs::remove_file(site.path("vault")).expect("what was in its place");
    fs::rename(&away, site.path("vault")).expect("the vault is back");
    let now = daemon.end_of_run_to("1.1.0");
    assert_eq!(outcome(&now), "committed", "{now:#}");
    site.is_whole("1.1.0", None);
}
