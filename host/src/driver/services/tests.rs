//! Services of real commands and processes; systemd is a script that does what `systemctl` is asked to.

use super::*;
use crate::config::{Approve, BindingConfig, Drill, DrillIn, Grants, Policy, ServiceControl};
use crate::driver::process::proc;
use crate::driver::testing;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use tokio::net::TcpListener;

struct Shop {
    folder: TempDir,
    services: Services,
    cx: StepContext,
}

/// A daemon that logs, and says what the machine of the test knows of it.
const SERVER: &str = r#"#!/bin/sh
cd "$(dirname "$0")"
case "$1" in
start)
  [ -e broken ] && { echo cannot bind; exit 3; }
  rm -f web.pid
  setsid sh -c 'echo $$ > web.pid; echo migrating 1/2 >> web.log; sleep 0.1; echo ready >> web.log; exec 3>> data/store; exec sleep 9999' < /dev/null > /dev/null 2>&1 &
  for i in 1 2 3 4 5 6 7 8 9 10; do [ -s web.pid ] && exit 0; sleep 0.1; done; exit 1 ;;
stop) [ -e deaf ] || kill "$(cat web.pid)"; exit 0 ;;
status) kill -0 "$(cat web.pid 2>/dev/null)" 2>/dev/null ;;
esac
"#;

fn web() -> ServiceRef {
    ServiceRef { platform: "main".into(), name: "web".into() }
}

fn shop(control: impl Fn(&Path) -> ServiceControl, health: Option<String>) -> Shop {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("shop/data")).unwrap();
    fs::create_dir_all(folder.path().join("units")).unwrap();
    testing::script(&folder.path().join("shop/server"), SERVER);
    let log = Some(folder.path().join("shop/web.log"));
    let config = ServiceConfig { control: control(folder.path()), health, log };
    let grants = Grants {
        directory: Some(folder.path().join("shop")),
        services: BTreeMap::from([("web".to_owned(), config)]),
        ..Grants::default()
    };
    let deployment = deployment(folder.path(), grants);
    let services = Services::new(&deployment, Some("main"), BTreeMap::new(), testing::machine(folder.path()));
    Shop { cx: testing::changing(folder.path(), "r1-quiesce"), services, folder }
}

fn deployment(folder: &Path, platform: Grants) -> Deployment {
    let binding = |role, grants| BindingConfig {
        binding: Binding { name: "main".into(), role, plugin: "source".into() },
        named: "source".into(),
        settings: serde_json::Value::Null,
        grants,
    };
    Deployment {
        name: testing::deployment(folder),
        file: folder.join("shop.toml"),
        version: "1".into(),
        product: binding(Role::Product, Grants::default()),
        platforms: vec![binding(Role::Platform, platform)],
        datastores: vec![],
        policy: Policy {
            window: vec![],
            approve: Approve::Never,
            drill: Drill::Off,
            drill_in: DrillIn::Server,
            rehearse: false,
            disposable: vec![],
            keep_backups: 1,
            keep_frozen: Duration::from_secs(1),
            idle: Duration::from_secs(60),
        },
    }
}

fn commands(folder: &Path) -> ServiceControl {
    let server = folder.join("shop/server").display().to_string();
    let command = |verb| testing::command(&[&server, verb]);
    ServiceControl::Commands { start: command("start"), stop: command("stop"), status: command("status") }
}

impl Shop {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("shop").join(name)
    }
    async fn running(&self) -> bool {
        self.services.list(&self.cx).await.unwrap()[0].running == 1
    }
    fn hold(&self) -> Hold {
        Hold::new(self.folder.path(), &testing::deployment(self.folder.path()), &web())
    }
}

/// Nothing of a test outlives it.
impl Drop for Shop {
    fn drop(&mut self) {
        let mark = format!("{}/main/web", testing::deployment(self.folder.path()));
        proc::with_environment(SERVICE_VARIABLE, &mark).iter().for_each(|p| p.signal(rustix::process::Signal::KILL));
    }
}

#[tokio::test]
async fn a_service_stops_is_held_and_starts_again() {
    let shop = shop(commands, None);
    for _ in 0..2 {
        shop.services.start(&shop.cx, &[web()]).await.unwrap();
        assert!(shop.running().await && !shop.hold().is_set());
    }
    for _ in 0..2 {
        shop.services.stop(&shop.cx, &[web()]).await.unwrap();
        assert!(!shop.running().await && shop.hold().is_set());
    }
    let error = shop.services.wait_healthy(&shop.cx, &[web()], 0).await.unwrap_err();
    assert_eq!(error.to_string(), "conflict: the service `main/web` is held, and was not started");
    shop.services.start(&shop.cx, &[web()]).await.unwrap();
    assert!(shop.running().await && !shop.hold().is_set());
}

