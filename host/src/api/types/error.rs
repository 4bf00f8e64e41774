//! Refusals and failures, with their statuses.

use crate::config::Diagnostics;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Why something was not done. On the socket: `{"error": {…}}` with the status of [`ErrorCode::status`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    pub code: ErrorCode,
    /// What is wrong.
    pub message: String,
    /// What would be right, or what to do.
    #[serde(default)]
    pub hint: Option<String>,
    /// Mistakes in a file, each with its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnostics: Option<Diagnostics>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// 400: the request itself.
    InvalidRequest,
    /// 403: this account may not use the socket.
    NotAllowed,
    /// 404
    NotFound,
    /// 405
    MethodNotAllowed,
    /// 409: not in this state, for example nothing waits for an approval.
    Conflict,
    /// 413
    TooLarge,
    /// 422: a rule says no: a downgrade, no path, a blocker.
    Refused,
    /// 422: the deployment's file has mistakes; `diagnostics` names them.
    InvalidFile,
    /// 500
    Internal,
    /// 503: try again later.
    Unavailable,
}

impl ErrorCode {
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::NotAllowed => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Refused | Self::InvalidFile => 422,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }
}

impl ApiError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None, diagnostics: None }
    }
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    pub fn no_deployment(name: &str) -> Self {
        Self::new(ErrorCode::NotFound, format!("there is no deployment `{name}`"))
    }
    pub fn no_run(run: u64) -> Self {
        Self::new(ErrorCode::NotFound, format!("there is no run {run}"))
    }
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Conflict, message)
    }
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Refused, message)
    }
    pub fn invalid_file(file: &Path, diagnostics: Diagnostics) -> Self {
        let message = format!("`{}` has mistakes", file.display());
        Self { diagnostics: Some(diagnostics), ..Self::new(ErrorCode::InvalidFile, message) }
    }
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Internal, message)
    }
}
