//! What the engine needs of the machine's network, and gives back: a bridge, a rule of the firewall, forwarding. Another
//! engine beside it keeps all that it has.

use super::machine::administration;
use super::scripts::succeed;
use anyhow::{Context, Result, bail};
use scratch_docker::Own;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const BRIDGE: &str = "upgraded0";
/// Addresses that no other engine gives by itself.
pub const POOL: &str = "10.199.0.0/16";
const ADDRESS: &str = "10.199.0.1/24";
const RULE: [&str; 7] = ["FORWARD", "--source", POOL, "--destination", POOL, "--jump", "ACCEPT"];

pub fn make(own: &Own) -> Result<()> {
    if !has_bridge() {
        ip(&["link", "add", BRIDGE, "type", "bridge"])?;
    }
    ip(&["address", "replace", ADDRESS, "dev", BRIDGE])?;
    ip(&["link", "set", BRIDGE, "up"])?;
    // Where bridges pass the firewall, another engine drops what it doesn't know.
    if !has_rule() {
        iptables(&[&["--insert"][..], &RULE].concat())?;
    }
    forward(own)
}

pub fn remove(own: &Own) -> Result<()> {
    while has_rule() {
        iptables(&[&["--delete"][..], &RULE].concat())?;
    }
    if has_bridge() {
        ip(&["link", "delete", BRIDGE])?;
    }
    forward_no_more(own)
}

const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

/// As engines do it: a machine that didn't forward begins to, and not between just any networks.
fn forward(own: &Own) -> Result<()> {
    if fs::read_to_string(FORWARDING)?.trim() != "0" {
        return Ok(());
    }
    fs::write(before(own), policy()?)?;
    iptables(&["--policy", "FORWARD", "DROP"])?;
    fs::write(FORWARDING, "1").context(FORWARDING)
}

/// Back to what it was, unless somebody else needs it by now.
fn forward_no_more(own: &Own) -> Result<()> {
    let Ok(policy) = fs::read_to_string(before(own)) else { return Ok(()) };
    if !others_forward() {
        fs::write(FORWARDING, "0").context(FORWARDING)?;
        iptables(&["--policy", "FORWARD", &policy])?;
    }
    Ok(fs::remove_file(before(own))?)
}

/// Holds the policy that was there, while forwarding is our doing.
fn before(own: &Own) -> PathBuf {
    own.folder().join("forward-policy")
}

/// Like `ACCEPT`.
fn policy() -> Result<String> {
    let Some(iptables) = administration("iptables") else { bail!("missing: iptables") };
    let output = Command::new(iptables).args(["--wait", "--list-rules", "FORWARD"]).output().context("`iptables`")?;
    let rules = String::from_utf8_lossy(&output.stdout).into_owned();
    let policy = rules.lines().find_map(|line| line.strip_prefix("-P FORWARD "));
    Ok(policy.context("`iptables --list-rules FORWARD` names no policy")?.trim().to_owned())
}

/// Other engines in the same network.
fn others_forward() -> bool {
    let network = |process: &Path| fs::read_link(process.join("ns/net")).ok();
    let ours = network(Path::new("/proc/self"));
    let mut processes = fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    processes.any(|process| {
        let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
        matches!(name.trim(), "dockerd" | "kubelet") && network(&process) == ours
    })
}

fn has_bridge() -> bool {
    ip(&["link", "show", "dev", BRIDGE]).is_ok()
}

fn has_rule() -> bool {
    iptables(&[&["--check"][..], &RULE].concat()).is_ok()
}

fn iptables(arguments: &[&str]) -> Result<()> {
    let Some(iptables) = administration("iptables") else { bail!("missing: iptables") };
    succeed(Command::new(iptables).arg("--wait").args(arguments), &format!("`iptables {}`", arguments.join(" ")))
}

fn ip(arguments: &[&str]) -> Result<()> {
    let Some(ip) = administration("ip") else { bail!("missing: ip") };
    succeed(Command::new(ip).args(arguments), &format!("`ip {}`", arguments.join(" ")))
}
