//! The double against the discovery documents, and against clients that know nothing of it.

#![allow(clippy::unwrap_used, reason = "a test")]

mod client;
mod documents;
mod faults;
mod jobs;
mod login;
mod services;
mod sql;
mod traffic;
