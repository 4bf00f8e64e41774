//! Upgrades that succeed.

use crate::{account_for, run_to, write_models};
use scratch_google::{Fault, Refusal};
use serde_json::Value;
use std::time::Duration;
use upgraded_tests::{CLOUD_SERVICES, Cloud, Daemon, outcome};

/// A release that migrates shuts the gate; the next one, on the same schema, shuts nobody out. Answers get lost, quota
/// ends, and 409 follows a success all the while. Both backups are proved in an instance of their own; the daemon that makes
/// the first one is killed. Policy keeps the backups of one run.
#[test]
fn the_published_way_up() {
    let cloud = Cloud::new("1.4.0", "approve = \"never\"\nkeep-backups = 1\n");
    cloud.ask_for_drills();
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
        Fault::stuck_operation("instances.restoreBackup"),
    ] {
        cloud.google.inject(fault);
    }
    let ((mut daemon, run), writes) = write_models(&cloud, "once", || {
        cloud.edit_version("1.5.0");
        daemon.wait("the drill restores", |_| cloud.calls("instances.restoreBackup") > 0);
        daemon.kill();
        assert_eq!(cloud.instances().len(), 2, "the cut leaves it");
        cloud.google.end_stuck_operations();
        let mut daemon = Daemon::start_with(&cloud, &[("UPGRADED_HOUSE_SECONDS", "1")]);
        let now = daemon.end_of_run_to("1.5.0");
        assert_eq!(outcome(&now), "committed", "{now:#}");
        let count = || cloud.sql("SELECT count(*) FROM models");
        let written = count();
        daemon.wait("users write again", |_| count() != written);
        let run = daemon.told(&["show", "1"]);
        (daemon, run)
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

    assert_eq!(cloud.backups().len(), 2, "one to be drilled, and the final one: {:?}", cloud.backups());
    cloud.delete_backup("r1-backup-final-main");
    let (answer, code) = daemon.upgradectl(&["rollback", &cloud.name, "--yes"]);
    assert_ne!(code, Some(0), "{answer:#}");
    assert!(answer.to_string().contains("is no longer at Google's"), "{answer:#}");
    cloud.is_whole("1.5.0", None);
    cloud.google.inject(Fault::lost_answer("backupRuns.delete"));

    let (run, writes) = write_models(&cloud, "again", || run_to(&mut daemon, "1.5.1", "committed"));
    cloud.is_whole("1.5.1", None);
    account_for(&cloud, "again", &writes);
    assert_eq!(run["downtime_s"], Value::Null, "nobody was shut out: {run:#}");
    let failed: Vec<_> = writes.iter().filter(|write| !write.is_fine()).collect();
    assert!(failed.is_empty(), "{} of {}: {failed:#?}", failed.len(), writes.len());
    for method in ["instances.insert", "instances.delete"] {
        assert_eq!(cloud.calls(method), 3, "`{method}`: of the killed drill, of the next, and of the second run's");
    }
    let others = || cloud.backups().iter().filter(|backup| !backup.contains(" r2-")).count();
    daemon.wait("the first run's backups are let go at Google's", |_| others() == 0);
    assert_eq!(cloud.backups().len(), 1, "the second run's stays: {:?}", cloud.backups());
}

/// Over the last minor version to the major one, which starts nowhere without a variable that it brings: an edit of the same
/// file as on Compose. Back with the data, without the variable; and the next release does not have it either.
#[test]
fn a_major_version_brings_its_variable() {
    let cloud = Cloud::new("1.4.0", "approve = \"never\"\n");
    for version in ["1.4.1", "1.10.0", "2.0.0"] {
        cloud.publish(version);
    }
    let (secret, data) = (("SESSION_SECRET", "hunter2"), cloud.data());
    let file = format!("# Of all services\n{}={}\n", secret.0, secret.1);
    std::fs::write(cloud.home().join(".env"), &file).expect("the operator's file of variables");
    let mut daemon = Daemon::start(&cloud).settled();
    for (line, right) in [
        ("public-url = ", "2.0.0 needs `public-url` under `[settings]`: the address that users open"),
        ("directory = ", "`directory` in `[platform]`"),
    ] {
        cloud.edit(|text| text.replacen(line, &format!("# {line}"), 1));
        let (answer, code) = daemon.upgradectl(&["plan", &cloud.name, "--to", "2.0.0"]);
        assert_ne!(code, Some(0), "{answer:#}");
        assert!(answer.to_string().contains(right), "`{right}`: {answer:#}");
        cloud.edit(|text| text.replacen(&format!("# {line}"), line, 1));
    }
    let plan = daemon.told(&["plan", &cloud.name, "--to", "2.0.0"]).to_string();
    for part in ["+TESSALLITE_PUBLIC_URL=https://models.example.com", "`TESSALLITE_PUBLIC_URL` is new"] {
        assert!(plan.contains(part), "`{part}`: {plan}");
    }
    assert!(plan.contains("`SESSION_SECRET` is new") && !plan.contains(secret.1), "{plan}");

    let before: Vec<_> = CLOUD_SERVICES.map(|name| cloud.traffic(name)).into();
    run_to(&mut daemon, "2.0.0", "committed");
    cloud.is_whole("2.0.0", None);
    let told = |name: &str| cloud.variables(name).get(secret.0).cloned();
    assert_eq!(CLOUD_SERVICES.map(told), [const { Some("hunter2") }; 6].map(|value| value.map(str::to_owned)));
    daemon.told(&["rollback", &cloud.name, "--yes"]);
    let now = daemon.end_of_run_after(1);
    assert_eq!(outcome(&now), "rolled-back", "{now:#}");
    cloud.is_whole("1.4.0", Some(&data));
    assert_eq!(cloud.env_file(), Some(file), "as the operator had it");
    let after: Vec<_> = CLOUD_SERVICES.map(|name| cloud.traffic(name)).into();
    assert_eq!((after, CLOUD_SERVICES.map(told)), (before, Default::default()), "the revisions that served before");

    run_to(&mut daemon, "1.4.1", "committed");
    cloud.is_whole("1.4.1", None);
    assert!(CLOUD_SERVICES.iter().all(|name| told(name).is_some()), "what the file still names");
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
