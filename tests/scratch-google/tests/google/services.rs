//! Services: masks, versions, names of revisions, what is only asked.

use crate::client::{PLACE, short, start, template};
use serde_json::{Value, json};

#[tokio::test]
async fn a_mask_says_what_a_patch_changes() {
    let (google, client) = start();
    let service = client.service("web", "app:1").await;
    let path = format!("{PLACE}/services/web");
    let body = json!({ "labels": { "a": "b" }, "description": "unused", "template": { "containers": [{ "image": "app:2" }] } });
    let labelled = client.response(client.patch(&format!("{path}?updateMask=labels"), body).await).await;
    assert_eq!((&labelled["labels"]["a"], &labelled["description"]), (&json!("b"), &Value::Null));
    assert_eq!(labelled["latestCreatedRevision"], service["latestCreatedRevision"], "a label makes no revision");
    assert_eq!((&labelled["generation"], &labelled["observedGeneration"]), (&json!("2"), &json!("2")));
    // Without a mask the whole service is replaced.
    let replaced = client.response(client.patch(&path, template("app:1")).await).await;
    assert_eq!(replaced["labels"], Value::Null);
    assert_eq!(replaced["uid"], service["uid"]);
    for mask in ["template.containers.image", "uid"] {
        let refused = client.ask("PATCH", &format!("{path}?updateMask={mask}"), Some(template("app:2"))).await;
        assert_eq!(refused.status, 400, "{mask}");
    }
    google.assert_held_to_the_documents();
}

#[tokio::test]
async fn an_edit_in_between_is_a_conflict_with_both_versions() {
    let (google, client) = start();
    let service = client.service("web", "app:1").await;
    let path = format!("{PLACE}/services/web");
    google.edit_by_somebody_else(service["name"].as_str().unwrap());
    let mut change = template("app:2");
    change["etag"] = service["etag"].clone();
    let conflict = client.ask("PATCH", &format!("{path}?updateMask=template"), Some(change.clone())).await;
    let error = &conflict.body["error"];
    assert_eq!((conflict.status, &error["status"]), (409, &json!("ABORTED")));
    let message = error["message"].as_str().unwrap();
    assert!(message.starts_with("Conflict for resource 'web': version '") && message.contains("current version is"));
    assert_eq!(client.ask("DELETE", &format!("{path}?etag={}", "%22old%22"), None).await.status, 409);
    let current = client.get(&path).await;
    assert_eq!(current["labels"]["edited-by"], "somebody-else");
    assert_eq!(current["latestCreatedRevision"], service["latestCreatedRevision"]);
    change["etag"] = current["etag"].clone();
    client.response(client.patch(&format!("{path}?updateMask=template"), change).await).await;
}

#[tokio::test]
async fn a_revision_has_one_name_and_one_template() {
    let (_google, client) = start();
    client.service("web", "app:1").await;
    let path = format!("{PLACE}/services/web?updateMask=template");
    let named =
        |name: &str, image: &str| json!({ "template": { "revision": name, "containers": [{ "image": image }] } });
    let made = client.response(client.patch(&path, named("web-a", "app:2")).await).await;
    assert_eq!(short(&made["latestReadyRevision"]), "web-a");
    // The same once more is nothing new.
    let same = client.response(client.patch(&path, named("web-a", "app:2")).await).await;
    assert_eq!(same["generation"], made["generation"]);
    let conflict = client.ask("PATCH", &path, Some(named("web-a", "app:3"))).await;
    let message = &conflict.body["error"]["message"];
    assert_eq!(
        (conflict.status, message),
        (409, &json!("Revision named 'web-a' with different configuration already exists."))
    );
    assert_eq!(client.ask("PATCH", &path, Some(named("other-a", "app:3"))).await.status, 400);
    // What serves can't be deleted.
    let revision = format!("/v2/{}", made["latestReadyRevision"].as_str().unwrap());
    assert_eq!(client.ask("DELETE", &revision, None).await.body["error"]["status"], "FAILED_PRECONDITION");
    let forced = client.response(client.patch(&format!("{path}&forceNewRevision=true"), template("app:2")).await).await;
    assert!(short(&forced["latestReadyRevision"]).starts_with("web-00003-"), "{forced:#}");
}

#[tokio::test]
async fn what_is_only_asked_changes_nothing() {
    let (google, client) = start();
    let service = client.service("web", "app:1").await;
    let path = format!("{PLACE}/services/web");
    let asked = client.patch(&format!("{path}?updateMask=template&validateOnly=true"), template("app:2")).await;
    assert_eq!(asked["response"]["template"]["containers"][0]["image"], "app:2");
    client.good("DELETE", &format!("{path}?validateOnly=true"), None).await;
    client.post(&format!("{PLACE}/services?serviceId=new&validateOnly=true"), template("app:1")).await;
    assert_eq!(client.get(&format!("{PLACE}/services")).await["services"], json!([service_without_type(&service)]));
    let bad = json!({ "traffic": [{ "type": "TRAFFIC_TARGET_ALLOCATION_TYPE_LATEST", "percent": 90 }] });
    let refused = client.ask("PATCH", &format!("{path}?updateMask=traffic&validateOnly=true"), Some(bad)).await;
    assert_eq!(refused.status, 400);
    let empty = client.ask("PATCH", &format!("{path}?validateOnly=true"), Some(json!({}))).await;
    assert_eq!(empty.status, 400);
    google.assert_held_to_the_documents();
}

/// As an operation carries it, without saying what it is.
fn service_without_type(service: &Value) -> Value {
    let mut service = service.clone();
    service.as_object_mut().unwrap().remove("@type");
    service
}

/// As a test finds a product of somebody's.
#[tokio::test]
async fn a_service_that_was_there_before() {
    let (google, client) = start();
    let uri = google.deploy("projects/acme/locations/europe-west1/services/web", "app:1");
    assert_eq!(client.get(&format!("{PLACE}/services/web")).await["uri"], uri);
    assert_eq!(client.text(&uri).await.0, 200);
}

/// What a deleted service leaves is nothing.
#[tokio::test]
async fn a_deleted_service_does_not_answer() {
    let (_google, client) = start();
    let service = client.service("web", "app:1").await;
    let path = format!("{PLACE}/services/web");
    client.response(client.good("DELETE", &format!("{path}?etag=*"), None).await).await;
    assert_eq!(client.ask("GET", &path, None).await.status, 404);
    assert!(client.http.get(service["uri"].as_str().unwrap()).send().await.is_err());
}
