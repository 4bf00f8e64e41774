//! The bridges of podman's networks. Before netavark 1.9 a bridge has the lowest address of what is plugged into it, so
//! that with every pod that comes or goes it may be another: who knows the old one finds no names for a minute. A bridge
//! that was told its address keeps it.

use super::{Engine, OK, nonsense};
use crate::model::VerbError;
use serde::Deserialize;
use std::fs;
use std::path::Path;
use tokio::process::Command;

const INTERFACES: &str = "/sys/class/net";
/// As the kernel says of an address that somebody gave.
const WAS_TOLD: &str = "3";
/// What pods join where nothing else is said.
const DEFAULT_NETWORK: &str = "podman-default-kube-network";

#[derive(Deserialize)]
struct Inspected {
    #[serde(default)]
    network_interface: Option<String>,
}

impl Engine {
    /// The bridges of these networks keep the addresses that they have. Those of an ordinary user's engine are out of reach.
    pub async fn keep_bridge_addresses(&self, networks: &[String]) -> Result<(), VerbError> {
        if self.is_rootless().await? {
            return Ok(());
        }
        let default = [DEFAULT_NETWORK.to_owned()];
        for network in if networks.is_empty() { &default } else { networks } {
            if let Some(bridge) = self.bridge_of(network).await? {
                keep_address(&bridge).await;
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

/// A bridge is there while something is plugged into it.
async fn keep_address(bridge: &str) {
    let of = |what: &str| fs::read_to_string(Path::new(INTERFACES).join(bridge).join(what));
    let (Ok(assigned), Ok(address)) = (of("addr_assign_type"), of("address")) else { return };
    if assigned.trim() == WAS_TOLD {
        return;
    }
    let ip = Command::new("ip").args(["link", "set", "dev", bridge, "address", address.trim()]).output().await;
    let why = match ip {
        Ok(output) if output.status.success() => return,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    tracing::warn!(
        bridge,
        why,
        "the bridge's address may change with every pod: for a minute, pods may not find others"
    );
}
