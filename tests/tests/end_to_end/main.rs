//! The real daemon on a real product: what an operator does is one edited line, what counts is what users have after it.
//! `cargo xtask test` builds what this needs.

mod cancelled;
mod failing;
mod good;
mod hops;
mod late;
mod operators;
mod people;
mod reboot;
mod refused;
mod secrets;
mod writers;
