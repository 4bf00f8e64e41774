//! Files, plugins, journals and keys that are not what they should be: each is named, nothing is touched, and a restart
//! changes nothing about it.

use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use upgraded_tests::{Daemon, Setup, Site, exchange, kind, outcome};

fn message(now: &Value) -> &str {
    now["state"]["message"].as_str().unwrap_or_default()
}

/// Line and column, from 1, where this stands for the first time.
fn place(text: &str, part: &str) -> (u64, u64) {
    let at = text.find(part).unwrap_or_else(|| panic!("`{part}` is in the file"));
    let line = text[..at].matches('\n').count() as u64 + 1;
    let column = (at - text[..at].rfind('\n').map_or(0, |newline| newline + 1)) as u64 + 1;
    (line, column)
}

#[test]
fn a_file_of_another_encoding_is_no_text_for_anybody() {
    let site = Site::new(&Setup::default());
    let mut daemon = Daemon::start(&site).settled();
    let text = fs::read(site.deployment_file()).expect("the file");
    fs::write(site.deployment_file(), [b"# f\xfcr\n".as_slice(), &text].concat()).expect("the file in Latin-1");
    let told = |now: &Value| now["state"]["diagnostics"].to_string().contains("not UTF-8");
    daemon.wait("it is told", |now| kind(now) == "error" && told(now));
    fs::write(site.deployment_file(), text).expect("the file as it was");
    daemon.wait("it is read", |now| kind(now) == "idle");
}

