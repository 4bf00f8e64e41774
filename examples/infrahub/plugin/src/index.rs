//! The vendor's index of releases: `releases.json`.

use serde::Deserialize;
use upgraded_sdk::prelude::*;
use upgraded_sdk::rules::{Known, Leg};
use upgraded_sdk::serde_json;

#[derive(Deserialize)]
pub struct Index {
    pub releases: Vec<Entry>,
}

/// Keys that later indexes may have are nobody's mistake.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    pub version: String,
    pub published: Option<String>,
    #[serde(default)]
    pub breaking: bool,
    #[serde(default)]
    pub notes: Vec<String>,
    /// Where the graph is when the release runs.
    pub graph_version: u32,
}

impl Index {
    pub fn read(host: &ProductHost, url: &str) -> Result<Self> {
        let answer = host.http().get(url).map_err(|error| error.about("the release index"))?;
        if answer.status != 200 {
            return Err(Error::unavailable(format!("the release index `{url}` answers {}", answer.status)));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|error| Error::invalid(format!("the release index `{url}` can't be read: {error}")))
    }

    pub fn known(&self) -> Vec<Known> {
        let known = |entry: &Entry| Known { breaking: entry.breaking, ..Known::new(&entry.version) };
        self.releases.iter().map(known).collect()
    }

    /// Whether the graph of one release is another than that of the other.
    pub fn migrates(&self, leg: &Leg) -> bool {
        let graph =
            |version: &str| self.releases.iter().find(|entry| entry.version == version).map(|e| e.graph_version);
        graph(&leg.source) != graph(&leg.target)
    }

    /// Of every release on the way, the newest first.
    pub fn notes(&self, leg: &Leg) -> Vec<String> {
        let passed = leg.passes.iter().rev();
        let entries = passed.filter_map(|version| self.releases.iter().find(|entry| entry.version == *version));
        entries.flat_map(|entry| entry.notes.iter().map(|note| format!("{}: {note}", entry.version))).collect()
    }
}
