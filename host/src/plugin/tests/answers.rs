//! What a plugin answers, and what is no answer.

use super::*;
use crate::model::{Hop, Installed};

async fn path(what: &str) -> Result<Vec<Hop>, CallError> {
    let bench = Bench::new();
    let installed = Installed { version: "1.0.0".into(), components: vec![] };
    bench.product(what).await.path(&Step::new().cx, &installed, "2.0.0").await
}

#[tokio::test]
async fn an_honest_answer_arrives_whole() {
    let bench = Bench::new();
    let step = Step::new();
    let product = bench.product("").await;
    let installed = product.detect(&step.cx).await.unwrap();
    assert_eq!((installed.version.as_str(), installed.components.len()), ("1.0.0", 1));
    let hops = product.path(&step.cx, &installed, "2.0.0").await.unwrap();
    let shown: Vec<_> =
        hops.iter().map(|hop| format!("{} to {}, {} acts", hop.source, hop.target, hop.acts.len())).collect();
    assert_eq!(shown, ["1.0.0 to 1.1.0, 2 acts", "1.1.0 to 2.0.0, 2 acts"]);
    let findings = product.preflight(&step.cx, &hops[0]).await.unwrap();
    assert_eq!((findings[0].id.as_str(), findings[0].source.as_str()), ("fine", "main"));
}

#[tokio::test]
async fn nothing_lives_from_one_call_to_the_next() {
    let bench = Bench::new();
    let product = bench.product("").await;
    let step = Step::new();
    for _ in 0..3 {
        let findings = product.verify(&step.cx, "1.0.0").await.unwrap();
        assert_eq!(findings[0].message, "call 1 of r1-detect");
    }
}

#[tokio::test]
async fn a_plugins_own_error_is_its_answer() {
    let failure = refused(Bench::new().detect("other").await.unwrap_err());
    assert_eq!((failure.code.as_str(), failure.retryable), ("own-code", true));
    assert_eq!(failure.message, "`evil` in `detect`: own words");
}

#[tokio::test]
async fn a_path_that_makes_no_sense_is_none() {
    for (what, why) in [
        ("nowhere", "ends at `7.7.7`, and `2.0.0` is wanted"),
        ("none", "ends at `1.0.0`, and `2.0.0` is wanted"),
        ("gap", "starts at `1.2.0` where the path is at `1.1.0`"),
        ("cycle", "comes to `1.0.0` twice"),
        ("stranger", "names a platform that this deployment doesn't have"),
    ] {
        let (code, message) = broken(path(what).await.unwrap_err());
        assert_eq!(code, "nonsense", "{what}");
        assert!(
            message.starts_with("`evil` in `path`: its answer makes no sense") && message.contains(why),
            "{message}"
        );
    }
}

#[tokio::test]
async fn other_nonsense() {
    let bench = Bench::new();
    let (code, message) = broken(bench.detect("empty").await.unwrap_err());
    assert_eq!((code.as_str(), message.contains("the version is empty")), ("nonsense", true), "{message}");
    let (code, message) = broken(bench.detect("large").await.unwrap_err());
    assert_eq!((code.as_str(), message.contains("2097152 bytes")), ("nonsense", true), "{message}");
    let many = bench.product("many").await.releases(&Step::new().cx).await.unwrap_err();
    assert_eq!(broken(many).0, "nonsense");
    let hop = path("").await.unwrap().remove(0);
    for path in ["../outside", "/etc/passwd", "a//b", ""] {
        let edits = bench.bound("", path).await.product.1.edits(&Step::new().cx, &hop).await;
        assert_eq!(broken(edits.unwrap_err()).0, "nonsense", "{path}");
    }
    assert_eq!(bench.bound("", "etc/x").await.product.1.edits(&Step::new().cx, &hop).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_datastores_nonsense() {
    let bench = Bench::new();
    let step = Step::new();
    let store = bench.store("", "shop/r1-backup/other/files", Grants::default()).await;
    let (code, message) = broken(store.fence(&step.cx).await.unwrap_err());
    assert_eq!((code.as_str(), message.contains("the mark is empty")), ("nonsense", true), "{message}");
    let (code, message) = broken(store.backup(&step.cx, None).await.unwrap_err());
    assert_eq!((code.as_str(), message.contains("is none of `main`")), ("nonsense", true), "{message}");
    assert_eq!(store.manifest(&step.cx, Some("r1-freeze-main")).await.unwrap(), "r1-freeze-main");
    assert_eq!(store.manifest(&step.cx, None).await.unwrap(), "live");
}

#[tokio::test]
async fn a_plugin_sees_an_empty_command_line() {
    assert_eq!(Bench::new().detect("environment").await.unwrap(), "0 0");
}

#[tokio::test]
async fn what_a_plugin_prints_is_in_the_log() {
    let bench = Bench::new();
    let step = Step::new();
    bench.product("print").await.detect(&step.cx).await.unwrap();
    assert_eq!(step.heard(), ["to standard output", "to standard error"]);
}
