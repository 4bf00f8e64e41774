//! One site with its daemon, upgraded and brought back again and again.

use crate::Blow;
use std::fs;
use upgraded_tests::{Cut, Daemon, Setup, Site, kind, outcome};

#[derive(Debug, Clone, Copy)]
pub struct Story {
    pub from: &'static str,
    pub to: &'static str,
    pub ends_as: &'static str,
}

impl Story {
    pub fn setup(&self) -> Setup {
        Setup { version: self.from, ..Setup::default() }
    }
    pub fn commits(&self) -> bool {
        self.ends_as == "committed"
    }
}

pub struct Bench<'a> {
    site: &'a Site,
    story: Story,
    /// None between two of them.
    daemon: Option<Daemon<'a>>,
    old: String,
    /// What the data is after an uncut run.
    new: Option<&'a str>,
    runs: u64,
}

impl<'a> Bench<'a> {
    pub fn new(site: &'a Site, story: Story, new: Option<&'a str>) -> Self {
        let daemon = Some(Daemon::start(site).settled());
        Self { site, story, daemon, old: site.checksums(), new, runs: 0 }
    }

    /// From the edit of the line, or the operator's `retry`, to the run's end.
    pub fn upgrade(&mut self) {
        self.begin();
        self.ends();
    }

    pub fn strike(&mut self, blow: Blow) {
        // Staging has something to do again.
        let release = self.site.home().join("releases").join(self.site.commit(self.story.to));
        let _ = fs::remove_dir_all(release);
        self.site.cut_at(blow.first);
        self.begin();
        self.dies();
        if blow.with_the_machine {
            self.site.power_fails();
            self.site.boots();
        }
        if let Some(second) = blow.second {
            self.site.cut_at(second);
            self.daemon = Some(Daemon::launch(self.site, &[]));
            self.dies();
        }
        self.daemon = Some(Daemon::start(self.site));
        self.ends();
        if self.story.commits() {
            self.roll_back_by_hand(blow.by_hand);
        }
    }

    pub fn roll_back_by_hand(&mut self, cut: Option<Cut>) {
        if let Some(cut) = cut {
            self.site.cut_at(cut);
        }
        self.runs += 1;
        let daemon = self.daemon.as_ref().expect("a daemon runs");
        // Cut early, it can't answer.
        let _ = daemon.upgradectl(&["rollback", &self.site.name, "--yes"]);
        if cut.is_some() {
            self.dies();
            self.daemon = Some(Daemon::start(self.site));
        }
        let from = self.story.from;
        let (runs, daemon) = (self.runs, self.daemon.as_mut().expect("a daemon runs"));
        let now = daemon.wait("it is rolled back", |now| {
            now["last_run"]["id"] == runs && !now["last_run"]["outcome"].is_null() && kind(now) == "idle"
        });
        assert_eq!(outcome(&now), "rolled-back", "{now:#}");
        daemon.wait("it knows what it went back to", |now| now["installed"] == from && now["wanted"] == from);
        self.site.is_whole(from, Some(&self.old));
    }

    pub fn leave(mut self) {
        self.daemon.take().expect("a daemon runs").stop();
    }

    fn begin(&mut self) {
        let daemon = self.daemon.as_ref().expect("a daemon runs");
        if self.runs == 0 || self.story.commits() {
            self.site.edit_version(self.story.to);
        } else {
            daemon.told(&["retry", &self.site.name]);
        }
        self.runs += 1;
    }

    fn dies(&mut self) {
        self.daemon.take().expect("a daemon runs").dies();
        self.site.no_cut();
    }

    /// The run ends as it would have without a cut, and nothing begins by itself.
    fn ends(&mut self) {
        let Story { from, to, ends_as } = self.story;
        let (stands, rests) = if self.story.commits() { (to, "idle") } else { (from, "quarantined") };
        let (runs, daemon) = (self.runs, self.daemon.as_mut().expect("a daemon runs"));
        let now = daemon.wait("the run ends", |now| {
            now["last_run"]["id"] == runs && !now["last_run"]["outcome"].is_null() && kind(now) == rests
        });
        assert_eq!(outcome(&now), ends_as, "{now:#}");
        daemon.wait("it knows what stands", |now| now["installed"] == stands);
        assert_eq!(daemon.runs() as u64, runs);
        let data = if self.story.commits() { self.new } else { Some(self.old.as_str()) };
        self.site.is_whole(stands, data);
    }
}
