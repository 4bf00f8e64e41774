//! From versions to commits and back.

use crate::Settings;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use upgraded_sdk::prelude::*;
use upgraded_sdk::rules::Version;

/// What `stage` found out: the commits of a hop's two versions. It is found by version and not by place, because a way
/// back is handed the token of the way forward.
#[derive(Debug, Serialize, Deserialize)]
pub struct Staged {
    commits: BTreeMap<String, String>,
}

impl Staged {
    pub fn fetch(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<Self> {
        let mut commits = BTreeMap::new();
        for version in [&hop.source, &hop.target] {
            commits.insert(version.clone(), commit(&call.settings, host, version)?);
        }
        Ok(Self { commits })
    }

    pub fn read(token: &str) -> Result<Self> {
        serde_json::from_str(token).map_err(|e| Error::invalid(format!("the token `{token}` is none of `source`: {e}")))
    }

    pub fn token(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|e| Error::other("token", e.to_string()))
    }

    /// The commit that was staged for a version; of one that this hop does not know, the repository's.
    pub fn commit(&self, call: &Call<Settings>, host: &PlatformHost, version: &str) -> Result<String> {
        match self.commits.get(version) {
            Some(commit) => Ok(commit.clone()),
            None => commit(&call.settings, host, version),
        }
    }
}

/// The commit of a version: of the tag that it is written as, or of the SHA that it is.
pub fn commit(settings: &Settings, host: &PlatformHost, version: &str) -> Result<String> {
    let tag = tag_of(&settings.tag, version);
    if is_commit(version) {
        return host.checkout().fetch(version);
    }
    host.checkout().fetch(&tag).map_err(|error| error.about(format!("`{version}` (tag `{tag}`)")))
}

pub fn tag_of(pattern: &str, version: &str) -> String {
    pattern.replace("{version}", version)
}

/// The version that a commit is: what its tag says, else the commit.
pub fn version_of(pattern: &str, commit: &str, tag: Option<&str>) -> String {
    let named = tag.and_then(|tag| {
        let (before, after) = pattern.split_once("{version}")?;
        tag.strip_prefix(before)?.strip_suffix(after)
    });
    named.unwrap_or(commit).to_owned()
}

/// A full or short SHA, and no version.
pub fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        && Version::parse(text).is_none()
}
