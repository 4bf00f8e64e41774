//! One story on each of the engines that people have.

use crate::drill::was_in_a_double;
use crate::{failure, run_to};
use scratch_docker::{Engine, PodmanSocket, RootlessDocker, Second};
use upgraded_tests::{Daemon, Shop};

fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("upgraded-").tempdir().expect("a folder for an engine")
}

#[test]
fn docker_of_debian_12_goes_up_and_comes_back() {
    let folder = folder();
    let engine = Second::old(folder.path());
    goes_up_and_comes_back(&shop_on(engine.engine(), "20.10."));
}

/// Its socket leaves health checks to timers of systemd, changes no restart policy, and has no call for registries.
#[test]
fn podman_of_debian_12_goes_up_and_comes_back() {
    let folder = folder();
    let podman = PodmanSocket::start(folder.path());
    goes_up_and_comes_back(&shop_on(podman.engine(), "4.3."));
}

/// Its containers are in networks to which no route leads, and may not look into the daemon's folders; a rehearsal has to
/// reach the one and to mount the other.
#[test]
fn docker_of_an_ordinary_user_goes_up_after_a_rehearsal_and_comes_back() {
    let folder = folder();
    let docker = RootlessDocker::start(folder.path());
    let options = docker.engine().succeed(&["info", "--format", "{{.SecurityOptions}}"]);
    assert!(options.contains("name=rootless"), "{options}");
    let shop = shop_on(docker.engine(), "");
    shop.with_settings();
    shop.edit(|text| text.replace("[policy]\n", "[policy]\nrehearse = true\n"));
    goes_up_and_comes_back(&shop);
}

/// Both at once.
#[test]
fn podman_of_an_ordinary_user_goes_up_and_comes_back() {
    let folder = folder();
    let podman = PodmanSocket::rootless(folder.path());
    goes_up_and_comes_back(&shop_on(podman.engine(), "4.3."));
}

fn shop_on(engine: &Engine, version: &str) -> Shop {
    let said = engine.succeed(&["version", "--format", "{{.Server.Version}}"]);
    assert!(said.starts_with(version), "the engine is {said}");
    let shop = Shop::on(engine);
    // It has a second engine beside it, and a user's is slow.
    shop.edit(|text| text.replace("idle = \"30s\"", "idle = \"120s\""));
    shop
}

/// Up, and back from a release whose migration spoils both stores before it fails.
fn goes_up_and_comes_back(shop: &Shop) {
    let things = shop.things();
    let mut daemon = Daemon::start(shop).settled();
    was_in_a_double(&run_to(&mut daemon, "1.1.0", "committed"));
    shop.is_whole("1.1.0");
    let data = shop.data();
    assert!(data.contains("nobody") && data.contains("the first\nmigrated to 1.1.0\n1234:4321"), "{data}");

    // A rehearsal would find it out.
    shop.edit(|text| text.replace("rehearse = true\n", ""));
    let run = run_to(&mut daemon, "1.2.0", "rolled-back");
    let (step, said) = failure(&run);
    assert_eq!(step, "h0-apply-main-1");
    assert!(said.contains("`web migrate` ended with 3") && said.contains("the notes are gone"), "{said}");
    shop.is_whole("1.1.0");
    assert_eq!(shop.data(), data);
    assert_eq!(shop.things(), things, "nothing is there that wasn't");
}
