//! A revision without traffic, traffic in steps, back, stopped and started.

use crate::{NOTHING, answered, full, image, nobody, start, with_web};
use scratch_google::{Fault, Google, Image};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use upgraded_google::{CloudRun, Error, Share};

fn share(revision: &str, percent: u32) -> Share {
    Share { revision: Some(revision.into()), percent }
}

#[tokio::test]
async fn up_in_steps_and_back() {
    let (google, run) = with_web();
    let before = run.service("web").await.unwrap();
    assert_eq!(before.shares, [Share { revision: None, percent: 100 }]);
    let old = before.latest_ready.clone();
    let pinned = run.pinned(&image("2")).await.unwrap();
    assert_eq!(Some(&pinned), google.digest(&image("2")).as_ref());
    run.would_take("web", &pinned, &NOTHING).await.unwrap();
    let made = run.deploy("web", "web-r1-h0", &pinned, &NOTHING, &nobody).await.unwrap();
    assert_eq!((made.image.as_str(), made.ready), (pinned.as_str(), true));
    // Again is the same.
    let generation = google.exchanges().iter().filter(|e| e.method.ends_with("services.patch")).count();
    run.deploy("web", "web-r1-h0", &pinned, &NOTHING, &nobody).await.unwrap();
    assert_eq!(google.exchanges().iter().filter(|e| e.method.ends_with("services.patch")).count(), generation);
    // Users see nothing of it; by its tag it answers.
    assert_eq!(answered(&run, "web").await, (200, "1".into()));
    assert_eq!(run.ask("web", true, "/").await.unwrap().body, b"2");
    let half = [share(&old, 50), share("web-r1-h0", 50)];
    run.route("web", &half, Some("web-r1-h0"), &nobody).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..10 {
        seen.push(answered(&run, "web").await.1);
    }
    assert!(seen.contains(&"1".into()) && seen.contains(&"2".into()), "{seen:?}");
    let all = run.route("web", &[Share { revision: None, percent: 100 }], None, &nobody).await.unwrap();
    assert_eq!((all.serving(), all.tagged.len()), (vec![("web-r1-h0".into(), 100)], 0));
    assert_eq!(all.fingerprint, before.fingerprint, "nothing but what an upgrade changes was changed");
    assert_eq!(answered(&run, "web").await, (200, "2".into()));
    run.route("web", &[share(&old, 100)], None, &nobody).await.unwrap();
    assert_eq!(answered(&run, "web").await, (200, "1".into()));
    google.assert_held_to_the_documents();
}

#[tokio::test]
async fn stopped_is_out_of_reach_and_comes_back_as_it_was() {
    let (google, run) = with_web();
    let before = run.service("web").await.unwrap();
    run.deploy("web", "web-r1-h0", &image("2"), &NOTHING, &nobody).await.unwrap();
    for _ in 0..2 {
        run.stop("web", &nobody).await.unwrap();
        let stopped = run.service("web").await.unwrap();
        assert!(stopped.stopped && stopped.tagged.is_empty(), "{stopped:?}");
        assert_eq!(answered(&run, "web").await.0, 503);
        assert_eq!(stopped.fingerprint, before.fingerprint);
    }
    // A revision is made and reached by its tag all the same.
    run.deploy("web", "web-r2-h0", &image("3"), &NOTHING, &nobody).await.unwrap();
    assert_eq!(run.ask("web", true, "/").await.unwrap().body, b"3");
    assert_eq!(answered(&run, "web").await.0, 503);
    run.route("web", &[share("web-r2-h0", 100)], None, &nobody).await.unwrap();
    for _ in 0..2 {
        run.start("web", &nobody).await.unwrap();
        assert_eq!(answered(&run, "web").await, (200, "3".into()));
    }
    let after = run.service("web").await.unwrap();
    assert_eq!((after.stopped, after.fingerprint), (false, before.fingerprint));
    google.assert_held_to_the_documents();
}

#[tokio::test]
async fn images_that_can_t_be() {
    let (google, run) = with_web();
    google.push(&image("private"), Image::Private);
    google.push(&image("broken"), Image::Broken);
    assert!(matches!(run.pinned(&image("9")).await, Err(Error::NotFound(_))));
    let private = run.pinned(&image("private")).await.unwrap_err();
    assert!(matches!(&private, Error::Denied(text) if text.contains("roles/artifactregistry.reader")), "{private}");
    assert!(matches!(run.pinned("app").await, Err(Error::Invalid(_))));
    google.set_pace(scratch_google::Pace { startup: Duration::from_millis(50), ..Default::default() });
    for (number, version) in ["broken", "private", "9"].iter().enumerate() {
        let failed =
            run.deploy("web", &format!("web-r{number}"), &image(version), &NOTHING, &nobody).await.unwrap_err();
        assert!(matches!(&failed, Error::Failed(text) if text.contains("does not start")), "{failed}");
        assert_eq!(answered(&run, "web").await, (200, "1".into()));
        // Whoever goes back finds it well.
        let seen = run.service("web").await.unwrap();
        let before: Vec<Share> = seen.serving().iter().map(|(name, percent)| share(name, *percent)).collect();
        if number % 2 == 0 {
            run.stop("web", &nobody).await.unwrap();
        }
        let back = run.route("web", &before, None, &nobody).await.unwrap();
        assert_eq!(back.why, None);
        run.start("web", &nobody).await.unwrap();
    }
    let taken =
        run.deploy("web", &run.service("web").await.unwrap().latest_ready, &image("2"), &NOTHING, &nobody).await;
    assert!(matches!(taken, Err(Error::Conflict(_))), "{taken:?}");
    google.assert_held_to_the_documents();
}

