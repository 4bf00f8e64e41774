//! A client of HTTP and JSON, and what the stories of the tests begin with.

use scratch_google::{Google, Image, Response};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub const PLACE: &str = "/v2/projects/acme/locations/europe-west1";
pub const PATIENCE: Duration = Duration::from_secs(120);

pub struct Client {
    pub http: reqwest::Client,
    pub url: String,
    pub token: String,
}

pub struct Answer {
    pub status: u16,
    pub body: Value,
    pub retry_after: Option<String>,
}

impl Client {
    pub fn of(google: &Google) -> Self {
        Self { http: http(), url: google.url().to_owned(), token: google.token() }
    }

    /// Nothing: the connection was closed.
    pub async fn try_ask(&self, method: &str, path: &str, body: Option<Value>) -> Option<Answer> {
        let method = method.parse().unwrap();
        let mut request = self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.ok()?;
        let retry_after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        Some(Answer { status: response.status().as_u16(), body: response.json().await.unwrap(), retry_after })
    }

    pub async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.try_ask(method, path, body).await.unwrap_or_else(|| panic!("{method} {path}: no answer"))
    }

    pub async fn get(&self, path: &str) -> Value {
        self.good("GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Value {
        self.good("POST", path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Value {
        self.good("PATCH", path, Some(body)).await
    }

    pub async fn good(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let answer = self.ask(method, path, body).await;
        assert_eq!(answer.status, 200, "{method} {path}: {:#}", answer.body);
        answer.body
    }

    /// The operation's end, by asking again and again.
    pub async fn ended(&self, operation: Value) -> Value {
        let begun = Instant::now();
        let mut operation = operation;
        while operation["done"] != true {
            assert!(begun.elapsed() < PATIENCE, "it does not end: {operation:#}");
            tokio::time::sleep(Duration::from_millis(5)).await;
            operation = self.get(&format!("/v2/{}", operation["name"].as_str().unwrap())).await;
        }
        operation
    }

    pub async fn response(&self, operation: Value) -> Value {
        let operation = self.ended(operation).await;
        assert!(operation["response"].is_object(), "{operation:#}");
        operation["response"].clone()
    }

    /// The same for Cloud SQL.
    pub async fn sql_ended(&self, operation: Value) -> Value {
        let begun = Instant::now();
        let mut operation = operation;
        while operation["status"] != "DONE" {
            assert!(begun.elapsed() < PATIENCE, "it does not end: {operation:#}");
            tokio::time::sleep(Duration::from_millis(5)).await;
            let name = operation["name"].as_str().unwrap();
            operation = self.get(&format!("/v1/projects/acme/operations/{name}")).await;
        }
        operation
    }

    /// A service of this image, ready.
    pub async fn service(&self, id: &str, image: &str) -> Value {
        let body = json!({ "template": { "containers": [{ "image": image }] } });
        let operation = self.post(&format!("{PLACE}/services?serviceId={id}"), body).await;
        self.response(operation).await
    }

    pub async fn text(&self, url: &str) -> (u16, String) {
        let response = self.http.get(url).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

/// One project with images `app:1` to `app:3`, each of which says its number.
pub fn start() -> (Google, Client) {
    let google = Google::start("acme");
    for version in ["1", "2", "3"] {
        let program = Image::server(move |environment, request| {
            let revision = environment.variables["K_REVISION"].clone();
            Response::json(&json!({ "version": version, "revision": revision, "path": request.path }))
        });
        google.push(&format!("app:{version}"), program);
    }
    let client = Client::of(&google);
    (google, client)
}

pub fn http() -> reqwest::Client {
    // Another test may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::new()
}

/// The template of a patch.
pub fn template(image: &str) -> Value {
    json!({ "template": { "containers": [{ "image": image }] } })
}

pub fn short(name: &Value) -> String {
    name.as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}
