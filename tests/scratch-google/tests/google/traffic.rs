//! Addresses that real clients reach, and what traffic decides.

use crate::client::{Client, PATIENCE, PLACE, short, start, template};
use scratch_google::Image;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const LATEST: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST";
const REVISION: &str = "TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION";

/// How often which version answered a hundred requests.
async fn hundred(client: &Client, uri: &Value) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for _ in 0..100 {
        let (status, body) = client.text(&format!("{}/api/health?a=b", uri.as_str().unwrap())).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &body["path"]), (200, &json!("/api/health?a=b")));
        *counts.entry(body["version"].as_str().unwrap().to_owned()).or_insert(0) += 1;
    }
    counts
}

/// As an upgrade goes: no traffic, a look at the tagged address, some, all, and back.
#[tokio::test]
async fn a_revision_is_verified_on_its_tag_and_takes_traffic_in_steps() {
    let (google, client) = start();
    let service = client.service("web", "app:1").await;
    let old = short(&service["latestReadyRevision"]);
    assert!(old.starts_with("web-00001-"), "{old}");
    assert_eq!(hundred(&client, &service["uri"]).await, [("1".to_owned(), 100)].into());
    let path = format!("{PLACE}/services/web");
    let change = json!({
        "etag": service["etag"],
        "template": { "revision": "web-next", "containers": [{ "image": "app:2" }] },
        "traffic": [
            { "type": REVISION, "revision": old, "percent": 100 },
            { "type": REVISION, "revision": "web-next", "tag": "next" },
        ],
    });
    let staged = client.response(client.patch(&format!("{path}?updateMask=template,traffic"), change).await).await;
    assert_eq!(short(&staged["latestReadyRevision"]), "web-next");
    assert_eq!(staged["uri"], service["uri"]);
    let tagged = &staged["trafficStatuses"][1];
    assert_eq!(
        (&tagged["tag"], &tagged["revision"], &tagged["percent"]),
        (&json!("next"), &json!("web-next"), &Value::Null)
    );
    assert_eq!(hundred(&client, &tagged["uri"]).await, [("2".to_owned(), 100)].into());
    assert_eq!(hundred(&client, &staged["uri"]).await, [("1".to_owned(), 100)].into());
    let traffic = async |next: u32| -> Value {
        let targets = json!([
            { "type": REVISION, "revision": old, "percent": 100 - next },
            { "type": REVISION, "revision": "web-next", "percent": next, "tag": "next" },
        ]);
        let operation = client.patch(&format!("{path}?updateMask=traffic"), json!({ "traffic": targets })).await;
        client.response(operation).await
    };
    let split = traffic(30).await;
    assert_eq!(split["trafficStatuses"][1]["uri"], tagged["uri"], "a tag keeps its address");
    assert_eq!(hundred(&client, &split["uri"]).await, [("1".to_owned(), 70), ("2".to_owned(), 30)].into());
    traffic(100).await;
    assert_eq!(hundred(&client, &split["uri"]).await, [("2".to_owned(), 100)].into());
    let back = traffic(0).await;
    assert_eq!(hundred(&client, &split["uri"]).await, [("1".to_owned(), 100)].into());
    // No change of traffic made a revision.
    assert_eq!(short(&back["latestCreatedRevision"]), "web-next");
    let untagged = json!({ "traffic": [{ "type": LATEST, "percent": 100 }] });
    client.response(client.patch(&format!("{path}?updateMask=traffic"), untagged).await).await;
    assert!(client.http.get(tagged["uri"].as_str().unwrap()).send().await.is_err(), "the tag's address is closed");
    google.assert_held_to_the_documents();
}

