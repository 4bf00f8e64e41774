//! What the socket asks of the daemon. `daemon` implements it; tests implement it in memory. The server adds nothing to
//! it but who may ask.

use super::types::*;
use async_trait::async_trait;
use futures::stream::BoxStream;
use std::fmt;

pub type Answer<T> = Result<T, ApiError>;

/// Notices in the order of their ids.
pub type NoticeStream = BoxStream<'static, Notice>;

/// Who asks, as the kernel says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub uid: u32,
    pub user: Option<String>,
}

impl fmt::Display for Caller {
    /// As it is kept in the journal: `alice` or `uid 1000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.user {
            Some(user) => f.write_str(user),
            None => write!(f, "uid {}", self.uid),
        }
    }
}

/// Every method names a deployment that may not exist: [`ApiError::no_deployment`]. A caller may go away at any time: what
/// must not be left half done belongs to the daemon's own tasks, not to the future that is returned here.
#[async_trait]
pub trait Facade: Send + Sync + 'static {
    /// By name.
    async fn deployments(&self) -> Answer<Vec<Deployment>>;
    async fn deployment(&self, name: &str) -> Answer<Deployment>;
    async fn releases(&self, name: &str) -> Answer<Releases>;
    /// What would happen on the way to `to`, or to the file's version; blockers are part of the answer.
    async fn plan(&self, name: &str, to: Option<&str>) -> Answer<PlanView>;
    /// Edits the file's `version` line, comments kept. When it answers, the deployment is no longer `idle` for the old line.
    async fn set(&self, name: &str, version: &str, by: &Caller) -> Answer<VersionSet>;
    /// Reads the file and what is installed again, and begins what is to be done.
    async fn look(&self, name: &str) -> Answer<Deployment>;
    /// Preflight now, on the way to the file's version.
    async fn check(&self, name: &str) -> Answer<Check>;
    async fn approve(&self, name: &str, request: ApproveRequest, by: &Caller) -> Answer<Deployment>;
    /// Lifts the quarantine.
    async fn retry(&self, name: &str, by: &Caller) -> Answer<Deployment>;
    /// Ends a run that touched nothing yet; one that did turns round.
    async fn cancel(&self, name: &str, request: CancelRequest, by: &Caller) -> Answer<Deployment>;
    /// Takes the way to `to`, or to the file's version, on a throw-away double.
    async fn rehearse(&self, name: &str, request: RehearseRequest, by: &Caller) -> Answer<RehearsalStarted>;
    async fn rollback(&self, name: &str, request: RollbackRequest, by: &Caller) -> Answer<RollbackAnswer>;
    /// The word on a stuck run.
    async fn decide(&self, name: &str, request: DecideRequest, by: &Caller) -> Answer<Deployment>;
    /// Newest first; of all deployments where none is named.
    async fn runs(&self, name: Option<&str>, limit: usize) -> Answer<Vec<RunSummary>>;
    async fn run(&self, id: u64) -> Answer<Run>;
    /// Lines after `since`, the newest `limit` of them.
    async fn logs(&self, of: LogsOf<'_>, since: Option<u64>, limit: usize) -> Answer<Logs>;
    /// Notices after `since`; without it, from now on. Those of one deployment, or of all. [`super::Hub`] does this.
    async fn events(&self, name: Option<&str>, since: Option<u64>) -> Answer<NoticeStream>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogsOf<'a> {
    Deployment(&'a str),
    Run(u64),
}
