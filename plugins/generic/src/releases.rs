//! Which releases there are: of the index, of the settings, of the repository's tags.

use crate::settings::{ReleaseEntry, Settings};
use serde::Deserialize;
use std::collections::BTreeMap;
use upgraded_sdk::prelude::*;
use upgraded_sdk::rules::{Known, Version};

/// Newest first.
pub fn listed(call: &Call<Settings>, host: &ProductHost) -> Result<Vec<Release>> {
    let mut entries = entries(&call.settings, host)?;
    entries.sort_by_cached_key(|entry| std::cmp::Reverse(Version::parse(&entry.version)));
    Ok(entries
        .into_iter()
        .map(|entry| Release {
            version: entry.version,
            published: entry.published,
            breaking: entry.breaking,
            notes: entry.notes,
            url: entry.url,
        })
        .collect())
}

/// Every release that is known, each once: what stands in the settings wins over the index, the index over a tag.
pub fn entries(settings: &Settings, host: &ProductHost) -> Result<Vec<ReleaseEntry>> {
    let mut known: BTreeMap<String, ReleaseEntry> = BTreeMap::new();
    if settings.tags.unwrap_or(!are_written(settings)) && !are_nowhere(settings, host) {
        for (tag, _) in host.checkout().releases()? {
            if let Some(version) = version_of(&settings.tag, &tag).filter(|version| Version::parse(version).is_some()) {
                known.insert(version.into(), ReleaseEntry { version: version.into(), ..ReleaseEntry::default() });
            }
        }
    }
    if let Some(index) = &settings.index {
        known.extend(once_each(index, read(index, &host.files().read_text(index)?)?)?);
    }
    known.extend(once_each("releases", settings.releases.clone())?);
    Ok(known.into_values().collect())
}

/// Nothing lists releases: whatever the operator names is one, where the platform can bring it here.
pub fn are_nowhere(settings: &Settings, host: &ProductHost) -> bool {
    let asked = settings.tags.is_none() && !are_written(settings);
    asked && matches!(host.checkout().releases(), Err(Error::Denied(_)))
}

fn are_written(settings: &Settings) -> bool {
    settings.index.is_some() || !settings.releases.is_empty()
}

impl ReleaseEntry {
    /// A release with acts of its own is a stop: a path that skipped it would skip them.
    pub fn known(&self) -> Known {
        Known {
            version: self.version.clone(),
            stop: self.requires_stop || self.rest || self.acts.is_some(),
            breaking: self.breaking,
        }
    }
}

/// What the pattern's `{version}` stands for in a tag.
pub fn version_of<'a>(pattern: &str, tag: &'a str) -> Option<&'a str> {
    let (before, after) = pattern.split_once("{version}")?;
    tag.strip_prefix(before)?.strip_suffix(after)
}

#[derive(Deserialize)]
struct TomlIndex {
    #[serde(default)]
    releases: Vec<ReleaseEntry>,
}

fn read(path: &str, text: &str) -> Result<Vec<ReleaseEntry>> {
    let wrong = |why: String| Error::invalid(format!("the release index `{path}` can't be read: {}", why.trim_end()));
    if !path.ends_with(".json") {
        return toml::from_str::<TomlIndex>(text).map(|index| index.releases).map_err(|e| wrong(e.to_string()));
    }
    // Parsed as what it looks like: the errors of an untagged enum say nothing.
    let value: serde_json::Value = serde_json::from_str(text).map_err(|e| wrong(e.to_string()))?;
    let releases = match value {
        serde_json::Value::Object(mut object) => object.remove("releases").unwrap_or_default(),
        other => other,
    };
    serde_json::from_value(releases).map_err(|e| wrong(e.to_string()))
}

fn once_each(place: &str, entries: Vec<ReleaseEntry>) -> Result<BTreeMap<String, ReleaseEntry>> {
    let mut known = BTreeMap::new();
    for entry in entries {
        let version = entry.version.clone();
        if known.insert(version.clone(), entry).is_some() {
            return Err(Error::invalid(format!("`{version}` stands twice in `{place}`")));
        }
    }
    Ok(known)
}
