//! The vendor's edition: the files that come with each release, in the vendor's repository or archive. The operator's own settings
//! stand in override files and env files, which no edition touches.

use schemars::JsonSchema;
use serde::Deserialize;
use similar::TextDiff;
use std::collections::{BTreeMap, BTreeSet};
use upgraded_sdk::prelude::*;
use upgraded_sdk::{Change, Tracked};

/// Of a diff in a refusal.
const DIFF_LINES: usize = 20;
const CONTEXT_LINES: usize = 1;

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Edition {
    /// The folder in the repository or the archive whose files lie in the platform's `directory`. Without: the whole repository.
    pub under: String,
    /// How a release's tag is written; `{version}` stands for the version.
    #[schemars(regex(pattern = r"\{version\}"))]
    pub tag: String,
    /// Files and folders of the edition that are the operator's, beside `.env` and override files.
    pub own: Vec<String>,
}

impl Default for Edition {
    fn default() -> Self {
        Self { under: String::new(), tag: "v{version}".into(), own: Vec::new() }
    }
}

/// From the source's edition to the target's. A file of the vendor's that somebody changed is an error with the difference.
pub fn edits(edition: &Edition, host: &PlatformHost, hop: &Hop) -> Result<Vec<Edit>> {
    let (old, new) = (Release::of(edition, host, &hop.source)?, Release::of(edition, host, &hop.target)?);
    let mut edits = Vec::new();
    let mut changed = Vec::new();
    let paths: BTreeSet<&String> = old.files.keys().chain(new.files.keys()).collect();
    for path in paths {
        let there = read(host, path)?;
        let before = old.read(host, path)?;
        let after = new.read(host, path)?;
        match (there, before, after) {
            // The host sees whether it may be run already.
            (Some(there), _, Some(after)) if there == after => {
                edits.extend(new.is_program(path).then(|| new.edit(path, after)));
            }
            (Some(there), Some(before), _) if there != before => changed.push(difference(path, &before, &there)),
            (Some(_), None, Some(_)) => {
                changed.push(format!("`{path}` is new in {}, and another file of this name is there", hop.target))
            }
            // What the operator never took over is not the operator's wish.
            (None, Some(_), _) => {}
            (_, _, Some(after)) => edits.push(new.edit(path, after)),
            (Some(_), _, None) => {
                let why = format!("no part of the vendor's edition {} any more", hop.target);
                edits.push(Edit { path: path.clone(), change: Change::Remove, why });
            }
            (None, None, None) => {}
        }
    }
    if changed.is_empty() {
        return Ok(edits);
    }
    Err(Error::conflict(format!(
        "files of the vendor's edition {} were changed by hand:\n{}\nmove what is yours into `compose.override.yaml` or \
         `.env` and put the vendor's file back, or name a file under `own` to keep it as it is",
        hop.source,
        changed.join("\n")
    )))
}

/// The edition's files, by their paths in the platform's `directory`.
struct Release<'e> {
    edition: &'e Edition,
    version: &'e str,
    commit: String,
    /// Whether it may be run.
    files: BTreeMap<String, bool>,
}

impl<'e> Release<'e> {
    fn of(edition: &'e Edition, host: &PlatformHost, version: &'e str) -> Result<Self> {
        let about = |error: Error| error.about(format!("the vendor's edition {version}"));
        let commit = host.checkout().fetch(&edition.tag.replace("{version}", version)).map_err(about)?;
        let all = host.checkout().files(&commit, &edition.under).map_err(about)?;
        if all.is_empty() {
            let folder = &edition.under;
            return Err(Error::not_found(format!("the vendor's edition {version} has no files in `{folder}`")));
        }
        let beneath = |it: Tracked| Some((it.path.strip_prefix(&edition.prefix())?.to_owned(), it.executable));
        let files = all.into_iter().filter_map(beneath).filter(|(path, _)| !edition.is_own(path)).collect();
        Ok(Self { edition, version, commit, files })
    }

    fn edit(&self, path: &str, bytes: Vec<u8>) -> Edit {
        let change = if self.is_program(path) { Change::Program(bytes) } else { Change::Content(bytes) };
        Edit { path: path.into(), change, why: format!("the vendor's edition {}", self.version) }
    }

    fn is_program(&self, path: &str) -> bool {
        self.files.get(path) == Some(&true)
    }

    fn read(&self, host: &PlatformHost, path: &str) -> Result<Option<Vec<u8>>> {
        if !self.files.contains_key(path) {
            return Ok(None);
        }
        host.checkout().read(&self.commit, &format!("{}{path}", self.edition.prefix())).map(Some)
    }
}

impl Edition {
    fn prefix(&self) -> String {
        match self.under.trim_matches('/') {
            "" | "." => String::new(),
            under => format!("{under}/"),
        }
    }

    fn is_own(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        let is_override = name.ends_with(".override.yaml") || name.ends_with(".override.yml");
        let named = |own: &String| path == own || path.starts_with(&format!("{}/", own.trim_end_matches('/')));
        path == ".env" || is_override || self.own.iter().any(named)
    }
}

fn read(host: &PlatformHost, path: &str) -> Result<Option<Vec<u8>>> {
    match host.files().read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Error::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn difference(path: &str, before: &[u8], there: &[u8]) -> String {
    let (Ok(before), Ok(there)) = (std::str::from_utf8(before), std::str::from_utf8(there)) else {
        return format!("`{path}`");
    };
    let diff = TextDiff::from_lines(before, there);
    let mut diff = diff.unified_diff();
    let text = diff
        .context_radius(CONTEXT_LINES)
        .header(&format!("{path} (the vendor's)"), &format!("{path} (now)"))
        .to_string();
    let lines: Vec<&str> = text.lines().collect();
    match lines.len() > DIFF_LINES {
        true => format!("{}\n… and {} lines more", lines[..DIFF_LINES].join("\n"), lines.len() - DIFF_LINES),
        false => lines.join("\n"),
    }
}