#[tokio::test]
async fn a_service_carries_no_job_mark_and_survives_a_fence() {
    let shop = shop(commands, None);
    shop.services.start(&shop.cx, &[web()]).await.unwrap();
    let mark = crate::driver::process::mark(shop.folder.path(), &shop.cx.deployment, &shop.cx.step);
    crate::driver::process::end_marked(&mark).await;
    assert!(shop.running().await);
    let pid: i32 = fs::read_to_string(shop.path("web.pid")).unwrap().trim().parse().unwrap();
    for descriptor in fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten() {
        let target = fs::read_link(descriptor.path()).unwrap().display().to_string();
        assert!(!target.starts_with("pipe:"), "{target} is open as {:?}", descriptor.file_name());
    }
}

#[tokio::test]
async fn a_stop_that_does_not_stop_names_the_service() {
    let mut shop = shop(commands, None);
    shop.services.start(&shop.cx, &[web()]).await.unwrap();
    fs::write(shop.path("deaf"), "").unwrap();
    shop.services.idle = Duration::from_millis(1500);
    let error = shop.services.stop(&shop.cx, &[web()]).await.unwrap_err();
    let error = error.to_string();
    assert!(
        error.starts_with("the service `main/web` did not stop, and nothing was heard of it any more:\n"),
        "{error}"
    );
    assert!(error.ends_with("ready"), "the last that it said: {error}");
    assert!(shop.running().await && shop.hold().is_set());
}

#[tokio::test]
async fn a_service_that_ends_after_its_start_command_says_why() {
    let script =
        "#!/bin/sh\n[ \"$1\" = start ] && echo 'the store is locked' >> \"$(dirname \"$0\")/web.log\"\nexit \"$2\"\n";
    let mut shop = shop(
        |folder| {
            let server = testing::script(&folder.join("shop/brief"), script).display().to_string();
            let command = |verb, exit| testing::command(&[&server, verb, exit]);
            ServiceControl::Commands {
                start: command("start", "0"),
                stop: command("stop", "0"),
                status: command("status", "3"),
            }
        },
        None,
    );
    shop.services.idle = Duration::from_secs(2);
    let error = shop.services.start(&shop.cx, &[web()]).await.unwrap_err().to_string();
    let what = "the service `main/web` did not start, though its start command says so:\nthe store is locked";
    assert_eq!(error, what);
}

#[tokio::test]
async fn a_start_that_fails_says_why() {
    let shop = shop(commands, None);
    fs::write(shop.path("broken"), "").unwrap();
    fs::write(shop.path("web.log"), "port 80 is taken\n").unwrap();
    let error = shop.services.start(&shop.cx, &[web()]).await.unwrap_err().to_string();
    assert!(error.contains("`main/web` did not start: its start command ended with exit status: 3"), "{error}");
    assert!(error.ends_with("port 80 is taken"), "{error}");
}

#[tokio::test]
async fn only_the_own_platform_changes_a_service_and_only_where_a_phase_may() {
    let mut shop = shop(commands, None);
    let reading = testing::reading(shop.folder.path());
    assert!(matches!(shop.services.stop(&reading, &[web()]).await, Err(VerbError::Denied(_))));
    let other = ServiceRef { platform: "edge".into(), name: "proxy".into() };
    assert!(matches!(shop.services.stop(&shop.cx, &[other]).await, Err(VerbError::Denied(_))));
    let missing = ServiceRef { name: "worker".into(), ..web() };
    let error = shop.services.stop(&shop.cx, &[missing]).await.unwrap_err().to_string();
    assert_eq!(error, "not found: the deployment has no service `main/worker`; there is `main/web`");
    shop.services.own = None;
    assert!(matches!(shop.services.stop(&shop.cx, &[web()]).await, Err(VerbError::Denied(_))));
    assert!(!shop.hold().is_set());
}

