//! What is a plugin, and what a person reads of a file that is none.

use super::*;
use crate::config::{PluginCatalog, Problem};
use crate::plan::PlannedBinding;

async fn why(file: &[u8]) -> String {
    let bench = Bench::new();
    bench.put("evil.wasm", file);
    bench.plugins().info("evil").await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_component_says_what_it_is() {
    let bench = Bench::new();
    let described = bench.plugins().info("evil").await.unwrap();
    assert_eq!((described.info.name.as_str(), described.info.role), ("evil", Role::Product));
    assert_eq!(described.file, bench.folder().join("evil.wasm"));
    assert_eq!(described.digest.len(), 64);
}

#[tokio::test]
async fn a_plugin_is_found_by_what_it_calls_itself() {
    let bench = Bench::new();
    std::fs::rename(bench.folder().join("evil.wasm"), bench.folder().join("vendor-1.2.wasm")).unwrap();
    assert_eq!(bench.plugins().info("evil").await.unwrap().file, bench.folder().join("vendor-1.2.wasm"));
    bench.put("another.wasm", &patched("evil", "1.0.0", "9.9.9"));
    insta::assert_snapshot!(bench.plugins().info("evil").await.unwrap_err());
    bench.put("evil.wasm", &guest("evil"));
    assert_eq!(bench.plugins().info("evil").await.unwrap().file, bench.folder().join("evil.wasm"));
}

#[tokio::test]
async fn a_missing_plugin_is_named_with_those_there_are() {
    let bench = Bench::new();
    bench.put("broken.wasm", b"text");
    let error = bench.plugins().info("../evil").await.unwrap_err().to_string();
    insta::assert_snapshot!(error.replace(&bench.folder().display().to_string(), "<folder>"));
    assert_eq!(bench.plugins().list().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_file_that_is_no_component_is_named() {
    insta::assert_snapshot!(why(b"text").await);
    assert!(why(b"\0asm\x0d\0\x01\0broken").await.starts_with("`evil.wasm` does not compile: "));
}

#[tokio::test]
async fn an_import_that_is_not_offered_is_named() {
    let message = why(&patched("evil", "upgraded:plugin/checkout@0.1.0", "upgraded:plugin/chockout@0.1.0")).await;
    insta::assert_snapshot!(message);
}

#[tokio::test]
async fn another_version_of_the_contract_is_named() {
    let mut component = patched("evil", "upgraded:plugin/meta@0.1.0", "upgraded:plugin/meta@0.2.0");
    insta::assert_snapshot!(why(&component).await);
    component.truncate(1000);
    assert!(why(&component).await.contains("does not compile"));
}

#[tokio::test]
async fn a_missing_role_is_named() {
    let component = patched("evil", "upgraded:plugin/product@0.1.0", "upgraded:plugin/prodoct@0.1.0");
    insta::assert_snapshot!(why(&component).await);
}

#[tokio::test]
async fn what_does_not_fit_the_contract_is_named() {
    // A function of `run`, and a case of `error`.
    insta::assert_snapshot!(why(&patched("evil", "cancelled", "cancilled")).await);
}

#[tokio::test]
async fn a_schema_that_fetches_or_could_hang_is_refused() {
    let remote = patched("evil", "#/$defs/text-of-any-kind", "http://127.0.0.1:9/their");
    let message = why(&remote[..]).await;
    insta::assert_snapshot!(message);
    let slow = patched("evil", "^[a-z0-9 -]{0,40}$", r"^(?=[a-z]+)[a-z]+$");
    assert!(why(&slow).await.contains("settings that can't be checked"));
}

#[tokio::test]
async fn a_file_that_is_too_large_is_not_read() {
    let bench = Bench::with(|limits| limits.component_bytes = 1000);
    let message = bench.plugins().info("evil").await.unwrap_err().to_string();
    assert!(message.contains("a component may have 1000"), "{message}");
}

#[tokio::test]
async fn a_binding_needs_a_plugin_of_its_role() {
    let bench = Bench::new();
    let mut deployment = deployment(bench.root.path(), "", "");
    deployment.platforms.push(config("main", Role::Platform, "evil", "", ""));
    let message = bench.plugins().bind_without_drivers(&deployment).await.err().unwrap().to_string();
    assert_eq!(message, "`main` needs a platform, and the plugin `evil` is a product");
}

#[tokio::test]
async fn a_binding_is_what_its_file_names_and_stays_it() {
    let bench = Bench::new();
    bench.put("evil-next.wasm", &patched("evil", "1.0.0", "9.9.9"));
    let mut deployment = deployment(bench.root.path(), "", "");
    deployment.product.named = "evil-next".into();
    let plugins = bench.plugins();
    let bound = plugins.bind_without_drivers(&deployment).await.unwrap();
    assert_eq!(bound.product.1.detect(&Step::new().cx).await.unwrap().version, "9.9.9");
    let digest = bound.digest(&bound.product.0).unwrap().to_owned();
    let planned = [PlannedBinding { binding: deployment.product.binding.clone(), digest }];
    plugins.keep(&planned).await.unwrap();
    std::fs::remove_file(bench.folder().join("evil-next.wasm")).unwrap();
    let kept = bench.plugins();
    let reader = std::thread::spawn(move || {
        let kept = kept.kept(&planned);
        let name = |binding: &str| kept.info_for(Role::Product, binding, "evil-next").map(|info| info.name);
        (name("product"), name("another"))
    });
    assert_eq!(reader.join().unwrap(), (Some("evil".to_owned()), None));
}

#[tokio::test]
async fn a_reader_of_files_learns_what_there_is() {
    let bench = Bench::new();
    bench.put("broken.wasm", b"text");
    let plugins = bench.plugins();
    let reader = std::thread::spawn(move || {
        let catalog: &dyn PluginCatalog = &plugins;
        let info = catalog.info("evil").map(|info| info.role);
        (catalog.names(), info, catalog.problem("evil"), catalog.problem("broken"), catalog.problem("nobody"))
    });
    let (names, info, none, broken, nobody) = reader.join().unwrap();
    assert_eq!((names, info, none, nobody), (vec!["evil".to_owned()], Some(Role::Product), None, None));
    let why = "`broken.wasm` is no component: it is not WebAssembly".into();
    assert_eq!(broken, Some(Problem { why, is_its_own: true }));
}
