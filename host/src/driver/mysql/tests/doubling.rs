//! A drill in a double of the server.

use super::super::session::Flavour;
use super::super::*;
use super::bench::Bench;

/// The double has the live one's accounts, whatever its image makes.
#[tokio::test(flavor = "multi_thread")]
async fn a_double_takes_a_backup_under_the_live_name() {
    let bench = Bench::shop(Flavour::MySql, "doubled").await;
    let (artifacts, saved) = bench.driver.save(&bench.changing("r1-backup"), None).await.expect("saved");
    let step = "r1-drill-main";
    let cx = bench.drill(step);
    let server = bench.driver.bound_server().expect("granted");
    let double = server.start_double(&cx, 0).await.expect("a double");
    let there = bench.in_double(step, &double);
    let furnished = bench.driver.furnish_double(&cx, &double).await;
    furnished.expect("our account reaches the double");
    bench.driver.put_back(&there, &artifacts).await.expect("put back");
    assert_eq!(bench.driver.manifest(&there, None).await.expect("a manifest"), saved, "grants and definers as well");
    assert_eq!(bench.made().await, Vec::<String>::new(), "nothing of it is on the live server");
    let live = bench.machine.container().await;
    let not_ours = bench.in_double(step, &live);
    let refused = bench.driver.manifest(&not_ours, None).await.expect_err("a live container is no double");
    assert!(matches!(refused, VerbError::Denied(_)), "{refused}");

    for _ in 0..2 {
        server.discard_double(step).await.expect("discarded");
        let gone = bench.driver.manifest(&there, None).await.expect_err("it is gone");
        assert!(matches!(gone, VerbError::Unavailable(_)), "{gone}");
    }
    assert_eq!(bench.manifest().await, saved);
}
