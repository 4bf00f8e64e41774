//! Rules of a path.
