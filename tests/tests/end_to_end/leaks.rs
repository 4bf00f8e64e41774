//! What might give a secret away and doesn't: a command that fails and prints it, a service that does, a server that says
//! it back, a file of the product's, the vault, a plugin that tells all it knows.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use upgraded_tests::{Daemon, Setup, Site, exchange, kind, last_run, outcome};

const SECRET: &str = "Zw4-secret-of-the-other-house-Kq9";

fn secret_file(site: &Site) -> String {
    let file = site.path("etc/token");
    fs::write(&file, SECRET).expect("the secret");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("the secret is ours alone");
    format!("{{ secret = \"file:{}\" }}", file.display())
}

/// Every file beneath that holds it.
fn that_contain(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path());
    let holds = |path: &Path| {
        fs::read(path).is_ok_and(|bytes| bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()))
    };
    entries
        .flat_map(|path| match (path.is_dir(), path.is_file()) {
            (true, _) => that_contain(&path),
            (false, true) if holds(&path) => vec![path],
            (false, _) => Vec::new(),
        })
        .collect()
}

/// In nothing that the daemon says or writes.
fn is_kept(daemon: &Daemon, site: &Site, run: Option<u64>) {
    let name = site.name.as_str();
    let mut told = vec![daemon.shown(&["status", name]), daemon.shown(&["logs", name, "-n", "5000"])];
    told.push(daemon.upgradectl(&["status", name]).0.to_string());
    told.push(daemon.shown(&["check", name]));
    if let Some(run) = run {
        told.push(daemon.shown(&["show", &run.to_string(), "--plan"]));
        told.push(daemon.told(&["show", &run.to_string()]).to_string());
    }
    for answer in told {
        assert!(!answer.contains(SECRET), "an answer shows it: {answer}");
    }
    assert_eq!(that_contain(&site.path("state")), Vec::<PathBuf>::new());
    assert_eq!(that_contain(&site.path("vault")), Vec::<PathBuf>::new());
    assert!(!fs::read_to_string(site.log_file()).expect("the log").contains(SECRET), "the log shows it");
}

#[test]
fn a_command_and_a_service_that_print_their_secrets_and_fail() {
    let site = Site::new(&Setup { version: "1.1.0", ..Setup::default() });
    let before = site.checksums();
    let secret = secret_file(&site);
    let says = "echo \\\"the token is $TOKEN\\\"; echo $TOKEN >&2";
    site.edit(|text| {
        let line = |head: &str| {
            let at = text.find(head).expect("a table") + head.len();
            text[at..].lines().next().expect("its line").to_owned()
        };
        let migrate = line("[platform.commands.migrate]\n");
        let start = line("[platform.services.web]\n");
        let argv = start.trim_start_matches("start = [").trim_end_matches(']').replace("\", \"", " ").replace('"', "");
        text.replace(
            &migrate,
            &format!("argv = [\"sh\", \"-c\", \"{says}; exit 3\"]\nenvironment = {{ TOKEN = {secret} }}"),
        )
        .replace(
            &start,
            &format!(
                "start = {{ argv = [\"sh\", \"-c\", \"{says} >> run/web.log 2>&1; exec {argv}\"], \
                 directory = \"{}\", environment = {{ TOKEN = {secret} }} }}",
                site.home().display()
            ),
        )
    });
    let mut daemon = Daemon::start(&site).settled();
    site.edit_version("1.3.0");
    let now = daemon.end_of_run_to("1.3.0");
    assert_eq!((outcome(&now), kind(&now)), ("rolled-back", "quarantined"), "{now:#}");
    // It was told of, with something else in its place.
    let failure = daemon.told(&["show", &last_run(&now).to_string()])["failure"].to_string();
    assert!(failure.contains("the token is ***"), "{failure}");
    let web = fs::read_to_string(site.home().join("run/web.log")).expect("the service's log");
    assert!(web.contains(SECRET), "the service did print it: {web}");
    let logs = daemon.told(&["logs", &site.name, "-n", "5000"]).to_string();
    assert!(logs.matches("the token is ***").count() >= 2, "{logs}");
    is_kept(&daemon, &site, Some(last_run(&now)));
    site.is_whole("1.1.0", Some(&before));
}

/// Answers every request with 403 and with what it was asked.
fn parrot() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut asked = vec![0; 8192];
            let count = stream.read(&mut asked).unwrap_or_default();
            let body = String::from_utf8_lossy(&asked[..count]).into_owned();
            let head = body.lines().find(|line| line.contains("Bearer")).unwrap_or_default();
            let answer = format!(
                "HTTP/1.1 403 Forbidden\r\nx-asked: {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}")
}

