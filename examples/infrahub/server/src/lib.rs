//! A stand-in for Infrahub, with what its guide publishes: services by subcommand, a one-off `infrahub upgrade`, an API
//! with GraphQL and artifacts, and a graph database in the place of the vendor's. It knows nothing of `upgraded`.
//!
//! All releases share one program; which one an image is, its `INFRAHUB_RELEASE` says ([`release`]).

pub mod api;
pub mod artifacts;
pub mod cache;
pub mod client;
pub mod database;
pub mod graph;
pub mod graphql;
pub mod http;
pub mod index;
pub mod queries;
pub mod release;
pub mod settings;
pub mod store;
pub mod upgrade;
pub mod worker;
