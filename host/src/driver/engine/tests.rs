//! Images on a real engine, from a real registry.

use super::Engine;
use super::images::Images;
use crate::config::EngineConfig;
use crate::driver::testing;
use scratch_docker::Engine as Docker;
use std::sync::Arc;
use std::time::Duration;

fn images(deployment: &str) -> Images {
    let socket = Docker::shared().socket().to_owned();
    let engine = Arc::new(Engine::new(EngineConfig { socket, client: None }));
    Images::new(Some(engine), deployment, Duration::from_secs(60))
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

/// In front of the tests' registry, for whom `ci` with the password `secret` may enter.
async fn private_registry() -> String {
    use axum::http::{StatusCode, header};
    use axum::response::IntoResponse;
    const CI: &str = "Basic Y2k6c2VjcmV0";
    let upstream = Docker::shared().registry().to_owned();
    let ask = move |request: axum::extract::Request| {
        let upstream = upstream.clone();
        async move {
            if request.headers().get(header::AUTHORIZATION).is_none_or(|said| said != CI) {
                let asks = [(header::WWW_AUTHENTICATE, "Basic realm=\"private\"")];
                return (StatusCode::UNAUTHORIZED, asks).into_response();
            }
            let (parts, _) = request.into_parts();
            let mut headers = parts.headers;
            [header::HOST, header::AUTHORIZATION].iter().for_each(|own| drop(headers.remove(own)));
            let url = format!("http://{upstream}{}", parts.uri);
            let client = crate::driver::http::client().unwrap();
            let answer = client.request(parts.method, url).headers(headers).send().await.unwrap();
            let (status, headers) = (answer.status(), answer.headers().clone());
            (status, headers, answer.bytes().await.unwrap()).into_response()
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(ask)).await });
    address
}

#[tokio::test]
async fn a_private_registry_asks_for_the_login_of_the_client() {
    let (folder, deployment) = (tempfile::tempdir().unwrap(), format!("private-{}", std::process::id()));
    let cx = testing::changing(folder.path(), "r1-stage-main");
    let registry = private_registry().await;
    let base = Docker::shared().base("busybox:1");
    let reference = format!("{registry}/{}", base.split_once('/').unwrap().1);
    let with = |auths: &str| {
        let client = folder.path().join("client");
        std::fs::create_dir_all(&client).unwrap();
        std::fs::write(client.join("config.json"), format!("{{\"auths\":{{{auths}}}}}")).unwrap();
        let socket = Docker::shared().socket().to_owned();
        let engine = Arc::new(Engine::new(EngineConfig { socket, client: Some(client) }));
        Images::new(Some(engine), &deployment, Duration::from_secs(60))
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
