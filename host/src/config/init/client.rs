//! Which engine the operator's client speaks to. Docker's is chosen as the client chooses: `DOCKER_HOST`, `DOCKER_CONTEXT`, or
//! the context that its settings name.

use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

const DEFAULT: &str = "default";

/// The client speaks to an engine that can't be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the engine's client here speaks to `{host}` ({by}), {why}")]
pub struct Unusable {
    host: String,
    by: String,
    why: &'static str,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Settings {
    current_context: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Context {
    endpoints: Endpoints,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: Endpoint,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    host: String,
}

/// The socket; none where nothing names one. `variable`: of the environment.
pub fn engine(variable: impl Fn(&str) -> Option<String>) -> Result<Option<PathBuf>, Unusable> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if let Some(host) = set("DOCKER_HOST") {
        return socket(host, "DOCKER_HOST".into()).map(Some);
    }
    let home = || set("HOME").map(|home| Path::new(&home).join(".docker"));
    let Some(folder) = set("DOCKER_CONFIG").map(PathBuf::from).or_else(home) else { return Ok(None) };
    let settings = || -> Option<Settings> { serde_json::from_slice(&fs::read(folder.join("config.json")).ok()?).ok() };
    let (name, by) = match set("DOCKER_CONTEXT") {
        Some(name) => (name, "DOCKER_CONTEXT"),
        None => (settings().unwrap_or_default().current_context, "currentContext"),
    };
    if name.is_empty() || name == DEFAULT {
        return Ok(None);
    }
    let by = format!("{by}, the context `{name}`");
    match host_of(&folder, &name) {
        Some(host) => socket(host, by).map(Some),
        None => Err(Unusable { host: name, by, why: "of which its settings say nothing" }),
    }
}

/// podman's, which `CONTAINER_HOST` names, or which the operator's own podman listens on.
pub fn podman(variable: impl Fn(&str) -> Option<String>) -> Result<Option<PathBuf>, Unusable> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if let Some(host) = set("CONTAINER_HOST") {
        return socket(host, "CONTAINER_HOST".into()).map(Some);
    }
    let own = set("XDG_RUNTIME_DIR").map(|folder| Path::new(&folder).join("podman/podman.sock"));
    Ok(own.filter(|socket| socket.exists()))
}

fn host_of(folder: &Path, context: &str) -> Option<String> {
    let digest: String = Sha256::digest(context).iter().map(|byte| format!("{byte:02x}")).collect();
    let file = folder.join("contexts/meta").join(digest).join("meta.json");
    let context: Context = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
    Some(context.endpoints.docker.host)
}

fn socket(host: String, by: String) -> Result<PathBuf, Unusable> {
    match host.strip_prefix("unix://").map(Path::new) {
        Some(path) if path.is_absolute() => Ok(path.to_owned()),
        _ => Err(Unusable {
            host,
            by,
            why: "an engine on another machine: its volumes and addresses are not on this one",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of the client's settings, with the contexts `rootless` and `far`.
    fn settings(current: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), format!(r#"{{"currentContext":"{current}","auths":{{}}}}"#))
            .unwrap();
        // `docker context create` names the folders by the digests of the names.
        for (name, host) in [("rootless", "unix:///run/user/1000/docker.sock"), ("far", "ssh://ops@db.example.com")] {
            let digest: String = Sha256::digest(name).iter().map(|byte| format!("{byte:02x}")).collect();
            let place = folder.path().join("contexts/meta").join(digest);
            fs::create_dir_all(&place).unwrap();
            let endpoint = format!(r#"{{"Host":"{host}","SkipTLSVerify":false}}"#);
            let meta = format!(r#"{{"Name":"{name}","Metadata":{{}},"Endpoints":{{"docker":{endpoint}}}}}"#);
            fs::write(place.join("meta.json"), meta).unwrap();
        }
        folder
    }

    #[test]
    fn the_engine_is_the_one_that_the_client_speaks_to() {
        let chosen = |current: &str, more: &[(&str, &str)]| {
            let folder = settings(current);
            let config = folder.path().display().to_string();
            let all = [more, &[("DOCKER_CONFIG", &*config)]].concat();
            engine(|name| all.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        };
        let rootless = || Ok(Some("/run/user/1000/docker.sock".into()));
        assert_eq!(chosen("", &[]), Ok(None));
        assert_eq!(chosen("default", &[]), Ok(None));
        assert_eq!(chosen("rootless", &[]), rootless());
        assert_eq!(chosen("far", &[("DOCKER_CONTEXT", "rootless")]), rootless());
        assert_eq!(chosen("far", &[("DOCKER_CONTEXT", "default")]), Ok(None));
        let host = [("DOCKER_HOST", "unix:///run/a.sock"), ("DOCKER_CONTEXT", "far")];
        assert_eq!(chosen("far", &host), Ok(Some("/run/a.sock".into())));
        for (current, more, words) in [
            (
                "far",
                &[][..],
                "`ssh://ops@db.example.com` (currentContext, the context `far`), an engine on another machine",
            ),
            ("rootless", &[("DOCKER_CONTEXT", "far")], "(DOCKER_CONTEXT, the context `far`)"),
            ("", &[("DOCKER_HOST", "tcp://10.0.0.1:2376")], "`tcp://10.0.0.1:2376` (DOCKER_HOST)"),
            ("lost", &[], "`lost` (currentContext, the context `lost`), of which its settings say nothing"),
        ] {
            let why = chosen(current, more).unwrap_err().to_string();
            assert!(why.contains(words), "{why}");
        }
    }

    #[test]
    fn an_ordinary_users_podman_is_taken_where_it_listens() {
        let runtime = tempfile::tempdir().unwrap();
        let (folder, own) = (runtime.path().display().to_string(), runtime.path().join("podman/podman.sock"));
        let ask = |name: &str| (name == "XDG_RUNTIME_DIR").then(|| folder.clone());
        assert_eq!(podman(ask), Ok(None));
        fs::create_dir(runtime.path().join("podman")).unwrap();
        fs::write(&own, "").unwrap();
        assert_eq!(podman(ask), Ok(Some(own)));
        let host = |url: &'static str| podman(move |name| (name == "CONTAINER_HOST").then(|| url.to_owned()));
        assert_eq!(host("unix:///run/podman/podman.sock"), Ok(Some("/run/podman/podman.sock".into())));
        assert!(host("ssh://core@far").is_err());
    }

    #[test]
    fn a_machine_without_settings_has_none() {
        assert_eq!(engine(|_| None), Ok(None));
        assert_eq!(engine(|name| (name == "HOME").then(|| "/nonexistent".into())), Ok(None));
    }
}
