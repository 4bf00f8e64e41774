//! What plugins may ask of the host: one module for each interface of the contract, which checks the grant and forwards
//! to the driver. Two keys open a verb: the component imports it, and the operator's file grants it.
//!
//! Nothing here decides or changes anything; a verb reaches a driver only through [`guest::Guest::verb`]. Called by
//! `plugin`, which links these interfaces and owns the instances.

pub mod bindings;
pub mod limits;

mod checkout;
mod cloud_run;
mod cloud_sql;
mod compose;
mod control;
mod error;
mod files;
mod grants;
mod guest;
mod helm;
mod http;
mod images;
mod mysql;
mod pods;
mod post;
mod postgres;
mod process;
mod resources;
mod run;
mod services;
mod sqlite;
mod trees;
mod voice;
mod wasi;

pub use grants::Granted;
pub use guest::Guest;
pub use limits::Limits;
pub use post::Jobs;
pub use resources::{Hit, Resources};
pub use wasi::{OFFERED as WASI, link as link_wasi};

use crate::model::Role;

/// The interfaces of the contract that a component of this role may import. The same as its world in
/// `wit/upgraded.wit`; a test holds it.
pub fn offered(role: Role) -> &'static [&'static str] {
    match role {
        Role::Product => &["types", "run", "files", "services", "checkout", "process", "http"],
        Role::Platform => &[
            "types",
            "run",
            "files",
            "services",
            "control",
            "images",
            "compose",
            "cloud-run",
            "helm",
            "pods",
            "checkout",
            "process",
            "http",
        ],
        Role::Datastore => &["types", "run", "services", "trees", "sqlite", "postgres", "mysql", "cloud-sql", "http"],
    }
}
