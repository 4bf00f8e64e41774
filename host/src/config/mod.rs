//! Files of settings: read once into valid types, every mistake reported at once with its place.

pub mod deployment;
pub mod secret;
pub mod settings;
pub mod window;

pub use deployment::*;
