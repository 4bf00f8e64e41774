//! The real program: its exit codes, what it reads from the environment, and how it ends in a pipe.

use crate::harness::Daemon;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn upgradectl(socket: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_upgradectl"));
    command.args(arguments).env("UPGRADED_SOCKET", socket).env_remove("NO_COLOR").stdin(Stdio::null());
    command.output().expect("the program runs")
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or_else(|| panic!("ended by a signal: {output:?}"))
}

#[test]
fn what_each_code_stands_for() {
    let daemon = Daemon::start();
    let cases: &[(&[&str], i32)] = &[
        (&["status"], 0),
        (&["status", "blog", "--exit-code"], 0),
        (&["status", "chat", "--exit-code"], 1),
        (&["status", "mail", "--exit-code"], 3),
        (&["status", "shop", "--exit-code"], 4),
        (&["status", "share", "--exit-code"], 5),
        (&["plan", "shop"], 0),
        (&["plan", "shop", "--to", "1.5.0"], 3),
        (&["plan", "shop", "--to", "1.0.0"], 3),
        (&["check", "shop"], 3),
        (&["check", "blog"], 0),
        (&["approve", "blog"], 3),
        (&["rehearse", "blog", "--to", "5.3.0"], 0),
        (&["rollback", "blog"], 4),
        (&["rollback", "blog", "--yes"], 0),
        (&["rollback", "share"], 4),
        (&["rollback", "share", "--yes"], 0),
        (&["watch", "blog"], 0),
        (&["watch", "shop"], 4),
        (&["watch", "share"], 5),
        (&["watch", "chat"], 1),
        (&["watch", "mail"], 3),
        (&["status", "nobody"], 7),
        (&["show", "99"], 7),
        (&["logs", "99"], 7),
        (&["frobnicate"], 2),
        (&["abandon", "share"], 2),
        (&["--version"], 0),
    ];
    for (arguments, wanted) in cases {
        let output = upgradectl(&daemon.socket(), arguments);
        assert_eq!(code(&output), *wanted, "upgradectl {}: {output:?}", arguments.join(" "));
    }
}

#[test]
fn nobody_on_the_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = upgradectl(&folder.path().join("none.sock"), &["status"]);
    assert_eq!(code(&output), 6);
    assert!(String::from_utf8_lossy(&output.stderr).contains("is `upgraded` running?"), "{output:?}");
    assert!(output.stdout.is_empty());
}

#[test]
fn settings_that_are_named_must_be_right() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("upgraded.toml");
    std::fs::write(&file, "sokcet = \"/run/x.sock\"\n").expect("a file");
    let output = upgradectl(&folder.path().join("none.sock"), &["status", "--config", &file.to_string_lossy()]);
    assert_eq!(code(&output), 3);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("upgraded.toml:1:1") && told.contains("`socket`"), "{told}");
}

#[test]
fn the_socket_of_the_settings() {
    let daemon = Daemon::start();
    let file = daemon.folder.path().join("upgraded.toml");
    std::fs::write(&file, format!("socket = \"{}\"\n", daemon.socket().display())).expect("a file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_upgradectl"));
    let output = command.arg("status").env("UPGRADED_CONFIG", &file).env_remove("UPGRADED_SOCKET").output();
    assert_eq!(code(&output.expect("the program runs")), 0);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let daemon = Daemon::start();
    let mut command = Command::new(env!("CARGO_BIN_EXE_upgradectl"));
    command.args(["show", "8", "--json"]).env("UPGRADED_SOCKET", daemon.socket());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(code(&output), 0, "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

#[test]
fn an_account_that_may_not_connect_is_told_who_may() {
    assert!(rustix::process::geteuid().is_root(), "this test needs root, to be another account");
    let daemon = Daemon::start();
    let program = std::fs::read(env!("CARGO_BIN_EXE_upgradectl")).expect("the program");
    let open = tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).tempdir();
    let open = open.expect("a folder");
    let copy = open.path().join("upgradectl");
    std::fs::write(&copy, program).expect("a copy");
    std::fs::set_permissions(&copy, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a mode");

    let as_nobody = || {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(&copy);
        command.arg("status").env("UPGRADED_SOCKET", daemon.socket()).output().expect("setpriv runs")
    };
    let at_the_file = as_nobody();
    assert_eq!(code(&at_the_file), 8, "{at_the_file:?}");
    assert!(String::from_utf8_lossy(&at_the_file.stderr).contains("may not use the socket"), "{at_the_file:?}");

    daemon.open_to_all();
    let at_the_door = as_nobody();
    assert_eq!(code(&at_the_door), 8, "{at_the_door:?}");
    assert!(
        String::from_utf8_lossy(&at_the_door.stderr).contains("`nobody` may not use this socket"),
        "{at_the_door:?}"
    );
}

#[test]
fn init_writes_a_file_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let project = folder.path().join("shop");
    std::fs::create_dir_all(project.join("data")).expect("a project");
    std::fs::write(project.join("data/shop.db"), b"SQLite format 3\0").expect("a database");
    let init = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upgradectl"));
        command.arg("init").args(arguments).current_dir(&folder).output().expect("the program runs")
    };
    let shown = init(&["shop", "--stdout"]);
    assert_eq!(code(&shown), 0, "{shown:?}");
    let proposal = String::from_utf8(shown.stdout).expect("text");
    assert!(proposal.contains("[datastores.") && proposal.contains("data/shop.db"), "{proposal}");
    assert!(!folder.path().join("shop.toml").exists());

    let written = init(&["shop"]);
    assert_eq!(code(&written), 0, "{written:?}");
    let file = folder.path().join("shop.toml");
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), proposal);

    std::fs::write(&file, "precious").expect("an edit");
    let again = init(&["shop"]);
    assert_eq!(code(&again), 3, "{again:?}");
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), "precious");
    assert_eq!(std::fs::read_dir(&folder).expect("the folder").count(), 2, "nothing else was left");

    assert_eq!(code(&init(&["nowhere"])), 7);
    assert_eq!(code(&init(&["shop", "--name", "my shop"])), 2);
    assert_eq!(code(&init(&["shop", "--name", "shop", "--output", "other.toml"])), 2);
    assert_eq!(code(&init(&["shop", "--output", "other.toml"])), 0);
}

