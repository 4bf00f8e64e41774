//! A stand-in for Evose, with what its guide publishes: services by subcommand, migrations at start, a health endpoint,
//! a workbench, workflows, an observability panel and models. It knows nothing of `upgraded`.
//!
//! All releases share one program; which one an image is, its `EVOSE_RELEASE` says ([`release`]).

pub mod access;
pub mod api;
pub mod database;
pub mod files;
pub mod index;
pub mod init;
pub mod knowledge;
pub mod probe;
pub mod release;
pub mod runs;
pub mod settings;
pub mod worker;
