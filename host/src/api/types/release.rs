//! Releases, and the way to each.

use crate::model::{Hop, Release};
use serde::{Deserialize, Serialize};

/// What there is for a deployment, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Releases {
    pub deployment: String,
    pub installed: String,
    pub wanted: Option<String>,
    pub releases: Vec<ReachableRelease>,
}

/// A release, and how the deployment would get there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReachableRelease {
    #[serde(flatten)]
    pub release: Release,
    pub reach: Reach,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Reach {
    Installed,
    /// In order; one at least.
    Path {
        hops: Vec<HopSummary>,
    },
    /// The rule that says no: a downgrade, a skipped minor, a required stop, a gap in the release index.
    Refused {
        rule: String,
    },
    /// It failed here.
    Quarantined {
        run: u64,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HopSummary {
    pub from: String,
    pub to: String,
    pub breaking: bool,
    /// Background work must finish after it: a run ends there.
    pub rest: bool,
}

impl From<&Hop> for HopSummary {
    fn from(hop: &Hop) -> Self {
        Self { from: hop.source.clone(), to: hop.target.clone(), breaking: hop.breaking, rest: hop.rest }
    }
}