#[tokio::test]
async fn a_revision_that_does_not_start_leaves_traffic_where_it_was() {
    let (google, client) = start();
    google.push("broken:1", Image::Broken);
    google.push("private:1", Image::Private);
    let service = client.service("web", "app:1").await;
    let path = format!("{PLACE}/services/web");
    for (image, code, field, reason, message) in [
        ("absent:1", 5, "reason", "CONTAINER_MISSING", "Image 'absent:1' not found."),
        ("private:1", 7, "reason", "CONTAINER_PERMISSION_DENIED", "must have permission to read the image"),
        ("broken:1", 9, "revisionReason", "HEALTH_CHECK_CONTAINER_ERROR", "failed to start and listen on the port"),
    ] {
        let ended = client.ended(client.patch(&format!("{path}?updateMask=template"), template(image)).await).await;
        assert_eq!(ended["error"]["code"], code, "{image}");
        assert!(ended["error"]["message"].as_str().unwrap().contains(message), "{ended:#}");
        let failed = client.get(&path).await;
        assert_eq!(failed["terminalCondition"]["state"], "CONDITION_FAILED");
        assert_eq!(failed["terminalCondition"]["reason"], "REVISION_FAILED");
        assert_eq!(failed["conditions"][0]["state"], "CONDITION_SUCCEEDED", "routes are ready");
        assert_eq!(failed["latestReadyRevision"], service["latestReadyRevision"]);
        assert_ne!(failed["latestCreatedRevision"], service["latestReadyRevision"]);
        let revision = client.get(&format!("/v2/{}", failed["latestCreatedRevision"].as_str().unwrap())).await;
        let ready = &revision["conditions"][0];
        assert_eq!((&ready["state"], &ready[field]), (&json!("CONDITION_FAILED"), &json!(reason)));
        assert_eq!(hundred(&client, &service["uri"]).await, [("1".to_owned(), 100)].into());
    }
    // A good one heals it.
    let healed = client.response(client.patch(&format!("{path}?updateMask=template"), template("app:3")).await).await;
    assert_eq!(healed["terminalCondition"]["state"], "CONDITION_SUCCEEDED");
    assert_eq!(hundred(&client, &service["uri"]).await, [("3".to_owned(), 100)].into());
    // Traffic to a revision that is not there moves nothing.
    let nowhere = json!({ "traffic": [{ "type": REVISION, "revision": "web-gone", "percent": 100 }] });
    let ended = client.ended(client.patch(&format!("{path}?updateMask=traffic"), nowhere).await).await;
    assert!(
        ended["error"]["message"].as_str().unwrap().starts_with("Revision 'web-gone' does not exist or is deleted.")
    );
    assert_eq!(hundred(&client, &service["uri"]).await, [("3".to_owned(), 100)].into());
    google.assert_held_to_the_documents();
}

/// A program of its own behind a service: Python's server of files. One that ends is made anew.
#[tokio::test]
async fn a_program_serves_on_the_port_that_it_is_given() {
    let (google, client) = start();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hello"), "from a process").unwrap();
    let serve = "echo $$ > pid && exec python3 -m http.server --bind 127.0.0.1 $PORT";
    let command = format!("cd {} && {serve}", folder.path().display());
    google.push("files:1", Image::command(["sh", "-c", &command]));
    google.push("files:2", Image::command(["false"]));
    let service = client.service("files", "files:1").await;
    let hello = format!("{}/hello", service["uri"].as_str().unwrap());
    assert_eq!(client.text(&hello).await, (200, "from a process".to_owned()));
    let operation = client.patch(&format!("{PLACE}/services/files?updateMask=template"), template("files:2")).await;
    assert_eq!(client.ended(operation).await["error"]["code"], 9);
    assert_eq!(client.text(&hello).await, (200, "from a process".to_owned()));

    let pid = || std::fs::read_to_string(folder.path().join("pid")).unwrap();
    let first = pid();
    assert!(std::process::Command::new("kill").args(["-KILL", first.trim()]).status().unwrap().success());
    let began = Instant::now();
    while pid() == first || client.text(&hello).await.0 != 200 {
        assert!(began.elapsed() < PATIENCE, "it stays away");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
