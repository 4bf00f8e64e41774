//! Where things are: environment variables, from the operator's `.env`.

use crate::release::Release;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;

#[derive(Debug, Clone)]
pub struct Settings {
    pub database: String,
    pub cache: String,
    /// Artifacts.
    pub storage: PathBuf,
    /// Who has it may do everything.
    pub token: String,
}

impl Settings {
    pub fn read(release: &Release) -> Result<Self> {
        Self::from(release, |name| std::env::var(name).ok())
    }

    fn from(release: &Release, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        if let Some(key) = release.needs.iter().find(|key| variable(key).is_none()) {
            bail!("`{key}` is not set, and {} needs it: see the release notes", release.version);
        }
        let or = |name: &str, default: &str| variable(name).unwrap_or_else(|| default.into());
        Ok(Self {
            database: or("INFRAHUB_DATABASE_ADDRESS", "database:7474"),
            cache: or("INFRAHUB_CACHE_ADDRESS", "cache:6379"),
            storage: or("INFRAHUB_STORAGE", "/opt/infrahub/storage").into(),
            token: variable("INFRAHUB_API_TOKEN").context("`INFRAHUB_API_TOKEN` is not set")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::Catalogue;

    #[test]
    fn the_cache_is_named_since_1_9_0() {
        let read = |version: &str, cache: Option<&str>| {
            let variable = |name: &str| match name {
                "INFRAHUB_API_TOKEN" => Some("t".to_owned()),
                "INFRAHUB_CACHE_ADDRESS" => cache.map(str::to_owned),
                _ => None,
            };
            Settings::from(Catalogue::read()?.find(version)?, variable)
        };
        assert_eq!(read("1.8.3", None).unwrap().cache, "cache:6379");
        assert_eq!(read("1.9.0", Some("redis:6380")).unwrap().cache, "redis:6380");
        for unset in [None, Some("")] {
            let error = read("1.9.0", unset).unwrap_err().to_string();
            assert_eq!(error, "`INFRAHUB_CACHE_ADDRESS` is not set, and 1.9.0 needs it: see the release notes");
        }
    }
}
