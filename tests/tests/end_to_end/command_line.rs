//! `upgradectl` against the real daemon: JSON from every command, the exit codes of the manual page, and a watch that is
//! only a watch.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use upgraded_tests::{Daemon, Setup, Site, kind, outcome};

/// In every order in which they are printed; what is followed is a line each.
fn values(text: &str) -> Vec<Value> {
    let values = serde_json::Deserializer::from_str(text).into_iter::<Value>().collect::<Result<_, _>>();
    values.unwrap_or_else(|error| panic!("{error} in `{text}`"))
}

#[test]
fn every_command_answers_in_json_and_with_the_code_of_the_manual() {
    let site = Site::new(&Setup::default());
    let mut daemon = Daemon::start(&site).settled();
    let name = site.name.as_str();
    let home = site.home().display().to_string();
    let (file, nobody) = (site.deployment_file().display().to_string(), "nobody");
    let cases: Vec<(Vec<&str>, i32, &str)> = vec![
        (vec!["status"], 0, "/0/state/kind"),
        (vec!["status", name, "--exit-code"], 0, "/state/kind"),
        (vec!["status", nobody], 7, "/error/code"),
        (vec!["releases", name], 0, "/releases/0/version"),
        (vec!["plan", name], 0, "/hops"),
        (vec!["plan", name, "--to", "1.1.0"], 0, "/steps/0/title"),
        (vec!["plan", name, "--to", "2.0.0"], 0, "/hops/2/edits/0/diff"),
        (vec!["plan", name, "--to", "0.9.0"], 3, "/error/message"),
        (vec!["check", name], 0, "/ready"),
        (vec!["check"], 0, "/0/ready"),
        (vec!["check", &file], 0, "/0/file"),
        (vec!["history"], 0, ""),
        (vec!["show", "1"], 7, "/error/hint"),
        (vec!["logs", name], 0, "/lines"),
        (vec!["logs", "1"], 7, "/error/code"),
        (vec!["approve", name], 3, "/error/message"),
        (vec!["retry", name], 0, "/name"),
        (vec!["cancel", name], 3, "/error/message"),
        (vec!["rollback", name], 3, "/error/message"),
        (vec!["resume", name], 3, "/error/message"),
        (vec!["abandon", name, "--why", "so"], 3, "/error/message"),
        (vec!["set", name, ""], 2, "/error/message"),
        (vec!["init", &home, "--stdout"], 0, "/text"),
        (vec!["init", "/nowhere"], 7, "/error/message"),
        (vec!["watch", name], 0, "/now/state/kind"),
        (vec!["set", name, "1.1.0", "--watch"], 0, "/now/state/kind"),
        (vec!["history", name], 0, "/0/outcome/outcome"),
        (vec!["show", "1"], 0, "/steps/0/state"),
        (vec!["logs", "1"], 0, "/next"),
        (vec!["rollback", name], 4, "/writes_since"),
        (vec!["set", name, "1.0.0", "--watch"], 3, "/now/state/kind"),
    ];
    let manual = String::from_utf8(daemon.command(&["man"]).output().expect("the manual").stdout).expect("text");
    for (arguments, code, pointer) in cases {
        let output = daemon.command(&arguments).arg("--json").output().expect("`upgradectl` starts");
        let text = String::from_utf8_lossy(&output.stdout);
        let told = format!("`upgradectl {}`: {text}{}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(output.stderr.is_empty(), "JSON is all there is: {told}");
        let found = values(&text);
        assert!(found.first().is_some_and(|value| value.pointer(pointer).is_some()), "`{pointer}`: {told}");
        assert!(manual.contains(&format!("\n{code:>5}  ")), "the manual has no {code}");
    }
    daemon.wait("the refusal is seen", |now| kind(now) == "error");
}

#[test]
fn a_plan_shows_release_notes_edits_waits_and_what_is_expected() {
    let policy = "window = [\"Sat 02:00-06:00 UTC\"]\napprove = \"breaking\"\n".to_owned();
    let site = Site::new(&Setup { policy, ..Setup::default() });
    let clock = site.path("clock");
    // A Saturday, within the window.
    std::fs::write(&clock, "2026-01-03T02:30:00Z").expect("the clock");
    let clock_file = clock.display().to_string();
    let mut daemon = Daemon::start_with(&site, &[("UPGRADED_CLOCK_FILE", &clock_file)]).settled();
    site.edit_version("1.1.0");
    assert_eq!(outcome(&daemon.end_of_run_to("1.1.0")), "committed");
    std::fs::write(&clock, "2026-01-03T12:00:00Z").expect("the clock");

    let plan = daemon.told(&["plan", &site.name, "--to", "2.0.0"]);
    let notes = |hop: usize| plan["hops"][hop]["notes"].as_array().expect("notes").clone();
    assert_eq!(notes(0)[0], "1.3.0: Tags; the migration is slow and says how far it is");
    assert!(notes(1)[0].as_str().is_some_and(|note| note.starts_with("2.0.0: Links are absolute")), "{plan:#}");
    let waits: Vec<&str> =
        plan["waits"].as_array().expect("waits").iter().filter_map(|w| w["reason"].as_str()).collect();
    assert_eq!(waits, ["approval", "window"]);
    assert_eq!(plan["waits"][1]["until"], "2026-01-10T02:00:00Z");
    assert!(plan["estimates"]["downtime_s"].as_f64().is_some_and(|seconds| seconds > 0.0), "{plan:#}");
    let steps = plan["steps"].as_array().expect("steps");
    let expected =
        |phase: &str| steps.iter().find(|s| s["phase"] == phase).is_some_and(|s| s["expected_s"].is_number());
    assert!(expected("drill") && expected("freeze") && !expected("apply"), "{plan:#}");

    let shown = daemon.shown(&["plan", &site.name, "--to", "2.0.0"]);
    let at = |part: &str| shown.find(part).unwrap_or_else(|| panic!("`{part}` is not shown: {shown}"));
    let order =
        ["breaking changes", "Links are absolute", "+base-url", "upgradectl approve", "2026-01-10", "downtime ~"];
    assert!(order.windows(2).all(|pair| at(pair[0]) < at(pair[1])), "{shown}");
}

#[test]
fn a_watch_shows_what_takes_long_and_an_interrupt_ends_only_the_watch() {
    let site = Site::new(&Setup { version: "1.1.0", ..Setup::default() });
    let mut daemon = Daemon::start(&site).settled();
    // 1.3.0 migrates for seconds.
    let mut first = daemon.command(&["set", &site.name, "1.3.0", "--watch"]);
    let mut first = first.stdout(Stdio::piped()).spawn().expect("a watch");
    let told = BufReader::new(first.stdout.take().expect("its output")).lines().map_while(Result::ok);
    assert!(told.into_iter().any(|line| line.contains("▸ apply        run `migrate`")), "it shows what runs");
    // At a terminal of its own.
    let words = daemon.command(&["watch", &site.name]);
    let line: Vec<String> = std::iter::once(words.get_program())
        .chain(words.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let shown = site.path("etc/terminal");
    let mut at_a_terminal = Command::new("script");
    at_a_terminal.args(["-q", "-e", "-c", &line.join(" ")]).arg(&shown).stdin(Stdio::null()).stdout(Stdio::null());
    let mut second = at_a_terminal.env("TERM", "xterm-256color").spawn().expect("`script`");

    assert!(Command::new("kill").args(["-INT", &first.id().to_string()]).status().expect("`kill`").success());
    assert_eq!(first.wait().expect("the watch").code(), Some(130));

    let now = daemon.end_of_run_to("1.3.0");
    assert_eq!((outcome(&now), kind(&now)), ("committed", "idle"), "{now:#}");
    assert_eq!(second.wait().expect("the watch at a terminal").code(), Some(0));
    let drawn = String::from_utf8_lossy(&std::fs::read(&shown).expect("what was drawn")).into_owned();
    // Drawn over and over while the migration runs, with the time that it takes.
    let times: std::collections::BTreeSet<&str> =
        drawn.split(['\r', '\n']).filter(|line| line.contains("run `migrate`")).collect();
    assert!(times.len() > 2, "{drawn:?}");
    assert!(drawn.contains("committed"), "{drawn:?}");
    site.is_whole("1.3.0", None);
}

#[test]
fn without_a_daemon_the_socket_is_named_and_what_to_do() {
    let site = Site::new(&Setup::default());
    let daemon = Daemon::start(&site);
    let mut status = daemon.command(&["status"]);
    daemon.stop();
    let output = status.output().expect("`upgradectl` starts");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{told}");
    assert!(told.contains(&site.socket().display().to_string()) && told.contains("systemctl start upgraded"), "{told}");
    let output = status.arg("--json").output().expect("`upgradectl` starts");
    let error = &values(&String::from_utf8_lossy(&output.stdout))[0]["error"];
    assert_eq!((output.status.code(), &error["code"]), (Some(6), &"unreachable".into()), "{error:#}");
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("systemctl start upgraded")), "{error:#}");
}
