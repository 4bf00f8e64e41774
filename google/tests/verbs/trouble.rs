//! Lost answers, 409 after success, quota, 503, slow and failed operations, and somebody else who edits.

use crate::{NOTHING, answered, image, nobody, with_web};
use scratch_google::{Fault, Refusal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use upgraded_google::{Error, Share};

const PATCH: &str = "services.patch";

fn to(revision: &str) -> [Share; 1] {
    [Share { revision: Some(revision.into()), percent: 100 }]
}

/// Each revision is made once, whatever is answered.
#[tokio::test]
async fn what_passes_is_survived() {
    let (google, run) = with_web();
    let faults = [
        Fault::lost_answer(PATCH),
        Fault::refused(PATCH, Refusal::quota(Duration::from_secs(1))),
        Fault::refused(PATCH, Refusal::unavailable()),
        Fault::refused_after_success(PATCH, Refusal::unavailable()),
        Fault::refused_after_success(PATCH, Refusal::edited("web", "1", "2")),
        Fault::slow_operation(PATCH, Duration::from_millis(300)),
        Fault::refused("services.get", Refusal::unavailable()).times(2),
        Fault::refused("revisions.get", Refusal::unavailable()).times(2),
    ];
    let count = faults.len();
    for (number, fault) in faults.into_iter().enumerate() {
        let name = format!("web-r{number}-h0");
        let what = format!("{fault:?}");
        google.inject(fault.clone());
        run.would_take("web", &image("2"), &NOTHING).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        google.inject(fault.clone());
        run.deploy("web", &name, &image("2"), &NOTHING, &nobody)
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        google.inject(fault);
        run.route("web", &to(&name), None, &nobody).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        google.clear_faults();
        assert_eq!(run.service("web").await.unwrap().serving(), [(name, 100)], "{what}");
    }
    assert_eq!(run.revisions("web").await.unwrap().len(), count + 1);
    google.assert_held_to_the_documents();
}

#[tokio::test]
async fn what_somebody_else_edits_stays() {
    let (google, run) = with_web();
    let before = run.service("web").await.unwrap();
    google.inject(Fault::edited_by_somebody_else(PATCH));
    let refused = run.deploy("web", "web-r1-h0", &image("2"), &NOTHING, &nobody).await.unwrap_err();
    let named = |text: &str| text.contains("somebody-else@example.com") && text.contains("stays");
    assert!(matches!(&refused, Error::Conflict(text) if named(text)), "{refused}");
    assert_eq!(answered(&run, "web").await, (200, "1".into()));
    let after = run.service("web").await.unwrap();
    assert_eq!(after.latest_created, before.latest_created, "no revision was made");
    assert_ne!(after.fingerprint, before.fingerprint, "whoever looks can tell");
    google.inject(Fault::edited_by_somebody_else(PATCH));
    assert!(matches!(run.stop("web", &nobody).await, Err(Error::Conflict(_))));
    assert!(!run.service("web").await.unwrap().stopped);
    google.assert_held_to_the_documents();
}

#[tokio::test]
async fn a_failed_change_says_so_and_the_next_one_goes_through() {
    let (google, run) = with_web();
    let old = run.service("web").await.unwrap().latest_ready;
    run.deploy("web", "web-r1-h0", &image("2"), &NOTHING, &nobody).await.unwrap();
    google.inject(Fault::failed_operation(PATCH, "Internal error of the region."));
    let failed = run.route("web", &to("web-r1-h0"), None, &nobody).await.unwrap_err();
    assert!(matches!(&failed, Error::Failed(text) if text.contains("Internal error of the region.")), "{failed}");
    assert_eq!(answered(&run, "web").await, (200, "1".into()));
    run.route("web", &to("web-r1-h0"), None, &nobody).await.unwrap();
    assert_eq!(answered(&run, "web").await, (200, "2".into()));
    run.route("web", &to(&old), None, &nobody).await.unwrap();
    assert_eq!(answered(&run, "web").await, (200, "1".into()));
}

/// An operation that hangs is waited for, by whoever comes next as well: after a crash that is another process.
#[tokio::test]
async fn a_change_under_way_is_found_again() {
    let (google, run) = with_web();
    google.inject(Fault::stuck_operation(PATCH));
    let ended = AtomicBool::new(false);
    let image = image("2");
    let first = run.deploy("web", "web-r1-h0", &image, &NOTHING, &nobody);
    assert!(tokio::time::timeout(Duration::from_millis(300), first).await.is_err(), "it hangs");
    let again = async {
        run.deploy("web", "web-r1-h0", &image, &NOTHING, &nobody).await.unwrap();
        assert!(ended.load(Ordering::SeqCst));
    };
    let end = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        ended.store(true, Ordering::SeqCst);
        google.end_stuck_operations();
    };
    tokio::join!(again, end);
    assert_eq!(run.revisions("web").await.unwrap().len(), 2);
    assert_eq!(google.exchanges().iter().filter(|e| e.method.ends_with(PATCH)).count(), 1);
}
