//! Holds tests alone: Google's clients bring much, and only what depends on this package waits for them.
