//! What a registry asks for, from where `docker login` put it: the client's configuration, or the helper that it names.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as STANDARD;
use bollard::auth::DockerCredentials;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The name that logins to the default registry are kept under.
const DEFAULT_REGISTRY: &str = "https://index.docker.io/v1/";
/// A helper says so in place of a user where what follows is a token.
const TOKEN_USER: &str = "<token>";

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
pub async fn find(folder: Option<&Path>, reference: &str) -> Option<DockerCredentials> {
    let registry = registry(reference);
    let text = tokio::fs::read(folder_of_client(folder)?.join("config.json")).await.ok()?;
    let config: ClientConfig = serde_json::from_slice(&text).ok()?;
    if let Some(helper) = config.cred_helpers.get(registry).or(config.creds_store.as_ref())
        && let Some(found) = ask(helper, registry).await
    {
        return Some(found);
    }
    let (server, auth) = config.auths.into_iter().find(|(server, _)| server == registry || host(server) == registry)?;
    // An engine reads user and password, and not the two as the client's file has them.
    let (username, password) = auth.auth.as_deref().and_then(user_and_password).unzip();
    let known = username.is_some() || auth.identitytoken.is_some();
    known.then(|| DockerCredentials {
        username,
        password,
        identitytoken: auth.identitytoken,
        serveraddress: Some(server),
        ..Default::default()
    })
}

/// Of `base64(user:password)`.
fn user_and_password(auth: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(auth.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.trim_end_matches('\0').to_owned()))
}

fn folder_of_client(configured: Option<&Path>) -> Option<PathBuf> {
    let own = || std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker"));
    configured.map(Path::to_owned).or_else(own).or_else(home)
}

/// What comes before the first slash, where it can be a host.
fn registry(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => DEFAULT_REGISTRY,
    }
}

fn host(server: &str) -> &str {
    let bare = server.split_once("://").map_or(server, |(_, rest)| rest);
    bare.split('/').next().unwrap_or(bare)
}

async fn ask(helper: &str, registry: &str) -> Option<DockerCredentials> {
    // The name is part of a program's: no path.
    if helper.is_empty() || helper.contains('/') {
        return None;
    }
    let mut command = Command::new(format!("docker-credential-{helper}"));
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = command.spawn().ok()?;
    child.stdin.take()?.write_all(registry.as_bytes()).await.ok()?;
    let output = child.wait_with_output().await.ok().filter(|output| output.status.success())?;
    let Helped { username, secret } = serde_json::from_slice(&output.stdout).ok()?;
    let serveraddress = Some(registry.to_owned());
    Some(match username.as_str() {
        TOKEN_USER => DockerCredentials { identitytoken: Some(secret), serveraddress, ..Default::default() },
        _ => {
            DockerCredentials { username: Some(username), password: Some(secret), serveraddress, ..Default::default() }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_reference_names_its_registry() {
        assert_eq!(registry("127.0.0.1:5000/shop/web:1"), "127.0.0.1:5000");
        assert_eq!(registry("registry.example.org/shop/web@sha256:00"), "registry.example.org");
        assert_eq!(registry("shop/web:1"), DEFAULT_REGISTRY);
        assert_eq!(registry("web"), DEFAULT_REGISTRY);
    }

    #[tokio::test]
    async fn a_login_is_found_and_nobody_elses() {
        let folder = tempfile::tempdir().unwrap();
        let config = r#"{"auths":{"https://r.example.org/v2/":{"auth":"dTpw"},"empty.example.org":{}}}"#;
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        let found = find(Some(folder.path()), "r.example.org/shop:1").await.unwrap();
        assert_eq!((found.username.as_deref(), found.password.as_deref()), (Some("u"), Some("p")));
        assert!(find(Some(folder.path()), "empty.example.org/shop:1").await.is_none());
        assert!(find(Some(folder.path()), "shop:1").await.is_none());
        let helper = folder.path().join("docker-credential-none");
        std::fs::write(&helper, "").unwrap();
        std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(ask("../none", "r.example.org").await.is_none());
    }
}
