//! The socket as other programs see it: through the real `curl`.

use crate::follow::wait_until_looked;
use crate::harness::Daemon;
use crate::memory::Memory;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use upgraded::activity::Level;
use upgraded::api::News;

fn command(daemon: &Daemon, arguments: &[&str]) -> Command {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--unix-socket"]).arg(daemon.socket()).args(arguments);
    command
}

/// Status and body.
fn curl(daemon: &Daemon, arguments: &[&str]) -> (u16, Value) {
    answer(command(daemon, arguments))
}

fn answer(mut command: Command) -> (u16, Value) {
    let output = command.args(["--write-out", "\n%{http_code}"]).output().expect("curl is installed");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    let (body, status) = text.rsplit_once('\n').expect("a status");
    (status.parse().expect("a number"), serde_json::from_str(body).unwrap_or_else(|_| panic!("no JSON: {body}")))
}

fn url(path: &str) -> String {
    format!("http://upgraded{path}")
}

#[test]
fn looking() {
    let daemon = Daemon::start();
    let (status, index) = curl(&daemon, &[&url("/v1/")]);
    assert_eq!((status, &index["upgraded"]), (200, &json!(env!("CARGO_PKG_VERSION"))));
    let (status, shop) = curl(&daemon, &[&url("/v1/deployments/shop")]);
    assert_eq!((status, &shop["state"]["reason"]), (200, &json!("approval")));
    let (_, runs) = curl(&daemon, &[&url("/v1/runs?limit=2")]);
    assert_eq!(runs.as_array().map(Vec::len), Some(2));
    let (_, logs) = curl(&daemon, &[&url("/v1/runs/8/logs?since=502")]);
    assert_eq!(logs["lines"][0]["id"], 503);
}

