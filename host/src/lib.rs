//! The daemon `upgraded` and its command line `upgradectl`. ARCHITECTURE.md has the codemap; imports point down only.

pub mod activity;
pub mod api;
pub mod capability;
pub mod cli;
pub mod config;
pub mod context;
pub mod daemon;
pub mod driver;
pub mod effect;
pub mod journal;
pub mod memory;
pub mod model;
pub mod phase;
pub mod pipeline;
pub mod plan;
pub mod plugin;
pub mod trigger;
pub mod vault;
