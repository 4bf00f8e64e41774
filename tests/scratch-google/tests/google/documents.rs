//! Held to the documents: every method is answered, and what no document allows is refused and remembered.

use crate::client::{Client, PATIENCE, PLACE, short, start, template};
use scratch_google::{Google, Image, methods};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Fails for a method that a document has and the double does not answer.
#[tokio::test]
async fn every_method_of_the_documents_is_answered_as_they_say() {
    let (google, client) = start();
    google.push("migrate:1", Image::task(|_| 0));
    run(&client).await;
    let answered = |google: &Google| -> BTreeSet<String> {
        google.exchanges().into_iter().filter(|e| e.status == 200).map(|e| e.method).collect()
    };
    let of = |document: &str| -> BTreeSet<String> {
        methods().iter().filter_map(|m| m.strip_prefix(&format!("{document} "))).map(str::to_owned).collect()
    };
    assert_eq!(answered(&google), of("run:v2"));
    google.assert_held_to_the_documents();
    // Both versions of Cloud SQL have the same methods.
    for (document, version) in [("sqladmin:v1", "/v1"), ("sqladmin:v1beta4", "/sql/v1beta4")] {
        let (google, client) = start();
        sql(&client, &format!("{version}/projects/acme")).await;
        assert_eq!(answered(&google), of(document), "{document}");
        google.assert_held_to_the_documents();
    }
}

async fn run(client: &Client) {
    let first = client.service("web", "app:1").await;
    let path = format!("{PLACE}/services/web");
    let operation = client.patch(&format!("{path}?updateMask=template"), template("app:2")).await;
    let name = operation["name"].as_str().unwrap();
    let waited = client.post(&format!("/v2/{name}:wait"), json!({ "timeout": "20s" })).await;
    assert_eq!(waited["done"], true);
    assert_eq!(client.get(&format!("/v2/{name}")).await, waited);
    assert_eq!(client.get(&format!("{PLACE}/operations")).await["operations"].as_array().unwrap().len(), 2);
    assert_eq!(client.get(&format!("{PLACE}/services")).await["services"][0]["uid"], first["uid"]);
    assert_eq!(client.get(&path).await["generation"], "2");
    let revisions = client.get(&format!("{path}/revisions?pageSize=1")).await;
    let newest = &revisions["revisions"][0];
    assert_eq!(newest["containers"][0]["image"], "app:2");
    let next = revisions["nextPageToken"].as_str().unwrap();
    let oldest = &client.get(&format!("{path}/revisions?pageSize=1&pageToken={next}")).await["revisions"][0];
    let oldest = format!("{path}/revisions/{}", short(&oldest["name"]));
    assert_eq!(client.get(&oldest).await["containers"][0]["image"], "app:1");
    client.response(client.good("DELETE", &oldest, None).await).await;
    assert_eq!(client.ask("GET", &oldest, None).await.status, 404);
    let asked = json!({ "permissions": ["run.services.get"] });
    assert_eq!(client.post(&format!("{path}:testIamPermissions"), asked.clone()).await, asked);
    client.response(client.good("DELETE", &path, None).await).await;
    let job = json!({ "template": { "template": { "containers": [{ "image": "migrate:1" }] } } });
    client.response(client.post(&format!("{PLACE}/jobs?jobId=migrate"), job.clone()).await).await;
    let path = format!("{PLACE}/jobs/migrate");
    client.response(client.patch(&path, job).await).await;
    assert_eq!(client.get(&path).await["generation"], "2");
    assert_eq!(client.get(&format!("{PLACE}/jobs")).await["jobs"].as_array().unwrap().len(), 1);
    let execution = client.response(client.post(&format!("{path}:run"), json!({})).await).await;
    assert_eq!(client.get(&format!("{path}/executions")).await["executions"][0]["name"], execution["name"]);
    let execution = format!("{path}/executions/{}", short(&execution["name"]));
    client.get(&execution).await;
    client.response(client.post(&format!("{execution}:cancel"), json!({})).await).await;
    client.post(&format!("{path}:testIamPermissions"), asked).await;
    client.response(client.good("DELETE", &path, None).await).await;
}

