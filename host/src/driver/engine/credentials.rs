//! What a registry asks for, from where `docker login` put it: the client's configuration, or the helper that it names.
//!
//! Nothing of what a helper or the configuration says is part of an error: it may be the secret.

use crate::model::VerbError;
use base64::Engine;
use base64::prelude::BASE64_STANDARD as STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use std::{env, io};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The name that logins to the default registry are kept under.
const DEFAULT_REGISTRY: &str = "https://index.docker.io/v1/";
/// As images name it, and as podman keeps logins to it.
const HUB: [&str; 2] = ["docker.io", "index.docker.io"];
/// A helper says so in place of a user where what follows is a token.
const TOKEN_USER: &str = "<token>";
/// What a helper says, as the protocol has it, where nobody logged in.
const NOBODY: &str = "credentials not found in native keychain";
/// A helper may ask somebody over a network.
const HELPED_WITHIN: Duration = Duration::from_secs(60);

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct ClientConfig {
    auths: BTreeMap<String, Auth>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    identitytoken: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped {
    username: String,
    secret: String,
}

/// None: nobody logged in to the registry of `reference`.
pub async fn find(folder: Option<&Path>, reference: &str) -> Result<Option<DockerCredentials>, VerbError> {
    find_by(folder, reference, env::var_os("PATH").as_deref()).await
}

/// `path`: where helpers are.
pub(super) async fn find_by(
    folder: Option<&Path>, reference: &str, path: Option<&OsStr>,
) -> Result<Option<DockerCredentials>, VerbError> {
    let registry = registry(reference);
    let Some(file) = folder_of_client(folder).map(|folder| folder.join("config.json")) else { return Ok(None) };
    let Some(config) = read(&file).await? else { return Ok(None) };
    let named = config.cred_helpers.get(registry).or(config.creds_store.as_ref());
    if let Some(helper) = named.filter(|helper| !helper.is_empty())
        && let Some(found) = ask(helper, registry, &file, path).await?
    {
        return Ok(Some(found));
    }
    let of_hub = |server: &str| registry == DEFAULT_REGISTRY && HUB.contains(&host(server));
    let is_its_own = |server: &str| server == registry || host(server) == registry || of_hub(server);
    let login = config.auths.into_iter().find(|(server, _)| is_its_own(server));
    let Some((server, auth)) = login else { return Ok(None) };
    // An engine reads user and password, and not the two as the client's file has them.
    let (username, password) = auth.auth.as_deref().and_then(user_and_password).unzip();
    let identitytoken = auth.identitytoken.filter(|token| !token.is_empty());
    let known = username.is_some() || identitytoken.is_some();
    Ok(known.then(|| DockerCredentials {
        username,
        password,
        identitytoken,
        serveraddress: Some(server),
        ..Default::default()
    }))
}

/// The name of the registry of an image: what comes before the first slash, where it can be a host.
pub fn registry(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((host, _)) if HUB.contains(&host) => DEFAULT_REGISTRY,
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => DEFAULT_REGISTRY,
    }
}

/// As it stands in the client's configuration.
pub fn for_client(login: &DockerCredentials) -> Value {
    let part = |part: &Option<String>| part.clone().unwrap_or_default();
    let auth = STANDARD.encode(format!("{}:{}", part(&login.username), part(&login.password)));
    match &login.identitytoken {
        Some(token) => json!({ "auth": auth, "identitytoken": token }),
        None => json!({ "auth": auth }),
    }
}

/// None where there is none.
async fn read(file: &Path) -> Result<Option<ClientConfig>, VerbError> {
    let text = match tokio::fs::read(file).await {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(VerbError::Denied(format!("`{}` can't be read: {error}", file.display()))),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        let (file, line, column) = (file.display(), error.line(), error.column());
        VerbError::Invalid(format!(
            "`{file}`, line {line}, column {column}: not the settings of Docker's client; `docker login` writes them"
        ))
    })
}

/// Of `base64(user:password)`.
fn user_and_password(auth: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(auth.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.trim_end_matches('\0').to_owned()))
}

/// Of the client's settings, as the client itself looks for it.
pub fn folder_of_client(configured: Option<&Path>) -> Option<PathBuf> {
    let own = || env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker"));
    configured.map(Path::to_owned).or_else(own).or_else(home)
}

fn host(server: &str) -> &str {
    let bare = server.split_once("://").map_or(server, |(_, rest)| rest);
    bare.split('/').next().unwrap_or(bare)
}

