//! Images on a real engine, from a real registry; and the health of its containers.

use super::images::Images;
use super::{Engine, Health, PROJECT_LABEL, credentials};
use crate::config::EngineConfig;
use crate::driver::testing;
use bollard::auth::DockerCredentials;
use scratch_docker::{Engine as Docker, PodmanSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn engine() -> Arc<Engine> {
    let socket = Docker::shared().socket().to_owned();
    Arc::new(Engine::new(EngineConfig { socket, client: None }))
}

fn images(deployment: &str) -> Images {
    Images::new(Some(engine()), Path::new("/var/lib/upgraded"), deployment, Duration::from_secs(60))
}

/// The names that the engine has for what is held.
fn held(deployment: &str) -> String {
    Docker::shared().succeed(&["image", "ls", "--format", "{{.Repository}}", &format!("upgraded/{deployment}")])
}

#[tokio::test]
async fn what_is_pulled_is_held_until_it_is_let_go() {
    let (folder, deployment) = (tempfile::tempdir().unwrap(), format!("held-{}", std::process::id()));
    let (images, cx) = (images(&deployment), testing::changing(folder.path(), "r1-stage-main"));
    let reference = Docker::shared().base("busybox:1");
    let pulled = images.pull(&cx, &reference).await.unwrap();
    assert_eq!(images.find(&cx, &reference).await.unwrap(), Some(pulled.clone()));
    assert_eq!(images.look_up(&cx, &reference).await.unwrap().digest, pulled.digest.unwrap());
    images.let_go(|id| id == pulled.id).await.unwrap();
    assert_eq!(held(&deployment), format!("upgraded/{deployment}"));
    let other = Images::new(Some(engine()), folder.path(), &deployment, Duration::from_secs(60));
    other.let_go(|_| false).await.unwrap();
    assert_eq!(held(&deployment), format!("upgraded/{deployment}"), "another daemon's of the same name");
    images.let_go(|_| false).await.unwrap();
    assert_eq!(held(&deployment), "");
    assert!(images.find(&cx, &reference).await.unwrap().is_some(), "its own name stays");
}

#[tokio::test]
async fn a_name_that_was_moved_is_pointed_back() {
    let (folder, deployment) = (tempfile::tempdir().unwrap(), format!("moved-{}", std::process::id()));
    let (images, cx) = (images(&deployment), testing::changing(folder.path(), "r1-apply-main"));
    let docker = Docker::shared();
    let (one, other) = (docker.base("busybox:1"), docker.base("nginx:1"));
    let (one, other) = (images.pull(&cx, &one).await.unwrap(), images.pull(&cx, &other).await.unwrap());
    let name = format!("upgraded-test/{deployment}:1");
    docker.succeed(&["tag", &other.id, &name]);
    for _ in 0..2 {
        images.point(&cx, &name, &one.id).await.unwrap();
        assert_eq!(images.find(&cx, &name).await.unwrap().unwrap().id, one.id);
    }
    docker.succeed(&["image", "rm", &name]);
    images.let_go(|_| false).await.unwrap();
}

/// Runs a container of a project, whose own check would come in an hour; its ID.
fn checked_hourly(says: impl Fn(&[&str]) -> String, docker: &Docker, project: &str, check: &str) -> String {
    let [project, check] = [format!("--label={PROJECT_LABEL}={project}"), format!("--health-cmd={check}")];
    let image = docker.base("busybox:1");
    let apart = ["--network=none", "--label=com.docker.compose.oneoff=False", "--health-interval=1h"];
    says(&[&["run", "--detach", &project, &check], &apart[..], &[&image, "sleep", "600"]].concat())
}

#[tokio::test]
async fn a_container_is_healthy_once_it_passes_its_check_and_not_once_docker_looks() {
    let (docker, project) = (Docker::shared(), format!("checks-{}", std::process::id()));
    let run = |check: &str| checked_hourly(|arguments| docker.succeed(arguments), docker, &project, check);
    let (sound, lame) = (run("test -d /etc"), run("exit 1"));
    let engine = Engine::new(EngineConfig { socket: docker.socket().to_owned(), client: None });
    let health = async || {
        let found = engine.containers(&project).await.unwrap();
        let of = |id: &str| found.iter().find(|container| container.id == id).and_then(|container| container.health);
        (of(&sound), of(&lame))
    };
    assert_eq!(health().await, (Some(Health::Healthy), Some(Health::Starting)));
    assert_eq!(docker.succeed(&["inspect", "--format={{.State.Health.Status}}", &sound]), "starting");
    assert_eq!(health().await, (Some(Health::Healthy), Some(Health::Starting)), "it stays so");
    docker.succeed(&["rm", "--force", &sound, &lame]);
}

/// podman learns of it, too, and does not count what failed.
#[tokio::test]
async fn a_container_of_podman_is_healthy_once_it_passes_its_check() {
    let folder = tempfile::tempdir().unwrap();
    let podman = PodmanSocket::start(folder.path());
    let run = |check: &str| {
        checked_hourly(|arguments| podman.podman().says(arguments), podman.engine(), "checked-hourly", check)
    };
    let (sound, lame) = (run("test -d /etc"), run("exit 1"));
    let began = Instant::now();
    loop {
        // One that took too long on a busy machine is left to podman: each engine tries it anew.
        let engine = Engine::new(EngineConfig { socket: podman.engine().socket().to_owned(), client: None });
        let found = engine.containers("checked-hourly").await.unwrap();
        let of = |id: &str| found.iter().find(|container| container.id == id).and_then(|container| container.health);
        assert_eq!(of(&lame), Some(Health::Starting));
        if of(&sound) == Some(Health::Healthy) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(60), "it passes");
    }
    let known = |id: &str| {
        podman.podman().says(&[
            "inspect",
            "--format={{.State.Healthcheck.Status}} {{len .State.Healthcheck.Log}} {{.State.Healthcheck.FailingStreak}}",
            id,
        ])
    };
    assert_eq!((known(&sound).as_str(), known(&lame).as_str()), ("healthy 1 0", "starting 0 0"));
}