/// A folder with settings and one deployment's file; no daemon answers, and no plugin is installed.
fn files_alone(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name).display().to_string();
    let keys = ["deployments", "plugins", "state", "vault", "socket"];
    let settings: String = keys.iter().map(|key| format!("{key} = {:?}\n", place(key))).collect();
    let settings = settings + &format!("vault-key = {:?}\n", place("vault.key"));
    std::fs::write(folder.path().join("upgraded.toml"), settings).expect("settings");
    for name in ["deployments", "plugins", "state"] {
        std::fs::create_dir(folder.path().join(name)).expect("a folder");
    }
    std::fs::write(folder.path().join("deployments/shop.toml"), text).expect("a deployment's file");
    folder
}

#[test]
fn a_file_is_checked_without_a_daemon() {
    let folder = files_alone("product = \"shop\"\nversoin = \"1.0\"\n[policy]\napprove = \"sometimes\"\n");
    let check = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upgradectl"));
        command.arg("check").args(arguments).env("UPGRADED_CONFIG", folder.path().join("upgraded.toml"));
        command.env_remove("UPGRADED_SOCKET").current_dir(&folder).output().expect("the program runs")
    };
    for arguments in [&["shop"][..], &["deployments/shop.toml"], &[]] {
        let output = check(arguments);
        assert_eq!(code(&output), 3, "{arguments:?}: {output:?}");
        let told = String::from_utf8_lossy(&output.stdout);
        for sign in ["shop.toml:2:1", "did you mean `version`?", "shop.toml:4:11", "`shop`"] {
            assert!(told.contains(sign), "{arguments:?} lacks {sign}: {told}");
        }
    }
    let json = check(&["shop", "--json"]);
    let read: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!((code(&json), &read[0]["name"]), (3, &serde_json::json!("shop")));
    assert!(read[0]["diagnostics"].as_array().is_some_and(|all| all.iter().any(|one| one["line"] == 2)), "{read}");

    // Without a file there is nothing to read: it is the daemon that is missed.
    assert_eq!(code(&check(&["blog"])), 6);
    assert_eq!(code(&check(&["./blog.toml"])), 3);
}

#[test]
fn a_service_starts_unless_it_is_held() {
    let folder = files_alone("");
    let guard = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_upgradectl"));
        command.arg("guard").args(arguments).env("UPGRADED_CONFIG", folder.path().join("upgraded.toml"));
        command.output().expect("the program runs")
    };
    let started = guard(&["shop/main.web", "--", "sh", "-c", "echo \"$0 $1\"; exit 42", "--json", "-x"]);
    assert_eq!((code(&started), &*started.stdout), (42, &b"--json -x\n"[..]));

    let hold = folder.path().join("state/hold/shop");
    std::fs::create_dir_all(&hold).expect("a folder");
    std::fs::write(hold.join("main.web"), "r12-quiesce-main").expect("a hold");
    for service in ["shop/main.web", "shop/web"] {
        let held = guard(&[service, "--", "echo", "started"]);
        assert_eq!(code(&held), 75, "{held:?}");
        assert!(held.stdout.is_empty(), "{held:?}");
    }
    assert_eq!(code(&guard(&["shop/main.worker", "--", "true"])), 0);
    assert_eq!(code(&guard(&["shop/main.worker", "--", "/no/such/program"])), 126);
    assert_eq!(code(&guard(&["shop/main.web"])), 2);
}
