//! The daemon's door: HTTP and JSON over a Unix socket, who may come in, and what is answered.
//!
//! Decides nothing about deployments: everything goes through the [`Facade`], which `daemon` implements. Also holds the
//! [`Client`] that `cli` and the tests use. Never prints.

pub mod client;
pub mod facade;
mod handlers;
pub mod hub;
pub mod peer;
pub mod routes;
pub mod server;
pub mod socket;
pub mod sse;
pub mod types;

pub use client::{Client, ClientError};
pub use facade::{Answer, Caller, Facade, NoticeStream};
pub use hub::Hub;
pub use server::{Server, ServerError, ServerOptions};
pub use types::*;
