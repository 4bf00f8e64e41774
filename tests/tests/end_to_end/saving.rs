//! Every way in which files are saved: the daemon does the right thing, once.

use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use upgraded_tests::{Daemon, Setup, Site, kind, outcome};

/// Everything that the daemon says while it looks on: what became of which deployment.
struct Listener(Arc<Mutex<Vec<Value>>>);

impl Listener {
    fn of(site: &Site) -> Self {
        let mut stream = UnixStream::connect(site.socket()).expect("the socket");
        write!(stream, "GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n").expect("a request");
        let heard: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (listener, into) = (Self(heard.clone()), heard);
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if let Some(notice) = line.strip_prefix("data:").and_then(|text| serde_json::from_str(text).ok()) {
                    into.lock().expect("nothing panics here").push(notice);
                }
            }
        });
        listener
    }

    fn heard(&self) -> Vec<Value> {
        self.0.lock().expect("nothing panics here").clone()
    }

    /// How often the daemon came to say this of the deployment; what it says again unchanged counts again.
    fn count(&self, name: &str, said: impl Fn(&Value) -> bool) -> usize {
        let of_it = |notice: &&Value| notice["deployment"] == name && notice["kind"] == "changed";
        self.heard().iter().filter(of_it).filter(|notice| said(&notice["now"])).count()
    }
}

fn looked_for(version: &str) -> impl Fn(&Value) -> bool {
    move |now| now["wanted"] == version && now["state"]["kind"] == "planning"
}

/// The file's text with a version that no release has: it is looked at and refused, and nothing runs.
fn wanting(text: &str, version: &str) -> String {
    text.replace("version = \"1.0.0\"", &format!("version = \"{version}\""))
}

#[test]
fn however_a_file_is_saved_it_is_looked_at_once() {
    let site = Site::new(&Setup::default());
    site.set("poll = \"1s\"");
    let mut daemon = Daemon::start(&site).settled();
    let listener = Listener::of(&site);
    let (file, folder) = (site.deployment_file(), site.path("deployments"));
    let text = fs::read_to_string(&file).expect("the file");
    let elsewhere = site.path("etc");

    type Save<'a> = &'a dyn Fn(&Path, &str);
    let by_rename: Save = &|file, text| {
        let beside = file.with_extension("toml.swp");
        fs::write(&beside, text).expect("a file beside");
        fs::rename(&beside, file).expect("a rename");
    };
    let truncated: Save = &|file, text| fs::write(file, text).expect("a save in place");
    let backup_first: Save = &|file, text| {
        fs::rename(file, file.with_extension("toml~")).expect("a backup");
        fs::write(file, text).expect("a new file");
    };
    let copied: Save = &|file, text| {
        let source = elsewhere.join("rendered");
        fs::write(&source, text).expect("a template's output");
        let status = Command::new("install").args(["-m", "640"]).arg(&source).arg(file).status();
        assert!(status.expect("`install`").success());
    };
    let half_first: Save = &|file, text| {
        let mut open = File::create(file).expect("the file");
        let (half, rest) = text.split_at(text.len() / 2);
        open.write_all(half.as_bytes()).expect("half of it");
        open.sync_all().expect("half of it");
        // Longer than the debounce and the poll.
        std::thread::sleep(Duration::from_millis(1500));
        open.write_all(rest.as_bytes()).expect("the rest");
    };
    let swapped: Save = &|file, text| {
        let target = elsewhere.join(format!("release-{}", text.len()));
        fs::write(&target, text).expect("the link's target");
        let beside = folder.join(".new");
        symlink(&target, &beside).expect("a link");
        fs::rename(&beside, file).expect("a swap");
    };
    let behind_the_link: Save = &|file, text| fs::write(fs::canonicalize(file).expect("a link"), text).expect("a save");
    let saves = [
        ("9.0.1", by_rename),
        ("9.0.2", truncated),
        ("9.0.3", backup_first),
        ("9.0.4", copied),
        ("9.0.5", half_first),
        ("9.0.600", swapped),
        ("9.0.7", behind_the_link),
        ("9.0.80", swapped),
    ];
    for (version, save) in saves {
        save(&file, &wanting(&text, version));
        let now = daemon.wait("it is refused", |now| now["wanted"] == version && kind(now) == "error");
        assert!(now["state"]["message"].as_str().is_some_and(|told| told.contains(version)), "{now:#}");
    }

    // An event that nobody gets: the file is written by another name of it, in a folder that is not watched.
    fs::remove_file(&file).expect("the link");
    fs::write(&file, wanting(&text, "9.0.9")).expect("a file");
    daemon.wait("it is refused", |now| now["wanted"] == "9.0.9" && kind(now) == "error");
    let other_name = site.path("vault/other-name");
    fs::hard_link(&file, &other_name).expect("another name");
    std::thread::sleep(Duration::from_millis(500));
    fs::write(&other_name, wanting(&text, "9.1.0")).expect("a save by the other name");
    daemon.wait("the poll finds it", |now| now["wanted"] == "9.1.0" && kind(now) == "error");

    let mistakes = listener.count(&site.name, |now| !now["state"]["diagnostics"].is_null());
    assert_eq!(mistakes, 0, "no half of a file was read");
    for version in ["9.0.1", "9.0.2", "9.0.3", "9.0.4", "9.0.5", "9.0.600", "9.0.7", "9.0.80", "9.0.9", "9.1.0"] {
        assert_eq!(listener.count(&site.name, looked_for(version)), 1, "looks for {version}");
    }
    assert_eq!(daemon.runs(), 0);

    // And the one that matters begins one run.
    by_rename(&file, &wanting(&text, "1.1.0"));
    let now = daemon.end_of_run_to("1.1.0");
    assert_eq!((outcome(&now), kind(&now)), ("committed", "idle"), "{now:#}");
    truncated(&file, &format!("{}# again\n", wanting(&text, "1.1.0")));
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(daemon.runs(), 1);
    site.is_whole("1.1.0", None);
}