async fn sql(client: &Client, project: &str) {
    let instances = format!("{project}/instances");
    let main = format!("{instances}/main");
    let wanted = json!({ "name": "main", "databaseVersion": "POSTGRES_15", "settings": { "tier": "db-f1-micro" } });
    client.sql_ended(client.post(&instances, wanted).await).await;
    assert_eq!(client.get(&instances).await["items"][0]["state"], "RUNNABLE");
    let change = json!({ "settings": { "settingsVersion": "1", "tier": "db-g1-small" } });
    client.sql_ended(client.patch(&main, change).await).await;
    assert_eq!(client.get(&main).await["settings"]["tier"], "db-g1-small");
    client.sql_ended(client.good("POST", &format!("{main}/restart"), None).await).await;
    let runs = format!("{main}/backupRuns");
    let operation = client.sql_ended(client.post(&runs, json!({ "description": "before 2.0" })).await).await;
    let id = operation["backupContext"]["backupId"].as_str().unwrap();
    assert_eq!(client.get(&format!("{runs}/{id}")).await["status"], "SUCCESSFUL");
    let back = json!({ "restoreBackupContext": { "backupRunId": id, "instanceId": "main", "project": "acme" } });
    client.sql_ended(client.post(&format!("{main}/restoreBackup"), back).await).await;
    client.sql_ended(client.good("DELETE", &format!("{runs}/{id}"), None).await).await;
    assert_eq!(client.get(&runs).await["items"], json!([]));
    let operations = client.get(&format!("{project}/operations?instance=main")).await;
    assert_eq!(operations["items"].as_array().unwrap().len(), 6);
    client.get(&format!("{project}/operations/{}", operation["name"].as_str().unwrap())).await;
    assert_eq!(client.get(&format!("{main}/users")).await["items"][0]["name"], "postgres");
    assert_eq!(client.get(&format!("{main}/databases")).await["items"][0]["name"], "postgres");
    let settings = client.get(&format!("{main}/connectSettings")).await;
    assert_eq!(settings["ipAddresses"], json!([{ "type": "PRIMARY", "ipAddress": "127.0.0.1" }]));
    client.sql_ended(client.good("DELETE", &main, None).await).await;
}

#[tokio::test]
async fn what_no_document_allows_is_refused_and_remembered() {
    let (google, client) = start();
    client.service("web", "app:1").await;
    let service = format!("{PLACE}/services/web");
    let cases: &[(&str, &str, Option<Value>, &str)] = &[
        ("PATCH", "", Some(json!({ "template": { "colour": "red" } })), "`template.colour`: no such field"),
        ("PATCH", "", Some(json!({ "uri": "x" })), "`uri`: only in answers, never in a request"),
        (
            "PATCH",
            "",
            Some(json!({ "ingress": "INGRESS_NOWHERE" })),
            "`ingress`: \"INGRESS_NOWHERE\" is none of its values",
        ),
        ("PATCH", "?updateMask=a..b", Some(json!({})), "`?updateMask`: `a..b` is no google-fieldmask"),
        (
            "PATCH",
            "?validateOnly=perhaps",
            Some(json!({})),
            "`?validateOnly`: `perhaps` where the document has boolean",
        ),
        ("GET", "?colour=red", None, "`?colour`: no such parameter"),
        ("GET", "", Some(json!({ "a": 1 })), "the method has no body"),
    ];
    for (method, end, body, problem) in cases {
        let answer = client.ask(method, &format!("{service}{end}"), body.clone()).await;
        assert_eq!((answer.status, &answer.body["error"]["status"]), (400, &json!("INVALID_ARGUMENT")), "{problem}");
        let said = answer.body["error"]["details"][0]["fieldViolations"][0]["description"].as_str().unwrap();
        assert!(said.contains(problem), "{said}");
    }
    assert_eq!(client.ask("PUT", &service, Some(json!({}))).await.status, 404);
    let violations = google.violations();
    assert_eq!(violations.len(), cases.len() + 1, "{violations:#?}");
    assert!(violations.last().unwrap().contains("no method of the documents"));
    let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| google.assert_held_to_the_documents()));
    assert!(held.is_err());
    assert_eq!(client.get(&service).await["generation"], "1");
}

