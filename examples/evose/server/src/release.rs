//! What the releases are: `releases.toml`, compiled in.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

const RELEASES: &str = include_str!("../../releases.toml");

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// In the order in which they are applied.
    pub migrations: Vec<Migration>,
    /// Oldest first.
    pub releases: Vec<Release>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Release {
    pub version: String,
    pub published: String,
    #[serde(default)]
    pub breaking: bool,
    pub notes: Vec<String>,
    #[serde(default)]
    pub migration_guide: Vec<String>,
    /// Its own; later releases have them too, unless it was withdrawn.
    #[serde(default)]
    pub migrations: Vec<String>,
    #[serde(default)]
    pub withdrawn: bool,
    /// The secret is `EVOSE_APP_SECRET`, and the old name is refused.
    #[serde(default)]
    pub renamed_secret: bool,
    #[serde(default)]
    pub api: Api,
}

/// How the release's API behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Api {
    #[default]
    Serves,
    Crashes,
    NeverHealthy,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Migration {
    pub name: String,
    pub database: Database,
    pub sql: Vec<String>,
    /// A statement for each of `batches`, with `{batch}` (from 1) and `{batches}` in it.
    #[serde(default)]
    pub batch: String,
    #[serde(default)]
    pub batches: u64,
    /// What one batch takes on a large table.
    #[serde(default)]
    pub batch_ms: u64,
    /// After its work it neither ends nor says anything.
    #[serde(default)]
    pub hangs: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Database {
    Mysql,
    Postgres,
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

    /// Everything that a database of this release has, in order.
    pub fn migrations_of(&self, version: &str) -> Result<Vec<&Migration>> {
        let mut wanted = Vec::new();
        for release in &self.releases {
            let is_last = release.version == version;
            if is_last || !release.withdrawn {
                wanted.extend(&release.migrations);
            }
            if is_last {
                return wanted.into_iter().map(|name| self.migration(name)).collect();
            }
        }
        bail!("`{version}` is no release")
    }

    fn migration(&self, name: &str) -> Result<&Migration> {
        self.migrations
            .iter()
            .find(|migration| migration.name == name)
            .with_context(|| format!("no migration `{name}`"))
    }

    /// `releases.json`, as the vendor publishes it.
    pub fn index(&self) -> Value {
        let entry = |release: &Release| {
            json!({
                "version": release.version,
                "published": release.published,
                "breaking": release.breaking,
                "notes": release.notes,
                "migration-guide": release.migration_guide,
            })
        };
        json!({ "releases": self.releases.iter().map(entry).collect::<Vec<_>>() })
    }
}

impl Release {
    /// What the tables are called; 2.0.0 renamed them.
    pub fn tables(&self) -> Tables {
        match self.renamed_secret {
            false => Tables { runs: "runs", status: "status", documents: "documents" },
            true => Tables { runs: "executions", status: "state", documents: "chunks" },
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Tables {
    pub runs: &'static str,
    pub status: &'static str,
    pub documents: &'static str,
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
        assert_eq!(names("1.3.0").len(), 3);
        assert_eq!(names("1.4.0")[3..], ["20260301_add_credit_balance", "20260315_add_skill_tags"]);
        assert_eq!(names("1.4.1"), names("1.4.0"));
        assert_eq!(names("1.5.0")[5..], ["20260410_add_teams", "20260411_name_agents"]);
        assert_eq!(names("1.9.0")[5..], ["20260801_add_costs"]);
        assert_eq!(names("2.1.0"), names("2.0.0"));
        assert!(Catalogue::read().unwrap().migrations_of("1.0.0").is_err());
    }

    #[test]
    fn every_migration_belongs_to_one_release_and_they_are_in_order() {
        let catalogue = Catalogue::read().unwrap();
        let all: Vec<&String> = catalogue.migrations.iter().map(|migration| &migration.name).collect();
        let used: Vec<&String> = catalogue.releases.iter().flat_map(|release| &release.migrations).collect();
        assert_eq!(all, used);
        assert!(all.is_sorted());
    }

    #[test]
    fn the_index_says_what_a_major_version_breaks() {
        let index = Catalogue::read().unwrap().index();
        let major = index["releases"].as_array().unwrap().iter().find(|entry| entry["version"] == "2.0.0").unwrap();
        assert_eq!(major["breaking"], true);
        assert_eq!(major["migration-guide"].as_array().unwrap().len(), 2);
    }
}
