//! Loads components, calls them in a fresh instance each time, and holds them to their limits.

pub mod roles;
