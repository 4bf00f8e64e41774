//! Behind `postgres`: one server, through its own tools and protocol.

use crate::context::StepContext;
use crate::model::*;
use crate::plan::event::{Effect, Verdict};

pub struct Postgres {}

#[allow(unused_variables, reason = "signatures first")]
impl Postgres {
    pub async fn versions(&self, cx: &StepContext) -> Result<Versions, VerbError> {
        todo!()
    }
    pub async fn connect(&self, cx: &StepContext, database: Option<&str>) -> Result<Session, VerbError> {
        todo!()
    }
    pub async fn dump(&self, cx: &StepContext, database: &str, snapshot: Option<&str>) -> Result<String, VerbError> {
        todo!()
    }
    pub async fn restore(&self, cx: &StepContext, database: &str, artifact: &str) -> Result<(), VerbError> {
        todo!()
    }
    pub async fn fence_and_probe(&self, effect: &Effect) -> Verdict {
        todo!()
    }
}

/// Major versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    pub server: u32,
    pub pg_dump: u32,
    pub pg_restore: u32,
}

/// One connection; closed when dropped.
pub struct Session {}

#[allow(unused_variables, reason = "signatures first")]
impl Session {
    /// Rows of text.
    pub async fn query(&self, cx: &StepContext, sql: &str) -> Result<Vec<Vec<Option<String>>>, VerbError> {
        todo!()
    }
    /// Journaled; the number of rows.
    pub async fn execute(&self, cx: &StepContext, sql: &str) -> Result<u64, VerbError> {
        todo!()
    }
}
