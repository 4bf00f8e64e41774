//! The three products, one release after the other: what is good comes and can be taken back by hand, what is bad leaves
//! everything as it was.
//!
//! By default a sample. `UPGRADED_COMPOSE_STRIDE=1` takes every release, each of them rehearsed before, and each good one
//! taken back and brought again: half an hour.

use crate::drill::was_in_a_double;
use crate::{failure, run_to};
use serde_json::Value;
use std::ops::Deref;
use upgraded_tests::{Composed, Daemon, Evose, Infrahub, Stack, StackInstall, last_run, outcome, stride};

trait Product: Deref<Target = Composed> {
    /// That an edit may change.
    const FILES: &[&str];
    fn publish(&self, version: &str);
    /// Everything that a way back brings back.
    fn data(&self) -> String;
    fn is_whole(&self, version: &str, data: Option<&str>);
    /// What a good run has to tell beside its end.
    fn went_as_told(&self, _run: &Value) {}
}

enum Comes {
    Well,
    /// The step at which it turns round, and a part of why.
    Back(&'static str, &'static str),
}
use Comes::{Back, Well};

struct Release {
    version: &'static str,
    comes: Comes,
    sampled: bool,
    /// In the sample too.
    rehearsed: bool,
}

const fn release(version: &'static str, comes: Comes) -> Release {
    Release { version, comes, sampled: false, rehearsed: false }
}

const fn sampled(version: &'static str, comes: Comes) -> Release {
    Release { sampled: true, ..release(version, comes) }
}

const fn rehearsed(version: &'static str, comes: Comes) -> Release {
    Release { rehearsed: true, ..sampled(version, comes) }
}

/// As [`stride`] says.
fn every() -> bool {
    stride("UPGRADED_COMPOSE_STRIDE", 71) == 1
}

fn climb<P: Product>(product: &P, first: &str, releases: &[Release]) {
    let releases: Vec<&Release> = releases.iter().filter(|release| every() || release.sampled).collect();
    releases.iter().for_each(|release| product.publish(release.version));
    let mut daemon = Daemon::start(product).settled();
    let mut at = first;
    for release in releases {
        if every() || release.rehearsed {
            let ends_as = if matches!(release.comes, Well) { "rehearsed" } else { "refused" };
            rehearse(product, &mut daemon, (at, release.version), ends_as);
        }
        match release.comes {
            Well => {
                comes_well(product, &mut daemon, (at, release.version));
                at = release.version;
            }
            Back(step, why) => comes_back(product, &mut daemon, (at, release.version), (step, why)),
        }
    }
}

fn rehearse<P: Product>(product: &P, daemon: &mut Daemon, (at, version): (&str, &str), ends_as: &str) {
    let data = product.data();
    daemon.rehearses(version);
    let now = daemon.end_of_run_to(version);
    assert_eq!(outcome(&now), ends_as, "{version}: {now:#}\n{}", product.log());
    product.is_whole(at, Some(&data));
}

fn comes_well<P: Product>(product: &P, daemon: &mut Daemon, (at, version): (&str, &str)) {
    let (data, files) = (product.data(), files(product));
    product.went_as_told(&run_to(daemon, version, "committed"));
    product.is_whole(version, None);
    if !every() {
        return;
    }
    let last = last_run(&daemon.now());
    daemon.told(&["rollback", &product.name, "--yes"]);
    let now = daemon.end_of_run_after(last);
    assert_eq!(outcome(&now), "rolled-back", "{version}: {now:#}\n{}", product.log());
    product.is_whole(at, Some(&data));
    assert_eq!(self::files(product), files, "the files are byte for byte what they were");
    run_to(daemon, version, "committed");
    product.is_whole(version, None);
}

fn comes_back<P: Product>(product: &P, daemon: &mut Daemon, (at, version): (&str, &str), (step, why): (&str, &str)) {
    let (data, files, things) = (product.data(), files(product), product.things());
    let run = run_to(daemon, version, "rolled-back");
    let (its_step, its_why) = failure(&run);
    assert!(its_step.starts_with(step), "{version}: {its_step}: {its_why}");
    assert!(its_why.contains(why), "{version}: {its_why}");
    product.is_whole(at, Some(&data));
    assert_eq!(self::files(product), files, "the files are byte for byte what they were");
    assert_eq!(product.things(), things);
}

fn files<P: Product>(product: &P) -> Vec<Vec<u8>> {
    P::FILES.iter().map(|name| std::fs::read(product.file(name)).expect("a file of the project")).collect()
}

