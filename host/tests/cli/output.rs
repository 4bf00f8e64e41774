//! What every command prints, for a person and as JSON.

use crate::harness::{Daemon, Screen};
use insta::{assert_json_snapshot, assert_snapshot};

/// A person's and JSON's snapshot of one command.
macro_rules! both {
    ($name:ident, $arguments:literal) => {
        #[test]
        fn $name() {
            let daemon = Daemon::start();
            assert_snapshot!(stringify!($name), daemon.human($arguments));
            assert_json_snapshot!(concat!(stringify!($name), "_json"), daemon.json($arguments));
        }
    };
}

both!(status, "status");
both!(status_idle, "status blog");
both!(status_waiting, "status shop");
both!(status_running, "status wiki");
both!(status_stuck, "status share");
both!(status_error, "status mail");
both!(status_quarantined, "status chat");
both!(releases, "releases shop");
both!(plan, "plan shop");
both!(plan_blocked, "plan shop --to 1.5.0");
both!(plan_refused, "plan shop --to 1.0.0");
both!(set, "set blog 5.3.0");
both!(set_again, "set blog 5.2.1");
both!(history, "history");
both!(history_of_one, "history blog -n 5");
both!(show, "show 8");
both!(logs, "logs 8");
both!(check, "check blog");
both!(check_blocked, "check shop");
both!(approve, "approve shop");
both!(retry, "retry chat");
both!(cancel, "cancel wiki --why 'not today'");
both!(rehearse, "rehearse blog --to 5.3.0");
both!(rollback_confirmed, "rollback blog --yes");
both!(rollback_unconfirmed, "rollback blog");
both!(rollback_of_a_stuck_run, "rollback share");
both!(resume, "resume share");
both!(abandon, "abandon share --why 'we start anew'");
both!(no_such_deployment, "status shpo");
both!(no_such_run, "show 99");
both!(nothing_to_approve, "approve blog");

#[test]
fn releases_that_there_is_no_way_to() {
    assert_snapshot!(Daemon::start().human("releases shop --all"));
}

#[test]
fn a_run_with_its_plan() {
    assert_snapshot!(Daemon::start().human("show 8 --plan"));
}

#[test]
fn a_plan_in_colours_on_a_narrow_terminal() {
    let daemon = Daemon::start();
    let screen = Screen { colour: true, width: Some(60), ..Screen::new(&daemon.socket()) };
    assert_snapshot!(screen.run("plan shop"));
}

#[test]
fn no_colours_where_none_are_wanted() {
    let daemon = Daemon::start();
    let screen = Screen { colour: true, ..Screen::new(&daemon.socket()) };
    assert_eq!(screen.run("status --no-color").matches('␛').count(), 0);
}

#[test]
fn a_status_that_is_piped_is_not_cut() {
    let daemon = Daemon::start();
    let screen = Screen { width: None, ..Screen::new(&daemon.socket()) };
    let text = screen.run("status");
    assert!(text.contains("the service is stopped"), "{text}");
    assert!(!text.contains('…'), "{text}");
}

#[test]
fn the_question_before_a_rollback() {
    let daemon = Daemon::start();
    let asked = |input| Screen { input: Some(input), ..Screen::new(&daemon.socket()) }.run("rollback blog");
    assert_snapshot!("rollback_asked_yes", asked("yes\n"));
    assert_eq!(daemon.memory.asked().len(), 1);
    assert_snapshot!("rollback_asked_no", asked("y\n"));
    assert_snapshot!("rollback_asked_nothing", asked(""));
    assert_eq!(daemon.memory.asked().len(), 1);
}

#[test]
fn changes_are_asked_under_the_callers_name() {
    let daemon = Daemon::start();
    for arguments in [
        "set blog 5.3.0",
        "approve shop",
        "retry chat",
        "cancel wiki",
        "rollback blog --yes",
        "resume share",
        "abandon share --why x",
    ] {
        daemon.human(arguments);
    }
    let user = upgraded::api::peer::user_name(rustix::process::geteuid().as_raw()).expect("a name");
    let asked = daemon.memory.asked().join("\n").replace(&format!("{user}: "), "USER: ");
    assert_snapshot!(asked, @r#"
    USER: set blog 5.3.0
    USER: approve shop Some(12)
    USER: retry chat
    USER: cancel wiki None
    USER: rollback blog
    USER: Resume share None
    USER: Abandon share Some("x")
    "#);
}

#[test]
fn without_a_daemon() {
    let folder = tempfile::tempdir().expect("a folder");
    // The socket's path is as long as this machine's temporary folder: nothing is wrapped.
    let screen = Screen { width: None, ..Screen::new(&folder.path().join("upgraded.sock")) };
    assert_snapshot!("no_daemon", screen.run("status"));
    assert_snapshot!("no_daemon_json", screen.run("status --json"));
}

#[test]
fn help_texts() {
    let screen = Screen::new(std::path::Path::new("/nowhere"));
    assert_snapshot!("help", screen.run("--help"));
    assert_snapshot!("help_rehearse", screen.run("rehearse --help"));
    assert_snapshot!("help_rollback", screen.run("rollback --help"));
}

#[test]
fn completions_and_the_manual_page() {
    let screen = Screen::new(std::path::Path::new("/nowhere"));
    for (shell, sign) in [("bash", "complete -F"), ("zsh", "#compdef upgradectl"), ("fish", "complete -c upgradectl")] {
        let script = screen.run(&format!("completions {shell}"));
        assert!(script.contains(sign) && script.contains("rollback"), "{shell}: {script}");
    }
    assert_snapshot!(screen.run("man").replace(env!("CARGO_PKG_VERSION"), "VERSION"));
}
