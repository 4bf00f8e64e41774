//! Loads components, calls them in a fresh instance each time, and holds them to their limits.
//!
//! [`Plugins`] is the door: the daemon makes one, asks it what plugins there are, and binds a deployment to them. A
//! vendor's native code is never loaded, and nothing of a plugin lives from one call to the next.

pub mod roles;
pub mod schema;

mod engine;
mod error;
mod folder;
mod library;
mod load;
mod measure;
mod plugins;
mod sealed;
mod shape;
mod v0_1;

#[cfg(test)]
mod tests;

pub use crate::capability::Limits;
pub use error::PluginError;
pub use library::Described;
pub use measure::Cached;
pub use plugins::Plugins;
pub use shape::CONTRACT;
