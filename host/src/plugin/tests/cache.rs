//! Native code is run only where this host compiled it, and memory is given back.

use super::*;
use crate::plan::PlannedBinding;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

/// Every file that holds native code, changed in its last byte.
fn spoil(bench: &Bench) {
    for path in bench.compiled("cwasm") {
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 0xff;
        std::fs::write(&path, bytes).unwrap();
    }
}

fn content(bench: &Bench) -> Vec<u8> {
    let files = bench.compiled("cwasm");
    assert_eq!(files.len(), 1, "{files:?}");
    std::fs::read(&files[0]).unwrap()
}

#[tokio::test]
async fn what_was_compiled_is_used_again() {
    let bench = Bench::cold();
    bench.detect("").await.unwrap();
    let file = bench.compiled("cwasm").remove(0);
    let before = std::fs::metadata(&file).unwrap().modified().unwrap();
    bench.detect("").await.unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().modified().unwrap(), before);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(std::fs::metadata(bench.state().join("plugins")).unwrap().permissions().mode() & 0o7777, 0o700);
}

#[tokio::test]
async fn spoiled_code_is_compiled_anew_and_replaced() {
    let bench = Bench::cold();
    bench.detect("").await.unwrap();
    let good = content(&bench);
    spoil(&bench);
    assert_ne!(content(&bench), good);
    bench.detect("").await.unwrap();
    let again = content(&bench);
    assert_eq!(again.len(), good.len());
    spoil(&bench);
    // Now it is the right code, which anybody could have put there.
    std::fs::set_permissions(bench.compiled("cwasm").remove(0), Permissions::from_mode(0o666)).unwrap();
    std::fs::write(bench.compiled("cwasm").remove(0), &again).unwrap();
    bench.detect("").await.unwrap();
    assert_eq!(std::fs::metadata(bench.compiled("cwasm").remove(0)).unwrap().permissions().mode() & 0o7777, 0o600);
}

#[tokio::test]
async fn code_that_another_component_left_is_not_run() {
    let bench = Bench::cold();
    bench.detect("").await.unwrap();
    let own = bench.compiled("cwasm").remove(0);
    bench.put("evil.wasm", &patched("evil", "1.0.0", "9.9.9"));
    bench.detect("").await.unwrap();
    let others = bench.compiled("cwasm").into_iter().find(|path| *path != own).unwrap();
    // Sealed by this host, and for something else.
    std::fs::copy(&own, &others).unwrap();
    assert_eq!(bench.detect("").await.unwrap(), "9.9.9");
}

#[tokio::test]
async fn a_description_is_read_without_an_engine() {
    let bench = Bench::cold();
    bench.plugins().info("evil").await.unwrap();
    bench.compiled("cwasm").iter().for_each(|path| std::fs::remove_file(path).unwrap());
    let plugins = bench.plugins();
    let described = plugins.info("evil").await.unwrap();
    assert_eq!((described.info.name.as_str(), plugins.is_running()), ("evil", false));
    let bound = plugins.bind_without_drivers(&deployment(bench.root.path(), "", "")).await.unwrap();
    assert!(!plugins.is_running());
    bound.product.1.detect(&Step::new().cx).await.unwrap();
    assert!(plugins.is_running());
}

#[tokio::test]
async fn a_forged_description_is_asked_anew() {
    let bench = Bench::cold();
    bench.plugins().info("evil").await.unwrap();
    let file = bench.compiled("info").remove(0);
    let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).replace("\"evil\"", "\"good\"");
    std::fs::write(&file, text).unwrap();
    assert_eq!(bench.plugins().info("evil").await.unwrap().info.name, "evil");
}

#[tokio::test]
async fn the_engine_goes_when_nobody_calls() {
    let bench = Bench::with(|limits| limits.keep_loaded = Duration::from_millis(50));
    let plugins = bench.plugins();
    let bound = plugins.bind_without_drivers(&deployment(bench.root.path(), "", "")).await.unwrap();
    for _ in 0..2 {
        bound.product.1.detect(&Step::new().cx).await.unwrap();
        while plugins.is_running() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn a_run_goes_on_with_the_component_that_it_began_with() {
    let bench = Bench::new();
    let deployment = deployment(bench.root.path(), "", "");
    let digest = bench.plugins().info("evil").await.unwrap().digest;
    let planned = [PlannedBinding { binding: deployment.product.binding.clone(), digest: digest.clone() }];
    bench.plugins().keep(&planned).await.unwrap();
    bench.put("evil.wasm", &patched("evil", "1.0.0", "9.9.9"));
    // Not even the compiled code is there.
    std::fs::remove_dir_all(bench.state().join("plugins")).unwrap();
    assert_eq!(bench.detect("").await.unwrap(), "9.9.9");
    let plugins = bench.plugins();
    let bound = plugins.bind_kept_without_drivers(&deployment, &planned).await.unwrap();
    assert_eq!(bound.digest(&bound.product.0), Some(digest.as_str()));
    assert_eq!(bound.product.1.detect(&Step::new().cx).await.unwrap().version, "1.0.0");
    plugins.keep_only([digest.clone()].into()).await.unwrap();
    assert!(bench.state().join("kept").join(format!("{digest}.wasm")).exists());
    plugins.keep_only([].into()).await.unwrap();
    assert!(!bench.state().join("kept").join(format!("{digest}.wasm")).exists());
    let left = [bench.compiled("cwasm"), bench.compiled("info")].concat();
    assert!(left.iter().all(|path| !path.to_string_lossy().contains(&digest)), "{left:?}");
    assert_eq!(bench.detect("").await.unwrap(), "9.9.9");
    let gone = bench.plugins().keep(&planned).await.unwrap_err().to_string();
    assert!(gone.contains("neither kept nor in the plugins' folder"), "{gone}");
}

#[tokio::test]
async fn a_kept_copy_that_somebody_changed_is_not_run() {
    let bench = Bench::new();
    let deployment = deployment(bench.root.path(), "", "");
    let digest = bench.plugins().info("evil").await.unwrap().digest;
    let planned = [PlannedBinding { binding: deployment.product.binding.clone(), digest: digest.clone() }];
    bench.plugins().keep(&planned).await.unwrap();
    std::fs::write(bench.state().join("kept").join(format!("{digest}.wasm")), patched("evil", "1.0.0", "9.9.9"))
        .unwrap();
    bench.put("evil.wasm", b"gone");
    std::fs::remove_dir_all(bench.state().join("plugins")).unwrap();
    let gone = bench.plugins().bind_kept_without_drivers(&deployment, &planned).await.err().unwrap().to_string();
    assert!(gone.contains(&digest), "{gone}");
}
