//! One call may take so much, and no more.

use super::*;
use std::future::Future;

#[tokio::test]
async fn a_loop_ends_with_its_cpu_time_and_blocks_nobody() {
    let bench = Bench::with(|limits| limits.cpu = Duration::from_millis(300));
    let product = bench.product("spin").await;
    let step = Step::new();
    // On one thread: the guest has to let others have their turn.
    let others = async {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let (ended, ()) = tokio::join!(product.detect(&step.cx), others);
    let (code, message) = broken(ended.unwrap_err());
    assert_eq!((code.as_str(), message.as_str()), ("cpu", "`evil` in `detect`: it computed for more than 300 ms"));
    assert_eq!(broken(bench.detect("chatty-spin").await.unwrap_err()).0, "cpu");
}

#[tokio::test]
async fn waiting_is_no_cpu_time() {
    // Twenty naps of 20 ms: four times the budget, slept.
    let bench = Bench::with(|limits| limits.cpu = Duration::from_millis(100));
    assert_eq!(bench.detect("naps").await.unwrap(), "1.0.0");
}

#[tokio::test]
async fn memory_is_bounded() {
    let bench = Bench::with(|limits| limits.memory_bytes = 32 << 20);
    let (code, message) = broken(bench.detect("memory").await.unwrap_err());
    assert_eq!((code.as_str(), message.contains("more than 32 MiB")), ("memory", true), "{message}");
    assert_eq!(bench.detect("").await.unwrap(), "1.0.0");
}

#[tokio::test]
async fn handles_are_bounded() {
    let bench = Bench::with(|limits| limits.handles = 100);
    assert_eq!(broken(bench.detect("table").await.unwrap_err()).0, "handles");
}

#[tokio::test]
async fn a_huge_answer_is_not_copied() {
    let bench = Bench::with(|limits| limits.crossing_bytes = 8 << 20);
    for what in ["huge", "huge-log"] {
        let (code, message) = broken(bench.detect(what).await.unwrap_err());
        assert_eq!((code.as_str(), message.contains("more than 8 MiB")), ("size", true), "{message}");
    }
}

#[tokio::test]
async fn a_trap_names_the_plugin_the_function_and_the_last_lines() {
    let bench = Bench::new();
    let Failure { code, message, retryable } = Failure::from(bench.detect("trap").await.unwrap_err());
    assert_eq!((code.as_str(), retryable), ("trap", false));
    assert!(message.starts_with("`evil` in `detect`: it trapped: "), "{message}");
    assert!(message.ends_with("the last words"), "{message}");
    let Failure { message, .. } = Failure::from(bench.detect("panic").await.unwrap_err());
    assert!(message.contains("a plugin's panic"), "{message}");
    assert_eq!(broken(bench.detect("exit").await.unwrap_err()).0, "exit");
    assert_eq!(broken(bench.detect("recurse").await.unwrap_err()).0, "stack");
}

#[tokio::test]
async fn silence_ends_a_call() {
    let bench = Bench::new();
    let mut deployment = deployment(bench.root.path(), "sleep", "");
    deployment.policy.idle = Duration::from_millis(50);
    let bound = bench.plugins().bind_without_drivers(&deployment).await.unwrap();
    let (code, message) = broken(bound.product.1.detect(&Step::new().cx).await.unwrap_err());
    assert_eq!((code.as_str(), message.contains("for 50 ms")), ("idle", true), "{message}");
}

#[tokio::test]
async fn a_cancellation_ends_a_call_after_its_grace() {
    let bench = Bench::with(|limits| limits.grace = Duration::from_millis(50));
    for what in ["sleep", "spin", "stubborn"] {
        let step = Step::new();
        let product = bench.product(what).await;
        let (code, message) = broken(cancelled(&step, product.detect(&step.cx)).await.unwrap_err());
        assert_eq!((code.as_str(), message.contains("within 50 ms")), ("cancelled", true), "{what}: {message}");
    }
}

async fn cancelled<T>(step: &Step, call: impl Future<Output = T>) -> T {
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        step.cancellation.cancel();
    };
    tokio::join!(call, cancel).0
}

#[tokio::test]
async fn a_flood_of_lines_is_cut_and_counted() {
    let bench = Bench::with(|limits| {
        limits.burst_lines = 100;
        limits.lines_per_second = 1;
    });
    let step = Step::new();
    bench.product("flood").await.detect(&step.cx).await.unwrap();
    let heard = step.heard();
    assert!(heard.len() < 200, "{} lines", heard.len());
    assert_eq!(&heard[..2], ["line 0", "line 1"]);
    assert!(heard.iter().any(|line| line.ends_with("lines of the plugin came too fast and were dropped")));
    assert!(heard.iter().all(|line| line.len() < 5000));
}
