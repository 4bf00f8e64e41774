//! Variables that are named for a service's next revision, beside its operator's own.

use crate::{NOTHING, REGION, full, image, nobody, start};
use scratch_google::{Google, Image, Response};
use serde_json::{Value, json};
use upgraded_google::{CloudRun, Difference, Error, Share, Variables};

/// The service `web`, whose images answer with their variables, and a job whose image wants two of them.
async fn with_variables() -> (Google, CloudRun) {
    let (google, place) = start();
    for version in ["1", "2"] {
        google.push(
            &image(version),
            Image::server(|environment, _| Response::json(&serde_json::to_value(&environment.variables).unwrap())),
        );
    }
    let own = [("NAME", "shop"), ("MODE", "text"), ("EMPTY", "")];
    google.deploy_with(&full("web"), &image("1"), &own);
    let run = CloudRun::new(place);
    edit(&google, &run, |env| {
        let secret = json!({ "secretKeyRef": { "secret": "database", "version": "latest" } });
        env.push(json!({ "name": "DATABASE", "valueSource": secret }));
    })
    .await;
    (google, run)
}

/// As somebody does who edits a service by hand; its newest revision serves.
async fn edit(google: &Google, run: &CloudRun, change: impl Fn(&mut Vec<Value>)) {
    let client = reqwest::Client::new();
    let url = format!("{}/v2/{}", google.url(), full("web"));
    let seen = client.get(&url).bearer_auth(google.token()).send().await.unwrap().text().await.unwrap();
    let mut template = serde_json::from_str::<Value>(&seen).unwrap()["template"].take();
    template["revision"] = json!("");
    change(template["containers"][0]["env"].as_array_mut().unwrap());
    let patch = client.patch(format!("{url}?updateMask=template")).bearer_auth(google.token());
    let patch = patch.header("content-type", "application/json").body(json!({ "template": template }).to_string());
    assert!(patch.send().await.unwrap().status().is_success());
    run.wait("web", &nobody).await.unwrap();
}

