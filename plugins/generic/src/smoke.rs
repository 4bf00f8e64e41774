//! Looks at the product as a client from outside would.

use crate::settings::{Check, Settings, Status};
use crate::{detect, field};
use regex_lite::Regex;
use serde_json::Value;
use upgraded_sdk::prelude::*;
use upgraded_sdk::rules::Version;
use upgraded_sdk::{Request, Response};

pub fn verify(settings: &Settings, host: &ProductHost, release: &str) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    if let Some(url) = &settings.health {
        let request = request(settings, "GET", url);
        let healthy = persist(settings, host, || {
            let response = host.http().send(&request)?;
            status(&response, None, false)
        });
        findings.extend(noticed("health", &format!("`{url}`"), healthy)?);
    }
    if let Some(url) = &settings.version_url {
        let right = persist(settings, host, || {
            // The tries are counted here, and not once more there.
            let running = detect::running(&Settings { attempts: 1, ..settings.clone() }, host, url)?;
            let same = running == release || (crate::path::is_commit(release) && release.starts_with(&running));
            if same { Ok(()) } else { Err(Error::conflict(format!("`{running}` runs and not `{release}`"))) }
        });
        findings.extend(noticed("version", "the version", right)?);
    }
    for check in settings.checks.iter().filter(|check| applies(check, release)) {
        let passed = persist(settings, host, || once(settings, host, check, release));
        findings.extend(noticed(&id(check), &format!("the check `{}`", check.name), passed)?);
    }
    Ok(findings)
}

/// What is wrong with the settings themselves, so that it shows before a run.
pub fn mistakes(settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    if settings.health.is_none() && settings.checks.is_empty() && settings.version_url.is_none() {
        let message = "nothing says whether the product stands: a release that starts and does not work is admitted";
        findings
            .push(Finding::warning("no-checks", message).hint("add `health`, `version-url` or `[[settings.checks]]`"));
    }
    for check in &settings.checks {
        if let Some(Err(error)) = check.expect.pattern.as_deref().map(|pattern| compile(pattern, "0.0.0")) {
            findings.push(Finding::blocker(id(check), format!("the check `{}`: {}", check.name, error.text())));
        }
        if check.body.is_some() && check.json.is_some() {
            let message = format!("the check `{}` has both a `body` and `json`", check.name);
            findings.push(Finding::blocker(id(check), message).hint("a request has one body"));
        }
    }
    findings
}

pub fn request(settings: &Settings, method: &str, url: &str) -> Request {
    Request { timeout_ms: settings.timeout_ms, ..Request::new(method, url) }
}

/// Tries until it succeeds or all attempts are spent; the last failure counts. What is denied stays denied.
pub fn persist<T>(settings: &Settings, host: &ProductHost, mut work: impl FnMut() -> Result<T>) -> Result<T> {
    let attempts = settings.attempts.max(1);
    for attempt in 1..attempts {
        match work() {
            Err(Error::Unavailable(_) | Error::Timeout | Error::Conflict(_) | Error::Other(_)) => {}
            decided => return decided,
        }
        if host.cancelled() {
            return Err(Error::Cancelled);
        }
        host.progress(attempt.into(), Some(attempts.into()), "tries", "not yet right");
        host.pause(settings.pause_ms);
    }
    work()
}

/// A finding for what failed; only a cancellation ends the verification.
fn noticed(id: &str, what: &str, outcome: Result<()>) -> Result<Option<Finding>> {
    match outcome {
        Ok(()) => Ok(None),
        Err(Error::Cancelled) => Err(Error::Cancelled),
        Err(error) => Ok(Some(Finding::blocker(id, format!("{what}: {}", error.text())))),
    }
}

fn id(check: &Check) -> String {
    let name = check.name.to_lowercase();
    let words: Vec<&str> = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    format!("check-{}", words.join("-"))
}

