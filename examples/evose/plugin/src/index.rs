//! The vendor's index of releases: `releases.json`.

use serde::Deserialize;
use upgraded_sdk::prelude::*;
use upgraded_sdk::rules::Version;
use upgraded_sdk::serde_json;

#[derive(Deserialize)]
struct Index {
    releases: Vec<Published>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Published {
    version: String,
    published: Option<String>,
    #[serde(default)]
    breaking: bool,
    #[serde(default)]
    migration_guide: Vec<String>,
    #[serde(default)]
    notes: Vec<String>,
}

/// Newest first; what a release breaks is the first that it says.
pub fn releases(host: &ProductHost, url: &str) -> Result<Vec<Release>> {
    let answer = host.http().get(url).map_err(|error| error.about("the index of releases"))?;
    if answer.status != 200 {
        return Err(Error::unavailable(format!("the index of releases: `{url}` is answered with {}", answer.status)));
    }
    let index: Index = serde_json::from_slice(&answer.body)
        .map_err(|error| Error::invalid(format!("the index of releases at `{url}` can't be read: {error}")))?;
    let release = |entry: Published| {
        let notes = entry.migration_guide.into_iter().chain(entry.notes).collect();
        Release { published: entry.published, breaking: entry.breaking, notes, ..Release::new(entry.version) }
    };
    let mut releases: Vec<Release> = index.releases.into_iter().map(release).collect();
    releases.sort_by_cached_key(|release| std::cmp::Reverse(Version::parse(&release.version)));
    Ok(releases)
}
