//! `watch` and `logs --follow`: what is told while it happens, and when it ends.

use crate::harness::{Daemon, Screen};
use crate::memory::Memory;
use crate::samples::{approval, at};
use insta::assert_snapshot;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};
use upgraded::activity::Level;
use upgraded::api::*;

fn step(step: &str, phase: &str, title: &str, state: StepState) -> News {
    let (step, phase, title) = (step.into(), phase.into(), title.into());
    let failure = (state == StepState::Failed).then(|| Failure {
        code: "verify".into(),
        message: "GET /health: 502".into(),
        retryable: false,
    });
    News::Step { step, phase, title, state, attempt: 1, failure }
}

fn far(done: u64) -> News {
    let progress = Progress { done, total: Some(40), unit: "migrations".into(), message: String::new() };
    News::Progress { step: "h0-apply-main-0".into(), phase: "apply".into(), progress }
}

/// What happens to `wiki` after somebody watches.
fn a_run(memory: &Memory, outcome: Outcome) {
    let tell = |time: &str, news| memory.tell(time, "wiki", 13, news);
    tell("10:13:00", step("quiesce-main", "quiesce", "shut the gate", StepState::Running));
    tell("10:13:03", step("quiesce-main", "quiesce", "shut the gate", StepState::Succeeded));
    tell("10:13:04", step("h0-apply-main-0", "apply", "run `migrate`", StepState::Running));
    tell("10:13:05", far(17));
    tell("10:13:06", News::Line { step: None, level: Level::Info, message: "migrating users".into() });
    tell("10:13:07", far(18));
    tell("10:13:06", News::Line { step: None, level: Level::Info, message: "migrating pages".into() });
    tell("10:13:20", far(30));
    tell("10:13:30", step("h0-apply-main-0", "apply", "run `migrate`", StepState::Succeeded));
    tell("10:13:31", step("verify-main", "verify", "as a client would", StepState::Running));
    let end = if outcome == Outcome::Committed { StepState::Succeeded } else { StepState::Failed };
    tell("10:13:33", step("verify-main", "verify", "as a client would", end));
    tell("10:14:00", News::Finished { outcome });
}

/// A watcher looks, opens the stream (for which the daemon looks), and looks again.
const LOOKS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(60);

pub fn wait_until_looked(memory: &Memory, times: usize) {
    let began = Instant::now();
    while memory.looked.load(Ordering::SeqCst) < times {
        assert!(began.elapsed() < PATIENCE, "nobody looked {times} times");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Runs the command, and `happens` once it watches.
fn watched(daemon: &Daemon, arguments: &'static str, happens: impl FnOnce(&Memory)) -> String {
    let socket = daemon.socket();
    let watching = thread::spawn(move || Screen::new(&socket).run(arguments));
    wait_until_looked(&daemon.memory, LOOKS);
    happens(&daemon.memory);
    watching.join().expect("the command ends")
}

#[test]
fn a_run_to_its_end() {
    let daemon = Daemon::start();
    assert_snapshot!("watch_committed", watched(&daemon, "watch wiki", |memory| a_run(memory, Outcome::Committed)));
}

#[test]
fn a_run_that_is_rolled_back_with_its_log() {
    let daemon = Daemon::start();
    let outcome = Outcome::RolledBack("GET /health: 502".into());
    assert_snapshot!("watch_rolled_back", watched(&daemon, "watch wiki --log", |memory| a_run(memory, outcome)));
}

#[test]
fn lines_of_json() {
    let daemon = Daemon::start();
    let told = watched(&daemon, "watch wiki --json", |memory| a_run(memory, Outcome::Committed));
    let lines: Vec<&str> = told.lines().collect();
    let (body, ends) = (&lines[1..lines.len() - 1], lines.last());
    let kinds: Vec<String> = body
        .iter()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["kind"].to_string())
        .collect();
    assert_eq!(kinds.first().map(String::as_str), Some("\"state\""));
    assert_eq!(kinds.last().map(String::as_str), Some("\"finished\""));
    assert_eq!(ends, Some(&"[0]"));
}

#[test]
fn states_on_the_way_to_an_approval() {
    let daemon = Daemon::start();
    let told = watched(&daemon, "watch wiki", |memory| {
        memory.now("wiki", |one| one.state = State::Planning);
        memory.now("wiki", |one| {
            let until = Some(at("11:00:00"));
            one.state = State::Waiting(Waiting { reason: WaitReason::Window, until, ..approval() });
        });
        memory.now("wiki", |one| one.state = State::Waiting(approval()));
    });
    assert_snapshot!("watch_approval", told);
}

#[test]
fn set_and_watch() {
    let daemon = Daemon::start();
    daemon.memory.now("blog", |one| one.wanted = Some("5.3.0".into()));
    let told = watched(&daemon, "set blog 5.3.0 --watch", |memory| {
        memory.now("blog", |one| one.installed = Some("5.3.0".into()));
    });
    assert_snapshot!("set_watch", told);
}

#[test]
fn a_deployment_whose_file_goes() {
    let daemon = Daemon::start();
    let told = watched(&daemon, "watch wiki", |memory| {
        memory.tell("10:14:00", "wiki", 13, News::Removed);
    });
    assert!(told.contains("the file of `wiki` is gone") && told.ends_with("[7]\n"), "{told}");
}

#[test]
fn a_log_that_is_followed_to_the_end_of_its_run() {
    let daemon = Daemon::start();
    // Run 8 is over: its lines, and its outcome's code.
    assert_snapshot!("logs_follow", daemon.human("logs 8 --follow"));
}

#[test]
fn a_watch_goes_on_when_the_daemon_comes_back() {
    let daemon = Daemon::start();
    let socket = daemon.socket();
    let watching = thread::spawn(move || Screen::new(&socket).run("watch wiki"));
    wait_until_looked(&daemon.memory, LOOKS);
    let socket = daemon.socket();
    let (_old, _folder) = daemon.stop();
    let again = Daemon::with(Memory::new(), |options| options.socket = socket);
    wait_until_looked(&again.memory, LOOKS - 1);
    a_run(&again.memory, Outcome::Committed);
    let told = watching.join().expect("the command ends");
    assert!(told.ends_with("run 13 committed\n[0]\n"), "{told}");
}
