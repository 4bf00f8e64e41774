//! The vendor's index of releases.

use upgraded_sdk::prelude::*;
use upgraded_sdk::rules::Version;
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

    /// A new major version is reached from the last minor version before it: its newest release is a stop.
    pub fn stop_before_major(&self, version: &str, installed: &str) -> bool {
        let (Some(this), Some(installed)) = (Version::parse(version), Version::parse(installed)) else { return false };
        let regular = self.releases.iter().filter_map(|entry| Version::parse(&entry.version));
        let newest = regular.filter(|other| other.major() == this.major() && !other.is_prerelease()).max();
        this.minor() != installed.minor() && newest == Some(this)
    }
}