/// `$alt=json;enum-encoding=int` is what Google's own clients ask for.
#[tokio::test]
async fn enums_are_numbers_for_who_asks_so() {
    let (google, client) = start();
    client.service("web", "app:1").await;
    let path = format!("{PLACE}/services/web?$alt=json;enum-encoding=int");
    let service = client.get(&path).await;
    assert_eq!((&service["ingress"], &service["launchStage"]), (&json!(1), &json!(4)));
    assert_eq!(service["terminalCondition"]["state"], 4);
    assert_eq!(service["traffic"][0]["type"], 1);
    let internal_only = json!({ "ingress": 2 });
    let operation = client.patch(&format!("{path}&updateMask=ingress"), internal_only).await;
    assert_eq!(operation["metadata"]["ingress"], 2);
    client.ended(operation).await;
    assert_eq!(client.get(&format!("{PLACE}/services/web")).await["ingress"], "INGRESS_TRAFFIC_INTERNAL_ONLY");
    google.assert_held_to_the_documents();
}

/// As `gcloud` does it: the whole service is read, changed and put back, in the region that the host's name says.
#[tokio::test]
async fn services_in_the_form_of_knative() {
    let (google, client) = start();
    let ask = async |method: &str, path: &str, body: Option<Value>| -> (u16, Value) {
        // Through a proxy, which is the double itself: nothing else knows that name.
        let url = format!("http://europe-west1-run.invalid/apis/serving.knative.dev/v1/namespaces/acme/{path}");
        let proxy = reqwest::Client::builder().proxy(reqwest::Proxy::http(google.url()).unwrap()).build().unwrap();
        let mut request = proxy.request(method.parse().unwrap(), url).bearer_auth(&client.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    };
    let ready = async || -> Value {
        let begun = std::time::Instant::now();
        loop {
            let (status, service) = ask("GET", "services/web", None).await;
            let condition = &service["status"]["conditions"][0]["status"];
            if status == 200 && condition != "Unknown" {
                return service;
            }
            assert!(begun.elapsed() < PATIENCE, "{service:#}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let spec = json!({ "template": { "spec": { "containers": [{ "image": "app:1" }] } } });
    let wanted = json!({ "apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": { "name": "web" }, "spec": spec });
    let (status, made) = ask("POST", "services", Some(wanted)).await;
    assert_eq!(status, 200, "{made:#}");
    let mut service = ready().await;
    let (v2, first) = (client.get(&format!("{PLACE}/services/web")).await, service.clone());
    assert_eq!((&service["status"]["url"], &service["metadata"]["uid"]), (&v2["uri"], &v2["uid"]));
    assert_eq!(service["status"]["latestReadyRevisionName"], short(&v2["latestReadyRevision"]));
    service["spec"]["template"]["spec"]["containers"][0]["image"] = "app:2".into();
    service["spec"]["template"]["metadata"]["labels"] = json!({ "client.knative.dev/nonce": "abc" });
    let (status, put) = ask("PUT", "services/web", Some(service.clone())).await;
    assert_eq!(status, 200, "{put:#}");
    let changed = ready().await;
    let revision = changed["status"]["latestReadyRevisionName"].as_str().unwrap();
    let (_, found) = ask("GET", "revisions?labelSelector=client.knative.dev/nonce%20%3D%20abc", None).await;
    assert_eq!(
        (found["items"].as_array().unwrap().len(), &found["items"][0]["metadata"]["name"]),
        (1, &json!(revision))
    );
    let (_, revision) = ask("GET", &format!("revisions/{revision}"), None).await;
    assert_eq!(revision["status"]["imageDigest"], json!(google.digest("app:2")));
    assert_eq!(ask("PUT", "services/web", Some(first)).await.1["error"]["status"], "ABORTED");
    assert_eq!(ask("GET", "services", None).await.1["items"][0]["metadata"]["uid"], v2["uid"]);
    let known: BTreeSet<String> =
        google.exchanges().into_iter().map(|e| e.method).filter(|m| m.contains("namespaces")).collect();
    let all: BTreeSet<String> = methods().iter().filter_map(|m| m.strip_prefix("run:v1 ")).map(str::to_owned).collect();
    assert_eq!(known, all);
    google.assert_held_to_the_documents();
}
