//! What goes wrong goes wrong as it was asked for, so often, and nothing else.

use crate::client::{PATIENCE, PLACE, short, start, template};
use scratch_google::{Fault, Image, Refusal};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const PATCH: &str = "services.patch";

#[tokio::test]
async fn an_answer_is_lost_and_the_effect_is_there() {
    let (google, client) = start();
    client.service("web", "app:1").await;
    let path = format!("{PLACE}/services/web");
    google.inject(Fault::lost_answer(PATCH));
    assert!(client.try_ask("PATCH", &format!("{path}?updateMask=template"), Some(template("app:2"))).await.is_none());
    let changed = client.get(&path).await;
    assert_eq!(
        (&changed["generation"], &changed["template"]["containers"][0]["image"]),
        (&json!("2"), &json!("app:2"))
    );
    // Whoever lost the answer finds the operation in the list.
    let all = client.get(&format!("{PLACE}/operations")).await;
    let lost = all["operations"].as_array().unwrap().last().unwrap().clone();
    let ended = client.response(lost).await;
    assert!(short(&ended["latestReadyRevision"]).starts_with("web-00002-"));
    let exchange = google.exchanges().into_iter().find(|e| e.method.ends_with(PATCH)).unwrap();
    assert!(!exchange.answered);
    assert!(google.open_faults().is_empty());
}

#[tokio::test]
async fn refusals_before_and_after_the_effect() {
    let (google, client) = start();
    client.service("web", "app:1").await;
    let path = format!("{PLACE}/services/web");
    let patch = format!("{path}?updateMask=template");
    google.inject(Fault::refused(PATCH, Refusal::quota(Duration::from_secs(7))));
    google.inject(Fault::refused(PATCH, Refusal::unavailable()));
    let quota = client.ask("PATCH", &patch, Some(template("app:2"))).await;
    assert_eq!((quota.status, quota.retry_after.as_deref()), (429, Some("7")));
    assert_eq!(quota.body["error"]["status"], "RESOURCE_EXHAUSTED");
    assert_eq!(client.ask("PATCH", &patch, Some(template("app:2"))).await.body["error"]["status"], "UNAVAILABLE");
    assert_eq!(client.get(&path).await["generation"], "1", "nothing happened");
    google.inject(Fault::refused_after_success(PATCH, Refusal::edited("web", "1", "2")));
    let conflict = client.ask("PATCH", &patch, Some(template("app:2"))).await;
    assert_eq!((conflict.status, &conflict.body["error"]["status"]), (409, &json!("ABORTED")));
    assert_eq!(client.get(&path).await["generation"], "2", "it happened");
}

#[tokio::test]
async fn operations_that_are_slow_stuck_or_fail() {
    let (google, client) = start();
    let service = client.service("web", "app:1").await;
    let path = format!("{PLACE}/services/web");
    let patch = format!("{path}?updateMask=template");
    google.inject(Fault::slow_operation(PATCH, Duration::from_millis(400)));
    let begun = Instant::now();
    client.response(client.patch(&patch, template("app:2")).await).await;
    assert!(begun.elapsed() >= Duration::from_millis(400));
    google.inject(Fault::stuck_operation(PATCH));
    let stuck = client.patch(&patch, template("app:3")).await;
    let name = stuck["name"].as_str().unwrap();
    let waited = client.post(&format!("/v2/{name}:wait"), json!({ "timeout": "0.2s" })).await;
    assert_eq!((&waited["done"], &client.get(&path).await["reconciling"]), (&json!(false), &json!(true)));
    google.end_stuck_operations();
    client.response(waited).await;
    google.inject(Fault::failed_operation(PATCH, "Internal error."));
    let failed = client.ended(client.patch(&patch, template("app:1")).await).await;
    assert_eq!(failed["error"]["message"], "Internal error.");
    let after = client.get(&path).await;
    assert_eq!(after["terminalCondition"]["state"], "CONDITION_FAILED");
    let (_, body) = client.text(service["uri"].as_str().unwrap()).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["version"], "3", "traffic stays");
    google.assert_held_to_the_documents();
}