fn variables(all: &[(&str, &str)]) -> Variables {
    all.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A revision that serves from now on.
async fn put(run: &CloudRun, name: &str, named: &[(&str, &str)]) {
    run.deploy("web", name, &image("2"), &variables(named), &nobody).await.unwrap();
    run.route("web", &[Share { revision: None, percent: 100 }], None, &nobody).await.unwrap();
}

/// What the revision that serves is told.
async fn told(run: &CloudRun, names: &[&str]) -> Vec<Option<String>> {
    let answer = run.ask("web", false, "/").await.unwrap();
    let all: Value = serde_json::from_slice(&answer.body).unwrap();
    names.iter().map(|name| all[name].as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn what_is_no_longer_named_goes_and_the_operators_own_comes_back() {
    let (google, run) = with_variables().await;
    let before = run.service("web").await.unwrap().fingerprint;
    let names = ["NAME", "MODE", "EMPTY", "URL"];
    let values = |values: [Option<&str>; 4]| values.map(|value| value.map(str::to_owned)).to_vec();
    let named = [("URL", "https://a.example.com"), ("MODE", "json"), ("EMPTY", "no more")];
    run.would_take("web", &image("2"), &variables(&named)).await.unwrap();
    let differences = run.differences("web", &variables(&named)).await.unwrap();
    let other = |name: &str| (name.to_owned(), Difference::Other);
    assert_eq!(differences, [other("EMPTY"), other("MODE"), ("URL".into(), Difference::New)]);
    put(&run, "web-r1-h0", &named).await;
    let put_once = values([Some("shop"), Some("json"), Some("no more"), Some("https://a.example.com")]);
    assert_eq!(told(&run, &names).await, put_once);
    assert_eq!(run.service("web").await.unwrap().fingerprint, before, "nothing but what was named was changed");
    assert_eq!(run.differences("web", &variables(&named)).await.unwrap(), []);

    // The revision before serves again: what the next one has otherwise is said of that one.
    let old = run.revisions("web").await.unwrap()[1].name.clone();
    run.route("web", &[Share { revision: Some(old), percent: 100 }], None, &nobody).await.unwrap();
    assert_eq!(run.differences("web", &NOTHING).await.unwrap(), []);
    put(&run, "web-r2-h0", &[("MODE", "json")]).await;
    assert_eq!(told(&run, &names).await, values([Some("shop"), Some("json"), Some(""), None]));
    put(&run, "web-r3-h0", &[]).await;
    assert_eq!(told(&run, &names).await, values([Some("shop"), Some("text"), Some(""), None]));
    assert_eq!(run.service("web").await.unwrap().fingerprint, before);

    // What somebody sets otherwise is theirs from then on.
    put(&run, "web-r4-h0", &[("URL", "https://a.example.com")]).await;
    edit(&google, &run, |env| {
        for variable in env.iter_mut().filter(|variable| variable["name"] == "URL") {
            variable["value"] = "https://b.example.com".into();
        }
    })
    .await;
    assert_ne!(run.service("web").await.unwrap().fingerprint, before, "whoever looks can tell");
    put(&run, "web-r5-h0", &[]).await;
    assert_eq!(told(&run, &names).await, values([Some("shop"), Some("text"), Some(""), Some("https://b.example.com")]));
    google.assert_held_to_the_documents();
}

#[tokio::test]
async fn a_secret_of_secret_manager_stays_and_a_revision_that_is_there_is_not_another() {
    let (google, run) = with_variables().await;
    let named = variables(&[("DATABASE", "hunter2")]);
    let bound = [("DATABASE".to_owned(), Difference::Bound)];
    assert_eq!(run.differences("web", &named).await.unwrap(), bound);
    let patches = || google.exchanges().iter().filter(|exchange| exchange.method.ends_with("services.patch")).count();
    let before = patches();
    for refused in [
        run.would_take("web", &image("2"), &named).await.unwrap_err(),
        run.deploy("web", "web-r1-h0", &image("2"), &named, &nobody).await.unwrap_err(),
    ] {
        let text = refused.to_string();
        assert!(matches!(refused, Error::Conflict(_)), "{text}");
        assert!(text.contains("`DATABASE` has its value from Secret Manager") && !text.contains("hunter2"), "{text}");
    }
    assert_eq!(patches(), before);
    let reserved = run.would_take("web", &image("2"), &variables(&[("PORT", "1")])).await.unwrap_err();
    assert!(matches!(&reserved, Error::Invalid(text) if text.contains("PORT")), "{reserved}");

    put(&run, "web-r1-h0", &[("URL", "https://a.example.com")]).await;
    let other = variables(&[("URL", "https://b.example.com")]);
    let taken = run.deploy("web", "web-r1-h0", &image("2"), &other, &nobody).await.unwrap_err();
    assert!(matches!(&taken, Error::Conflict(text) if text.contains("other values")), "{taken}");
    let shown = format!("{:?}", run.revision("web", "web-r1-h0").await.unwrap());
    assert!(shown.contains("URL") && !shown.contains("a.example.com"), "{shown}");
    google.assert_held_to_the_documents();
}

#[tokio::test]
async fn a_job_is_told_for_one_execution() {
    let (google, place) = start();
    google
        .push(&image("migrate"), Image::task(|told| i32::from(told.variables.get("URL").is_none_or(|url| url != "u"))));
    let url = format!("{}/v2/projects/acme/locations/{REGION}/jobs?jobId=migrate", google.url());
    let secret = json!({ "name": "DATABASE", "valueSource": { "secretKeyRef": { "secret": "database" } } });
    let container = json!({ "image": image("migrate"), "env": [secret] });
    let body = json!({ "template": { "template": { "containers": [container] } } }).to_string();
    let request = reqwest::Client::new().post(url).bearer_auth(google.token());
    assert!(request.header("content-type", "application/json").body(body).send().await.unwrap().status().is_success());
    let run = CloudRun::new(place);
    run.run_job("migrate", None, &variables(&[("URL", "u")]), &[], "r1-h0-apply", &nobody).await.unwrap();
    let untold = run.run_job("migrate", None, &NOTHING, &[], "r2-h0-apply", &nobody).await.unwrap_err();
    assert!(matches!(untold, Error::Failed(_)), "{untold}");
    let bound = run.run_job("migrate", None, &variables(&[("DATABASE", "d")]), &[], "r3-h0-apply", &nobody).await;
    assert!(matches!(bound, Err(Error::Conflict(_))), "{bound:?}");
    google.assert_held_to_the_documents();
}