#[test]
fn a_request_with_a_secret_that_is_refused_and_said_back() {
    let site = Site::new(&Setup::default());
    let secret = secret_file(&site);
    let parrot = parrot();
    let mut daemon = Daemon::start(&site).settled();
    let good = fs::read_to_string(site.deployment_file()).expect("the file");
    let with_check = |http: &str, expect: &str| {
        let (_, rest) = good.split_once("[platform]").expect("a platform");
        format!(
            "product = \"generic\"\nversion = \"1.1.0\"\n\n[settings]\nservices = [\"web\", \"front\"]\ngate = [\"front\"]\n\
             attempts = 1\nhttp = [{http}]\n\n[[settings.checks]]\nname = \"said back\"\nurl = \"{parrot}/\"\n\
             authorization = {secret}\nexpect = {expect}\n\n[platform]{rest}"
        )
    };
    // Not granted; refused by the server; and a check that shows what does not fit.
    let stories = [
        ("", "{}", "not granted"),
        (&*format!("\"{parrot}\""), "{}", "it answers 403"),
        (&*format!("\"{parrot}\""), "{ status = 403, headers = { x-asked = \"nothing\" } }", "x-asked"),
    ];
    for (http, expect, told) in stories {
        site.edit(|_| with_check(http, expect));
        let now = daemon.wait("it is refused", |now| {
            kind(now) == "error" && now["state"]["message"].as_str().is_some_and(|message| message.contains(told))
        });
        assert!(!now.to_string().contains(SECRET), "{now:#}");
        is_kept(&daemon, &site, None);
    }
    assert_eq!(daemon.runs(), 0);
}

#[test]
fn a_secret_in_a_file_of_the_product_is_in_no_plan_and_in_the_vault_only_encrypted() {
    let site = Site::new(&Setup { version: "1.3.0", policy: "drill = \"ahead\"\n".into(), ..Setup::default() });
    let file = site.home().join("notes.toml");
    let text = fs::read_to_string(&file).expect("the product's file");
    let title = format!("title = \"See https://house:{SECRET}@notes.example/\"");
    let old = text.replace("title = \"Notes of the house\"", &title);
    fs::write(&file, &old).expect("the product's file");
    fs::write(site.home().join("data/uploads/keys.txt"), SECRET.repeat(3)).expect("an upload");
    let mut daemon = Daemon::start(&site).settled();
    let plan = daemon.shown(&["plan", &site.name, "--to", "2.0.0"]);
    assert!(plan.contains("base-url") && plan.contains("house:${upgraded:secret:"), "{plan}");
    assert!(!plan.contains(SECRET), "{plan}");
    site.edit_version("2.0.0");
    let now = daemon.end_of_run_to("2.0.0");
    assert_eq!(outcome(&now), "committed", "{now:#}");
    let new = fs::read_to_string(&file).expect("the product's file");
    assert!(new.contains(SECRET) && new.contains("base-url"), "the product has its secret: {new}");
    is_kept(&daemon, &site, Some(last_run(&now)));

    // It is in the vault all the same: the way back brings it.
    daemon.told(&["rollback", &site.name, "--yes"]);
    daemon.end_of_run_after(last_run(&now));
    daemon.wait("nothing is left to do", |now| kind(now) == "idle" && now["installed"] == "1.3.0");
    assert_eq!(fs::read_to_string(&file).expect("the product's file"), old);
    assert_eq!(fs::read_to_string(site.home().join("data/uploads/keys.txt")).expect("the upload"), SECRET.repeat(3));
    is_kept(&daemon, &site, None);
}

#[test]
fn a_plugin_that_tells_all_it_knows_knows_no_secret() {
    let site = Site::new(&Setup::default());
    let secret = secret_file(&site);
    let folder = site.own_plugins();
    let evil = fs::read(folder.join("evil.wasm")).expect("the component");
    let (text, table) = ("\"text-of-any-kind\": { \"type\": \"string\" }", "\"text-of-any-kind\": { \"type\": \"object\" }");
    fs::write(folder.join("evil.wasm"), exchange(&evil, text, table)).expect("a component that takes a secret");
    let mut daemon = Daemon::start(&site).settled();
    site.edit(|text| {
        let (head, rest) = text.split_once("[settings]").expect("settings");
        let (_, rest) = rest.split_once("[platform]").expect("a platform");
        let head = head.replace("\"notes\"", "\"evil\"");
        format!("{head}[settings]\ndo = \"tell\"\nwith = {secret}\n\n[platform]{rest}")
    });
    let now = daemon.wait("it tells", |now| kind(now) == "error" && now["state"].to_string().contains("tell"));
    let told = now["state"]["message"].as_str().unwrap_or_default();
    assert!(told.contains("{\"secret\":\"with\"}"), "{told}");
    is_kept(&daemon, &site, None);
}
