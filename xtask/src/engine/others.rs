//! Engines that people have beside today's, out of Debian's packages: unpacked here beside our own, started by the tests
//! that need them ([`scratch_docker::Second`], [`scratch_docker::Podman`], [`scratch_docker::RootlessDocker`]).

use super::own::{BASE_SUITE, unpack};
use super::scripts::{UNPACK, UNPACK_LINKED};
use anyhow::Result;
use scratch_docker::{OLD_ENGINE, Own, PODMAN, QUADLET, ROOTLESS};

/// Docker 20.10.
const OLD_PACKAGES: [&str; 5] = ["docker.io", "containerd", "runc", "tini", "libdevmapper1.02.1"];
/// podman 4.3, with the libraries that other suites have in other versions.
const PODMAN_PACKAGES: [&str; 15] = [
    "podman",
    "conmon",
    "netavark",
    "aardvark-dns",
    "catatonit",
    "runc",
    "libgpgme11",
    "libassuan0",
    "libgpg-error0",
    "libsubid4",
    "libdevmapper1.02.1",
    "libglib2.0-0",
    "libseccomp2",
    "libsystemd0",
    "patchelf",
];

/// podman 4.3 has no generator of units yet; a later one needs nothing but the C library.
const QUADLET_SUITE: &str = "trixie";
const QUADLET_PACKAGES: [&str; 1] = ["podman"];

/// What an ordinary user starts an engine with.
const ROOTLESS_PACKAGES: [&str; 4] = ["rootlesskit", "slirp4netns", "libslirp0", "uidmap"];

/// Converges.
pub fn make(own: &Own) -> Result<()> {
    unpack(own, &UNPACK, BASE_SUITE, OLD_ENGINE, &OLD_PACKAGES)?;
    unpack(own, &UNPACK, BASE_SUITE, ROOTLESS, &ROOTLESS_PACKAGES)?;
    unpack(own, &UNPACK, QUADLET_SUITE, QUADLET, &QUADLET_PACKAGES)?;
    unpack(own, &UNPACK_LINKED, BASE_SUITE, PODMAN, &PODMAN_PACKAGES)
}

/// Whether [`make`] has nothing to do.
pub fn are_there(own: &Own) -> bool {
    UNPACK.has_made(own, BASE_SUITE, OLD_ENGINE, &OLD_PACKAGES)
        && UNPACK.has_made(own, BASE_SUITE, ROOTLESS, &ROOTLESS_PACKAGES)
        && UNPACK.has_made(own, QUADLET_SUITE, QUADLET, &QUADLET_PACKAGES)
        && UNPACK_LINKED.has_made(own, BASE_SUITE, PODMAN, &PODMAN_PACKAGES)
}
