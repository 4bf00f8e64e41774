//! "Post-upgrade validation": the version, every service, queries, and an artifact.

use crate::Settings;
use upgraded_sdk::Request;
use upgraded_sdk::prelude::*;
use upgraded_sdk::serde_json::{Value, from_slice, json};

/// How often something is looked at that takes a while.
const LOOKS: u64 = 60;
const LOOK_EVERY_MS: u64 = 500;
const QUERY: &str = "{ InfrahubInfo { version } BuiltinTag { count edges { node { name } } } }";

struct Client<'a> {
    host: &'a ProductHost,
    settings: &'a Settings,
}

/// A finding for each check that failed.
pub fn validate(settings: &Settings, host: &ProductHost, release: &str) -> Result<Vec<Finding>> {
    let client = Client { host, settings };
    let mut findings = Vec::new();
    for (id, checked) in [
        ("version", client.version(release)),
        ("health", client.health()),
        ("graphql", client.queries(release)),
        ("artifact", client.artifact()),
    ] {
        match checked {
            Ok(()) => {}
            Err(error @ (Error::Denied(_) | Error::Cancelled)) => return Err(error),
            Err(error) => findings.push(Finding::blocker(id, error.text())),
        }
    }
    Ok(findings)
}

impl Client<'_> {
    fn version(&self, release: &str) -> Result<()> {
        let (_, config) = self.ask("GET", "/api/config", &Value::Null)?;
        right(config["version"] == release, || format!("{release} should run, and `/api/config` says {config}"))
    }

    /// Workers are there a moment after they were started.
    fn health(&self) -> Result<()> {
        let mut health = Value::Null;
        self.until("the workers", || {
            health = self.ask("GET", "/api/health", &Value::Null)?.1;
            Ok(["database", "cache", "workers"].iter().all(|part| health[part]["status"] == "ok"))
        })
        .map_err(|error| error.about(format!("`/api/health` says {health}")))
    }

    /// As many tags as the schema's summary says, before or after: users may make some meanwhile, and take none away.
    fn queries(&self, release: &str) -> Result<()> {
        let made = || -> Result<u64> {
            let (_, summary) = self.ask("GET", "/api/schema/summary", &Value::Null)?;
            Ok(summary["nodes"]["BuiltinTag"].as_u64().unwrap_or_default())
        };
        let before = made()?;
        let (_, answer) = self.ask("POST", "/graphql", &json!({ "query": QUERY }))?;
        let (info, tags) = (&answer["data"]["InfrahubInfo"], &answer["data"]["BuiltinTag"]);
        right(info["version"] == release, || format!("{release} should answer queries, and one is answered {answer}"))?;
        let named = |edge: &&Value| edge["node"]["name"].as_str().is_some_and(|name| !name.is_empty());
        let listed = tags["edges"].as_array().map(|edges| edges.iter().filter(named).count());
        let after = made()?;
        let listed = listed.and_then(|listed| u64::try_from(listed).ok()).unwrap_or_default();
        right((before..=after).contains(&listed) && tags["count"] == listed, || {
            format!("there should be {after} tags, and GraphQL counts {} and lists {listed}", tags["count"])
        })
    }

    /// What the task workers make of it now.
    fn artifact(&self) -> Result<()> {
        let path = format!("/api/artifacts/{}", self.settings.artifact);
        let (status, ordered) = self.ask("POST", &format!("{path}/generate"), &Value::Null)?;
        right(status == 202, || format!("`{path}` can't be generated: {status} {ordered}"))?;
        let mut artifact = Value::Null;
        self.until("the artifact", || {
            let (status, told) = self.ask("GET", &path, &Value::Null)?;
            artifact = told;
            right(status == 200, || format!("`{path}` is answered with {status}: {artifact}"))?;
            Ok(artifact["status"] == "ready")
        })
    }

    fn until(&self, what: &str, mut there: impl FnMut() -> Result<bool>) -> Result<()> {
        for look in 1..=LOOKS {
            if there()? {
                return Ok(());
            }
            if self.host.cancelled() {
                return Err(Error::Cancelled);
            }
            self.host.progress(look, Some(LOOKS), "looks", &format!("waiting for {what}"));
            self.host.pause(LOOK_EVERY_MS);
        }
        Err(Error::conflict(format!("{what} should be there within {} s", LOOKS * LOOK_EVERY_MS / 1000)))
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Result<(u16, Value)> {
        let request = Request::new(method, format!("{}{path}", self.settings.url))
            .header("content-type", "application/json")
            .secret_header("x-infrahub-key", "", &self.settings.token);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.host.http().send(&request.body(body))?;
        Ok((answer.status, from_slice(&answer.body).unwrap_or_default()))
    }
}

fn right(is: bool, why: impl FnOnce() -> String) -> Result<()> {
    if is { Ok(()) } else { Err(Error::conflict(why())) }
}