#[tokio::test]
async fn somebody_edits_between_a_look_and_a_change() {
    let (google, client) = start();
    let service = client.service("web", "app:1").await;
    google.inject(Fault::edited_by_somebody_else(PATCH));
    let mut change = template("app:2");
    change["etag"] = service["etag"].clone();
    let path = format!("{PLACE}/services/web?updateMask=template");
    assert_eq!(client.ask("PATCH", &path, Some(change)).await.status, 409);
}

/// An operation goes on when the one who started it is gone; a job runs once.
#[tokio::test]
async fn a_lost_answer_to_a_run_of_a_job_runs_it_once() {
    let (google, client) = start();
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    google.push(
        "migrate:1",
        Image::task(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            0
        }),
    );
    let job = json!({ "template": { "template": { "containers": [{ "image": "migrate:1" }] } } });
    client.response(client.post(&format!("{PLACE}/jobs?jobId=migrate"), job).await).await;
    google.inject(Fault::lost_answer("jobs.run"));
    let path = format!("{PLACE}/jobs/migrate");
    assert!(client.try_ask("POST", &format!("{path}:run"), Some(json!({}))).await.is_none());
    let begun = Instant::now();
    while client.get(&path).await["latestCreatedExecution"]["completionStatus"] != "EXECUTION_SUCCEEDED" {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn faults_of_cloud_sql() {
    let (google, client) = start();
    let instances = "/v1/projects/acme/instances";
    let wanted = json!({ "name": "main", "settings": { "tier": "db-f1-micro" } });
    client.sql_ended(client.post(instances, wanted).await).await;
    let runs = format!("{instances}/main/backupRuns");
    google.inject(Fault::refused("backupRuns.insert", Refusal::in_progress()));
    assert_eq!(
        client.ask("POST", &runs, Some(json!({}))).await.body["error"]["errors"][0]["reason"],
        "operationInProgress"
    );
    google.inject(Fault::lost_answer("backupRuns.insert"));
    assert!(client.try_ask("POST", &runs, Some(json!({}))).await.is_none());
    let operations = client.get("/v1/projects/acme/operations?instance=main").await;
    client.sql_ended(operations["items"][0].clone()).await;
    let listed = client.get(&runs).await;
    assert_eq!((listed["items"].as_array().unwrap().len(), &listed["items"][0]["status"]), (1, &json!("SUCCESSFUL")));
    google.inject(Fault::failed_operation("instances.restoreBackup", "The disk is gone."));
    let back = json!({ "restoreBackupContext": { "backupRunId": listed["items"][0]["id"], "instanceId": "main" } });
    let failed = client.sql_ended(client.post(&format!("{instances}/main/restoreBackup"), back.clone()).await).await;
    assert_eq!(failed["error"]["errors"][0]["message"], "The disk is gone.");
    google.inject(Fault::stuck_operation("instances.restoreBackup"));
    let stuck = client.post(&format!("{instances}/main/restoreBackup"), back).await;
    assert_eq!(client.ask("POST", &runs, Some(json!({}))).await.status, 409);
    google.inject(Fault::edited_by_somebody_else("instances.patch"));
    let version = client.get(&format!("{instances}/main")).await["settings"]["settingsVersion"].clone();
    let change = json!({ "settings": { "settingsVersion": version, "tier": "db-g1-small" } });
    assert_eq!(client.ask("PATCH", &format!("{instances}/main"), Some(change)).await.status, 412);
    // Once it stands there running, the test lets it go on.
    let begun = Instant::now();
    let name = stuck["name"].as_str().unwrap();
    while client.get(&format!("/v1/projects/acme/operations/{name}")).await["status"] != "RUNNING" {
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    google.end_stuck_operations();
    assert_eq!(client.sql_ended(stuck).await["error"], Value::Null);
    google.assert_held_to_the_documents();
}
