//! Cloud SQL: data that a backup brings back, a scratch instance, one operation at a time.

use crate::client::{Client, start};
use scratch_google::{Disk, Folder, Google, Pace};
use serde_json::{Value, json};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const INSTANCES: &str = "/v1/projects/acme/instances";

fn instance(name: &str) -> Value {
    json!({
        "name": name,
        "region": "europe-west1",
        "databaseVersion": "POSTGRES_15",
        "settings": { "tier": "db-custom-1-3840", "deletionProtectionEnabled": false },
    })
}

/// An instance whose data is a folder of the test's.
async fn with_data(google: &Google, client: &Client, name: &str, folder: &Path) {
    google.attach("acme", name, Arc::new(Folder::at(folder)));
    let created = client.sql_ended(client.post(INSTANCES, instance(name)).await).await;
    assert_eq!((&created["operationType"], &created["error"]), (&json!("CREATE"), &Value::Null));
}

async fn backup(client: &Client, name: &str) -> String {
    let operation = client.post(&format!("{INSTANCES}/{name}/backupRuns"), json!({})).await;
    let ended = client.sql_ended(operation).await;
    ended["backupContext"]["backupId"].as_str().unwrap().to_owned()
}

fn back(source: &str, id: &str) -> Value {
    json!({ "restoreBackupContext": { "backupRunId": id, "instanceId": source } })
}

#[tokio::test]
async fn a_backup_brings_the_data_back_in_place_and_into_a_scratch_instance() {
    let (google, client) = start();
    let (main, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (file, copy) = (main.path().join("orders"), scratch.path().join("orders"));
    with_data(&google, &client, "main", main.path()).await;
    std::fs::write(&file, "one").unwrap();
    let id = backup(&client, "main").await;
    let run = client.get(&format!("{INSTANCES}/main/backupRuns/{id}")).await;
    assert_eq!((&run["status"], &run["type"]), (&json!("SUCCESSFUL"), &json!("ON_DEMAND")));
    std::fs::write(&file, "two").unwrap();
    with_data(&google, &client, "drill", scratch.path()).await;
    let operation = client.post(&format!("{INSTANCES}/drill/restoreBackup"), back("main", &id)).await;
    assert_eq!(client.sql_ended(operation).await["error"], Value::Null);
    assert_eq!(
        (std::fs::read_to_string(&copy).unwrap(), std::fs::read_to_string(&file).unwrap()),
        ("one".into(), "two".into())
    );
    let operation = client.post(&format!("{INSTANCES}/main/restoreBackup"), back("main", &id)).await;
    assert_eq!(client.sql_ended(operation).await["operationType"], "RESTORE_VOLUME");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "one");
    client.sql_ended(client.good("DELETE", &format!("{INSTANCES}/drill"), None).await).await;
    assert!(!copy.exists());
    // Nobody gets the name again within a week.
    let again = client.ask("POST", INSTANCES, Some(instance("drill"))).await;
    assert_eq!((again.status, &again.body["error"]["errors"][0]["reason"]), (409, &json!("instanceAlreadyExists")));
    google.assert_held_to_the_documents();
}

#[tokio::test]
async fn an_instance_does_one_thing_at_a_time() {
    let (google, client) = start();
    let folder = tempfile::tempdir().unwrap();
    with_data(&google, &client, "main", folder.path()).await;
    google.set_pace(Pace { sql: Duration::from_secs(60), ..Pace::default() });
    let operation = client.post(&format!("{INSTANCES}/main/backupRuns"), json!({})).await;
    assert_eq!(operation["status"], "PENDING");
    let id = operation["backupContext"]["backupId"].as_str().unwrap();
    assert_eq!(client.get(&format!("{INSTANCES}/main/backupRuns/{id}")).await["status"], "ENQUEUED");
    for (method, path, body) in [
        ("POST", "/backupRuns", json!({})),
        ("POST", "/restart", json!({})),
        ("DELETE", "", json!({})),
        ("PATCH", "", json!({ "settings": { "tier": "db-f1-micro" } })),
    ] {
        let busy = client.ask(method, &format!("{INSTANCES}/main{path}"), Some(body)).await;
        assert_eq!((busy.status, &busy.body["error"]["errors"][0]["reason"]), (409, &json!("operationInProgress")));
    }
    assert_eq!(client.get(&format!("{INSTANCES}/main/backupRuns")).await["items"].as_array().unwrap().len(), 1);
    let unready = client.ask("POST", &format!("{INSTANCES}/main/restoreBackup"), Some(back("main", id))).await;
    assert_eq!(unready.status, 400, "a backup that is not whole is not restored");
}

#[tokio::test]
async fn settings_that_somebody_else_edited_are_stale() {
    let (google, client) = start();
    let folder = tempfile::tempdir().unwrap();
    with_data(&google, &client, "main", folder.path()).await;
    let path = format!("{INSTANCES}/main");
    let read = client.get(&path).await["settings"]["settingsVersion"].clone();
    let protect = json!({ "settings": { "settingsVersion": read, "deletionProtectionEnabled": true } });
    client.sql_ended(client.patch(&path, protect.clone()).await).await;
    let stale = client.ask("PATCH", &path, Some(protect)).await;
    assert_eq!((stale.status, &stale.body["error"]["errors"][0]["reason"]), (412, &json!("staleData")));
    let protected = client.ask("DELETE", &path, None).await;
    assert!(protected.body["error"]["message"].as_str().unwrap().starts_with("The instance is protected."));
    google.assert_held_to_the_documents();
}

struct Full;

impl Disk for Full {
    fn back_up(&self, _: &Path) -> io::Result<()> {
        Err(io::Error::other("no space"))
    }

    fn restore(&self, _: &Path) -> io::Result<()> {
        Err(io::Error::other("no space"))
    }
}

#[tokio::test]
async fn a_backup_that_fails_says_so_and_is_no_way_back() {
    let (google, client) = start();
    google.make_disks_by(|_| Arc::new(Full));
    client.sql_ended(client.post(INSTANCES, instance("main")).await).await;
    let operation = client.sql_ended(client.post(&format!("{INSTANCES}/main/backupRuns"), json!({})).await).await;
    assert_eq!(operation["error"]["errors"][0]["message"], "no space");
    let id = operation["backupContext"]["backupId"].as_str().unwrap();
    assert_eq!(client.get(&format!("{INSTANCES}/main/backupRuns/{id}")).await["status"], "FAILED");
    let refused = client.ask("POST", &format!("{INSTANCES}/main/restoreBackup"), Some(back("main", id))).await;
    assert_eq!(refused.status, 400);
    assert_eq!(client.ask("GET", &format!("{INSTANCES}/main/backupRuns/7"), None).await.status, 404);
    google.assert_held_to_the_documents();
}
