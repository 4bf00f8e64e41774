//! What the workspace consists of, from `cargo metadata`: nothing here is listed by hand.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Workspace {
    pub root: PathBuf,
    pub target: PathBuf,
    pub packages: Vec<Package>,
}

pub struct Package {
    pub name: String,
    /// The package's folder, relative to the root.
    pub folder: PathBuf,
    /// File stem of its `cdylib`, where it has one.
    pub library: Option<String>,
    pub kind: Kind,
}

#[derive(Clone, PartialEq, Eq)]
pub enum Kind {
    /// Ordinary Rust for this machine.
    Native,
    /// A plugin: a component, whose parts can also be tested on this machine.
    Plugin { component: String },
    /// A guest of the sandbox tests: a component and nothing else.
    Guest { component: String },
}

impl Workspace {
    pub fn read() -> Result<Self> {
        let output =
            cargo().args(["metadata", "--format-version", "1", "--no-deps"]).output().context("`cargo metadata`")?;
        if !output.status.success() {
            bail!("`cargo metadata` failed:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        let metadata: Value = serde_json::from_slice(&output.stdout).context("the output of `cargo metadata`")?;
        let root = PathBuf::from(text(&metadata, "workspace_root")?);
        let target = PathBuf::from(text(&metadata, "target_directory")?);
        let packages = metadata["packages"]
            .as_array()
            .context("`cargo metadata` names no packages")?
            .iter()
            .map(|package| Package::parse(&root, package))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self { root, target, packages })
    }

    /// Where `components` puts what it builds.
    pub fn components_folder(&self) -> PathBuf {
        self.target.join("components")
    }

    pub fn components(&self) -> impl Iterator<Item = (&Package, &str)> {
        self.packages.iter().filter_map(|package| match &package.kind {
            Kind::Native => None,
            Kind::Plugin { component } | Kind::Guest { component } => Some((package, component.as_str())),
        })
    }

    /// `--workspace` without what can't be linked for this machine.
    pub fn native_selection(&self) -> Vec<String> {
        let guests = self.packages.iter().filter(|package| matches!(package.kind, Kind::Guest { .. }));
        let excluded = guests.flat_map(|package| ["--exclude".to_owned(), package.name.clone()]);
        std::iter::once("--workspace".to_owned()).chain(excluded).collect()
    }
}

impl Package {
    fn parse(root: &Path, package: &Value) -> Result<Self> {
        let manifest = PathBuf::from(text(package, "manifest_path")?);
        let folder = manifest.parent().unwrap_or(root);
        let folder = folder.strip_prefix(root).unwrap_or(folder).to_owned();
        let targets = package["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
        let is_cdylib = |target: &&Value| {
            target["crate_types"].as_array().is_some_and(|types| types.iter().any(|one| one == "cdylib"))
        };
        let library = match targets.iter().find(is_cdylib) {
            Some(target) => Some(text(target, "name")?.replace('-', "_")),
            None => None,
        };
        let kind = if library.is_some() { Kind::of(&folder) } else { Kind::Native };
        Ok(Self { name: text(package, "name")?.to_owned(), folder, library, kind })
    }
}

impl Kind {
    /// `plugins/NAME`, `examples/NAME/plugin` and `tests/guests/NAME` are components called `NAME`.
    fn of(folder: &Path) -> Self {
        let parts: Vec<&str> = folder.iter().filter_map(|part| part.to_str()).collect();
        match parts[..] {
            ["plugins", name] | ["examples", name, "plugin"] => Self::Plugin { component: name.to_owned() },
            ["tests", "guests", name] => Self::Guest { component: name.to_owned() },
            _ => Self::Native,
        }
    }
}

/// The cargo that runs us. What it told us of our own package would be news to build scripts, which then run again.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let ours = std::env::vars_os().map(|(name, _)| name);
    for name in ours.filter(|name| {
        let name = name.to_string_lossy();
        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
    }) {
        cargo.env_remove(name);
    }
    cargo
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key].as_str().with_context(|| format!("`cargo metadata` has no `{key}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(folder: &str) -> Option<String> {
        match Kind::of(Path::new(folder)) {
            Kind::Native => None,
            Kind::Plugin { component } => Some(format!("plugin {component}")),
            Kind::Guest { component } => Some(format!("guest {component}")),
        }
    }

    #[test]
    fn a_component_is_named_by_its_folder() {
        assert_eq!(component("plugins/sqlite").as_deref(), Some("plugin sqlite"));
        assert_eq!(component("examples/notes/plugin").as_deref(), Some("plugin notes"));
        assert_eq!(component("tests/guests/greedy").as_deref(), Some("guest greedy"));
        assert_eq!(component("host"), None);
        assert_eq!(component("examples/notes"), None);
    }
}