#[tokio::test]
async fn a_log_is_followed_from_the_last_start() {
    let shop = shop(commands, None);
    fs::write(shop.path("web.log"), "ready\n").unwrap();
    shop.services.start(&shop.cx, &[web()]).await.unwrap();
    let mut watch = Watch {
        service: web(),
        success: "^ready".into(),
        failure: "^fatal".into(),
        progress: Some(r"migrating (?<done>\d)/(?<total>\d)".into()),
        idle_ms: 60_000,
    };
    let cx = testing::changing(shop.folder.path(), "r1-apply");
    assert_eq!(shop.services.follow(&cx, &watch).await.unwrap(), "ready");
    assert_eq!(cx.activity.tail(), ["migrating 1/2", "ready"]);
    watch.failure = "^migrating".into();
    let error = shop.services.follow(&shop.cx, &watch).await.unwrap_err();
    assert_eq!(error.to_string(), "`main/web` says: migrating 1/2");
    (watch.success, watch.failure, watch.idle_ms) = ("never".into(), "never".into(), 500);
    assert_eq!(shop.services.follow(&shop.cx, &watch).await, Err(VerbError::Timeout));
    shop.services.stop(&shop.cx, &[web()]).await.unwrap();
    watch.idle_ms = 60_000;
    let error = shop.services.follow(&shop.cx, &watch).await.unwrap_err().to_string();
    assert!(error.contains("ended before its log said success") && error.ends_with("ready"), "{error}");
}

#[tokio::test]
async fn a_service_is_healthy_when_its_address_says_so() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/health", listener.local_addr().unwrap());
    let answers = async {
        for status in ["503 Service Unavailable", "503 Service Unavailable", "200 OK"] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
            let text = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.write_all(text.as_bytes()).await.unwrap();
        }
    };
    let shop = shop(commands, Some(url));
    shop.services.start(&shop.cx, &[web()]).await.unwrap();
    let names = [web()];
    let (states, ()) = tokio::join!(shop.services.wait_healthy(&shop.cx, &names, 60_000), answers);
    assert_eq!(states.unwrap()[0].healthy, Some(true));
    drop(listener);
    let error = shop.services.wait_healthy(&shop.cx, &[web()], 700).await.unwrap_err().to_string();
    assert!(error.contains("`main/web` runs and is not healthy: its health check says"), "{error}");
}

#[tokio::test]
async fn a_service_that_ends_while_it_is_waited_for_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let shop = shop(commands, Some(format!("http://{}/", listener.local_addr().unwrap())));
    shop.services.start(&shop.cx, &[web()]).await.unwrap();
    let names = [web()];
    let (result, ()) = tokio::join!(shop.services.wait_healthy(&shop.cx, &names, 60_000), async {
        let (stream, _) = listener.accept().await.unwrap();
        while !fs::read_to_string(shop.path("web.log")).unwrap_or_default().contains("ready") {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let pid: i32 = fs::read_to_string(shop.path("web.pid")).unwrap().trim().parse().unwrap();
        proc::Identity::of(pid).unwrap().signal(rustix::process::Signal::KILL);
        drop(stream);
    });
    let error = result.unwrap_err().to_string();
    assert!(error.contains("`main/web` ended while it was waited for") && error.ends_with("ready"), "{error}");
}

#[tokio::test]
async fn effects_say_what_became_of_them() {
    let shop = shop(commands, None);
    let effect = |verb: &str| Effect {
        step: "r1-quiesce".into(),
        attempt: 1,
        number: 0,
        verb: verb.into(),
        arguments: String::new(),
        handle: "main/web".into(),
        repeatable: true,
    };
    let done = Verdict::Done(serde_json::Value::Null);
    assert_eq!(shop.services.fence_and_probe(&effect("control.stop")).await, Verdict::Unknown);
    shop.services.start(&shop.cx, &[web()]).await.unwrap();
    assert_eq!(shop.services.fence_and_probe(&effect("control.start")).await, done);
    assert_eq!(shop.services.fence_and_probe(&effect("control.stop")).await, Verdict::Unknown);
    shop.services.stop(&shop.cx, &[web()]).await.unwrap();
    assert_eq!(shop.services.fence_and_probe(&effect("control.stop")).await, done);
}

