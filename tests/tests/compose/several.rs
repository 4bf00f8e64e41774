//! One deployment on two platforms: a failure on the second turns both round.

use crate::{failure, run_to};
use scratch_docker::Engine;
use upgraded_tests::{Cut, Daemon, Shop, outcome};

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

    let run = run_to(&mut daemon, "1.3.0", "rolled-back");
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

    // Cut off between the two ways back.
    shop.cut_at(Cut::Started("b0-revert-front"));
    daemon.told(&["retry", &shop.name]);
    daemon.dies();
    shop.no_cut();
    let mut daemon = Daemon::start(&shop);
    assert_eq!(outcome(&daemon.end_of_run_after(2)), "rolled-back");
    whole();
}