/// None: it knows of no login. `file` names it.
async fn ask(
    helper: &str, registry: &str, file: &Path, path: Option<&OsStr>,
) -> Result<Option<DockerCredentials>, VerbError> {
    let said_where = format!("which `{}` names for `{registry}`", file.display());
    if helper.contains('/') {
        let message = format!("`{helper}`, {said_where}, is a path: the end of the name of a `docker-credential-…`");
        return Err(VerbError::Invalid(format!("{message} would be right")));
    }
    let program = format!("docker-credential-{helper}");
    let mut command = Command::new(&program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    command.envs(path.map(|path| ("PATH", path)));
    let mut child = command.spawn().map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::NotFound => "is not in the daemon's `PATH`".to_owned(),
            _ => format!("can't be run: {error}"),
        };
        VerbError::Denied(format!("the credential helper `{program}`, {said_where}, {why}"))
    })?;
    let talk = async {
        if let Some(mut stdin) = child.stdin.take() {
            // One that ends before it has read says why by its status.
            let _ = stdin.write_all(registry.as_bytes()).await;
        }
        child.wait_with_output().await
    };
    let failed = |how: String| {
        VerbError::Denied(format!(
            "the credential helper `{program}`, {said_where}, {how}; `echo {registry} | {program} get` with the daemon's \
             account shows why"
        ))
    };
    let output = tokio::time::timeout(HELPED_WITHIN, talk).await;
    let output = output.map_err(|_| failed("does not answer".into()))?;
    let output = output.map_err(|error| failed(format!("broke: {error}")))?;
    if !output.status.success() {
        let nobody = String::from_utf8_lossy(&output.stdout).contains(NOBODY);
        return if nobody { Ok(None) } else { Err(failed(format!("ended with {}", output.status))) };
    }
    let Ok(Helped { username, secret }) = serde_json::from_slice(&output.stdout) else {
        return Err(failed("answers what is no login".into()));
    };
    let serveraddress = Some(registry.to_owned());
    Ok(Some(match username.as_str() {
        TOKEN_USER => DockerCredentials { identitytoken: Some(secret), serveraddress, ..Default::default() },
        _ => {
            DockerCredentials { username: Some(username), password: Some(secret), serveraddress, ..Default::default() }
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_names_its_registry() {
        assert_eq!(registry("127.0.0.1:5000/shop/web:1"), "127.0.0.1:5000");
        assert_eq!(registry("registry.example.org/shop/web@sha256:00"), "registry.example.org");
        assert_eq!(registry("shop/web:1"), DEFAULT_REGISTRY);
        assert_eq!(registry("web"), DEFAULT_REGISTRY);
        assert_eq!(registry("docker.io/shop/web:1"), DEFAULT_REGISTRY);
    }

    #[tokio::test]
    async fn a_login_is_found_and_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let config = r#"{"auths":{"https://r.example.org/v2/":{"auth":"dTpw"},"empty.example.org":{}}}"#;
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let found = find(Some(folder.path()), "r.example.org/shop:1").await.unwrap().unwrap();
        assert_eq!((found.username.as_deref(), found.password.as_deref()), (Some("u"), Some("p")));
        assert_eq!(for_client(&found), json!({ "auth": "dTpw" }));
        assert!(find(Some(folder.path()), "empty.example.org/shop:1").await.unwrap().is_none());
        assert!(find(Some(folder.path()), "shop:1").await.unwrap().is_none());
        assert!(find(Some(&folder.path().join("none")), "shop:1").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_login_to_the_hub_is_found_whatever_images_call_it() {
        let folder = tempfile::tempdir().unwrap();
        for server in ["https://index.docker.io/v1/", "docker.io"] {
            let config = format!(r#"{{"auths":{{"alpha":{{"auth":"YTpi"}},"{server}":{{"auth":"dTpw"}}}}}}"#);
            std::fs::write(folder.path().join("config.json"), config).unwrap();
            for image in ["docker.io/acme/shop:1", "index.docker.io/acme/shop:1", "acme/shop:1", "shop:1"] {
                let found = find(Some(folder.path()), image).await.unwrap().unwrap();
                assert_eq!(found.username.as_deref(), Some("u"), "{server}, {image}");
            }
        }
    }

    #[tokio::test]
    async fn settings_that_are_none_say_where_and_not_what() {
        let folder = tempfile::tempdir().unwrap();
        let with = |config: &str| std::fs::write(folder.path().join("config.json"), config).unwrap();
        with("{\"auths\":\n\"s3cr3t\"}");
        let why = find(Some(folder.path()), "shop:1").await.unwrap_err().to_string();
        assert!(why.contains("config.json`, line 2, column ") && !why.contains("s3cr3t"), "{why}");
        with(r#"{"credHelpers":{"r.example.org":"../none"}}"#);
        let why = find(Some(folder.path()), "r.example.org/shop:1").await.unwrap_err().to_string();
        assert!(why.contains("is a path"), "{why}");
        with(r#"{"credsStore":"no-such-helper"}"#);
        let why = find(Some(folder.path()), "r.example.org/shop:1").await.unwrap_err().to_string();
        assert!(why.contains("`docker-credential-no-such-helper`") && why.contains("`PATH`"), "{why}");
    }
}