#[tokio::test]
async fn a_job_runs_once_to_its_end() {
    let (google, place) = start();
    let counted = std::sync::Arc::new(AtomicU32::new(0));
    let count = counted.clone();
    google.push(
        &image("migrate"),
        Image::task(move |environment| {
            count.fetch_add(1, Ordering::SeqCst);
            i32::from(environment.arguments != ["up"])
        }),
    );
    make_job(&google).await;
    let run = CloudRun::new(place);
    google.inject(Fault::lost_answer("jobs.run"));
    for _ in 0..2 {
        run.run_job("migrate", Some(&image("migrate")), &NOTHING, &["up".into()], "r1-h0-apply", &nobody)
            .await
            .unwrap();
    }
    let failed = run.run_job("migrate", None, &NOTHING, &["down".into()], "r2-h0-apply", &nobody).await.unwrap_err();
    assert!(matches!(failed, Error::Failed(_)), "{failed}");
    assert_eq!(counted.load(Ordering::SeqCst), 2);
    google.assert_held_to_the_documents();
}

/// `migrate`, with the image of version 1.
async fn make_job(google: &Google) {
    let body = format!("{{\"template\":{{\"template\":{{\"containers\":[{{\"image\":\"{}\"}}]}}}}}}", image("1"));
    let url = format!("{}/v2/projects/acme/locations/europe-west1/jobs?jobId=migrate", google.url());
    let request =
        reqwest::Client::new().post(url).bearer_auth(google.token()).header("content-type", "application/json");
    assert!(request.body(body).send().await.unwrap().status().is_success());
}

/// Whoever began it may be gone: it is found by its mark, and a next try begins anew.
#[tokio::test]
async fn a_job_that_is_given_up_is_ended() {
    let (google, place) = start();
    google.push(&image("sleep"), Image::command(["sleep", "600"]));
    google.push(&image("migrate"), Image::task(|_| 0));
    make_job(&google).await;
    let run = CloudRun::new(place);
    let looks = AtomicU32::new(0);
    let heard = |state: &str| {
        looks.fetch_add(u32::from(state.contains("1 tasks")), Ordering::SeqCst);
    };
    let (sleep, migrate) = (image("sleep"), image("migrate"));
    let hangs = run.run_job("migrate", Some(&sleep), &NOTHING, &[], "r1-h0-apply", &heard);
    assert!(tokio::time::timeout(Duration::from_secs(2), hangs).await.is_err());
    assert!(looks.load(Ordering::SeqCst) > 1, "what runs is alive");
    let marks = ["r0-h0-apply".to_owned(), "r1-h0-apply".to_owned()];
    run.end_job("migrate", &marks[..1], &nobody).await.unwrap();
    let cancels = || google.exchanges().iter().filter(|e| e.method.ends_with("executions.cancel")).count();
    assert_eq!(cancels(), 0, "it is another's");
    google.inject(Fault::lost_answer("executions.cancel"));
    for _ in 0..2 {
        run.end_job("migrate", &marks, &nobody).await.unwrap();
    }
    assert!(cancels() > 0);
    run.end_job("elsewhere", &marks, &nobody).await.unwrap();
    run.run_job("migrate", Some(&migrate), &NOTHING, &[], "r1-h0-apply", &nobody).await.unwrap();
    google.assert_held_to_the_documents();
}

#[tokio::test]
async fn others_tags_stay() {
    let (google, run) = with_web();
    google.deploy(&full("other"), &image("1"));
    let old = run.service("web").await.unwrap().latest_ready;
    let target = format!("\"type\":\"TRAFFIC_TARGET_ALLOCATION_TYPE_REVISION\",\"revision\":\"{old}\"");
    let body = format!("{{\"traffic\":[{{{target},\"percent\":100,\"tag\":\"stable\"}}]}}");
    let url = format!("{}/v2/{}?updateMask=traffic", google.url(), full("web"));
    let request =
        reqwest::Client::new().patch(url).bearer_auth(google.token()).header("content-type", "application/json");
    assert!(request.body(body).send().await.unwrap().status().is_success());
    run.wait("web", &nobody).await.unwrap();
    run.deploy("web", "web-r1-h0", &image("2"), &NOTHING, &nobody).await.unwrap();
    run.route("web", &[share("web-r1-h0", 100)], None, &nobody).await.unwrap();
    let after = run.service("web").await.unwrap();
    assert_eq!(
        after.tagged.iter().map(|t| (t.tag.as_str(), t.revision.as_str())).collect::<Vec<_>>(),
        [("stable", old.as_str())]
    );
    assert_eq!(after.shares, [share("web-r1-h0", 100)]);
    assert_eq!(answered(&run, "other").await, (200, "1".into()));
    google.assert_held_to_the_documents();
}
