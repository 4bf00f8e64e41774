//! No room, or none to write to: a refusal before anything is touched, or the way back.

use std::process::Command;
use upgraded_tests::{Daemon, Setup, Site, SmallDisk, kind, last_run, outcome};

fn refused(daemon: &mut Daemon, part: &str) {
    let now = daemon.wait("it is refused", |now| kind(now) == "error");
    assert!(now["state"]["message"].as_str().is_some_and(|message| message.contains(part)), "{now:#}");
}

fn kib_of(site: &Site, folder: &str) -> u64 {
    let output = Command::new("du").arg("-sk").arg(site.path(folder)).output().expect("`du`");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or_else(|| panic!("`du` says `{text}`"))
}

#[test]
fn a_full_state_folder_refuses_a_run_and_one_that_fills_turns_it_round() {
    // 1.3.0 migrates for seconds.
    let site = Site::new(&Setup { version: "1.1.0", ..Setup::default() });
    let before = site.checksums();
    let disk = SmallDisk::over(&site.path("state"), kib_of(&site, "state") + (8 << 10));
    let mut daemon = Daemon::start(&site).settled();
    site.edit_version("1.3.0");
    refused(&mut daemon, "the state folder has no room for the journal's reserve");
    assert_eq!(daemon.runs(), 0);
    site.is_whole("1.1.0", Some(&before));

    disk.remount(&format!("size={}k", kib_of(&site, "state") + (40 << 10)));
    daemon.told(&["retry", &site.name]);
    daemon.wait("it migrates", |now| now["state"]["phase"] == "apply");
    disk.fill();
    let now = daemon
        .wait("it ends, or can't be written down", |now| kind(now) == "error" || !now["last_run"]["outcome"].is_null());
    if now["last_run"]["outcome"].is_null() {
        // Whoever fills the disk took the reserve too: nothing more is done until there is room.
        std::fs::remove_file(site.path("state/filler")).expect("the filler");
        daemon.look();
    }
    let now = daemon.wait("the run ends", |now| !now["last_run"]["outcome"].is_null() && kind(now) != "running");
    let stands = if outcome(&now) == "committed" { "1.3.0" } else { "1.1.0" };
    assert_eq!(now["installed"], stands, "{now:#}");
    site.is_whole(stands, (stands == "1.1.0").then_some(&before));
    // What was written down is all there.
    let run = daemon.told(&["show", &last_run(&now).to_string()]);
    assert_eq!(run["outcome"], now["last_run"]["outcome"], "{run:#}");
    daemon.stop();
}

#[test]
fn a_full_vault_refuses_a_run_before_downtime() {
    let policy = "approve = \"always\"\ndrill = \"ahead\"\n".to_owned();
    let site = Site::new(&Setup { uploads: 40, policy, ..Setup::default() });
    let before = site.checksums();
    // Before the plan: there is not room enough for the backup.
    let disk = SmallDisk::over(&site.path("vault"), 64);
    let mut daemon = Daemon::start(&site).settled();
    site.edit_version("1.1.0");
    refused(&mut daemon, "may be needed");
    assert_eq!(daemon.runs(), 0);

    // After it: somebody else fills the disk while the run waits.
    disk.remount("size=8m");
    daemon.told(&["retry", &site.name]);
    daemon.wait("it asks", |now| kind(now) == "waiting");
    disk.fill();
    daemon.told(&["approve", &site.name]);
    let now = daemon.end_of_run_to("1.1.0");
    assert_eq!((outcome(&now), kind(&now)), ("refused", "error"), "{now:#}");
    site.is_whole("1.0.0", Some(&before));
    let run = daemon.told(&["show", &last_run(&now).to_string()]);
    assert!(run["downtime_s"].is_null(), "users noticed nothing: {run:#}");

    // Room again, and nothing was lost of the vault.
    std::fs::remove_file(site.path("vault/filler")).expect("the filler");
    daemon.told(&["retry", &site.name]);
    daemon.wait("it asks again", |now| kind(now) == "waiting");
    daemon.told(&["approve", &site.name]);
    let now = daemon.end_of_run_after(last_run(&now));
    assert_eq!(outcome(&now), "committed", "{now:#}");
    site.is_whole("1.1.0", None);
    daemon.stop();
}

#[test]
fn a_read_only_state_folder_ends_the_start_and_loses_nothing() {
    let site = Site::new(&Setup::asking());
    let disk = SmallDisk::over(&site.path("state"), kib_of(&site, "state") + (40 << 10));
    let mut daemon = Daemon::start(&site).settled();
    site.edit_version("1.1.0");
    daemon.wait("it asks", |now| kind(now) == "waiting");
    daemon.stop();

    disk.remount("ro");
    let mut refused = Daemon::launch(&site, &[]);
    assert_eq!(refused.exit("it refuses").code(), Some(1));
    let folder = site.path("state").display().to_string();
    assert!(site.log().contains(&format!("the state folder `{folder}` can't be used: Read-only")), "{}", site.log());
    assert_eq!(site.version_for_users(), "1.0.0");

    disk.remount("rw");
    let mut daemon = Daemon::start(&site);
    daemon.wait("it still asks", |now| kind(now) == "waiting");
    daemon.told(&["approve", &site.name]);
    assert_eq!(outcome(&daemon.end_of_run_to("1.1.0")), "committed");
    site.is_whole("1.1.0", None);
    daemon.stop();
}
