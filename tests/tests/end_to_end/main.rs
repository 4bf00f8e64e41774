//! The real daemon on a real product: what an operator does is one edited line, what counts is what users have after it.
//! `cargo xtask test` builds what this needs.

mod failing;
mod good;
mod people;
mod refused;
mod secrets;
