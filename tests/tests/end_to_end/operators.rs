//! An operator edits files in the middle of a run.

use std::fs;
use upgraded_tests::{Daemon, Setup, Site, kind, outcome, why};

fn that_can_be_held(version: &'static str) -> Site {
    let policy = "approve = \"never\"\ndrill = \"off\"\n".into();
    let site = Site::new(&Setup { version, policy, ..Setup::default() });
    site.can_hold("migrate", "platform.commands.migrate", "argv");
    site.can_hold("stop", "platform.services.web", "stop");
    site
}

#[test]
fn a_run_keeps_the_file_that_it_began_with_and_then_the_new_one_is_obeyed() {
    let site = that_can_be_held("1.0.0");
    let mut daemon = Daemon::start(&site).settled();
    let held = site.hold("migrate");
    site.edit_version("1.1.0");
    held.reached();
    // Another version, and policy that would have made this very run wait.
    site.edit(|text| text.replace("version = \"1.1.0\"", "version = \"1.10.0\""));
    site.edit(|text| text.replace("approve = \"never\"", "approve = \"always\""));
    daemon.wait("the edit is seen", |now| now["state"]["run"] == 1 && kind(now) == "running");
    held.release();
    let asks = |now: &serde_json::Value| now["last_run"]["id"] == 2 && now["state"]["reason"] == "approval";
    let now = daemon.wait("the new line is obeyed, by the new policy", asks);
    assert_eq!((&now["installed"], &now["wanted"]), (&"1.1.0".into(), &"1.10.0".into()), "{now:#}");
    let first = daemon.told(&["show", "1"]);
    assert_eq!((&first["to"], &first["outcome"]["outcome"]), (&"1.1.0".into(), &"committed".into()), "{first:#}");
    daemon.told(&["approve", &site.name]);
    daemon.wait("it is at the newest", |now| now["installed"] == "1.10.0" && kind(now) == "idle");
    site.is_whole("1.10.0", None);
}

/// The breaking release edits `notes.toml`; the operator edits it too, afterwards, and the run turns round.
#[test]
fn a_change_to_a_file_that_a_run_edited_is_kept_beside_and_named() {
    let site = that_can_be_held("1.10.0");
    let (before, original) = (site.checksums(), site.product());
    let mut daemon = Daemon::start(&site).settled();
    let held = site.hold("migrate");
    site.edit_version("2.0.0");
    held.reached();
    site.edit_product(|text| text.replace("Notes of the house", "Notes of the operator"));
    let changed = site.product();
    assert!(changed.contains("base-url"), "the run's own edit is in place: {changed}");
    daemon.told(&["cancel", &site.name]);
    held.release();
    let now = daemon.end_of_run_to("2.0.0");
    assert_eq!(outcome(&now), "rolled-back", "{now:#}");

    let beside = site.home().join("notes.toml.changed-during-1");
    assert_eq!(fs::read_to_string(beside).expect("the operator's change"), changed);
    let told = [daemon.told(&["show", "1"]), daemon.told(&["logs", &site.name])].map(|answer| answer.to_string());
    assert!(told.iter().any(|told| told.contains("notes.toml.changed-during-1")), "it is named: {told:#?}");
    site.edit_product(|_| original.clone());
    site.is_whole("1.10.0", Some(&before));
}

/// Before the run's own edit is in place: nothing is written over.
#[test]
fn a_file_that_changed_since_the_plan_is_not_written_over() {
    let site = that_can_be_held("1.10.0");
    let before = site.checksums();
    let mut daemon = Daemon::start(&site).settled();
    let held = site.hold("stop");
    site.edit_version("2.0.0");
    held.reached();
    site.edit_product(|text| text.replace("Notes of the house", "Notes of the operator"));
    held.release();
    let now = daemon.end_of_run_to("2.0.0");
    assert_eq!(outcome(&now), "rolled-back", "{now:#}");
    assert!(why(&now).contains("`notes.toml` was changed by somebody else"), "{now:#}");
    site.is_whole("1.10.0", Some(&before));
}

/// What a run began with is kept; where that is lost too, a person ends it.
#[test]
fn a_run_goes_on_with_the_plugins_that_it_began_with_and_without_them_it_can_be_given_up() {
    let site = Site::new(&Setup::asking());
    let before = site.checksums();
    let plugin = site.own_plugins().join("notes.wasm");
    let mut daemon = Daemon::start(&site).settled();
    site.edit_version("1.1.0");
    let waits = |now: &serde_json::Value| now["state"]["reason"] == "approval";
    daemon.wait("it waits for approval", waits);
    daemon.kill();
    let bytes = fs::read(&plugin).expect("the plugin");
    fs::remove_file(&plugin).expect("taken away");
    let mut daemon = Daemon::start(&site);
    daemon.wait("it waits for approval again", waits);
    daemon.kill();
    for kept in ["state/kept", "state/plugins"] {
        fs::remove_dir_all(site.path(kept)).expect("lost");
    }
    let mut daemon = Daemon::start(&site);
    let now = daemon.wait("it can't go on", |now| kind(now) == "error");
    let message = now["state"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("run 1 can't go on") && message.contains("upgradectl abandon"), "{message}");
    daemon.told(&["abandon", &site.name, "--why", "its plugin is lost"]);
    let ended = |now: &serde_json::Value| !now["last_run"]["outcome"].is_null();
    let now = daemon.wait("the run ends", ended);
    assert_eq!(outcome(&now), "abandoned", "{now:#}");
    site.edit_version("1.0.0");
    fs::write(&plugin, bytes).expect("put back");
    daemon.wait("all is well again", |now| kind(now) == "idle" && now["installed"] == "1.0.0");
    site.is_whole("1.0.0", Some(&before));
}

#[test]
fn a_version_that_is_taken_back_while_its_run_waits_is_not_installed() {
    let site = Site::new(&Setup::asking());
    let before = site.checksums();
    let mut daemon = Daemon::start(&site).settled();
    site.edit_version("1.1.0");
    daemon.wait("it waits for approval", |now| now["state"]["reason"] == "approval");
    site.edit_version("1.0.0");
    daemon.told(&["approve", &site.name]);
    let now = daemon.end_of_run_after(0);
    assert!(outcome(&now) == "refused" && why(&now).contains("asks for another version"), "{now:#}");
    daemon.wait("there is nothing to do", |now| kind(now) == "idle" && now["installed"] == "1.0.0");
    site.is_whole("1.0.0", Some(&before));
}

/// As packages and `install` replace a file: the program that runs has none any more.
#[test]
fn a_run_goes_on_where_the_daemons_program_was_replaced() {
    let mut site = Site::new(&Setup::default());
    let program = site.own_program();
    let mut daemon = Daemon::start(&site).settled();
    fs::remove_file(&program).expect("the program's file");
    fs::write(&program, "of a newer release, for another machine").expect("another file");
    site.edit_version("1.1.0");
    let now = daemon.end_of_run_to("1.1.0");
    assert_eq!(outcome(&now), "committed", "{now:#}");
    site.is_whole("1.1.0", None);
}
