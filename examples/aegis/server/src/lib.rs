//! A stand-in for AEGIS, with what its guide publishes: a runtime that migrates when it starts, a Temporal worker, a
//! gateway, and what of Temporal and OpenBao they need to be there. It knows nothing of `upgraded`.
//!
//! All services and all releases share one program; which service is its subcommand, which release its environment
//! ([`release`]).

pub mod agents;
pub mod gateway;
pub mod http;
pub mod migrate;
pub mod release;
pub mod runtime;
pub mod service;
pub mod settings;
pub mod third_party;
pub mod vendor;
pub mod worker;
