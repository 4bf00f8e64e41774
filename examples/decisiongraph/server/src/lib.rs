//! A stand-in for DecisionGraph, with what its guide publishes: an event log and projections in PostgreSQL, tasks of
//! `mix`, an HTTP interface with tokens. It knows nothing of `upgraded`.
//!
//! All releases share one program; what a release is, its folder says ([`release`]).

pub mod gate;
pub mod log;
pub mod migrate;
pub mod projections;
pub mod release;
pub mod repository;
pub mod serve;
pub mod service;
pub mod settings;
