//! The published smoke tests, as a client from outside with a session.

use crate::Settings;
use upgraded_sdk::prelude::*;
use upgraded_sdk::serde_json::{self, Value, json};
use upgraded_sdk::{Request, Response};

/// How often the observability panel is looked at until the workflow's run is through.
const LOOKS: u64 = 120;
const LOOK_EVERY_MS: u64 = 500;
/// What is not whole yet answers so.
const STARTING: u16 = 503;

struct Client<'a> {
    host: &'a ProductHost,
    settings: &'a Settings,
    token: String,
    /// Of the workflow.
    run: Value,
}

type Step = fn(&mut Client, &str) -> Result<()>;
const STEPS: [(&str, Step); 6] = [
    ("health", |client, release| client.is_running(release)),
    ("login", |client, _| client.log_in()),
    ("workbench", |client, _| client.trigger("/api/workbench/agents", "run", 1).map(drop)),
    ("workflow", |client, _| client.run_a_workflow()),
    ("observability", |client, _| client.find_the_run()),
    ("models", |client, _| client.trigger("/api/models", "test", usize::MAX).map(drop)),
];

/// Each step that failed is a finding; without a session those after it can't be tried.
pub fn test(settings: &Settings, host: &ProductHost, release: &str) -> Result<Vec<Finding>> {
    let mut client = Client { host, settings, token: String::new(), run: Value::Null };
    let mut findings = Vec::new();
    for (id, step) in STEPS {
        match step(&mut client, release) {
            Ok(()) => {}
            Err(error @ (Error::Denied(_) | Error::Cancelled)) => return Err(error),
            Err(error) => findings.push(Finding::blocker(id, error.text())),
        }
        if id == "login" && client.token.is_empty() {
            break;
        }
    }
    Ok(findings)
}

impl Client<'_> {
    /// The way to a service that stands may take a moment to be there, and the service one to reach its databases.
    fn is_running(&self, release: &str) -> Result<()> {
        let mut looks = 1;
        loop {
            match self.ask("GET", "/health") {
                Err(Error::Unavailable(_)) if looks < LOOKS && !self.host.cancelled() => self.host.pause(LOOK_EVERY_MS),
                Ok(told) if told["version"] == release => return Ok(()),
                Ok(told) => return Err(Error::conflict(format!("{release} should run, and `/health` says {told}"))),
                Err(error) => return Err(error),
            }
            looks += 1;
        }
    }

    fn log_in(&mut self) -> Result<()> {
        let login = Request::new("POST", format!("{}/api/login", self.settings.url))
            .header("content-type", "application/json")
            .secret_header("x-evose-password", "", &self.settings.password)
            .body(json!({ "user": self.settings.user }).to_string());
        let token = self.send(&login)?["token"].as_str().map(str::to_owned);
        self.token = token.ok_or_else(|| Error::conflict("a login is answered without a token"))?;
        Ok(())
    }

    fn run_a_workflow(&mut self) -> Result<()> {
        self.run = self.trigger("/api/workflows", "run", 1)?["run"].take();
        Ok(())
    }

    /// Up to `most` of what `path` lists; the last one's answer.
    fn trigger(&self, path: &str, verb: &str, most: usize) -> Result<Value> {
        let (listed, mut answer) = (self.ask("GET", path)?, None);
        for id in listed.as_array().into_iter().flatten().filter_map(|entry| entry["id"].as_str()).take(most) {
            answer = Some(self.ask("POST", &format!("{path}/{id}/{verb}"))?);
        }
        answer.ok_or_else(|| Error::conflict(format!("`{path}` lists nothing")))
    }

    /// The workflow's run must come through; where none was begun, some run must be there.
    fn find_the_run(&self) -> Result<()> {
        if self.ask("GET", "/api/observability/runs")?["count"].as_u64().unwrap_or_default() == 0 {
            return Err(Error::conflict("the observability panel shows no run"));
        }
        for look in 1..=LOOKS {
            let is_through = |answer: Value| answer["status"] == "done";
            if self.run.is_null() || is_through(self.ask("GET", &format!("/api/observability/runs/{}", self.run))?) {
                return Ok(());
            }
            if self.host.cancelled() {
                return Err(Error::Cancelled);
            }
            self.host.progress(look, Some(LOOKS), "looks", "the workflow's run is not through");
            self.host.pause(LOOK_EVERY_MS);
        }
        let seconds = LOOKS * LOOK_EVERY_MS / 1000;
        Err(Error::conflict(format!("the workflow's run {} is not through after {seconds} s", self.run)))
    }

    fn ask(&self, method: &str, path: &str) -> Result<Value> {
        let request = Request::new(method, format!("{}{path}", self.settings.url));
        self.send(&match self.token.as_str() {
            "" => request,
            token => request.header("authorization", format!("Bearer {token}")),
        })
    }

    /// The JSON of an answer that is a success.
    fn send(&self, request: &Request) -> Result<Value> {
        let asked = format!("`{} {}`", request.method, request.url);
        match self.host.http().send(request)? {
            Response { status: 200..300, body, .. } => serde_json::from_slice(&body)
                .map_err(|error| Error::conflict(format!("{asked} is not answered in JSON: {error}"))),
            Response { status, body, .. } => {
                let why = format!("{asked} is answered with {status}: {}", String::from_utf8_lossy(&body));
                Err(if status == STARTING { Error::Unavailable(why) } else { Error::conflict(why) })
            }
        }
    }
}
