//! The real daemon on a real product: what an operator does is one edited line, what counts is what users have after it.
//! `cargo xtask test` builds what this needs.

mod bad_input;
mod cancelled;
mod command_line;
mod documents;
mod failing;
mod full_disk;
mod good;
mod hops;
mod late;
mod leaks;
mod operators;
mod people;
mod reboot;
mod refused;
mod sandbox;
mod saving;
mod secrets;
mod together;
mod writers;
