//! One deployment on several platforms: a failure on the last turns all of them round.

use crate::{failure, run_to};
use scratch_docker::Engine;
use upgraded_tests::{Cut, Daemon, EDGE_SERVICES, Shop, outcome};

#[test]
fn two_platforms_go_up_together_and_come_back_together() {
    let shop = Shop::on(Engine::shared());
    let front = shop.with_front();
    let settings = || std::fs::read_to_string(front.folder.join(".env")).expect("the front's settings");
    let before = settings();
    let mut daemon = Daemon::start(&shop).settled();
    run_to(&mut daemon, "1.1.0", "committed");
    shop.is_whole("1.1.0");
    assert_eq!(shop.version_at(&front.url), "1.1.0");
    assert_eq!(settings(), before.replace("VERSION=1.0.0", "VERSION=1.1.0"));
    let data = shop.data();

    let run = run_to(&mut daemon, "1.1.1", "rolled-back");
    let (step, said) = failure(&run);
    assert_eq!(step, "h0-apply-front-3");
    assert!(said.contains("no configuration"), "{said}");
    let whole = || {
        shop.is_whole("1.1.0");
        assert_eq!(shop.data(), data, "the first platform had been upgraded and migrated");
        assert_eq!(shop.version_at(&front.url), "1.1.0");
        assert_eq!(settings(), before.replace("VERSION=1.0.0", "VERSION=1.1.0"));
    };
    whole();

    // Between the two ways back.
    retried_and_cut(&shop, daemon, Cut::Started("b0-revert-front"));
    whole();
}

/// Two Compose projects and two services on Cloud Run, with the data of a database and a volume behind them: the very last
/// service of a release does not start, and all of it comes back.
#[test]
fn compose_and_cloud_run_are_one_transaction() {
    let shop = Shop::on(Engine::shared());
    let front = shop.with_front();
    let edge = shop.with_edge(&front);
    let mut daemon = Daemon::start(&shop).settled();
    run_to(&mut daemon, "1.1.0", "committed");
    let data = shop.data();
    let whole = || {
        shop.is_whole("1.1.0");
        assert_eq!(shop.data(), data);
        assert_eq!(shop.version_at(&front.url), "1.1.0");
        assert_eq!(edge.versions(&shop), ["1.1.0"; EDGE_SERVICES.len()]);
    };
    whole();

    let run = run_to(&mut daemon, "1.1.2", "rolled-back");
    assert_eq!(failure(&run).0, "h0-apply-edge-5");
    whole();

    // The shop and Cloud Run are back and the front is not.
    retried_and_cut(&shop, daemon, Cut::Succeeded("b0-revert-edge"));
    whole();
    edge.google.assert_held_to_the_documents();
}

/// The version that failed in the second run is tried again, the daemon killed on the way back, and the next one ends it.
fn retried_and_cut(shop: &Shop, daemon: Daemon<'_>, cut: Cut) {
    shop.cut_at(cut);
    daemon.told(&["retry", &shop.name]);
    daemon.dies();
    shop.no_cut();
    let mut daemon = Daemon::start(shop);
    assert_eq!(outcome(&daemon.end_of_run_after(2)), "rolled-back");
}
