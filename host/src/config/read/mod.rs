//! Reads a deployment's file: all of it into valid types, or all of its mistakes.
//!
//! The readers below take what they know from a table and report what they don't; only [`Deployment::parse`] decides.
//! Secrets are looked at, never kept.

mod binding;
mod command;
mod google;
mod grants;
mod kubernetes;
mod places;
mod pods;
mod policy;
mod schema;
mod scratch;
#[cfg(test)]
mod tests;

pub(super) use command::is_unit_name;
pub(super) use grants::repository_mistake;
pub use grants::{ARCHIVE_TAG, is_archive};
pub use scratch::scratch_settings;

use super::catalog::PluginCatalog;
use super::deployment::Deployment;
use super::diagnostic::{Diagnostics, Report};
use super::document::{self, Names, Table};
use std::path::{Path, PathBuf};

/// A deployment's file is smaller by far.
const FILE_BYTES: u64 = 1024 * 1024;

/// Whether parsing resolves each secret once, to say which is not there, not readable or exposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretCheck {
    Resolve,
    /// For a file of an open run, a file that is only proposed, and a machine that is not the deployment's.
    NameOnly,
}

/// What every part of a file is read against.
struct Reading<'r, 't> {
    catalog: &'r dyn PluginCatalog,
    secrets: SecretCheck,
    report: &'r mut Report<'t>,
    /// Where relative paths start: the first platform's `directory`.
    directory: Directory,
    /// The names of the platforms.
    platforms: Vec<String>,
}

#[derive(Debug, Clone)]
enum Directory {
    Of(PathBuf),
    NotNamed,
    /// Its own mistake is reported; relative paths say nothing more.
    Mistaken,
}

impl Deployment {
    /// Reads the text of one deployment's file. `name`: the file's, without `.toml`.
    pub fn parse(
        name: &str, file: &Path, text: &str, catalog: &dyn PluginCatalog, secrets: SecretCheck,
    ) -> Result<Deployment, Diagnostics> {
        let mut report = Report::new(file, text);
        let root = document::parse(text, &mut report);
        let mut reading =
            Reading { catalog, secrets, report: &mut report, directory: Directory::NotNamed, platforms: Vec::new() };
        let deployment = reading.deployment(name, file, Table::document(&root));
        report.finish(deployment)
    }

    /// Reads a deployment's file; with it the very text that was read, which a run keeps.
    pub fn load(
        file: &Path, catalog: &dyn PluginCatalog, secrets: SecretCheck,
    ) -> Result<(Deployment, String), Diagnostics> {
        let name = name_of(file).unwrap_or_default();
        let text = read_text(file)?;
        Ok((Self::parse(name, file, &text, catalog, secrets)?, text))
    }
}

/// The name of the deployment that a file describes.
pub fn name_of(file: &Path) -> Option<&str> {
    file.file_name()?.to_str()?.strip_suffix(".toml")
}

/// Whether a deployment may have this name; if not, the rule.
pub fn name_rule(name: &str) -> Result<(), String> {
    if Names::DEPLOYMENT.accept(name) { Ok(()) } else { Err(Names::DEPLOYMENT.rule()) }
}

/// The text of a file of settings.
pub fn read_text(file: &Path) -> Result<String, Diagnostics> {
    let unreadable =
        |error: std::io::Error| Diagnostics::of_file(file, format!("the file can't be read: {error}"), None);
    text_of(file, super::file::read_bounded(file, FILE_BYTES).map_err(unreadable)?)
}

/// The same, of its bytes.
pub fn text_of(file: &Path, bytes: Vec<u8>) -> Result<String, Diagnostics> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        let help = format!("line {line} holds bytes of another encoding");
        Diagnostics::of_file(file, "the file is not UTF-8", Some(help))
    })
}

impl Reading<'_, '_> {
    fn deployment(&mut self, name: &str, file: &Path, mut root: Table) -> Option<Deployment> {
        if !Names::DEPLOYMENT.accept(name) {
            let message = format!("`{name}` can't be the name of a deployment, and the file's name is it");
            self.report.add_with_help(0..0, message, Names::DEPLOYMENT.rule());
        }
        let version = self.version(&mut root);
        let product =
            root.require("product", "name the product's plugin, for example `product = \"generic\"`", self.report);
        let settings = root.take("settings");
        let platforms = self.platforms(&mut root);
        let product = product.and_then(|product| self.product(&product, settings.as_ref()));
        let datastores = self.datastores(&mut root);
        let policy = self.policy(root.take("policy"));
        root.finish(self.report);
        let (product, info) = product?;
        let (platforms, datastores) = (platforms?, datastores?);
        self.needs(&info, &product, &platforms, &datastores);
        self.overlaps(&platforms, &datastores);
        self.hooked_servers(&datastores);
        let strip = |read: Vec<binding::ReadBinding>| read.into_iter().map(|read| read.config).collect();
        Some(Deployment {
            name: name.into(),
            file: file.into(),
            version: version?,
            product: product.config,
            platforms: strip(platforms),
            datastores: strip(datastores),
            policy: policy?,
        })
    }

    /// The product decides what its versions look like and how they are ordered; here they only have to be one word.
    fn version(&mut self, root: &mut Table) -> Option<String> {
        let help = "the version to keep it at, for example `version = \"1.4.0\"`";
        let item = root.require("version", help, self.report)?;
        let Some(text) = item.value.as_str() else {
            item.wrong_type("a string in quotes", self.report);
            return None;
        };
        if let Err(why) = super::edit::check_version(text) {
            self.report.add_with_help(item.span, why.to_string(), help);
            return None;
        }
        Some(text.to_owned())
    }
}
