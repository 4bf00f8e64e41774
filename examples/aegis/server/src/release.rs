//! What a release is: an entry of `releases.toml`.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

const RELEASES: &str = include_str!("../../releases.toml");

/// Selects the release; baked into an image.
pub const VARIABLE: &str = "AEGIS_RELEASE";

/// The index publishes what is serialized.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all(deserialize = "kebab-case"))]
pub struct Release {
    pub version: String,
    pub published: String,
    #[serde(default)]
    pub breaking: bool,
    pub notes: Vec<String>,
    /// The number of the last migration, by the release notes.
    pub db_migration: String,
    /// Its pods are defined otherwise than before: teardown and redeploy.
    #[serde(default)]
    pub pods_change: bool,
    /// The major version that its `pod-database.yaml` names.
    #[serde(default = "first_postgres")]
    pub postgres: String,
    /// The release whose migrations this one has too.
    #[serde(skip_serializing)]
    from: Option<String>,
    #[serde(default, skip_serializing)]
    adds: Vec<String>,
    /// The service that ends with an error when it starts.
    #[serde(skip_serializing)]
    pub crashes: Option<String>,
}

fn first_postgres() -> String {
    "15".into()
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Index {
    pub releases: Vec<Release>,
}

impl Index {
    pub fn read() -> Result<Self> {
        toml::from_str(RELEASES).context("`releases.toml`")
    }

    fn find(&self, version: &str) -> Result<&Release> {
        let found = self.releases.iter().find(|release| release.version == version);
        found.with_context(|| format!("there is no release `{version}`"))
    }
}

impl Release {
    /// The one that `AEGIS_RELEASE` names.
    pub fn baked() -> Result<Self> {
        let version = std::env::var(VARIABLE).with_context(|| format!("`{VARIABLE}`, for example `0.1.0`"))?;
        Ok(Index::read()?.find(&version)?.clone())
    }

    /// The names of all migrations, in order.
    pub fn migrations(&self) -> Result<Vec<String>> {
        let index = Index::read()?;
        let (mut names, mut release) = (self.adds.clone(), self);
        while let Some(from) = &release.from {
            if *from == release.version {
                bail!("`{from}` is made from itself");
            }
            release = index.find(from)?;
            names.splice(0..0, release.adds.iter().cloned());
        }
        Ok(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate;

    #[test]
    fn every_release_has_its_migrations_in_order() {
        for release in &Index::read().unwrap().releases {
            let names = release.migrations().unwrap();
            for (number, name) in (1..).zip(&names) {
                assert!(name.starts_with(&format!("{number:04}_")), "{}: {name}", release.version);
                migrate::sql(name).unwrap();
            }
            assert_eq!(names.last().unwrap()[..4], *release.db_migration, "{}", release.version);
        }
    }

    #[test]
    fn the_index_tells_no_behaviour() {
        let index = serde_json::to_value(Index::read().unwrap()).unwrap();
        let keys = |entry: &serde_json::Value| entry.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        for entry in index["releases"].as_array().unwrap() {
            let told = ["version", "published", "breaking", "notes", "db_migration", "pods_change", "postgres"];
            assert_eq!(keys(entry), told);
        }
    }
}
