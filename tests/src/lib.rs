//! What the end-to-end tests are told with: a machine in a folder ([`Machine`]) with one of the example products on it
//! ([`Site`], [`Graph`], [`Stack`], [`Evose`], [`EvoseRelease`], [`Infrahub`], [`InfrahubRelease`], [`LedgerRelease`], [`Aegis`], [`Wiki`], [`Replicas`], [`Shop`]), the real daemon
//! ([`Daemon`]), and what a user ([`visits`]) and an operator see of both. Nothing here knows the daemon's code: it edits
//! files, asks the socket, calls `upgradectl`, and reads what lies on the disk. Everything that goes wrong is a panic that
//! names it.

mod aegis;
mod carry;
mod cloud;
mod cluster;
mod composed;
mod cut;
mod daemon;
mod evose;
mod evose_release;
mod graph;
mod hold;
mod infrahub;
mod infrahub_release;
mod layout;
mod ledger_release;
mod machine;
mod pod_network;
mod power;
mod programs;
mod release;
mod released;
mod replicas;
mod replicas_release;
mod shop;
mod site;
mod socket;
mod stack;
mod tinker;
mod visitor;
mod wiki;

pub use aegis::Aegis;
pub use carry::beside;
pub use cloud::{CLOUD_SERVICES, Cloud};
pub use cluster::Cluster;
pub use composed::Composed;
pub use cut::{Cut, turns_round_at};
pub use daemon::Daemon;
pub use evose::Evose;
pub use evose_release::EvoseRelease;
pub use graph::{Graph, Install, Role};
pub use hold::Hold;
pub use infrahub::Infrahub;
pub use infrahub_release::InfrahubRelease;
pub use layout::{Layout, Layouts, Plan};
pub use ledger_release::LedgerRelease;
pub use machine::{Machine, succeed};
pub use programs::Programs;
pub use release::Release;
pub use released::Released;
pub use replicas::{GOOD_WRONG_AND_BROKEN, Image, Replicas, answered_by_each, ask_any};
pub use replicas_release::ReplicasRelease;
pub use shop::{Database, EDGE_SERVICES, MARIADB, POSTGRES, Shop};
pub use site::{Setup, Site};
pub use socket::ask;
pub use stack::{SERVICES, Stack, StackInstall};
pub use tinker::{SmallDisk, exchange};
pub use visitor::{Visit, account_for, visits, visits_with};
pub use wiki::{RELEASES as WIKI_RELEASES, UNITS as WIKI_UNITS, Wiki};

use serde_json::Value;

pub fn kind(now: &Value) -> &str {
    now["state"]["kind"].as_str().unwrap_or_default()
}

pub fn outcome(now: &Value) -> &str {
    now["last_run"]["outcome"]["outcome"].as_str().unwrap_or_default()
}

/// Why the run turned round, or was refused.
pub fn why(now: &Value) -> &str {
    now["last_run"]["outcome"]["why"].as_str().unwrap_or_default()
}

pub fn last_run(now: &Value) -> u64 {
    now["last_run"]["id"].as_u64().unwrap_or_else(|| panic!("no run yet: {now:#}"))
}

/// The newest run is this one, and has ended.
pub fn is_over(now: &Value, run: u64) -> bool {
    now["last_run"]["id"] == run && !now["last_run"]["outcome"].is_null()
}

/// Ids in order.
pub fn steps(view: &Value) -> Vec<String> {
    let steps = view["steps"].as_array().unwrap_or_else(|| panic!("no steps: {view:#}"));
    steps.iter().map(|step| step["id"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Like `1` for every, `4` for every fourth; from the environment where it is set.
pub fn stride(variable: &str, default: usize) -> usize {
    match std::env::var(variable) {
        Ok(text) => text.parse().ok().filter(|stride| *stride > 0).unwrap_or_else(|| panic!("{variable}={text}")),
        Err(_) => default,
    }
}
