//! What the releases are: `releases.toml`, compiled in.

use crate::graph::Change;
use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Value, json};

const RELEASES: &str = include_str!("../../releases.toml");

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// Oldest first.
    pub releases: Vec<Release>,
    pub migrations: Vec<Migration>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Release {
    pub version: String,
    pub published: String,
    #[serde(default)]
    pub breaking: bool,
    pub notes: Vec<String>,
    /// Its own; later releases have them too, unless it was withdrawn.
    #[serde(default)]
    pub migrations: Vec<String>,
    #[serde(default)]
    pub withdrawn: bool,
    /// Variables without which no service of it starts.
    #[serde(default)]
    pub needs: Vec<String>,
    #[serde(default)]
    pub server: Server,
}

/// How the release's API behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Server {
    #[default]
    Serves,
    Crashes,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Migration {
    pub name: String,
    pub changes: Vec<Change>,
    /// The nodes are changed in so many parts.
    #[serde(default = "one")]
    pub parts: u64,
    /// What a part takes on a large graph.
    #[serde(default)]
    pub part_ms: u64,
}

fn one() -> u64 {
    1
}

impl Catalogue {
    pub fn read() -> Result<Self> {
        toml::from_str(RELEASES).context("releases.toml")
    }

    pub fn find(&self, version: &str) -> Result<&Release> {
        self.releases.iter().find(|release| release.version == version).with_context(|| {
            let known: Vec<&str> = self.releases.iter().map(|release| release.version.as_str()).collect();
            format!("`{version}` is no release; there are {}", known.join(", "))
        })
    }

    /// Everything that a graph of this release has, in order.
    pub fn migrations_of(&self, version: &str) -> Result<Vec<&Migration>> {
        let last = self.find(version)?;
        let until = self.releases.iter().take_while(|release| release.version != version);
        let names = until.filter(|release| !release.withdrawn).chain([last]).flat_map(|release| &release.migrations);
        names.map(|name| self.migration(name)).collect()
    }

    fn migration(&self, name: &str) -> Result<&Migration> {
        let found = self.migrations.iter().find(|migration| migration.name == name);
        found.with_context(|| format!("there is no migration `{name}`"))
    }

    /// `releases.json`, as the vendor publishes it.
    pub fn index(&self) -> Result<Value> {
        let entry = |release: &Release| {
            let last = self.migrations_of(&release.version)?.into_iter().next_back();
            let number = last.and_then(|migration| migration.name.split('_').next()?.parse::<u32>().ok());
            Ok(json!({
                "version": release.version,
                "published": release.published,
                "breaking": release.breaking,
                "notes": release.notes,
                "graph-version": number.context("a migration is called like `001_what`")?,
            }))
        };
        Ok(json!({ "releases": self.releases.iter().map(entry).collect::<Result<Vec<_>>>()? }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(version: &str) -> Vec<String> {
        let catalogue = Catalogue::read().unwrap();
        catalogue.migrations_of(version).unwrap().iter().map(|migration| migration.name.clone()).collect()
    }

    #[test]
    fn a_release_has_what_came_before_it_and_not_what_was_withdrawn() {
        assert_eq!(names("1.6.4"), ["010_create_main_branch", "011_add_repositories"]);
        assert_eq!(names("1.7.0")[2..], ["012_add_branch_index", "013_add_tag_branches"]);
        assert_eq!(names("1.7.6"), names("1.7.0"));
        assert_eq!(names("1.8.0")[4..], ["014_add_artifact_index", "015_link_proposed_changes"]);
        assert_eq!(names("1.8.1"), names("1.7.0"));
        assert_eq!(names("1.8.3")[4..], ["017_add_artifact_index"]);
        assert_eq!(names("2.0.0")[5..], ["018_move_tag_branches"]);
    }

    #[test]
    fn the_index_says_where_the_graph_of_each_release_is() {
        let index = Catalogue::read().unwrap().index().unwrap();
        let versions = index["releases"].as_array().unwrap().iter();
        let versions: Vec<_> =
            versions.map(|entry| format!("{} {}", entry["version"], entry["graph-version"])).collect();
        assert!(versions.contains(&"\"1.6.4\" 11".to_owned()) && versions.contains(&"\"1.9.0\" 17".to_owned()));
        let error = Catalogue::read().unwrap().find("1.6.9").unwrap_err().to_string();
        assert!(error.contains("`1.6.9` is no release; there are 1.5.3, 1.6.0"), "{error}");
    }
}