#[tokio::test]
async fn what_a_service_may_write_to_is_seen() {
    let shop = shop(commands, None);
    for folder in ["uploads", "releases", ".upgraded"] {
        fs::create_dir_all(shop.path(folder)).unwrap();
    }
    fs::write(shop.path("README"), "").unwrap();
    Command::new("touch").args(["-d", "2020-01-01"]).arg(shop.path("README")).status().unwrap();
    Command::new("touch").args(["-d", "2020-01-01"]).arg(shop.path("server")).status().unwrap();
    assert_eq!(shop.services.open_for_writing().await.unwrap(), []);
    shop.services.start(&shop.cx, &[web()]).await.unwrap();
    let wait = async {
        while !shop.path("data/store").exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    wait.await;
    for settings in [".env", "shop.toml", "shop.toml.changed-during-1"] {
        fs::write(shop.path(settings), "A=1").unwrap();
    }
    // As a boot script starts one: nothing tells whose it is but what it has open.
    let (data, own) = (shop.path("data/booted"), shop.folder.path().join("its-own"));
    let booted = format!("exec 3>> {}; exec 4>> {}; exec sleep 9999", data.display(), own.display());
    let mut booted = Command::new("sh").args(["-c", &booted]).current_dir("/").spawn().unwrap();
    while !own.exists() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seen = shop.services.open_for_writing().await.unwrap();
    booted.kill().unwrap();
    booted.wait().unwrap();
    assert!(seen.iter().all(|file| file.service == "main/web"), "{seen:?}");
    let paths: Vec<PathBuf> = seen.into_iter().map(|file| file.path).collect();
    for name in ["data", "data/store", "data/booted", "uploads"] {
        assert!(paths.contains(&shop.path(name)), "{name} in {paths:?}");
    }
    assert!(!paths.contains(&own), "{paths:?}");
    for name in ["web.log", "web.pid", ".env", "shop.toml", "README", "releases", ".upgraded"] {
        assert!(!paths.contains(&shop.path(name)), "{name} in {paths:?}");
    }
}

/// Keeps a unit's process as systemd would, its conditions included.
const SYSTEMCTL: &str = r#"#!/bin/sh
cd "$(dirname "$0")"
verb=$1; for unit in "$@"; do :; done
alive() { kill -0 "$(cat web.pid 2>/dev/null)" 2>/dev/null; }
case "$verb" in
daemon-reload) touch reloaded ;;
show) alive && state=active || state=inactive; printf 'ActiveState=%s\nLoadState=loaded\nJob=0\nMainPID=%s\nControlGroup=\n' $state "$(cat web.pid 2>/dev/null || echo 0)" ;;
start)
  hold=$(sed -n 's/^ConditionPathExists=!//p' units/shop.service.d/90-upgraded.conf 2>/dev/null)
  if [ -n "$hold" ] && [ -e reloaded ] && [ -e "$hold" ]; then exit 0; fi
  rm -f web.pid
  setsid sh -c 'echo $$ > web.pid; exec sleep 9999' < /dev/null > /dev/null 2>&1 &
  while [ ! -s web.pid ]; do sleep 0.05; done ;;
stop) kill "$(cat web.pid)" ;;
esac
"#;

#[tokio::test]
async fn a_unit_is_held_by_its_condition() {
    let shop = shop(|_| ServiceControl::Unit("shop.service".into()), None);
    let systemctl = testing::script(&shop.folder.path().join("systemctl"), SYSTEMCTL);
    shop.services.start(&shop.cx, &[web()]).await.unwrap();
    assert!(shop.running().await);
    for _ in 0..2 {
        shop.services.stop(&shop.cx, &[web()]).await.unwrap();
        assert!(!shop.running().await && shop.hold().is_set());
    }
    // The machine starts it, as a reboot would.
    assert!(Command::new(&systemctl).args(["start", "shop.service"]).status().unwrap().success());
    assert!(!shop.running().await);
    shop.services.start(&shop.cx, &[web()]).await.unwrap();
    assert!(shop.running().await && !shop.hold().is_set());
    shop.services.stop(&shop.cx, &[web()]).await.unwrap();
}

/// A unit that ends right after each start, and is started again.
const RESTARTING: &str = r#"#!/bin/sh
cd "$(dirname "$0")"
[ "$1" = show ] || exit 0
looks=$(cat looks 2>/dev/null || echo 0); echo $((looks + 1)) > looks
[ $((looks % 2)) = 0 ] && state='ActiveState=active' || state='ActiveState=activating\nSubState=auto-restart'
since=$(sed 's/ .*//; s/\.//' /proc/uptime)0000
printf "LoadState=loaded\nJob=0\nNRestarts=%s\nActiveEnterTimestampMonotonic=$since\n$state\n" $((looks / 2))
"#;

#[tokio::test]
async fn a_unit_that_ends_after_each_start_is_given_up() {
    for health in [None, Some("http://127.0.0.1:9/health".to_owned())] {
        let shop = shop(|_| ServiceControl::Unit("shop.service".into()), health);
        testing::script(&shop.folder.path().join("systemctl"), RESTARTING);
        let error = shop.services.wait_healthy(&shop.cx, &[web()], 0).await.unwrap_err().to_string();
        assert!(error.contains("`main/web` keeps ending: systemd has started it again 3 times"), "{error}");
    }
}
