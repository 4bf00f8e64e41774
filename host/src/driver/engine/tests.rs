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
