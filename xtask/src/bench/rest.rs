//! The daemon at rest: what it weighs, how soon it answers, and how soon a saved file is written down.

use super::figure::Samples;
use super::wait;
use crate::demo::{Daemon, Load, Product, Programs, Site, Socket};
use crate::interrupt::Interrupt;
use anyhow::{Context, Result};
use serde_json::Value;
use std::fs;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Until plugins have left memory, and a bit.
pub const UNTIL_AT_REST: Duration = Duration::from_secs(66);
pub const SETTLE: Duration = Duration::from_secs(2);
/// Tags that the repository doesn't have: each is refused, and the refusal is in the journal.
const NEVER_RELEASED: [&str; 2] = ["9.8.0", "9.9.0"];

pub struct Rest<'a> {
    pub programs: &'a Programs,
    pub interrupt: &'a Interrupt,
}

impl Rest<'_> {
    fn site(&self) -> Result<Site> {
        Site::make(self.programs, Product::Vendor, &Load { notes: 300, uploads: 12, upload_bytes: 200_000 })
    }

    /// Start and weight with one deployment, with it after an upgrade, and with a thousand.
    pub fn weigh(&self, starts: usize, samples: &mut Samples) -> Result<()> {
        let site = self.site()?;
        // The first look settles the file, compiles the plugins and opens the vault.
        self.settled(&site)?.stop()?;
        for _ in 0..starts {
            self.start(&site, 1, "1", samples)?.stop()?;
        }
        let mut daemon = self.settled(&site)?;
        site.edit_version_quietly("1.1.0")?;
        self.wait(&mut daemon, &site, |now| now["last_run"]["outcome"]["outcome"] == "committed")?;
        std::thread::sleep(UNTIL_AT_REST);
        tell_weight(&daemon, "1-after", samples)?;
        daemon.stop()?;

        let text = fs::read_to_string(site.deployment_file())?;
        for number in 1..1000 {
            fs::write(site.deployment_file().with_file_name(format!("notes-{number:04}.toml")), &text)?;
        }
        let mut daemon = Daemon::start(self.programs, &site.settings_file(), &site.daemon_log())?;
        self.all_idle(&mut daemon, &site, 1000)?;
        std::thread::sleep(UNTIL_AT_REST);
        tell_weight(&daemon, "1000-after", samples)?;
        daemon.stop()?;
        for _ in 0..starts {
            self.start(&site, 1000, "1000", samples)?.stop()?;
        }
        site.discard()
    }

    /// A start with files that need nothing.
    fn start(&self, site: &Site, deployments: usize, name: &str, samples: &mut Samples) -> Result<Daemon> {
        let began = Instant::now();
        let mut daemon = Daemon::start(self.programs, &site.settings_file(), &site.daemon_log())?;
        let socket = Socket::new(site.socket());
        while UnixStream::connect(site.socket()).is_err() || socket.get("/v1/").is_err() {
            daemon.check()?;
            std::thread::sleep(Duration::from_millis(1));
        }
        let took = began.elapsed().as_secs_f64();
        eprintln!("  {:<18} {took:.3} s", format!("start/{name}"));
        samples.add(&format!("start/{name}"), took);
        self.all_idle(&mut daemon, site, deployments)?;
        std::thread::sleep(SETTLE);
        tell_weight(&daemon, name, samples)?;
        Ok(daemon)
    }

    fn settled(&self, site: &Site) -> Result<Daemon> {
        let mut daemon = Daemon::start(self.programs, &site.settings_file(), &site.daemon_log())?;
        self.all_idle(&mut daemon, site, 1)?;
        Ok(daemon)
    }

    fn all_idle(&self, daemon: &mut Daemon, site: &Site, deployments: usize) -> Result<()> {
        self.until(daemon, site, "/v1/deployments", |all| {
            all.as_array().is_some_and(|all| all.len() == deployments && all.iter().all(wait::is_settled))
        })
        .map(drop)
    }

    fn wait(&self, daemon: &mut Daemon, site: &Site, until: impl Fn(&Value) -> bool) -> Result<Value> {
        self.until(daemon, site, "/v1/deployments/notes", until)
    }

    fn until(&self, daemon: &mut Daemon, site: &Site, path: &str, until: impl Fn(&Value) -> bool) -> Result<Value> {
        wait::until(daemon, &Socket::new(site.socket()), self.interrupt, path, until)
    }

    /// From the moment that an edited version line is saved to the moment that what came of it is in the journal.
    pub fn latency(&self, edits: usize, samples: &mut Samples) -> Result<()> {
        let site = self.site()?;
        let mut daemon = self.settled(&site)?;
        let socket = Socket::new(site.socket());
        let mut events = socket.events()?;
        for number in 0..edits {
            self.interrupt.check()?;
            daemon.check()?;
            let version = NEVER_RELEASED[number % 2];
            site.edit_version_quietly(version)?;
            let saved = Instant::now();
            // Told to those who watch once the refusal is written down.
            let refused = events.find(|event| {
                event["kind"] == "changed"
                    && event["now"]["wanted"] == version
                    && event["now"]["state"]["kind"] == "error"
            });
            refused.context("the daemon's events ended")?;
            samples.add("latency", saved.elapsed().as_secs_f64());
        }
        daemon.stop()?;
        site.discard()
    }
}

pub fn tell_weight(daemon: &Daemon, name: &str, samples: &mut Samples) -> Result<()> {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid()))?;
    for (what, field) in [("rss", "VmRSS:"), ("anonymous", "RssAnon:")] {
        let line = status.lines().find(|line| line.starts_with(field)).context("the weight of a process")?;
        let kib: f64 = line.split_whitespace().nth(1).context("a number of kB")?.parse()?;
        eprintln!("  {:<18} {:.1} MiB", format!("{what}/{name}"), kib / 1024.0);
        samples.add(&format!("{what}/{name}"), kib / 1024.0);
    }
    Ok(())
}
