//! The bridges of podman's networks. Before netavark 1.9 a bridge has the lowest address of what is plugged into it, so
//! that with every pod that comes or goes it may be another: who knows the old one finds no names for a minute. A bridge
//! that was told its address keeps it.
//!
//! Those of an ordinary user's engine are in a network of the user's own, in which its name server is. That one is entered
//! with no more rights than the user has there.

use super::{Engine, OK, nonsense};
use crate::driver::process::proc;
use crate::model::VerbError;
use serde::Deserialize;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tokio::process::Command;

const INTERFACES: &str = "/sys/class/net";
/// As the kernel says of an address that somebody gave.
const WAS_TOLD: &str = "3";
/// What pods join where nothing else is said.
const DEFAULT_NETWORK: &str = "podman-default-kube-network";
/// Of podman's networks, by what a process is called.
const NAME_SERVER: &str = "aardvark-dns";

#[derive(Deserialize)]
struct Inspected {
    #[serde(default)]
    network_interface: Option<String>,
}

/// Where a bridge is.
#[derive(Clone, Copy)]
enum Place {
    Here,
    /// In the network of this process.
    Beside(i32),
}

impl Engine {
    /// The bridges of these networks keep the addresses that they have.
    pub async fn keep_bridge_addresses(&self, networks: &[String]) -> Result<(), VerbError> {
        let places = match self.user().await? {
            Some(user) => {
                let found = tokio::task::spawn_blocking(move || name_servers_of(user)).await;
                found.unwrap_or_default().into_iter().map(Place::Beside).collect()
            }
            None => vec![Place::Here],
        };
        let default = [DEFAULT_NETWORK.to_owned()];
        for network in if networks.is_empty() { &default } else { networks } {
            let Some(bridge) = self.bridge_of(network).await? else { continue };
            for place in &places {
                place.keep_address(&bridge).await;
            }
        }
        Ok(())
    }

    async fn bridge_of(&self, network: &str) -> Result<Option<String>, VerbError> {
        let path = self.libpod(&format!("/networks/{network}/json")).await?;
        match self.get(&path, &[]).await? {
            (OK, body) => {
                let inspected: Inspected = serde_json::from_slice(&body).map_err(|error| nonsense(&error))?;
                Ok(inspected.network_interface.filter(|name| Path::new(name).components().count() == 1))
            }
            // Pods are not in it.
            _ => Ok(None),
        }
    }
}

/// There while something is plugged into a bridge whose network finds names.
fn name_servers_of(user: u32) -> Vec<i32> {
    let is_one = |pid: &i32| {
        let process = Path::new("/proc").join(pid.to_string());
        let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
        name.trim_end() == NAME_SERVER && process.metadata().is_ok_and(|found| found.uid() == user)
    };
    proc::all().into_iter().filter(is_one).collect()
}

impl Place {
    /// A bridge is there while something is plugged into it.
    async fn keep_address(self, bridge: &str) {
        let told = async {
            match self.address_to_keep(bridge).await? {
                Some(address) => self.ip(&["link", "set", "dev", bridge, "address", &address]).await.map(drop),
                None => Ok(()),
            }
        };
        if let Err(why) = told.await {
            tracing::warn!(
                bridge,
                why,
                "the bridge's address may change with every pod: for a minute, pods may not find others"
            );
        }
    }

    /// None: the bridge is not there, or keeps it already, which from outside of its network nobody can tell.
    async fn address_to_keep(self, bridge: &str) -> Result<Option<String>, String> {
        match self {
            Self::Here => {
                let of = |what: &str| fs::read_to_string(Path::new(INTERFACES).join(bridge).join(what)).ok();
                let keeps = of("addr_assign_type").is_none_or(|assigned| assigned.trim() == WAS_TOLD);
                Ok(of("address").filter(|_| !keeps).map(|address| address.trim().to_owned()))
            }
            Self::Beside(_) => Ok(address_in(&self.ip(&["-oneline", "link", "show"]).await?, bridge)),
        }
    }

    async fn ip(self, arguments: &[&str]) -> Result<String, String> {
        let mut ip = match self {
            Self::Here => Command::new("ip"),
            Self::Beside(process) => {
                let mut enter = Command::new("nsenter");
                enter.args(["--target", &process.to_string(), "--user", "--net", "ip"]);
                enter
            }
        };
        let output = ip.args(arguments).output().await.map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        }
    }
}

/// Of what `ip` says of all interfaces, a line each.
fn address_in(said: &str, bridge: &str) -> Option<String> {
    let is_it = |line: &&str| line.split(": ").nth(1) == Some(bridge);
    let (_, rest) = said.lines().find(is_it)?.split_once("link/ether ")?;
    rest.split_whitespace().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_bridge_among_others() {
        let said = "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue\\    link/loopback 00:00:00:00:00:00 brd \
                    00:00:00:00:00:00\n\
                    4: podman12: <BROADCAST,UP> mtu 1500\\    link/ether 0a:00:00:00:00:12 brd ff:ff:ff:ff:ff:ff\n\
                    5: podman1: <BROADCAST,UP> mtu 1500\\    link/ether 0a:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff\n\
                    6: veth0@if2: <BROADCAST,UP> mtu 1500\\    link/ether 0a:00:00:00:00:06 brd ff:ff:ff:ff:ff:ff\n";
        assert_eq!(address_in(said, "podman1").as_deref(), Some("0a:00:00:00:00:01"));
        assert_eq!(address_in(said, "podman2"), None, "nothing is plugged into it");
        assert_eq!(address_in(said, "lo"), None);
    }
}
