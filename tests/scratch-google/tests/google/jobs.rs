//! Jobs: a migration that runs to its end, or does not.

use crate::client::{PLACE, short, start};
use scratch_google::Image;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

fn job(image: &str) -> Value {
    let container = json!({ "image": image, "args": ["migrate"], "env": [{ "name": "TARGET", "value": "1" }] });
    json!({ "template": { "template": { "containers": [container] } } })
}

#[tokio::test]
async fn a_job_runs_its_image_and_tells_how_it_ended() {
    let (google, client) = start();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    google.push(
        "migrate:1",
        Image::task(move |environment| {
            log.lock().unwrap().push((environment.arguments.clone(), environment.variables["TARGET"].clone()));
            i32::from(environment.variables["TARGET"] == "bad")
        }),
    );
    client.response(client.post(&format!("{PLACE}/jobs?jobId=migrate"), job("migrate:1")).await).await;
    let path = format!("{PLACE}/jobs/migrate");
    let done = client.response(client.post(&format!("{path}:run"), json!({})).await).await;
    assert_eq!((&done["succeededCount"], &done["conditions"][0]["state"]), (&json!(1), &json!("CONDITION_SUCCEEDED")));
    let changed = json!({ "overrides": { "containerOverrides": [{ "env": [{ "name": "TARGET", "value": "bad" }] }] } });
    let ended = client.ended(client.post(&format!("{path}:run"), changed.clone()).await).await;
    assert!(ended["error"]["message"].as_str().unwrap().contains("0/1 tasks were a success"), "{ended:#}");
    let execution = short(&ended["metadata"]["name"]);
    let failed = client.get(&format!("{path}/executions/{execution}")).await;
    assert_eq!(
        (&failed["failedCount"], &failed["conditions"][0]["executionReason"]),
        (&json!(1), &json!("NON_ZERO_EXIT_CODE"))
    );
    assert_eq!(client.get(&path).await["latestCreatedExecution"]["completionStatus"], "EXECUTION_FAILED");
    let arguments = vec!["migrate".to_owned()];
    assert_eq!(*seen.lock().unwrap(), [(arguments.clone(), "1".to_owned()), (arguments, "bad".to_owned())]);
    google.withdraw("run.jobs.runWithOverrides");
    assert_eq!(client.ask("POST", &format!("{path}:run"), Some(changed)).await.status, 403);
    // An image that is not there, and a program.
    client.response(client.patch(&path, job("absent:1")).await).await;
    let ended = client.ended(client.post(&format!("{path}:run"), json!({})).await).await;
    assert_eq!(ended["error"]["code"], 5);
    google.push("test:1", Image::command(["sh", "-c", r#"test "$TARGET" = 1 && test "$0" = migrate"#]));
    client.response(client.patch(&path, job("test:1")).await).await;
    client.response(client.post(&format!("{path}:run"), json!({})).await).await;
    google.assert_held_to_the_documents();
}

#[tokio::test]
async fn a_job_that_is_cancelled_ends() {
    let (google, client) = start();
    google.push("sleep:1", Image::command(["sleep", "600"]));
    client.response(client.post(&format!("{PLACE}/jobs?jobId=migrate"), job("sleep:1")).await).await;
    let path = format!("{PLACE}/jobs/migrate");
    let running = client.post(&format!("{path}:run"), json!({})).await;
    let execution = format!("{path}/executions/{}", short(&running["metadata"]["name"]));
    client.response(client.post(&format!("{execution}:cancel"), json!({ "validateOnly": true })).await).await;
    assert_eq!(client.get(&execution).await["runningCount"], 1);
    client.response(client.post(&format!("{execution}:cancel"), json!({})).await).await;
    let ended = client.ended(running).await;
    assert!(ended["error"]["message"].as_str().unwrap().contains("was cancelled"), "{ended:#}");
    let cancelled = client.get(&execution).await;
    assert_eq!(
        (&cancelled["cancelledCount"], &cancelled["conditions"][0]["executionReason"]),
        (&json!(1), &json!("CANCELLED"))
    );
    assert_eq!(client.get(&path).await["latestCreatedExecution"]["completionStatus"], "EXECUTION_CANCELLED");
    google.assert_held_to_the_documents();
}

#[tokio::test]
async fn a_job_that_was_edited_is_not_run_unseen() {
    let (google, client) = start();
    google.push("migrate:1", Image::task(|_| 0));
    let job = client.response(client.post(&format!("{PLACE}/jobs?jobId=migrate"), job("migrate:1")).await).await;
    google.edit_by_somebody_else(job["name"].as_str().unwrap());
    let run = client.ask("POST", &format!("{PLACE}/jobs/migrate:run"), Some(json!({ "etag": job["etag"] }))).await;
    assert_eq!((run.status, &run.body["error"]["status"]), (409, &json!("ABORTED")));
}
