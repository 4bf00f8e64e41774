//! The words of `pods`: what files of pods declare, and what is there of them.

pub use crate::bindings::pods::{Container, Declared, DeclaredContainer, DeclaredPod, Mount, MountKind, Pod, State};