#[tokio::test]
async fn what_is_not_there_is_told_apart_from_a_registry_that_is_away() {
    let (folder, images) = (tempfile::tempdir().unwrap(), images("away"));
    let cx = testing::changing(folder.path(), "r1-stage-main");
    let missing = format!("{}/base/busybox:no-such-tag", Docker::shared().registry());
    assert_eq!(images.look_up(&cx, &missing).await.unwrap_err().code(), "not-found");
    assert_eq!(images.pull(&cx, &missing).await.unwrap_err().code(), "not-found");
    assert_eq!(images.look_up(&cx, "127.0.0.1:9/nobody/is-here:1").await.unwrap_err().code(), "unavailable");
    assert_eq!(images.find(&cx, &missing).await.unwrap(), None);
}

/// In front of the tests' registry, for whom `ci` with the password `secret` may enter; with `tokens`, for whom the
/// identity token `a-token` is exchanged.
async fn private_registry(tokens: bool) -> String {
    use axum::http::{StatusCode, header};
    use axum::response::IntoResponse;
    const CI: &str = "Basic Y2k6c2VjcmV0";
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (upstream, own) = (Docker::shared().registry().to_owned(), address.clone());
    let ask = move |request: axum::extract::Request| {
        let (upstream, own) = (upstream.clone(), own.clone());
        async move {
            let (parts, body) = request.into_parts();
            if tokens && parts.uri.path() == "/token" {
                let form = axum::body::to_bytes(body, 1 << 16).await.unwrap();
                let form = String::from_utf8_lossy(&form).into_owned();
                let known = form.contains("grant_type=refresh_token") && form.contains("refresh_token=a-token");
                let status = if known { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
                return (status, r#"{"access_token":"for-now","token":"for-now","expires_in":300}"#).into_response();
            }
            let (enters, asks) = match tokens {
                true => ("Bearer for-now", format!("Bearer realm=\"http://{own}/token\",service=\"private\"")),
                false => (CI, "Basic realm=\"private\"".to_owned()),
            };
            if parts.headers.get(header::AUTHORIZATION).is_none_or(|said| said != enters) {
                return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, asks)]).into_response();
            }
            let mut headers = parts.headers;
            [header::HOST, header::AUTHORIZATION].iter().for_each(|own| drop(headers.remove(own)));
            let url = format!("http://{upstream}{}", parts.uri);
            let client = crate::driver::http::client().unwrap();
            let answer = client.request(parts.method, url).headers(headers).send().await.unwrap();
            let (status, headers) = (answer.status(), answer.headers().clone());
            (status, headers, answer.bytes().await.unwrap()).into_response()
        }
    };
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(ask)).await });
    address
}

/// What the base image is called there.
fn in_registry(registry: &str) -> String {
    format!("{registry}/{}", Docker::shared().base("busybox:1").split_once('/').unwrap().1)
}

