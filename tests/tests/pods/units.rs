//! Pods that units of systemd start, of a quadlet and of the operator's own, are upgraded through these units, on a real
//! systemd with podman's own generator.

use crate::{failure, folder, run_to};
use scratch_docker::PodmanSocket;
use upgraded_tests::{Cut, Daemon, WIKI_RELEASES, WIKI_UNITS as UNITS, Wiki, outcome};

const FIRST: &str = WIKI_RELEASES[0];
const GOOD: &str = WIKI_RELEASES[1];
const SPOILS: &str = WIKI_RELEASES[2];
const LIES: &str = WIKI_RELEASES[3];

/// Up; back from a release that ends and one that says that it is another, with the pages; and not through units that would
/// do something else.
#[test]
fn pods_of_units_go_up_and_come_back_through_their_units() {
    let folder = folder();
    let engine = PodmanSocket::with_systemd(folder.path());
    let wiki = Wiki::new(&engine);
    let pages = format!("migrated to {FIRST}\nthe first page");
    wiki.is_whole(FIRST, &pages);
    let mut daemon = Daemon::start(&wiki).settled();

    let (answer, code) = daemon.upgradectl(&["plan", &wiki.name, "--to", GOOD]);
    let said = answer.to_string();
    assert!(code == Some(0) && said.contains("of `web` are stopped and started through their unit `wiki-web.service`"));
    refused(&wiki, &daemon);

    run_to(&mut daemon, GOOD, "committed");
    let pages = format!("{pages}\nmigrated to {GOOD}");
    wiki.is_whole(GOOD, &pages);
    wiki.podman(&["exec", "wiki-web-main", "sh", "-c", "echo another page >> /data/pages"]);
    let pages = format!("{pages}\nanother page");

    for (version, step, why) in
        [(SPOILS, "h0-apply-main-0", "the pages are gone"), (LIES, "h0-verify", "`1.2.9` runs and not `1.3.0`")]
    {
        let run = run_to(&mut daemon, version, "rolled-back");
        let (failed, said) = failure(&run);
        assert!(failed == step && said.contains(why), "{version}: {failed}: {said}");
        wiki.is_whole(GOOD, &pages);
    }
    daemon.stop();
    wiki.reboot();
    wiki.until("the machine is up again", || UNITS.iter().all(|unit| wiki.systemd().state(unit) == "active"));
    assert_eq!(wiki.pages(), pages);
}

/// What stands against working through a unit is a blocker, with words; everything stays as it is.
fn refused(wiki: &Wiki, daemon: &Daemon) {
    let says = |why: &str| {
        let (answer, code) = daemon.upgradectl(&["plan", &wiki.name, "--to", GOOD]);
        let said = answer.to_string();
        assert!(code != Some(0) && said.contains(why), "{why}: {answer:#}");
    };
    let reload = || drop(wiki.systemd().systemctl(&["daemon-reload"]));
    let (file, containers) = (wiki.text("pod-worker.yaml"), wiki.containers());
    let own = wiki.own_unit(&wiki.file("pod-worker.yaml").display().to_string());
    std::fs::write(wiki.file(".env"), format!("TAG={FIRST}\n")).expect("an env file");
    for (from, to, why) in [
        (format!(":{FIRST}"), ":${TAG}".to_owned(), "has `TAG` to be filled in, and the unit plays it as it stands"),
        ("name: main\n".into(), "name: main\n      imagePullPolicy: Always\n".into(), "podman would fetch the image"),
    ] {
        std::fs::write(wiki.file("pod-worker.yaml"), file.replace(&from, &to)).expect("the pod's file");
        says(why);
    }
    std::fs::write(wiki.file("pod-worker.yaml"), &file).expect("the pod's file");
    wiki.systemd().write_unit(UNITS[1], &own.replace(&format!("--network {}", wiki.name), ""));
    says("its files are others than systemd has read");
    reload();
    says("it plays into none, and `networks` says");
    wiki.systemd().write_unit(UNITS[1], &own);
    reload();

    // Its template knows no networks.
    let place = wiki.file("pod-edge.yaml").display().to_string();
    let template = format!("podman-kube@{}.service", place.replace('-', "\\x2d").replace('/', "-"));
    wiki.systemd().systemctl(&["enable", &template]);
    says("the unit `podman-kube@");
    wiki.systemd().systemctl(&["disable", &template]);
    assert_eq!(wiki.containers(), containers, "nothing was touched");
}

/// The daemon is killed while the units are held, and the machine boots: what is held stays down, and what the next daemon
/// ends with is whole.
#[test]
fn what_a_run_holds_no_unit_starts_when_the_machine_boots() {
    let folder = folder();
    let engine = PodmanSocket::with_systemd(folder.path());
    let wiki = Wiki::new(&engine);
    let pages = wiki.pages();
    wiki.systemd().enable("podman-restart.service");
    wiki.cut_at(Cut::Started("h0-apply-main-0"));
    let daemon = Daemon::start(&wiki).settled();
    wiki.edit_version(SPOILS);
    daemon.dies();
    wiki.no_cut();
    assert_eq!(wiki.containers(), Vec::<String>::new());

    wiki.reboot();
    for unit in UNITS {
        assert_eq!(wiki.systemd().state(unit), "inactive", "`{unit}`\n{}", wiki.systemd().log());
        // Nor does anybody who asks it to.
        wiki.systemd().systemctl(&["start", unit]);
        assert_eq!(wiki.systemd().state(unit), "inactive");
    }
    assert_eq!(wiki.containers(), Vec::<String>::new(), "nothing of a held unit is started");

    let mut daemon = Daemon::start(&wiki);
    let now = daemon.end_of_run_after(0);
    assert_eq!(outcome(&now), "rolled-back", "{now:#}\n{}", wiki.log());
    wiki.is_whole(FIRST, &pages);
    run_to(&mut daemon, GOOD, "committed");
    wiki.is_whole(GOOD, &format!("{pages}\nmigrated to {GOOD}"));
}
