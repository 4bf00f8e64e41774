//! Several deployments of one daemon: side by side, as many at once as the settings say, one run of each at a time.

use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use upgraded_tests::{Daemon, Setup, Site, kind, last_run, outcome};

/// Sites whose deployments all belong to the first one's daemon.
fn sites(number: usize, setup: &Setup) -> Vec<Site> {
    let sites: Vec<Site> = (0..number).map(|_| Site::new(setup)).collect();
    for site in &sites[1..] {
        let text = fs::read_to_string(site.deployment_file()).expect("its file");
        sites[0].add_deployment(&site.name, &text);
    }
    sites
}

fn want(sites: &[Site], site: &Site, version: &str) {
    let file = sites[0].path("deployments").join(format!("{}.toml", site.name));
    let text = fs::read_to_string(&file).expect("its file");
    let line = text.lines().find(|line| line.starts_with("version = ")).expect("a version line");
    sites[0].add_deployment(&site.name, &text.replace(line, &format!("version = \"{version}\"")));
}

#[test]
fn as_many_runs_at_once_as_the_settings_say() {
    // 1.3.0 migrates for seconds.
    let sites = sites(3, &Setup { version: "1.1.0", ..Setup::default() });
    sites[0].set("parallel = 2");
    let mut daemon = Daemon::start(&sites[0]).settled();
    let all = |daemon: &Daemon| -> Vec<Value> {
        daemon.get("/v1/deployments").ok().and_then(|all| all.as_array().cloned()).unwrap_or_default()
    };
    daemon.wait("all are known", |_| true);
    while !all(&daemon).iter().all(|one| kind(one) == "idle" && one["installed"] == "1.1.0") {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    sites.iter().for_each(|site| want(&sites, site, "1.3.0"));
    let mut waited = BTreeSet::new();
    let runs = loop {
        let now = all(&daemon);
        waited.extend(now.iter().filter(|one| one["state"]["reason"] == "slot").map(|one| one["name"].to_string()));
        assert!(now.iter().all(|one| !matches!(kind(one), "error" | "stuck" | "quarantined")), "{now:#?}");
        if now.iter().all(|one| one["last_run"]["to"] == "1.3.0" && kind(one) == "idle") {
            break now;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let time = |of: &Value, key: &str| of[key].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    // A run is there while it waits for its turn; none of its steps has begun.
    let span = |run: &Value| {
        let run = daemon.told(&["show", &last_run(run).to_string()]);
        let steps = run["steps"].as_array().expect("steps");
        steps
            .iter()
            .filter_map(|step| time(step, "started_at"))
            .min()
            .zip(time(&run, "ended_at"))
            .expect("an ended run")
    };
    let spans: Vec<(Timestamp, Timestamp)> = runs.iter().map(span).collect();
    let at_once = |now: Timestamp| spans.iter().filter(|(start, end)| *start <= now && now < *end).count();
    assert_eq!(spans.iter().map(|(start, _)| at_once(*start)).max(), Some(2), "two at once: {spans:?}");
    assert_eq!(waited.len(), 1, "the third waited for its turn: {waited:?}");
    for (site, now) in sites.iter().map(|site| (site, daemon.get(&format!("/v1/deployments/{}", site.name)))) {
        let now = now.expect("an answer");
        assert_eq!(outcome(&now), "committed", "{now:#}");
        assert_eq!(site.version_for_users(), "1.3.0");
    }
    daemon.stop();
}

#[test]
fn a_version_that_is_wanted_during_a_run_waits_for_its_end() {
    let site = Site::new(&Setup { version: "1.1.0", ..Setup::default() });
    let mut daemon = Daemon::start(&site).settled();
    site.edit_version("1.3.0");
    daemon.wait("it migrates", |now| now["state"]["phase"] == "apply");
    // 2.0.0 breaks something, so that it will ask.
    site.edit_version("2.0.0");
    let open = |daemon: &Daemon| {
        let runs = daemon.get(&format!("/v1/deployments/{}/runs", daemon.site.name)).expect("runs");
        runs.as_array().expect("runs").iter().filter(|run| run["outcome"].is_null()).count()
    };
    let mut most = 0;
    let site_name = site.name.clone();
    let now = daemon.wait("the next one asks", |now| {
        let runs = upgraded_tests::ask(&site.socket(), "GET", &format!("/v1/deployments/{site_name}/runs"));
        let runs = runs.unwrap_or_default();
        let unended = runs.as_array().into_iter().flatten().filter(|run| run["outcome"].is_null()).count();
        most = most.max(unended);
        now["last_run"]["to"] == "2.0.0" && kind(now) == "waiting"
    });
    assert_eq!((most, open(&daemon)), (1, 1), "one at a time");
    assert_eq!((&now["installed"], &now["wanted"]), (&"1.3.0".into(), &"2.0.0".into()), "{now:#}");
    let first = daemon.told(&["show", "1"]);
    assert_eq!((&first["to"], &first["outcome"]["outcome"]), (&"1.3.0".into(), &"committed".into()));
    daemon.told(&["approve", &site.name]);
    let now = daemon.end_of_run_to("2.0.0");
    assert_eq!(outcome(&now), "committed", "{now:#}");
    // With the setting that the release brought.
    site.edit_product(str::to_owned);
    site.is_whole("2.0.0", None);
}
