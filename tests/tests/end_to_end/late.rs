//! The backup that is taken after users are in, and what goes on without the vault.

use std::fs;
use upgraded_tests::{Cut, Daemon, Setup, Site, kind, outcome, why};

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

    // Of a vault that has lost its backups nothing is stopped in vain.
    fs::rename(site.path("vault/snapshots"), &away).expect("the snapshots are lost");
    fs::create_dir(site.path("vault/snapshots")).expect("a folder without any");
    let (refused, code) = daemon.upgradectl(&["rollback", &site.name, "--yes"]);
    assert!(code != Some(0) && refused.to_string().contains("the vault has no"), "{refused:#}");
    assert_eq!(daemon.runs(), 1);
    site.is_whole("1.1.0", None);
}

#[test]
fn a_vault_that_is_away_is_missed_before_users_are_shut_out() {
    let site = Site::new(&Setup::asking());
    let before = site.checksums();
    let mut daemon = Daemon::start(&site).settled();
    site.edit_version("1.1.0");
    daemon.wait("it waits for approval", |now| now["state"]["reason"] == "approval");
    fs::rename(site.path("vault"), site.path("vault-away")).expect("the vault is taken away");
    fs::create_dir(site.path("vault")).expect("a mount point");
    daemon.told(&["approve", &site.name]);
    let now = daemon.end_of_run_to("1.1.0");
    assert!(outcome(&now) == "refused" && why(&now).contains("vault"), "{now:#}");
    assert!(site.events().iter().all(|event| event["step"] != "quiesce-main"), "{now:#}");
    site.is_whole("1.0.0", Some(&before));
}

/// The machine comes back without the disk of the vault: the copy beside the data is enough to bring users back, also where
/// files were to be edited and none was yet.
#[test]
fn a_way_back_from_the_frozen_copy_needs_no_vault() {
    for (version, to, cut) in [("1.1.0", "1.2.0", "h0-verify-main"), ("1.10.0", "2.0.0", "h0-edits")] {
        let policy = "approve = \"never\"\ndrill = \"off\"\n".into();
        let site = Site::new(&Setup { version, policy, ..Setup::default() });
        let before = site.checksums();
        let daemon = Daemon::start(&site).settled();
        site.cut_at(Cut::Started(cut));
        site.edit_version(to);
        daemon.dies();
        site.no_cut();
        fs::rename(site.path("vault"), site.path("vault-away")).expect("the vault is taken away");
        let mut daemon = Daemon::start(&site);
        let now = daemon.end_of_run_to(to);
        assert_eq!(outcome(&now), "rolled-back", "{now:#}");
        site.is_whole(version, Some(&before));
        assert!(!site.path("vault").exists(), "none was made in its place");
    }
}