fn applies(check: &Check, release: &str) -> bool {
    let Some(release) = Version::parse(release) else { return true };
    let bound = |text: &Option<String>| text.as_deref().and_then(Version::parse);
    bound(&check.since).is_none_or(|since| release >= since) && bound(&check.until).is_none_or(|until| release < until)
}

fn once(settings: &Settings, host: &ProductHost, check: &Check, release: &str) -> Result<()> {
    let fill = |text: &str| text.replace("{version}", release);
    let mut request = request(settings, &check.method.to_uppercase(), &fill(&check.url));
    for (name, value) in &check.headers {
        request = request.header(name, fill(value));
    }
    if let Some(secret) = &check.authorization {
        request = request.secret_header("Authorization", &check.authorization_prefix, secret);
    }
    for (name, secret) in &check.secret_headers {
        request = request.secret_header(name, "", secret);
    }
    if let Some(json) = &check.json {
        request = request.header("Content-Type", "application/json").body(field::fill(json, release).to_string());
    } else if let Some(body) = &check.body {
        request = request.body(fill(body));
    }
    let asked_with_secrets = !request.secret_headers.is_empty();
    answers(check, &host.http().send(&request)?, release, asked_with_secrets)
}

fn answers(check: &Check, response: &Response, release: &str, secret: bool) -> Result<()> {
    status(response, check.expect.status.as_ref(), secret)?;
    for (name, wanted) in &check.expect.headers {
        let wanted = wanted.replace("{version}", release);
        let there = response.header(name);
        if there != Some(wanted.as_str()) {
            let there = there.map_or("not there".into(), |there| format!("`{there}`"));
            return Err(Error::conflict(format!("the header `{name}` is {there}, and should be `{wanted}`")));
        }
    }
    let text = response.text();
    if !check.expect.json.is_empty() {
        let value: Value =
            serde_json::from_str(&text).map_err(|e| Error::conflict(format!("the answer is no JSON: {e}")))?;
        for (name, wanted) in &check.expect.json {
            let wanted = field::fill(wanted, release);
            match field::find(&value, name) {
                Some(there) if field::holds(there, &wanted) => {}
                Some(there) => {
                    let there = shortened(&there.to_string());
                    return Err(Error::conflict(format!("the field `{name}` is {there}, and should be {wanted}")));
                }
                None => return Err(Error::conflict(format!("there is no field `{name}`, and it should be {wanted}"))),
            }
        }
    }
    match &check.expect.pattern {
        Some(pattern) if !compile(pattern, release)?.is_match(&text) => {
            Err(Error::conflict(format!("the answer does not fit `{pattern}`{}", excerpt(&text, secret))))
        }
        _ => Ok(()),
    }
}

fn status(response: &Response, wanted: Option<&Status>, secret: bool) -> Result<()> {
    let (fits, wanted) = match wanted {
        None => ((200..300).contains(&response.status), "2xx".to_owned()),
        Some(Status::One(status)) => (response.status == *status, status.to_string()),
        Some(Status::OneOf(any)) => {
            (any.contains(&response.status), any.iter().map(u16::to_string).collect::<Vec<_>>().join(" or "))
        }
    };
    if fits {
        return Ok(());
    }
    let excerpt = excerpt(&response.text(), secret);
    Err(Error::conflict(format!("it answers {}, and should answer {wanted}{excerpt}", response.status)))
}

/// What the answer to a request with secrets says is nobody's to read: it may hold a token.
fn excerpt(text: &str, secret: bool) -> String {
    match text.lines().find(|line| !line.trim().is_empty()) {
        Some(line) if !secret => format!(": {}", shortened(line.trim())),
        _ => String::new(),
    }
}

fn shortened(text: &str) -> String {
    let short: String = text.chars().take(160).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

/// The version is meant literally, whatever a pattern's characters mean.
fn compile(pattern: &str, release: &str) -> Result<Regex> {
    let filled = pattern.replace("{version}", &regex_lite::escape(release));
    Regex::new(&filled).map_err(|e| Error::invalid(format!("`{pattern}` is no regular expression: {e}")))
}
