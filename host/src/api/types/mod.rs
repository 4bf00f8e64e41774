//! The public JSON of the socket. Stable for those who script against it: fields are added, never renamed.
//!
//! Times are RFC 3339 in UTC, durations seconds (`…_s`), sizes bytes (`…_bytes`). A field that is null is unknown.

mod deployment;
mod error;
mod notice;
mod plan;
mod release;
mod request;
mod run;

pub use deployment::*;
pub use error::*;
pub use notice::*;
pub use plan::*;
pub use release::*;
pub use request::*;
pub use run::*;

pub use crate::config::{Diagnostic, Diagnostics};
pub use crate::model::{Failure, Finding, Severity};
pub use crate::plan::event::{Decision, Outcome};
