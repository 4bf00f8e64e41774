//! Uploads: files of one folder.

use crate::access::{digest, hex};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use tokio::fs;

/// The place of an upload; none where the name is not one of a plain file.
pub fn place(folder: &Path, name: &str) -> Option<PathBuf> {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    (plain && !name.is_empty() && !name.starts_with('.')).then(|| folder.join(name))
}

/// Whole or not at all.
pub async fn save(place: &Path, bytes: &[u8]) -> Result<()> {
    let part = place.with_file_name(format!(".{}.part", place.file_name().unwrap_or_default().to_string_lossy()));
    fs::write(&part, bytes).await.with_context(|| format!("`{}`", part.display()))?;
    fs::rename(&part, place).await.with_context(|| format!("`{}`", place.display()))
}

pub async fn summary(folder: &Path) -> Result<Value> {
    let mut entries = fs::read_dir(folder).await.with_context(|| format!("`{}`", folder.display()))?;
    let mut lines = Vec::new();
    while let Some(entry) = entries.next_entry().await? {
        let name = entry.file_name().to_string_lossy().into_owned();
        if place(folder, &name).is_some() && entry.file_type().await?.is_file() {
            lines.push(format!("{name} {}", hex(&Sha256::digest(fs::read(entry.path()).await?))));
        }
    }
    lines.sort();
    let parts: Vec<&str> = lines.iter().map(String::as_str).collect();
    Ok(json!({ "count": lines.len(), "checksum": digest(&parts) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_else() {
        let folder = Path::new("/data/files");
        assert_eq!(place(folder, "plan-2.pdf"), Some("/data/files/plan-2.pdf".into()));
        for name in ["", ".env", "..", "a/b", "../a", "a b"] {
            assert_eq!(place(folder, name), None, "{name}");
        }
    }
}
