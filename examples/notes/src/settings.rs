//! `notes.toml`: what the operator of this product writes. Relative paths start from the file's folder.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    pub title: String,
    #[serde(default = "data")]
    data: PathBuf,
    #[serde(default = "run")]
    run: PathBuf,
    pub web: Web,
    pub front: Front,
    /// What the data folder may take; stands in for a small disk.
    pub quota_bytes: Option<u64>,
    #[serde(skip)]
    home: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Web {
    /// Private: only the front calls it.
    pub listen: SocketAddr,
    /// Needed since 2.0.0.
    pub base_url: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Front {
    /// Public: where users come in.
    pub listen: SocketAddr,
}

impl Settings {
    pub fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| format!("`{}`", file.display()))?;
        let mut settings: Self = toml::from_str(&text).with_context(|| format!("`{}`", file.display()))?;
        let absolute = std::path::absolute(file).with_context(|| format!("`{}`", file.display()))?;
        settings.home = absolute.parent().map(Path::to_owned).unwrap_or_default();
        Ok(settings)
    }

    pub fn home(&self) -> &Path {
        &self.home
    }
    pub fn database(&self) -> PathBuf {
        self.data_folder().join("notes.db")
    }
    pub fn uploads(&self) -> PathBuf {
        self.data_folder().join("uploads")
    }
    pub fn data_folder(&self) -> PathBuf {
        self.home.join(&self.data)
    }
    pub fn run_folder(&self) -> PathBuf {
        self.home.join(&self.run)
    }
}

fn data() -> PathBuf {
    "data".into()
}

fn run() -> PathBuf {
    "run".into()
}
