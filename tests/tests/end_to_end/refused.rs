//! What is refused before anything is touched.

use std::fs;
use upgraded_tests::{Daemon, Setup, Site, kind};

#[test]
fn a_way_that_the_rules_forbid_is_refused() {
    let site = Site::new(&Setup { version: "1.1.0", ..Setup::default() });
    let before = site.checksums();
    let mut daemon = Daemon::start(&site).settled();
    for version in ["1.0.0", "9.9.9"] {
        site.edit_version(version);
        let now = daemon.wait("it is refused", |now| now["wanted"] == version && kind(now) == "error");
        assert!(now["state"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{now:#}");
    }
    assert_eq!(daemon.runs(), 0);
    site.edit_version("1.1.0");
    daemon.wait("the file and the product agree again", |now| now["wanted"] == "1.1.0" && kind(now) == "idle");
    site.is_whole("1.1.0", Some(&before));
}

#[test]
fn a_mistake_in_one_file_has_a_place_and_leaves_the_other_deployments_alone() {
    let site = Site::new(&Setup::default());
    let mut daemon = Daemon::start(&site).settled();
    site.add_deployment("broken", "product = \"notes\"\nversion = 1.0\n[policy\n");
    daemon.wait("the broken one is seen", |_| !broken(&site).is_null());
    let (status, _) = daemon.upgradectl(&["status", "broken"]);
    let text = status["state"]["diagnostics"].to_string();
    assert_eq!(status["state"]["kind"], "error", "{status:#}");
    assert!(text.contains("\"line\":3") && text.contains("\"column\""), "{status:#}");

    site.edit_version("1.1.0");
    let now = daemon.end_of_run_to("1.1.0");
    assert_eq!(kind(&now), "idle", "{now:#}");
    site.is_whole("1.1.0", None);

    // And in the very file that worked: what runs goes on running.
    let good = fs::read_to_string(site.deployment_file()).expect("the file");
    site.edit(|text| text.replace("[policy]", "[policy]\nidel = \"3s\""));
    let now = daemon.wait("the mistake is seen", |now| kind(now) == "error");
    assert!(now["state"]["diagnostics"].to_string().contains("idel"), "{now:#}");
    site.is_whole("1.1.0", None);
    site.edit(|_| good.clone());
    daemon.wait("it is mended", |now| kind(now) == "idle");
}

fn broken(site: &Site) -> serde_json::Value {
    let answer = upgraded_tests::ask(&site.socket(), "GET", "/v1/deployments/broken").unwrap_or_default();
    answer["state"]["diagnostics"].clone()
}

/// The uploads are written to, and nobody would save them.
#[test]
fn a_store_that_no_binding_names_is_refused_before_anything_is_touched() {
    let site = Site::new(&Setup::default());
    let before = site.checksums();
    let uploads = "[datastores.uploads]\nplugin = \"files\"\npaths = [\"data/uploads\"]\n";
    let whole = fs::read_to_string(site.deployment_file()).expect("the file");
    assert!(whole.contains(uploads));
    site.edit(|text| text.replace(uploads, ""));
    let mut daemon = Daemon::start(&site).settled();
    site.edit_version("1.1.0");
    let now = daemon.wait("it is refused", |now| now["wanted"] == "1.1.0" && kind(now) == "error");
    let message = now["state"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("data/uploads") && message.contains("no datastore names"), "{now:#}");
    assert_eq!(daemon.runs(), 0);
    site.is_whole("1.0.0", Some(&before));

    // Named again, it goes.
    site.edit(|_| whole.replace("version = \"1.0.0\"", "version = \"1.1.0\""));
    let now = daemon.end_of_run_to("1.1.0");
    assert_eq!(kind(&now), "idle", "{now:#}");
    site.is_whole("1.1.0", None);
}

#[test]
fn a_second_daemon_on_the_same_state_folder_says_so_and_ends() {
    let site = Site::new(&Setup::default());
    let daemon = Daemon::start(&site).settled();
    let mut second = Daemon::launch(&site, &[]);
    let status = second.exit("the second one ends");
    assert!(!status.success());
    assert!(site.log().contains("another daemon uses the state folder"), "{}", site.log());
    daemon.told(&["status", &site.name]);
}