#[tokio::test]
async fn a_private_registry_asks_for_the_login_of_the_client() {
    let (folder, deployment) = (tempfile::tempdir().unwrap(), format!("private-{}", std::process::id()));
    let cx = testing::changing(folder.path(), "r1-stage-main");
    let registry = private_registry(false).await;
    let reference = in_registry(&registry);
    let with = |auths: &str| {
        let client = folder.path().join("client");
        std::fs::create_dir_all(&client).unwrap();
        std::fs::write(client.join("config.json"), format!("{{\"auths\":{{{auths}}}}}")).unwrap();
        let socket = Docker::shared().socket().to_owned();
        let engine = Arc::new(Engine::new(EngineConfig { socket, client: Some(client) }));
        Images::new(Some(engine), folder.path(), &deployment, Duration::from_secs(60))
    };
    for auths in [String::new(), format!("\"{registry}\":{{\"auth\":\"Y2k6d3Jvbmc=\"}}")] {
        let images = with(&auths);
        assert_eq!(images.look_up(&cx, &reference).await.unwrap_err().code(), "denied", "{auths}");
        assert_eq!(images.pull(&cx, &reference).await.unwrap_err().code(), "denied", "{auths}");
    }
    let images = with(&format!("\"{registry}\":{{\"auth\":\"Y2k6c2VjcmV0\"}}"));
    let looked_up = images.look_up(&cx, &reference).await.unwrap();
    let pulled = images.pull(&cx, &reference).await.unwrap();
    assert_eq!(pulled.digest.as_deref(), Some(looked_up.digest.as_str()));
    images.let_go(|_| false).await.unwrap();
    Docker::shared().succeed(&["image", "rm", &reference]);
}

/// As Docker's helpers speak; what it knows is in files beside it. All that it says is also on its standard error.
const HELPER: &str = r#"#!/bin/sh
read -r registry
place="$(dirname "$0")/$(printf %s "$registry" | tr ':/' '__')"
case $1 in
  get)
    case $0 in *-broken) echo "the secret is s3cr3t" | tee /dev/stderr; exit 1 ;; *-mute) exit 0 ;; esac
    test -e "$place" || { echo "credentials not found in native keychain"; exit 1; }
    tee /dev/stderr < "$place" ;;
  *) echo "no test says \`$1\`" >&2; exit 2 ;;
esac
"#;

/// Helpers by registry and for all registries, with passwords and identity tokens, and those that are no good.
#[tokio::test]
async fn a_private_registry_is_entered_with_what_a_helper_says() {
    let folder = tempfile::tempdir().unwrap();
    let [basic, tokens] = [private_registry(false).await, private_registry(true).await];
    for helper in ["known", "broken", "mute"] {
        let program = folder.path().join(format!("docker-credential-{helper}"));
        std::fs::write(&program, HELPER).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let knows = |registry: &str, user: &str, secret: &str| {
        let said = format!(r#"{{"ServerURL":"{registry}","Username":"{user}","Secret":"{secret}"}}"#);
        std::fs::write(folder.path().join(registry.replace([':', '/'], "_")), said).unwrap();
    };
    knows(&basic, "ci", "secret");
    knows(&tokens, "<token>", "a-token");
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let login = async |config: String, registry: &str| {
        std::fs::write(folder.path().join("config.json"), config).unwrap();
        credentials::find_by(Some(folder.path()), &in_registry(registry), Some(path.as_ref())).await
    };
    let engine = Engine::new(EngineConfig { socket: Docker::shared().socket().to_owned(), client: None });
    let docker = engine.docker().await.unwrap();
    let enters = async |login: Option<DockerCredentials>, registry: &str| {
        docker.inspect_registry_image(&in_registry(registry), login).await.is_ok()
    };

    for registry in [&basic, &tokens] {
        assert!(!enters(None, registry).await, "{registry} is private");
        let by_registry = format!(r#"{{"credHelpers":{{"{registry}":"known"}},"credsStore":"broken"}}"#);
        for config in [by_registry, r#"{"credsStore":"known"}"#.into()] {
            let login = login(config.clone(), registry).await.unwrap();
            assert!(enters(login, registry).await, "{config}");
        }
        let token = r#""auth":"dTo=","identitytoken":"a-token""#;
        let auth = if *registry == tokens { token } else { r#""auth":"Y2k6c2VjcmV0""# };
        let login =
            login(format!(r#"{{"credsStore":"","auths":{{"{registry}":{{{auth}}}}}}}"#), registry).await.unwrap();
        assert!(enters(login, registry).await, "`docker login` without a helper");
    }
    // A helper that knows nobody leaves it to what the file has.
    let other = r#"{"credsStore":"known","auths":{"r.example.org":{"auth":"dTpw"}}}"#.to_owned();
    assert_eq!(login(other, "r.example.org").await.unwrap().unwrap().username.as_deref(), Some("u"));
    assert!(login(r#"{"credsStore":"known"}"#.into(), "r.example.org").await.unwrap().is_none());
    for (helper, words) in [
        ("missing", "`docker-credential-missing`, which `"),
        ("broken", "ended with exit status: 1; `echo "),
        ("mute", "answers what is no login"),
    ] {
        let why = login(format!(r#"{{"credHelpers":{{"{basic}":"{helper}"}}}}"#), &basic).await.unwrap_err();
        assert_eq!(why.code(), "denied");
        let why = why.to_string();
        assert!(why.contains(words) && why.contains(&format!("names for `{basic}`")), "{why}");
        assert!(!why.contains("s3cr3t"), "{why}");
    }
}
