//! A network of pods that no other podman of this machine has.

use crate::machine::succeed;
use scratch_docker::Engine;
use std::fs;
use std::process::Command;

/// Of each network a file: the address at which its names are asked for, and a line for each container.
const NAMES: &str = "/run/containers/networks/aardvark-dns";

/// Of the addresses that podmen of the tests have, those of products in a systemd begin here.
pub const IN_SYSTEMD: u32 = 16;

/// The bridge of a machine's network.
pub fn bridge(number: u32) -> String {
    format!("pods{number}")
}

/// With a bridge and addresses of its own; podman's command line can't say the bridge.
pub fn make_network(engine: &Engine, name: &str, number: u32) {
    let (bridge, subnet) = (bridge(number), format!("10.199.{}", 160 + number));
    // Whoever was killed left it, and nobody else has it.
    let _ = Command::new("ip").args(["link", "delete", &bridge]).output();
    forget_names(&format!("{subnet}.1"));
    let network = format!(
        r#"{{"name":"{name}","driver":"bridge","dns_enabled":true,"network_interface":"{bridge}",
        "subnets":[{{"subnet":"{subnet}.0/24"}}]}}"#
    );
    let socket = engine.socket().display().to_string();
    let url = "http://podman/v4.3.1/libpod/networks/create";
    succeed(Command::new("curl").args([
        "--silent",
        "--show-error",
        "--fail-with-body",
        "--unix-socket",
        &socket,
        "--header",
        "content-type: application/json",
        "--data",
        &network,
        url,
    ]));
}

/// What the name server of podman's networks would still say at this address of pods that are gone.
fn forget_names(address: &str) {
    for entry in fs::read_dir(NAMES).into_iter().flatten().flatten() {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        if text.lines().next() == Some(address) {
            fs::remove_file(entry.path()).expect("the names of a network that is gone");
        }
    }
}
