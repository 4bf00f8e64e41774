//! Files of settings: read once into valid types, every mistake reported at once with its place.

pub mod catalog;
pub mod deployment;
pub mod diagnostic;
mod document;
pub mod duration;
pub mod edit;
pub mod file;
pub mod init;
pub mod read;
mod render;
pub mod secret;
pub mod settings;
pub mod window;

pub use catalog::{PluginCatalog, Problem};
pub use deployment::*;
pub use diagnostic::{Diagnostic, Diagnostics, listed, nearest};
pub use duration::parse_duration;
pub use read::{ARCHIVE_TAG, SecretCheck, is_archive, scratch_settings};
pub use secret::{Secret, SecretSource};
pub use settings::Settings;
