//! The machine's firewall, which every podman of root shares.

use std::fs::{File, OpenOptions};
use std::process::Command;

/// What podman makes with its first network; each looks for them before, and two at once both find none.
const SHARED: [(&str, &str); 4] = [
    ("filter", "NETAVARK_FORWARD"),
    ("nat", "NETAVARK-HOSTPORT-DNAT"),
    ("nat", "NETAVARK-HOSTPORT-SETMARK"),
    ("nat", "NETAVARK-HOSTPORT-MASQ"),
];

/// As long as a podman of the tests is there. With the last one, what they left in the firewall goes.
pub struct Firewall(File);

impl Firewall {
    pub fn enter() -> Self {
        let path = std::env::temp_dir().join("upgraded-tests-podman.lock");
        let options = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = options.and_then(|file| file.lock_shared().map(|()| file));
        let file = file.unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
        for (table, chain) in SHARED {
            iptables(&["--table", table, "--new-chain", chain]);
        }
        Self(file)
    }
}

impl Drop for Firewall {
    fn drop(&mut self) {
        let _ = self.0.unlock();
        if self.0.try_lock().is_ok() {
            remove_rules(&|rule| names_own_address(rule));
            // Where another podman of this machine has a network, the chains are its own.
            if rules("filter").iter().all(|rule| !rule.starts_with("-A NETAVARK_FORWARD ")) {
                remove_rules(&|rule| !rule.starts_with("NETAVARK") && rule.contains("-j NETAVARK"));
                remove_chains();
            }
        }
    }
}

/// Of the addresses that [`super::POOL`] is.
fn names_own_address(rule: &str) -> bool {
    let (network, _) = super::POOL.rsplit_once(".128.").expect("the pool's network");
    let third = |word: &str| word.strip_prefix(network)?.strip_prefix('.')?.split('.').next()?.parse::<u8>().ok();
    rule.split(' ').filter_map(third).any(|third| (128..192).contains(&third))
}

fn remove_rules(which: &dyn Fn(&str) -> bool) {
    for table in ["filter", "nat"] {
        for rule in rules(table).iter().filter_map(|line| line.strip_prefix("-A ")).filter(|rule| which(rule)) {
            iptables(&[&["--table", table, "--delete"], &words(rule)[..]].concat());
        }
    }
}

fn remove_chains() {
    for table in ["filter", "nat"] {
        let listed = rules(table);
        let chains =
            listed.iter().filter_map(|line| line.strip_prefix("-N ")).filter(|name| name.starts_with("NETAVARK"));
        for (flag, chain) in
            ["--flush", "--delete-chain"].iter().flat_map(|flag| chains.clone().map(move |chain| (flag, chain)))
        {
            iptables(&["--table", table, flag, chain]);
        }
    }
}

fn rules(table: &str) -> Vec<String> {
    iptables(&["--table", table, "--list-rules"]).lines().map(str::to_owned).collect()
}

/// A comment is one word, in quotes.
fn words(rule: &str) -> Vec<&str> {
    let parts = rule.split('"').enumerate();
    parts.flat_map(|(at, part)| if at % 2 == 1 { vec![part] } else { part.split_whitespace().collect() }).collect()
}

fn iptables(arguments: &[&str]) -> String {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let output = Command::new("iptables").env("PATH", path).arg("--wait").args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}