#[test]
fn files_come_go_and_change_their_names_a_hundred_at_once() {
    let site = Site::new(&Setup::default());
    let mut daemon = Daemon::start(&site).settled();
    let listener = Listener::of(&site);
    let names: Vec<String> = (0..100).map(|number| format!("crowd-{number}")).collect();
    let at = |name: &str| site.path("deployments").join(format!("{name}.toml"));
    for name in &names {
        fs::write(at(name), "product = \"nobody\"\nversion = \"1\"\n").expect("a file");
    }
    let there = |daemon: &Daemon, name: &str| daemon.get(&format!("/v1/deployments/{name}")).expect("an answer");
    let in_error = |answer: &Value| answer["state"]["kind"] == "error";
    daemon.wait("all are seen", |_| {
        names.iter().all(|name| in_error(&upgraded_tests::ask(&site.socket(), "GET", &format!("/v1/deployments/{name}")).unwrap_or_default()))
    });
    for name in &names {
        assert_eq!(listener.count(name, |now| now["state"]["kind"] == "error"), 1, "{name} is looked at once");
    }

    fs::rename(at("crowd-0"), at("moved")).expect("a rename");
    names[1..].iter().for_each(|name| fs::remove_file(at(name)).expect("a removal"));
    daemon.wait("the others are gone", |_| {
        let all = upgraded_tests::ask(&site.socket(), "GET", "/v1/deployments").unwrap_or_default();
        all.as_array().is_some_and(|all| all.len() == 2)
    });
    assert!(in_error(&there(&daemon, "moved")));
    let gone = there(&daemon, "crowd-0");
    assert_eq!(gone["error"]["code"], "not-found", "{gone:#}");
    let told_removed = |name: &String| {
        listener.heard().iter().filter(|notice| notice["deployment"] == **name && notice["kind"] == "removed").count()
    };
    assert!(names.iter().all(|name| told_removed(name) == 1));

    // The one that runs is none the wiser: away and back again under its name.
    let file = site.deployment_file();
    let text = fs::read_to_string(&file).expect("the file");
    fs::rename(&file, site.path("etc/away")).expect("away");
    daemon.wait("it is gone", |now| now["error"]["code"] == "not-found");
    assert_eq!(site.version_for_users(), "1.0.0");
    fs::write(&file, wanting(&text, "1.1.0")).expect("back, with another version");
    let now = daemon.end_of_run_to("1.1.0");
    assert_eq!(outcome(&now), "committed", "{now:#}");
    assert_eq!(daemon.runs(), 1);
    site.is_whole("1.1.0", None);
}
