//! The verbs against the double of Google's API, with what goes wrong there.

#![allow(clippy::unwrap_used, reason = "a test")]

mod login;
mod services;
mod sql;
mod trouble;
mod variables;

use scratch_google::{Google, Image, Response};
use std::time::{Duration, Instant};
use upgraded_google::{CloudRun, CloudSql, Login, Place, Variables};

const REGION: &str = "europe-west1";
const REGISTRY: &str = "europe-docker.pkg.dev/acme/apps";
/// No variable is named.
static NOTHING: Variables = Variables::new();
const PATIENCE: Duration = Duration::from_secs(60);

/// A project with the images `app:1` to `app:4`; each answers its version.
fn start() -> (Google, Place) {
    // Another test may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let google = Google::start("acme");
    for version in ["1", "2", "3", "4"] {
        google.push(&image(version), Image::server(move |_, _| Response::text(200, version)));
    }
    let key = google.account("upgraded", "acme").json().to_string();
    let place = place(&google, Login::Key(key));
    (google, place)
}

fn place(google: &Google, login: Login) -> Place {
    Place { project: "acme".into(), region: REGION.into(), login, endpoint: Some(google.url().into()) }
}

/// The same, and the service `web` runs version 1.
fn with_web() -> (Google, CloudRun) {
    let (google, place) = start();
    google.deploy(&full("web"), &image("1"));
    (google, CloudRun::new(place))
}

async fn with_instance() -> (Google, CloudSql) {
    let (google, place) = start();
    make_instance(&google, "main").await;
    (google, CloudSql::new(place, "main"))
}

async fn make_instance(google: &Google, name: &str) {
    let body = format!("{{\"name\":\"{name}\",\"settings\":{{\"tier\":\"db-custom-1-3840\"}}}}");
    let url = format!("{}/v1/projects/acme/instances", google.url());
    let client = reqwest::Client::new();
    let request = client.post(&url).bearer_auth(google.token()).header("content-type", "application/json").body(body);
    assert!(request.send().await.unwrap().status().is_success());
    let begun = Instant::now();
    loop {
        let get = client.get(format!("{url}/{name}")).bearer_auth(google.token()).send().await.unwrap();
        if get.text().await.unwrap().contains("RUNNABLE") {
            return;
        }
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn image(version: &str) -> String {
    format!("{REGISTRY}/app:{version}")
}

fn full(service: &str) -> String {
    format!("projects/acme/locations/{REGION}/services/{service}")
}

/// What a user gets.
async fn answered(run: &CloudRun, service: &str) -> (u16, String) {
    let answer = run.ask(service, false, "/").await.unwrap();
    (answer.status, String::from_utf8(answer.body).unwrap())
}

fn nobody(_: &str) {}
