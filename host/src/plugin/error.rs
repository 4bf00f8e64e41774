//! Why a plugin can't be used. Each message names the file or the plugin, what is wrong and what would be right.

use crate::model::Role;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    #[error("there is no plugin `{name}` in `{}`; {}", .folder.display(), what_there_is(.others))]
    Missing { name: String, folder: PathBuf, others: Vec<String> },
    #[error("more than one component calls itself `{name}`: {}; name one of them `{name}.wasm`, or remove the others", listed(.files))]
    Ambiguous { name: String, files: Vec<String> },
    #[error(
        "the component {digest} of plugin `{name}`, with which this run began, is neither kept nor in the plugins' folder"
    )]
    Gone { name: String, digest: String },
    #[error("`{file}` can't be read")]
    Unreadable { file: String, source: std::io::Error },
    #[error("`{file}` has {size_bytes} bytes; a component may have {most_bytes}")]
    TooLarge { file: String, size_bytes: u64, most_bytes: u64 },
    #[error("`{file}` is no component: {why}")]
    NotAComponent { file: String, why: String },
    #[error("`{file}` speaks version {found} of the contract; this host speaks {offered}")]
    Contract { file: String, found: String, offered: &'static str },
    #[error("`{file}` exports no role of the contract: one of `product`, `platform`, `datastore` of `{contract}`, beside `meta`, would be right; it exports {}", listed(.exports))]
    NoRole { file: String, contract: &'static str, exports: Vec<String> },
    #[error("`{file}` exports more than one role: {}; a component has one", listed(.roles))]
    ManyRoles { file: String, roles: Vec<String> },
    #[error("`{file}` is a {role} and wants {}, which is not offered; a {role} may import {}{}", listed(.wanted), listed(.offered), less_of_wasi(.wanted))]
    Imports { file: String, role: Role, wanted: Vec<String>, offered: Vec<String> },
    #[error("`{file}` doesn't fit the contract: {why}")]
    Misfit { file: String, why: String },
    #[error("`{file}` does not compile: {why}")]
    Compile { file: String, why: String },
    #[error("`{file}` doesn't describe itself: {why}")]
    Describe { file: String, why: String },
    #[error("`{file}` has settings that can't be checked: {source}")]
    Schema { file: String, source: super::schema::SchemaError },
    /// As it was said before.
    #[error("{0}")]
    Refused(String),
    #[error("`{binding}` needs a {wanted}, and the plugin `{plugin}` is a {is}")]
    Role { binding: String, plugin: String, wanted: Role, is: Role },
    #[error("the plan names no component for `{binding}`")]
    Unplanned { binding: String },
    #[error("the sandbox can't be set up: {0}")]
    Engine(String),
    #[error("`{}` can't be written", .path.display())]
    State { path: PathBuf, source: std::io::Error },
}

impl PluginError {
    /// Whether the same bytes can never be used by this host.
    pub(super) fn is_of_the_component(&self) -> bool {
        match self {
            Self::NotAComponent { .. }
            | Self::Contract { .. }
            | Self::NoRole { .. }
            | Self::ManyRoles { .. }
            | Self::Imports { .. }
            | Self::Misfit { .. }
            | Self::Compile { .. }
            | Self::Describe { .. }
            | Self::Schema { .. }
            | Self::Refused(_) => true,
            Self::Missing { .. }
            | Self::Ambiguous { .. }
            | Self::Gone { .. }
            | Self::Unreadable { .. }
            | Self::TooLarge { .. }
            | Self::Role { .. }
            | Self::Unplanned { .. }
            | Self::Engine(_)
            | Self::State { .. } => false,
        }
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "nothing".into();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Runtimes of languages bring all of WASI along, used or not.
fn less_of_wasi(wanted: &[String]) -> &'static str {
    match wanted.iter().any(|name| name.starts_with("wasi:")) {
        true => {
            "; a plugin gets no folders and no sockets, and is built without them (`--stub-wasi` of componentize-py, `--disable` of jco)"
        }
        false => "",
    }
}

fn what_there_is(names: &[String]) -> String {
    match names {
        [] => "the folder holds none".into(),
        names => format!("there are {}", listed(names)),
    }
}
