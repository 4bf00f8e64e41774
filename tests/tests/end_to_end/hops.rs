//! Paths of several hops are one transaction: all the way, or back to where it began.

use std::fs;
use upgraded_tests::{Daemon, Release, Setup, Site, kind, outcome, steps, why};

#[test]
fn three_hops_go_all_the_way_and_come_back_by_hand() {
    let site = Site::new(&Setup { policy: "approve = \"never\"\ndrill = \"off\"\n".into(), ..Setup::default() });
    let before = site.checksums();
    let mut daemon = Daemon::start(&site).settled();
    site.edit_version("2.0.0");
    let now = daemon.end_of_run_to("2.0.0");
    assert_eq!((outcome(&now), kind(&now)), ("committed", "idle"), "{now:#}");
    assert_eq!(daemon.runs(), 1, "one run for all of them");
    let run = daemon.told(&["show", "1"]);
    let applied = |hop: &str| steps(&run).iter().any(|step| step.starts_with(&format!("{hop}-apply-")));
    assert!(["h0", "h1", "h2"].iter().all(|hop| applied(hop)), "{:?}", steps(&run));

    // The last hop brought its setting, and nothing else in the file was touched.
    let file = fs::read_to_string(site.product_file()).expect("`notes.toml`");
    let line = file.lines().find(|line| line.starts_with("base-url = ")).expect("the breaking release's setting");
    assert_eq!(file.replace(&format!("{line}\n"), ""), site.product());
    site.edit_product(str::to_owned);
    site.is_whole("2.0.0", None);

    daemon.told(&["rollback", &site.name, "--yes"]);
    daemon.end_of_run_after(1);
    daemon.wait("nothing is left to do", |now| kind(now) == "idle" && now["installed"] == "1.0.0");
    site.edit_product(|text| text.replace(&format!("{line}\n"), ""));
    site.is_whole("1.0.0", Some(&before));
}

/// Four hops, with an edited file in the third.
#[test]
fn a_failure_in_the_last_hop_brings_back_the_first_version() {
    let site = Site::new(&Setup { policy: "approve = \"never\"\ndrill = \"off\"\n".into(), ..Setup::default() });
    let switches = "schema = 4\nrequires = [\"web.base-url\"]\n[behaviour]\nstart = \"crash\"";
    site.publish(&Release { version: "2.1.0", base: "2.0.0", switches, migration: None });
    let before = site.checksums();
    let mut daemon = Daemon::start(&site).settled();
    site.edit_version("2.1.0");
    let now = daemon.end_of_run_to("2.1.0");
    assert_eq!((outcome(&now), kind(&now)), ("rolled-back", "quarantined"), "{now:#}");
    assert!(why(&now).contains("notes_by_mood"), "{now:#}");
    assert!(site.events().iter().any(|event| event["step"] == "h3-apply-main-1"), "it failed in the last hop");
    assert_eq!(now["installed"], "1.0.0");
    site.is_whole("1.0.0", Some(&before));
}