#[test]
fn every_route_answers() {
    let daemon = Daemon::start();
    for route in upgraded::api::routes::table() {
        let path = route.path.replace("{name}", "shop").replace("{id}", "8");
        let (status, body) = if path == "/v1/events" {
            continue;
        } else {
            let data = if path.ends_with("version") { r#"{"version":"2.0.0"}"# } else { r#"{"decision":"resume"}"# };
            let body: &[&str] = if path.ends_with("version") || path.ends_with("decide") { &["-d", data] } else { &[] };
            curl(&daemon, &[&["-X", route.method, &url(&path)], body].concat())
        };
        assert!(status < 500 && status != 404 && status != 405, "{} {path}: {status} {body}", route.method);
    }
}

#[test]
fn changing() {
    let daemon = Daemon::start();
    let (status, set) =
        curl(&daemon, &["-X", "PUT", "-d", r#"{"version":"5.3.0"}"#, &url("/v1/deployments/blog/version")]);
    assert_eq!((status, &set["before"], &set["version"]), (200, &json!("5.2.1"), &json!("5.3.0")));
    let (status, _) = curl(&daemon, &["-X", "POST", &url("/v1/deployments/shop/approve")]);
    assert_eq!(status, 200);
    let (status, answer) = curl(&daemon, &["-X", "POST", &url("/v1/deployments/blog/rollback")]);
    assert_eq!((status, &answer["answer"], &answer["run"]), (200, &json!("needs-confirmation"), &json!(7)));
    let (status, answer) = curl(&daemon, &["-d", r#"{"confirm":7}"#, &url("/v1/deployments/blog/rollback")]);
    assert_eq!((status, &answer["answer"]), (202, &json!("started")));
}

#[test]
fn refusals_have_a_code_a_message_and_a_hint() {
    let daemon = Daemon::start();
    let long = format!("{{\"version\":\"{}\"}}", "9".repeat(70_000));
    let cases: &[(&[&str], u16, &str)] = &[
        (&["/v1/deployments/none"], 404, "not-found"),
        (&["/v2/"], 404, "not-found"),
        (&["/v1/deployments", "-X", "DELETE"], 405, "method-not-allowed"),
        (&["/v1/runs/eight"], 400, "invalid-request"),
        (&["/v1/runs?limit=many"], 400, "invalid-request"),
        (&["/v1/runs?limits=3"], 400, "invalid-request"),
        (&["/v1/deployments/blog/approve", "-X", "POST"], 409, "conflict"),
        (&["/v1/deployments/shop/plan?to=1.0.0"], 422, "refused"),
        (&["/v1/deployments/blog/version", "-X", "PUT", "-d", "{"], 400, "invalid-request"),
        (&["/v1/deployments/blog/version", "-X", "PUT", "-d", r#"{"versoin":"1"}"#], 400, "invalid-request"),
        (&["/v1/deployments/blog/version", "-X", "PUT", "-d", r#"{"version":" "}"#], 400, "invalid-request"),
        (&["/v1/deployments/blog/version", "-X", "PUT", "-d", &long], 413, "too-large"),
        (&["/v1/deployments/share/decide", "-d", r#"{"decision":"abandon"}"#], 400, "invalid-request"),
        (&["/v1/deployments/share/decide", "-d", r#"{"decision":"pray"}"#], 400, "invalid-request"),
        (&["/v1/events?deployment=none"], 404, "not-found"),
        (&["/v1/events", "-H", "Last-Event-ID: x"], 400, "invalid-request"),
    ];
    for (arguments, wanted, code) in cases {
        let (path, rest) = arguments.split_first().expect("a path");
        let (status, body) = curl(&daemon, &[&[url(path).as_str()], rest].concat());
        assert_eq!((status, &body["error"]["code"]), (*wanted, &json!(code)), "{path} {body}");
        assert!(body["error"]["message"].as_str().is_some_and(|message| !message.ends_with('.')), "{body}");
    }
    assert!(daemon.memory.asked().is_empty());
}

/// A stream that is read line by line; it ends with this.
struct Stream {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Stream {
    fn open(daemon: &Daemon, arguments: &[&str]) -> Self {
        let mut command = command(daemon, &[&["--no-buffer"], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("curl is installed");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, lines }
    }

    fn next_with(&mut self, start: &str) -> Option<String> {
        self.lines.by_ref().map(|line| line.expect("text")).find_map(|line| line.strip_prefix(start).map(Into::into))
    }

    fn ids(&mut self, count: usize) -> Vec<u64> {
        (0..count).map(|_| self.next_with("id: ").expect("an event").parse().expect("a number")).collect()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn line(message: &str) -> News {
    News::Line { step: None, level: Level::Info, message: message.into() }
}

#[test]
fn events_are_replayed_from_where_one_was() {
    let daemon = Daemon::start();
    for message in ["a", "b", "c"] {
        daemon.memory.tell("10:00:00", "shop", 12, line(message));
    }
    daemon.memory.tell("10:00:01", "blog", 7, line("another's"));
    assert_eq!(Stream::open(&daemon, &[&url("/v1/events?since=1001")]).ids(3), [1002, 1003, 1004]);
    assert_eq!(Stream::open(&daemon, &[&url("/v1/events?deployment=shop&since=1000")]).ids(3), [1001, 1002, 1003]);
    let mut again = Stream::open(&daemon, &["-H", "Last-Event-ID: 1002", &url("/v1/events?since=1000")]);
    assert_eq!(again.ids(1), [1003]);

    let mut stream = Stream::open(&daemon, &[&url("/v1/events?since=1003&deployment=shop")]);
    daemon.memory.tell("10:00:02", "shop", 12, line("two\nlines"));
    assert_eq!(stream.next_with("event: ").as_deref(), Some("line"));
    let data: Value = serde_json::from_str(&stream.next_with("data: ").expect("data")).expect("JSON");
    assert_eq!((&data["id"], &data["kind"], &data["message"]), (&json!(1005), &json!("line"), &json!("two\nlines")));
}

#[test]
fn an_event_that_is_no_longer_kept_is_a_gap() {
    let daemon = Daemon::start();
    let mut stream = Stream::open(&daemon, &[&url("/v1/events?since=3")]);
    assert_eq!(stream.next_with("event: ").as_deref(), Some("gap"));
}

#[test]
fn a_stream_shows_that_it_lives() {
    let daemon = Daemon::with(Memory::new(), |options| options.heartbeat = Duration::from_millis(10));
    let mut stream = Stream::open(&daemon, &[&url("/v1/events")]);
    assert_eq!(stream.next_with(": ").as_deref(), Some("alive"));
}

#[test]
fn a_stop_ends_streams_and_takes_the_socket_away() {
    let daemon = Daemon::start();
    daemon.memory.tell("10:00:00", "shop", 12, line("a"));
    let mut stream = Stream::open(&daemon, &[&url("/v1/events?since=1000")]);
    assert_eq!(stream.ids(1), [1001]);
    let socket = daemon.socket();
    let (_memory, _folder) = daemon.stop();
    assert!(stream.next_with("id: ").is_none());
    assert!(stream.child.wait().expect("curl ends").success(), "the stream ended as it should");
    assert!(!socket.exists());
}

#[test]
fn a_request_that_does_not_end_is_cut() {
    let memory = Memory { hangs: Some("blog".into()), ..Memory::new() };
    let daemon = Daemon::with(memory, |options| options.grace = Duration::from_millis(50));
    let mut hanging = command(&daemon, &["-X", "POST", &url("/v1/deployments/blog/check")]);
    let hanging = hanging.stderr(Stdio::piped()).spawn().expect("curl is installed");
    wait_until_looked(&daemon.memory, 1);
    drop(daemon.stop());
    assert!(!hanging.wait_with_output().expect("curl ends").status.success());
}

#[test]
fn other_accounts_are_refused_and_members_of_the_group_are_not() {
    assert!(rustix::process::geteuid().is_root(), "this test needs root, to be another account");
    let daemon = Daemon::with(Memory::new(), |options| options.group = Some("mail".into()));
    let group = upgraded::api::peer::group_id("mail").expect("an account database").expect("the group `mail`");
    daemon.open_to_all();
    let as_nobody = |groups: &str| {
        let curl = command(&daemon, &[&url("/v1/deployments")]);
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", groups, "--"]).arg(curl.get_program()).args(curl.get_args());
        answer(command)
    };
    let (status, body) = as_nobody("--clear-groups");
    assert_eq!((status, &body["error"]["code"]), (403, &json!("not-allowed")));
    assert_eq!(
        body["error"]["message"],
        "`nobody` may not use this socket: root, the daemon's account and members of the group `mail` may"
    );
    let (status, _) = as_nobody(&format!("--groups={group}"));
    assert_eq!(status, 200);
}
