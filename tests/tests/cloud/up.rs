//! Upgrades that succeed.

use crate::{account_for, run_to, write_models};
use scratch_google::{Fault, Refusal};
use serde_json::Value;
use std::time::Duration;
use upgraded_tests::{CLOUD_SERVICES, Cloud, Daemon};

/// A release that migrates shuts the gate; the next one, on the same schema, shuts nobody out. Answers get lost, quota
/// ends, and 409 follows a success all the while.
#[test]
fn the_published_way_up() {
    let cloud = Cloud::new("1.4.0", "approve = \"never\"\n");
    cloud.publish("1.5.0");
    cloud.publish("1.5.1");
    let before: Vec<_> = CLOUD_SERVICES.map(|name| cloud.traffic(name)).into();
    let mut daemon = Daemon::start(&cloud).settled();
    for fault in [
        Fault::lost_answer("services.patch").after(13),
        Fault::refused_after_success("services.patch", Refusal::unavailable()).after(14),
        Fault::refused_after_success("services.patch", Refusal::edited("web", "1", "2")).after(17),
        Fault::refused("services.patch", Refusal::quota(Duration::from_secs(1))).after(20),
        Fault::refused("services.get", Refusal::unavailable()).after(60),
        Fault::lost_answer("backupRuns.insert"),
    ] {
        cloud.google.inject(fault);
    }
    let (run, writes) = write_models(&cloud, "once", || {
        let run = run_to(&mut daemon, "1.5.0", "committed");
        let count = || cloud.sql("SELECT count(*) FROM models");
        let written = count();
        daemon.wait("users write again", |_| count() != written);
        run
    });
    assert_eq!(cloud.google.open_faults(), Vec::<String>::new(), "everything went wrong that should");
    cloud.is_whole("1.5.0", None);
    account_for(&cloud, "once", &writes);
    assert!(writes.iter().any(|write| matches!(write.answer, Ok((503, _)))), "the gate was shut");
    assert!(run["downtime_s"].is_f64(), "{run:#}");
    assert_eq!(cloud.sql("SELECT max(version) FROM schema_migrations"), "0009");
    for (name, before) in CLOUD_SERVICES.iter().zip(&before) {
        assert_ne!(cloud.traffic(name), *before, "`{name}` serves another revision");
        let follows = cloud.service(name)["traffic"][0]["type"].clone();
        assert_eq!(follows, "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "`{name}` follows its newest as before");
    }
    let order: Vec<String> = deployed(&cloud);
    assert_eq!(order, CLOUD_SERVICES, "the published order");

    let (run, writes) = write_models(&cloud, "again", || run_to(&mut daemon, "1.5.1", "committed"));
    cloud.is_whole("1.5.1", None);
    account_for(&cloud, "again", &writes);
    assert_eq!(run["downtime_s"], Value::Null, "nobody was shut out: {run:#}");
    let failed: Vec<_> = writes.iter().filter(|write| !write.is_fine()).collect();
    assert!(failed.is_empty(), "{} of {}: {failed:#?}", failed.len(), writes.len());
}

/// The services that got a new revision, in order.
fn deployed(cloud: &Cloud) -> Vec<String> {
    let mut order: Vec<String> = Vec::new();
    for exchange in cloud.google.exchanges() {
        let makes = exchange.method.ends_with("services.patch") && exchange.request["template"].is_object();
        let name = exchange.path.rsplit('/').next().unwrap_or_default().to_owned();
        if makes
            && exchange.caller.starts_with("upgraded@")
            && exchange.path.starts_with("/v2/")
            && !order.contains(&name)
        {
            // What only asks is no revision.
            order.extend(exchange.request["traffic"].is_array().then_some(name));
        }
    }
    order
}
