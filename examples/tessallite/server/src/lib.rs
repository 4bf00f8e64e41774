//! A stand-in for Tessallite, with what its guide publishes: six services, their schema in PostgreSQL, health that says
//! at which migration the database is. It knows nothing of `upgraded`.
//!
//! All services and all releases share one program; which service is its subcommand, which release its environment
//! ([`release`]).

pub mod frontend;
pub mod gateway;
pub mod http;
pub mod migrate;
pub mod model_service;
pub mod models;
pub mod query_router;
pub mod release;
pub mod service;
pub mod settings;
pub mod vendor;
pub mod worker;
