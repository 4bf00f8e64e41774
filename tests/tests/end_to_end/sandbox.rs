//! Plugins that misbehave under the real daemon: a refusal or a failed step with their name in it, and a deployment that
//! stays whole.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use upgraded_tests::{Daemon, Setup, Site, exchange, kind, last_run, outcome};

/// What the plugin does, with what, and what is told of it.
type Evil = (&'static str, &'static str, &'static str);

#[test]
fn a_product_that_misbehaves_is_refused_by_name_while_it_is_planned() {
    let site = Site::new(&Setup { policy: "drill = \"off\"\nidle = \"60s\"\n".into(), ..Setup::default() });
    let before = site.checksums();
    let mut daemon = Daemon::start(&site).settled();
    let good = fs::read_to_string(site.deployment_file()).expect("the file");
    let evils: [Evil; 17] = [
        ("empty", "", "the version is empty"),
        ("nowhere", "", "the path ends at `7.7.7`"),
        ("gap", "", "a hop starts at `1.2.0` where the path is at `1.1.0`"),
        ("cycle", "", "twice"),
        ("none", "", "the path ends at `1.0.0`"),
        ("stranger", "", "names a platform that this deployment doesn't have"),
        ("spin", "", "nothing was heard of it for 2 s"),
        ("sleep", "", "nothing was heard of it for 2 s"),
        ("trap", "", "it trapped"),
        ("panic", "", "it trapped"),
        ("exit", "", "it ended itself with exit code 1"),
        ("memory", "", "it wanted more than 256 MiB of memory"),
        ("huge", "", "it handed over more than 64 MiB at once"),
        // Only the lines are too many; what it answers is nonsense afterwards.
        ("flood", "", "twice"),
        ("read", "../../../etc/passwd", "etc/passwd"),
        ("http", "http://127.0.0.1:22/", "is not granted"),
        ("run", "rm", "`process.run rm` is not granted"),
    ];
    for (what, with, told) in evils {
        site.edit(|_| {
            let (head, rest) = good.split_once("[settings]").expect("settings");
            let (_, rest) = rest.split_once("[platform]").expect("a platform");
            let head = head.replace("product = \"notes\"", "product = \"evil\"");
            let head = head.replace("version = \"1.0.0\"", "version = \"1.1.0\"");
            // What is not to be silent for long may take its time, on a machine that is busy.
            let rest = if told.ends_with("for 2 s") { rest.replace("60s", "2s") } else { rest.to_owned() };
            format!("{head}[settings]\ndo = \"{what}\"\nwith = \"{with}\"\n\n[platform]{rest}# {what}\n")
        });
        let now = daemon.wait(&format!("`{what}` is refused"), |now| {
            kind(now) == "error" && now["state"]["message"].as_str().is_some_and(|message| message.contains(told))
        });
        let message = now["state"]["message"].as_str().expect("a message");
        assert!(message.contains("`evil`"), "it is named: {message}");
        assert!(message.len() < 20_000, "a person reads it: {} bytes", message.len());
    }
    let lines = daemon.told(&["logs", &site.name, "-n", "5000"]);
    let flood = lines["lines"].as_array().expect("lines").len();
    assert!(flood < 3000, "{flood} lines of the flood were kept");
    assert_eq!(daemon.runs(), 0);
    site.edit(|_| good.clone());
    daemon.wait("all is well again", |now| kind(now) == "idle" && now["installed"] == "1.0.0");
    site.is_whole("1.0.0", Some(&before));
}

#[test]
fn a_schema_that_fetches_is_refused_by_name() {
    let site = Site::new(&Setup::default());
    let folder = site.own_plugins();
    let evil = fs::read(folder.join("evil.wasm")).expect("the component");
    let evil = exchange(&evil, "#/$defs/text-of-any-kind", "http://127.0.0.1:9/any.j");
    fs::write(folder.join("evil.wasm"), evil).expect("a worse component");
    let mut daemon = Daemon::start(&site).settled();
    site.edit(|text| text.replace("product = \"notes\"", "product = \"evil\""));
    let now =
        daemon.wait("it is refused", |now| kind(now) == "error" && now["state"].to_string().contains("evil.wasm"));
    assert!(now["state"].to_string().contains("http://127.0.0.1:9/any.j"), "{now:#}");
    site.is_whole("1.0.0", None);
}

/// A datastore beside the product's own, last in the file: first on the way back.
fn with_a_bad_store(text: &str, at: &str, does: &str, times: u32) -> String {
    let text = text.split("[datastores.bad]").next().unwrap_or_default();
    let idle = if does == "spin" { "8s" } else { "120s" };
    let text = text.replace("\"8s\"", "\"120s\"").replace("\"120s\"", &format!("\"{idle}\""));
    let (head, policy) = text.split_once("[policy]").expect("a policy");
    format!(
        "{head}[policy]{policy}\n[datastores.bad]\nplugin = \"evil-store\"\nat = \"{at}\"\ndoes = \"{does}\"\ntimes = \"{times}\"\n"
    )
}

#[test]
fn a_datastore_that_misbehaves_in_the_middle_of_a_run_turns_it_round() {
    let site = Site::new(&Setup { policy: "drill = \"off\"\nidle = \"120s\"\n".into(), ..Setup::default() });
    let before = site.checksums();
    let mut daemon = Daemon::start(&site).settled();
    let mut run = 0;
    // Where, what, how often, the step that fails, what is told of it.
    let stories = [
        ("freeze", "trap", 9, "freeze-bad", "it trapped"),
        ("fence", "spin", 1, "fence-bad", "nothing was heard of it for 8 s"),
        ("backup", "memory", 9, "backup-final-bad", "it wanted more than 256 MiB of memory"),
        ("mark", "huge", 9, "seal-bad", "it handed over more than 64 MiB at once"),
        ("unfence", "ungranted", 1, "unfence-bad", "is not granted to `bad`"),
    ];
    for (at, does, times, step, told) in stories {
        site.edit(|text| with_a_bad_store(text, at, does, times));
        if run == 0 {
            site.edit_version("1.1.0");
        } else {
            daemon.told(&["retry", &site.name]);
        }
        let now = daemon.end_of_run_after(run);
        run = last_run(&now);
        assert_eq!(outcome(&now), "rolled-back", "{at}: {now:#}");
        daemon.wait("it is not tried again", |now| kind(now) == "quarantined");
        let failure = &daemon.told(&["show", &run.to_string()])["failure"];
        let message = failure["message"].as_str().unwrap_or_default();
        assert_eq!(failure["step"], step, "{failure:#}");
        assert!(message.contains("`evil-store`") && message.contains(told), "{failure:#}");
        site.is_whole("1.0.0", Some(&before));
    }
    // Much talk is no failure.
    site.edit(|text| with_a_bad_store(text, "freeze", "flood", 9));
    daemon.told(&["retry", &site.name]);
    let now = daemon.end_of_run_after(run);
    assert_eq!((outcome(&now), kind(&now)), ("committed", "idle"), "{now:#}");
    site.is_whole("1.1.0", None);
}

#[test]
fn a_datastore_that_misbehaves_on_the_way_back_is_tried_again_and_then_waits_for_a_person() {
    let site = Site::new(&Setup { version: "1.1.0", ..Setup::default() });
    let before = site.checksums();
    let mut daemon = Daemon::start(&site).settled();
    site.edit(|text| with_a_bad_store(text, "restore", "trap", 2));
    site.edit_version("1.2.0");
    let now = daemon.end_of_run_to("1.2.0");
    assert_eq!((outcome(&now), kind(&now)), ("rolled-back", "quarantined"), "{now:#}");
    site.is_whole("1.1.0", Some(&before));

    // One that never restores: nothing more is touched, and what stands where is told.
    site.edit(|text| with_a_bad_store(text, "manifest", "trap", 99));
    daemon.told(&["retry", &site.name]);
    let stuck = daemon.wait("it is stuck", |now| kind(now) == "stuck");
    let what = stuck["state"]["what"].as_str().unwrap_or_default();
    assert!(what.contains("`b0-compare-back-bad` failed") && what.contains("`evil-store`"), "{stuck:#}");
    daemon.kill();
    let mut daemon = Daemon::start(&site);
    daemon.wait("it is stuck again", |now| kind(now) == "stuck");
    // A restart has the same word to say; the product's own data is back, and nobody is in yet.
    assert_eq!(site.checksums(), before);
    daemon.told(&["abandon", &site.name, "--why", "the plugin is broken"]);
    let now = daemon.wait_though_stuck("the run ends", |now| !now["last_run"]["outcome"].is_null());
    assert_eq!(outcome(&now), "abandoned", "{now:#}");
    let left = daemon.told(&["show", &last_run(&now).to_string()])["left"].to_string();
    assert!(left.contains("state/hold/") && left.contains("main.web"), "what lets a service start is named: {left}");
    assert_eq!(site.checksums(), before);
}

#[test]
fn compiled_code_that_somebody_else_put_there_is_not_run() {
    let site = Site::new(&Setup::default());
    let mut daemon = Daemon::start(&site).settled();
    daemon.look();
    daemon.wait("it has called its plugins", |now| kind(now) == "idle");
    daemon.stop();
    let folder = site.path("state/plugins");
    let compiled = || -> Vec<_> {
        let entries = fs::read_dir(&folder).expect("the compiled plugins").flatten().map(|entry| entry.path());
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "cwasm")).collect()
    };
    let files = compiled();
    assert!(files.len() >= 4, "{files:?}");
    // One is another's, sealed by the daemon itself; the others are changed in their last byte.
    // Product, platform, two datastores; the others were compiled for other tests.
    let used = 4;
    let (first, others) = files.split_first().expect("files");
    for file in others {
        let mut bytes = fs::read(file).expect("compiled code");
        *bytes.last_mut().expect("bytes") ^= 0xff;
        fs::write(file, bytes).expect("changed code");
    }
    fs::copy(&others[0], first).expect("another's code");
    fs::set_permissions(first, fs::Permissions::from_mode(0o600)).expect("a mode");
    let mut daemon = Daemon::start(&site);
    site.edit_version("1.1.0");
    let now = daemon.end_of_run_to("1.1.0");
    assert_eq!(outcome(&now), "committed", "{now:#}");
    let log = fs::read_to_string(site.log_file()).expect("the log");
    assert_eq!(log.matches("it is compiled anew").count(), used, "{log}");
    site.is_whole("1.1.0", None);
}
