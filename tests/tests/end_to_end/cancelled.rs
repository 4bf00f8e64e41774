//! A person's change of mind, in each phase: before downtime nothing was touched, in it the run turns round.

use rusqlite::Connection;
use std::fs::File;
use upgraded_tests::{Daemon, Hold, Setup, Site, kind, outcome};

/// With a drill, and with commands that can be held.
fn site() -> Site {
    let policy = "approve = \"never\"\n".into();
    let site = Site::new(&Setup { policy, ..Setup::default() });
    site.can_hold("stop", "platform.services.web", "stop");
    site.can_hold("smoke", "platform.commands.smoke", "argv");
    site.can_hold("migrate", "platform.commands.migrate", "argv");
    site.edit(|text| text.replace("[platform]\n", "[platform]\nbuild = \"build\"\n"));
    site.edit(|text| text.replace("[platform.commands.smoke]", "[platform.commands.build]\nargv = [\"/bin/true\"]\n\n[platform.commands.smoke]"));
    site.can_hold("build", "platform.commands.build", "argv");
    site
}

/// Cancelled while `held` waits, and let go.
fn cancelled(site: &Site, mut daemon: Daemon<'_>, held: Option<Hold<'_>>, ends_as: &str) {
    daemon.told(&["cancel", &site.name]);
    drop(held);
    let now = daemon.end_of_run_to("1.1.0");
    assert_eq!(outcome(&now), ends_as, "{now:#}");
    let rests = if ends_as == "refused" { "error" } else { "quarantined" };
    daemon.wait("it is still shown", |now| kind(now) == rests);
    let touched = site.events().iter().any(|event| event["step"] == "quiesce-main");
    assert_eq!(touched, ends_as == "rolled-back", "{now:#}");
}

#[test]
fn while_a_release_is_staged() {
    let site = site();
    let (before, daemon) = (site.checksums(), Daemon::start(&site).settled());
    let held = site.hold("build");
    site.edit_version("1.1.0");
    held.reached();
    cancelled(&site, daemon, Some(held), "refused");
    site.is_whole("1.0.0", Some(&before));
}

#[test]
fn while_it_is_backed_up_ahead() {
    let site = site();
    let (before, mut daemon) = (site.checksums(), Daemon::start(&site).settled());
    let held = site.hold("build");
    site.edit_version("1.1.0");
    held.reached();
    // As somebody's `restic prune` would, by the folder's own lock.
    let vault = File::open(site.path("vault")).expect("the vault");
    vault.lock().expect("nobody else uses it");
    held.release();
    daemon.wait("it is backed up", |now| now["state"]["phase"] == "backup-ahead");
    let unlock = || drop(vault);
    daemon.told(&["cancel", &site.name]);
    unlock();
    let now = daemon.end_of_run_to("1.1.0");
    assert_eq!(outcome(&now), "refused", "{now:#}");
    daemon.wait("it is still shown", |now| kind(now) == "error");
    site.is_whole("1.0.0", Some(&before));

    // Not again by itself, but when the operator says so.
    daemon.told(&["retry", &site.name]);
    let now = daemon.end_of_run_after(1);
    assert_eq!(outcome(&now), "committed", "{now:#}");
    site.is_whole("1.1.0", None);
}

#[test]
fn while_its_backup_is_drilled() {
    let site = site();
    // Rows that take a moment to count.
    let database = Connection::open(site.home().join("data/notes.db")).expect("the database");
    let rows = "WITH RECURSIVE rows (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM rows LIMIT 150000)";
    let ballast = format!("CREATE TABLE ballast (number INTEGER); INSERT INTO ballast {rows} SELECT number FROM rows;");
    database.execute_batch(&ballast).expect("ballast");
    drop(database);
    let (before, mut daemon) = (site.checksums(), Daemon::start(&site).settled());
    site.edit_version("1.1.0");
    daemon.wait("a backup is restored into a double", |now| now["state"]["phase"] == "drill");
    cancelled(&site, daemon, None, "refused");
    site.is_whole("1.0.0", Some(&before));
}

#[test]
fn while_services_are_stopped() {
    let site = site();
    let (before, daemon) = (site.checksums(), Daemon::start(&site).settled());
    let held = site.hold("stop");
    site.edit_version("1.1.0");
    held.reached();
    cancelled(&site, daemon, Some(held), "rolled-back");
    site.is_whole("1.0.0", Some(&before));
}

#[test]
fn while_it_is_verified() {
    let site = site();
    let (before, daemon) = (site.checksums(), Daemon::start(&site).settled());
    let migrating = site.hold("migrate");
    site.edit_version("1.1.0");
    migrating.reached();
    let held = site.hold("smoke");
    migrating.release();
    held.reached();
    cancelled(&site, daemon, Some(held), "rolled-back");
    site.is_whole("1.0.0", Some(&before));
}