#[test]
fn every_mistake_is_told_at_once_with_its_place_and_after_a_restart_again() {
    let site = Site::new(&Setup::default());
    let before = site.checksums();
    let secret = site.path("etc/token");
    fs::write(&secret, "a-token-that-others-may-read").expect("a secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).expect("a mode");
    let mut daemon = Daemon::start(&site).settled();
    site.edit(|text| {
        text.replace("version = \"1.0.0\"", "version = \"\"")
            .replace("web = \"http", "web = 5\nwbe = \"http")
            .replace("plugin = \"files\"", "plugin = \"mongodb\"")
            .replace("[policy]", "[policy]\nidel = \"3s\"\nkeep-backups = \"all\"")
            .replace(
                "[platform.commands.smoke]",
                &format!(
                    "[platform.commands.smoke]\nenvironment = {{ T = {{ secret = \"file:{}\" }} }}",
                    secret.display()
                ),
            )
    });
    let text = fs::read_to_string(site.deployment_file()).expect("the file");
    // What marks the place, what is wrong, what would be right.
    let mistakes = [
        ("\"\"", "version", "version = \"1.4.0\""),
        ("5\n", "`settings.web` must be a string, and is an integer", ""),
        ("wbe", "`settings.wbe` is not known", "did you mean `web`?"),
        ("\"mongodb\"", "there is no plugin `mongodb`", "`files`"),
        ("idel", "`policy.idel` is not known", "did you mean `idle`?"),
        ("\"all\"", "`policy.keep-backups` must be an integer", ""),
        (&format!("\"file:{}\"", secret.display()), "can be read by others (mode 644)", "chmod 600"),
    ]
    .map(|(mark, wrong, right)| (place(&text, mark), wrong.to_owned(), right.to_owned()));

    let told = |daemon: &mut Daemon| {
        let now = daemon.wait("the mistakes are seen", |now| kind(now) == "error");
        let all = now["state"]["diagnostics"].as_array().expect("mistakes with places").clone();
        for ((line, column), wrong, right) in &mistakes {
            let it = |one: &&Value| one["message"].as_str().is_some_and(|message| message.contains(wrong));
            let found = all.iter().find(it).unwrap_or_else(|| panic!("`{wrong}` is not told: {all:#?}"));
            let (found_line, found_column) = (found["line"].as_u64(), found["column"].as_u64());
            // A word in quotes is marked within them.
            assert_eq!(found_line, Some(*line), "{found:#}");
            assert!(found_column.is_some_and(|found| found == *column || found == column + 1), "{column}: {found:#}");
            assert!(found["help"].as_str().unwrap_or_default().contains(right), "{found:#}");
            assert_eq!(found["file"], site.deployment_file().display().to_string());
        }
        assert_eq!(all.len(), mistakes.len(), "{all:#?}");
        all
    };
    let first = told(&mut daemon);
    daemon.kill();
    let mut daemon = Daemon::start(&site);
    assert_eq!(told(&mut daemon), first);

    // As a person reads it, and without the daemon.
    let shown = daemon.shown(&["status", &site.name]);
    for ((line, column), wrong, _) in &mistakes {
        let at = |column: u64| format!("{}.toml:{line}:{column}", site.name);
        assert!(shown.contains(&at(*column)) || shown.contains(&at(column + 1)), "{wrong} at {}: {shown}", at(*column));
    }
    assert!(!shown.contains("a-token-that"), "{shown}");
    daemon.stop();
    site.is_whole("1.0.0", Some(&before));
}

/// Every state from the daemon's first answer to the one that is waited for.
fn states_after_a_restart(daemon: Daemon, site: &Site, last: &str) -> (Vec<String>, Value) {
    daemon.kill();
    let mut daemon = Daemon::start(site);
    let mut states = Vec::new();
    let now = daemon.wait(&format!("it is {last} again"), |now| {
        states.push(kind(now).to_owned());
        kind(now) == last
    });
    daemon.stop();
    states.retain(|state| !state.is_empty());
    (states, now)
}

#[test]
fn a_refusal_is_one_after_a_restart_too() {
    let site = Site::new(&Setup { version: "1.1.0", ..Setup::asking() });
    let before = site.checksums();
    let stays_refused = |mut daemon: Daemon, part: &str| {
        let now = daemon.wait("it is refused", |now| kind(now) == "error");
        assert!(message(&now).contains(part), "{now:#}");
        let (states, again) = states_after_a_restart(daemon, &site, "error");
        assert!(!states.iter().any(|state| state == "idle"), "{part}: {states:?}");
        assert_eq!((message(&again), &again["installed"]), (message(&now), &now["installed"]), "{again:#}");
    };

    // A rule of the path.
    let daemon = Daemon::start(&site).settled();
    site.edit_version("1.0.0");
    stays_refused(daemon, "downgrade");

    // A blocker: what runs is wrong already.
    let file = fs::read_to_string(site.deployment_file()).expect("the file");
    let uploads = fs::read_dir(site.home().join("data/uploads")).expect("uploads");
    let upload = uploads.flatten().map(|entry| entry.path()).next().expect("an upload");
    fs::rename(&upload, site.path("etc/upload")).expect("an upload that is gone");
    site.edit(|_| file.replace("\"1.0.0\"", "\"1.3.0\""));
    stays_refused(Daemon::start(&site), "the installed version does not verify");
    fs::rename(site.path("etc/upload"), &upload).expect("the upload is back");

    // A person's word.
    let mut daemon = Daemon::start(&site);
    daemon.wait("it asks", |now| kind(now) == "waiting");
    daemon.told(&["cancel", &site.name, "--why", "not before the weekend"]);
    stays_refused(daemon, "not before the weekend");
    let mut daemon = Daemon::start(&site);
    daemon.wait("it is refused", |now| kind(now) == "error");
    daemon.told(&["retry", &site.name]);
    daemon.wait("it asks again", |now| kind(now) == "waiting");
    daemon.told(&["cancel", &site.name]);
    daemon.wait("it is refused again", |now| kind(now) == "error");

    // What runs is wanted again, in the very words of before.
    site.edit(|_| file.replace("\"1.0.0\"", "\"1.1.0\""));
    let now = daemon.wait("nothing is left to do", |now| kind(now) == "idle");
    assert_eq!((&now["installed"], &now["wanted"]), (&"1.1.0".into(), &"1.1.0".into()));
    site.is_whole("1.1.0", Some(&before));
}

#[test]
fn the_very_file_of_before_lifts_a_quarantine() {
    let site = Site::new(&Setup { version: "1.1.0", ..Setup::default() });
    let mut daemon = Daemon::start(&site).settled();
    let file = fs::read_to_string(site.deployment_file()).expect("the file");
    site.edit_version("1.2.0");
    let now = daemon.end_of_run_to("1.2.0");
    assert_eq!(kind(&now), "quarantined", "{now:#}");
    let (states, again) = states_after_a_restart(daemon, &site, "quarantined");
    assert!(!states.iter().any(|state| state == "idle"), "{states:?}");
    assert_eq!(again["installed"], "1.1.0", "{again:#}");

    site.edit(|_| file.clone());
    let mut daemon = Daemon::start(&site);
    daemon.wait("what runs is wanted", |now| kind(now) == "idle" && now["wanted"] == "1.1.0");
    site.edit_version("1.2.0");
    daemon
        .wait("the line has changed, so it is tried again", |now| now["last_run"]["id"] == 2 && kind(now) == "running");
    daemon.told(&["cancel", &site.name]);
    daemon.wait("its end", |now| !now["last_run"]["outcome"].is_null());
    site.is_whole("1.1.0", None);
}

#[test]
fn components_that_can_not_be_used_are_named_with_what_they_want_and_what_there_is() {
    let site = Site::new(&Setup::default());
    let before = site.checksums();
    let plugin = site.own_plugins().join("notes.wasm");
    let good = fs::read(&plugin).expect("the plugin");
    let mut daemon = Daemon::start(&site).settled();
    let bad: [(&[u8], &[&str]); 4] = [
        (b"#!/bin/sh\n", &["`notes.wasm` is no component"]),
        (b"\0asm\x01\0\0\0", &["`notes.wasm` is no component", "core module"]),
        (
            &exchange(&good, "upgraded:plugin/product@0.1.0", "upgraded:plugin/product@0.2.0"),
            &["`notes.wasm` speaks version `upgraded:plugin@0.2.0` of the contract; this host speaks 0.1.0"],
        ),
        (
            &exchange(&good, "upgraded:plugin/http@0.1.0", "upgraded:plugin/pttp@0.1.0"),
            &["wants `upgraded:plugin/pttp@0.1.0`, which is not offered", "may import", "upgraded:plugin/http@0.1.0"],
        ),
    ];
    for (number, (bytes, told)) in bad.iter().enumerate() {
        fs::write(&plugin, bytes).expect("a worse plugin");
        site.edit(|text| format!("{text}# {number}\n"));
        let now = daemon.wait("it is refused", |now| {
            kind(now) == "error" && told.iter().all(|part| now["state"].to_string().contains(part))
        });
        let mistake = &now["state"]["diagnostics"][0];
        assert_eq!((&mistake["line"], &mistake["column"]), (&2.into(), &11.into()), "{now:#}");
    }
    assert_eq!(daemon.runs(), 0);
    fs::write(&plugin, &good).expect("the good plugin");
    daemon.told(&["retry", &site.name]);
    daemon.wait("it is used again", |now| kind(now) == "idle" && now["installed"] == "1.0.0");
    site.is_whole("1.0.0", Some(&before));
}

#[test]
fn a_journal_of_a_newer_release_is_refused_and_left_as_it_is() {
    let site = Site::new(&Setup::asking());
    let before = site.checksums();
    let mut daemon = Daemon::start(&site).settled();
    site.edit_version("1.1.0");
    daemon.wait("it asks", |now| kind(now) == "waiting");
    daemon.stop();
    let journal = || rusqlite::Connection::open(site.path("state/journal.db")).expect("the journal");
    let execute = |sql: &str| assert_eq!(journal().execute(sql, []).expect(sql), 1, "{sql}");

    journal().execute_batch("PRAGMA user_version = 99").expect("a newer format");
    let mut refused = Daemon::launch(&site, &[]);
    assert_eq!(refused.exit("it refuses").code(), Some(1));
    assert!(site.log().contains("was written by a newer release (its format is 99, ours is 1)"), "{}", site.log());
    let found: u32 = journal().query_row("PRAGMA user_version", [], |row| row.get(0)).expect("its format");
    assert_eq!(found, 99);
    journal().execute_batch("PRAGMA user_version = 1").expect("its own format");

    // A run that a newer release planned: it stays where it is, and is named.
    let records = site.records();
    execute("UPDATE records SET body = replace(body, '\"schema\":2,', '\"schema\":99,') WHERE number = 0");
    let mut daemon = Daemon::start(&site);
    let now = daemon.wait("the run is refused", |now| kind(now) == "error");
    assert!(message(&now).contains("planned by a newer release (its plan's schema is 99, ours is 2)"), "{now:#}");
    daemon.stop();
    assert_eq!(site.records(), records, "nothing was written to it");
    // One of the release before it is carried on.
    execute("UPDATE records SET body = replace(body, '\"schema\":99,', '\"schema\":1,') WHERE number = 0");
    let mut daemon = Daemon::start(&site);
    daemon.wait("it asks again", |now| kind(now) == "waiting");
    site.is_whole("1.0.0", Some(&before));
    daemon.told(&["approve", &site.name]);
    assert_eq!(outcome(&daemon.end_of_run_to("1.1.0")), "committed");
}

#[test]
fn a_vault_whose_key_does_not_fit_is_named_before_anything_is_touched() {
    let site = Site::new(&Setup::default());
    let before = site.checksums();
    Daemon::start(&site).settled().stop();
    let key = site.path("etc/vault.key");
    let right = fs::read(&key).expect("the key");
    let put = |bytes: &[u8]| {
        fs::write(&key, bytes).expect("a key");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("a mode");
    };

    put(b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n");
    let mut daemon = Daemon::start(&site);
    site.edit_version("1.1.0");
    let now = daemon.wait("it is refused", |now| kind(now) == "error");
    assert!(message(&now).contains("vault.key` does not open the vault"), "{now:#}");
    assert_eq!(daemon.runs(), 0);
    daemon.stop();

    // A lost key is not made up for by a new one.
    fs::remove_file(&key).expect("the key");
    let mut daemon = Daemon::start(&site);
    let now = daemon.wait("it is refused", |now| kind(now) == "error");
    assert!(message(&now).contains("vault.key` is missing; put it back"), "{now:#}");
    assert!(!key.exists());
    site.is_whole("1.0.0", Some(&before));

    put(&right);
    daemon.told(&["retry", &site.name]);
    assert_eq!(outcome(&daemon.end_of_run_to("1.1.0")), "committed");
    site.is_whole("1.1.0", None);
}
