//! The vendor's index of releases.

use upgraded_sdk::prelude::*;
use upgraded_sdk::rules::{Known, Leg, Version};
use upgraded_sdk::{nearest, serde_json};

#[derive(serde::Deserialize)]
pub struct Index {
    releases: Vec<Entry>,
}

/// Keys that later indexes may have are nobody's mistake.
#[derive(serde::Deserialize)]
pub struct Entry {
    pub version: String,
    pub published: Option<String>,
    #[serde(default)]
    pub breaking: bool,
    #[serde(default)]
    pub notes: Vec<String>,
    /// Where the database is when the release runs.
    pub db_migration: String,
    /// Pod definitions change with it.
    #[serde(default)]
    pub pods_change: bool,
    /// The major version of its database's server.
    pub postgres: String,
}

impl Index {
    pub fn read(host: &ProductHost, url: &str) -> Result<Self> {
        let answer = host.http().get(url)?;
        if answer.status != 200 {
            return Err(Error::unavailable(format!("the release index `{url}` answers {}", answer.status)));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|error| Error::invalid(format!("the release index `{url}` can't be read: {error}")))
    }

    pub fn entries(&self) -> &[Entry] {
        &self.releases
    }

    pub fn find(&self, version: &str) -> Result<&Entry> {
        self.releases.iter().find(|entry| entry.version == version).ok_or_else(|| {
            let near = nearest(version, self.releases.iter().map(|entry| entry.version.as_str()));
            let near = near.map(|near| format!("; the nearest is `{near}`")).unwrap_or_default();
            Error::invalid(format!("the release index has no `{version}`{near}"))
        })
    }

    /// During pre-alpha every minor version is breaking: its first release is where a path stops.
    pub fn known(&self) -> Vec<Known> {
        let first = |entry: &Entry| {
            let this = Version::parse(&entry.version)?;
            let others = self.releases.iter().filter_map(|other| Version::parse(&other.version));
            let of_minor = others.filter(|other| other.major() == this.major() && other.minor() == this.minor());
            let is_first = of_minor.min().as_ref() == Some(&this);
            // The very first of all is reached from nothing.
            let is_lowest = self.releases.iter().filter_map(|other| Version::parse(&other.version)).min() == Some(this);
            Some(is_first && !is_lowest)
        };
        let known = |entry: &Entry| Known {
            breaking: entry.breaking || (entry.version.starts_with("0.") && first(entry).unwrap_or(false)),
            ..Known::new(&entry.version)
        };
        self.releases.iter().map(known).collect()
    }

    /// Whether pods are defined otherwise at the end of the way.
    pub fn pods_change(&self, leg: &Leg) -> bool {
        self.passed(leg).any(|entry| entry.pods_change)
    }

    /// Of every release on the way, the newest first.
    pub fn notes(&self, leg: &Leg) -> Vec<String> {
        let told =
            |entry: &Entry| entry.notes.iter().map(|note| format!("{}: {note}", entry.version)).collect::<Vec<_>>();
        let mut notes: Vec<Vec<String>> = self.passed(leg).map(told).collect();
        notes.reverse();
        notes.concat()
    }

    fn passed<'a>(&'a self, leg: &'a Leg) -> impl Iterator<Item = &'a Entry> {
        self.releases.iter().filter(|entry| leg.passes.contains(&entry.version))
    }
}
