//! What a release is: `release.toml` and `migrations/` in the folder `beam` of its checkout.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Release {
    pub version: String,
    #[serde(default)]
    pub projections: Projections,
    /// What would be somebody's mistake in the code.
    #[serde(default)]
    pub behaviour: Behaviour,
    #[serde(skip)]
    pub folder: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Projections {
    /// The version of the code that projects; a newer one projects anew when it starts.
    pub code: i32,
    /// It projects something else than the log says.
    pub wrong: bool,
}

impl Default for Projections {
    fn default() -> Self {
        Self { code: 1, wrong: false }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Behaviour {
    pub compile_fails: bool,
    /// Each of ten parts of a migration takes so long, and says so.
    pub migration_pause_ms: u64,
    /// The migration of that number in this folder, from 0, fails after its work.
    pub migration_fails_at: Option<usize>,
    pub start: Start,
    /// At its start it gives the events of the log digests of its own.
    pub rewrites_log: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    #[default]
    Serves,
    Crashes,
}

impl Release {
    /// The release whose folder `beam` is the working directory.
    pub fn here() -> Result<Self> {
        Self::read(Path::new("."))
    }

    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("release.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("`{}`", path.display()))?;
        let release: Self = toml::from_str(&text).with_context(|| format!("`{}`", path.display()))?;
        Ok(Self { folder: folder.to_owned(), ..release })
    }

    pub fn compile(&self) -> Result<()> {
        if self.behaviour.compile_fails {
            bail!("could not compile decisiongraph {}", self.version);
        }
        fs::create_dir_all(self.folder.join("_build")).context("`_build`")?;
        println!("Generated decisiongraph {} app", self.version);
        Ok(())
    }

    /// Names and SQL, in order.
    pub fn migrations(&self) -> Result<Vec<(String, String)>> {
        let folder = self.folder.join("migrations");
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("`{}`", folder.display()))? {
            let path = entry?.path();
            let name = path.file_stem().and_then(|name| name.to_str()).context("a migration has a name")?;
            found.push((name.to_owned(), fs::read_to_string(&path)?));
        }
        found.sort();
        Ok(found)
    }
}
