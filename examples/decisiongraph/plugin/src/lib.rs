//! What the vendor of DecisionGraph ships for `upgraded`: the published procedure for one node, one PostgreSQL database
//! and a deployment from source, as code.

mod notes;

use schemars::JsonSchema;
use serde::Deserialize;
use upgraded_sdk::Request;
use upgraded_sdk::prelude::*;
use upgraded_sdk::rules::Version;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Settings {
    /// Where the runtime listens, for example `http://127.0.0.1:4000`; list it under `http` as well.
    url: String,
    /// A token of the API, and one of an administrator.
    token: Secret,
    admin_token: Secret,
    /// Services that let users in, for example a reverse proxy; without one they are in as soon as the runtime runs.
    #[serde(default)]
    gate: Vec<String>,
}

struct DecisionGraph;

impl Product for DecisionGraph {
    type Settings = Settings;
    const NAME: &'static str = "decisiongraph";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn releases(_: &Call<Settings>, host: &ProductHost) -> Result<Vec<Release>> {
        let tags = host.checkout().releases()?;
        Ok(tags.iter().filter_map(|(tag, _)| tag.strip_prefix('v')).map(Release::new).collect())
    }

    /// A tag's version, or the SHA of what no tag names.
    fn detect(_: &Call<Settings>, host: &ProductHost) -> Result<Installed> {
        match host.checkout().active()? {
            Some((commit, tag)) => {
                let version = tag.as_deref().and_then(|tag| tag.strip_prefix('v')).unwrap_or(&commit);
                Ok(Installed::new(version))
            }
            None => Err(Error::not_found("no release is checked out")),
        }
    }

    /// One hop from any release to any later one.
    fn path(call: &Call<Settings>, host: &ProductHost, installed: &Installed, wanted: &str) -> Result<Vec<Hop>> {
        let from = installed.version.as_str();
        if from == wanted {
            return Ok(Vec::new());
        }
        if let (Some(old), Some(new)) = (Version::parse(from), Version::parse(wanted))
            && new < old
        {
            let rule = "a downgrade is a restore of the backup taken before the upgrade, not a path";
            return Err(Error::invalid(format!("`{wanted}` is older than `{from}`: {rule}")));
        }
        let tag = if Version::parse(wanted).is_some() { format!("v{wanted}") } else { wanted.into() };
        let commit = host.checkout().fetch(&tag)?;
        if tag == wanted {
            by_its_name(host, wanted, &commit)?;
        }
        let changes = notes::between(&release_notes(host, &commit)?, from, wanted);

        let runtime = call.service("runtime")?;
        let once = |task: &str| Once::new(runtime.clone(), [task]).repeatable();
        let mut hop = Hop::new(from, wanted)
            .act(once("migrate").success("(?i)migrat"))
            .act(Wave::new([runtime.clone()]))
            .quiesce([runtime.clone()])
            .gate(call.services(&call.settings.gate)?);
        hop.notes = changes.lines;
        // "Do not use this shortcut when the database migration itself is suspect."
        if !changes.migrations {
            if !changes.projections {
                hop = hop.undo(Undo::CodeOnly);
            }
            hop = hop.undo(Undo::Rebuild(once("rebuild-projections")));
        }
        Ok(vec![hop.undo(Undo::RestoreData)])
    }

    /// "If those checks fail, do not continue normal traffic."
    fn verify(call: &Call<Settings>, host: &ProductHost, release: &str) -> Result<Vec<Finding>> {
        let (url, mut findings) = (&call.settings.url, Vec::new());
        let bearer = |request: Request, secret| request.secret_header("authorization", "Bearer ", secret);
        let get = |path: &str| Request::get(format!("{url}{path}"));
        let replay = Request::new("POST", format!("{url}/api/v1/admin/replays"))
            .header("content-type", "application/json")
            .body(r#"{"dry_run":true}"#);
        let checks = [
            ("health", get("/api/healthz"), 200),
            ("projections", bearer(get("/api/v1/projections/health"), &call.settings.token), 200),
            ("console", get("/console"), 200),
            ("replay-admission", bearer(replay, &call.settings.admin_token), 202),
            ("traces", bearer(get("/api/v1/traces"), &call.settings.token), 200),
            ("workflows", bearer(get("/api/v1/workflows"), &call.settings.token), 200),
        ];
        for (id, request, expected) in checks {
            let (what, answer) = (format!("{} {}", request.method, request.url), host.http().send(&request));
            match answer {
                Ok(answer) if answer.status == expected => {
                    if id == "health" && Version::parse(release).is_some() && !answer.text().contains(release) {
                        findings.push(Finding::blocker(
                            "release",
                            format!("{release} should run, and `{what}` says {}", answer.text()),
                        ));
                    }
                }
                Ok(answer) => {
                    let (status, text) = (answer.status, answer.text());
                    findings.push(Finding::blocker(
                        id,
                        format!("`{what}` is answered with {status}, not {expected}: {text}"),
                    ));
                }
                Err(error @ (Error::Denied(_) | Error::Cancelled)) => return Err(error),
                Err(error) => findings.push(Finding::blocker(id, error.text())),
            }
        }
        Ok(findings)
    }
}

/// A commit that is known by another name afterwards would never be what the file says.
fn by_its_name(host: &ProductHost, wanted: &str, commit: &str) -> Result<()> {
    let tags = host.checkout().releases()?;
    let version = tags.iter().find(|(_, tagged)| tagged == commit).and_then(|(tag, _)| tag.strip_prefix('v'));
    match version {
        Some(version) => Err(Error::invalid(format!("`{wanted}` is the release {version}: write `{version}`"))),
        None if wanted != commit => {
            Err(Error::invalid(format!("`{wanted}` may name another commit one day: write `{commit}`")))
        }
        None => Ok(()),
    }
}

/// `docs/release.md` of the target; nothing where there is none.
fn release_notes(host: &ProductHost, commit: &str) -> Result<String> {
    match host.checkout().read_text(commit, "docs/release.md") {
        Err(Error::NotFound(_)) => Ok(String::new()),
        read => read,
    }
}

upgraded_sdk::export!(product DecisionGraph);

#[cfg(test)]
mod tests;