impl Product for Stack {
    const FILES: &[&str] = &["compose.yaml", ".env"];
    fn publish(&self, version: &str) {
        Self::publish(self, version);
    }
    fn data(&self) -> String {
        Self::data(self)
    }
    fn is_whole(&self, version: &str, data: Option<&str>) {
        Self::is_whole(self, version, data);
    }
}

/// Six services, one wave after the other; a service that crashes has no health check, so that on a slow machine it stands
/// long enough to be found a step later.
#[test]
fn tessallite_goes_up_and_comes_back() {
    let first = if every() { "1.3.0" } else { "1.4.0" };
    let stack = Stack::new(&StackInstall { version: first, policy: "drill = \"off\"\nidle = \"20s\"\n" });
    climb(
        &stack,
        first,
        &[
            release("1.4.0", Well),
            release("1.4.1", Well),
            sampled("1.4.2", Back("h0-", "main/query-router")),
            sampled("1.5.0", Well),
            release("1.5.1", Well),
            release("1.6.0", Back("h0-", "main/model-service")),
            release("1.7.0", Back("h0-", "0010")),
            release("1.7.1", Back("h0-verify", "the models are not what the catalogue says")),
            sampled("1.8.0", Back("h0-apply-main-0", "[migrate] failed: 0011_move_owners")),
            release("1.9.0", Back("h0-", "main/frontend")),
            release("1.10.0", Well),
            release("2.0.0", Well),
        ],
    );
}

impl Product for Evose {
    const FILES: &[&str] = &["compose.yaml", ".env"];
    fn publish(&self, version: &str) {
        Self::publish(self, version);
    }
    fn data(&self) -> String {
        Self::data(self)
    }
    fn is_whole(&self, version: &str, data: Option<&str>) {
        Self::is_whole(self, version, data);
    }
    fn went_as_told(&self, run: &Value) {
        was_in_a_double(run);
        let taken = |step: &Value| step["id"] == "backup-late-main" && step["attempts"] != 0;
        let steps = run["steps"].as_array().expect("steps");
        assert!(steps.iter().any(taken), "MySQL was copied beside, and saved from there: {run:#}");
    }
}

/// MySQL, PostgreSQL and files are one set; an init container migrates both databases.
#[test]
fn evose_goes_up_and_comes_back_with_all_three_stores() {
    let evose = Evose::new("drill = \"ahead\"\nidle = \"30s\"\n");
    climb(
        &evose,
        "1.3.0",
        &[
            sampled("1.4.0", Well),
            release("1.4.1", Well),
            sampled("1.5.0", Back("h0-apply-main-0", "[init] migration failed")),
            release("1.6.0", Back("h0-", "main/api")),
            release("1.7.0", Back("h0-", "")),
            release("1.8.0", Back("h0-apply-main-0", "")),
            release("1.9.0", Well),
            release("2.0.0", Well),
            release("2.1.0", Back("h0-", "main/api")),
        ],
    );
}

impl Product for Infrahub {
    const FILES: &[&str] = &["docker-compose.yml", ".env"];
    fn publish(&self, version: &str) {
        Self::publish(self, version);
    }
    fn data(&self) -> String {
        Self::data(self)
    }
    fn is_whole(&self, version: &str, data: Option<&str>) {
        Self::is_whole(self, version, data.unwrap_or(&Self::data(self)));
    }
}

/// A store that only a stopped service lets be saved; a migration by `docker compose run`; two replicas of a worker.
#[test]
fn infrahub_goes_up_and_comes_back_with_its_volumes() {
    let first = if every() { "1.5.3" } else { "1.7.6" };
    let infrahub = Infrahub::new(first, "drill = \"final\"\nidle = \"30s\"\n");
    let data = infrahub.data();
    assert!(data.contains("green"), "{data}");
    climb(
        &infrahub,
        first,
        &[
            release("1.6.0", Well),
            release("1.6.4", Well),
            release("1.7.0", Well),
            release("1.7.5", Well),
            release("1.7.6", Well),
            sampled("1.8.0", Back("h0-apply-main-1", "Migration 015_link_proposed_changes failed")),
            release("1.8.1", Back("h0-", "main/")),
            release("1.8.2", Back("h0-", "")),
            rehearsed("1.8.3", Well),
            release("1.9.0", Well),
            release("2.0.0", Well),
        ],
    );
    assert_eq!(infrahub.data(), data);
}
