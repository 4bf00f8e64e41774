//! Refusals as Google's servers write them. Cloud Run has a status and details, Cloud SQL a reason in a list of errors.

use serde_json::{Value, json};
use std::time::Duration;

/// An answer that is an error.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub http: u16,
    pub message: String,
    /// `ABORTED`, as in `google.rpc.Code`.
    status: &'static str,
    /// `operationInProgress`: Cloud SQL's word.
    reason: Option<&'static str>,
    details: Vec<Value>,
    pub retry_after: Option<Duration>,
}

impl Refusal {
    fn new(http: u16, status: &'static str, message: impl Into<String>) -> Self {
        Self { http, message: message.into(), status, reason: None, details: Vec::new(), retry_after: None }
    }

    fn with_reason(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    fn with_info(mut self, reason: &str, domain: &str, metadata: Value) -> Self {
        self.details.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": reason,
            "domain": domain,
            "metadata": metadata,
        }));
        self
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "INVALID_ARGUMENT", message).with_reason("invalid")
    }

    /// What a document does not allow.
    pub(crate) fn not_allowed(problems: &[crate::discovery::Problem]) -> Self {
        let text = |p: &crate::discovery::Problem| format!("Invalid JSON payload received. {p}");
        let mut refusal = Self::invalid(problems.iter().map(text).collect::<Vec<_>>().join("\n"));
        let violations: Vec<Value> =
            problems.iter().map(|p| json!({ "field": p.at, "description": text(p) })).collect();
        refusal.details =
            vec![json!({ "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations })];
        refusal
    }

    pub(crate) fn no_method(path: &str) -> Self {
        Self::new(404, "NOT_FOUND", format!("The requested URL {path} was not found on this server."))
    }

    pub(crate) fn no_credential() -> Self {
        let message = "Request is missing required authentication credential. Expected OAuth 2 access token, login \
                       cookie or other valid authentication credential. See \
                       https://developers.google.com/identity/sign-in/web/devconsole-project.";
        Self::new(401, "UNAUTHENTICATED", message).with_reason("required").with_info(
            "CREDENTIALS_MISSING",
            "googleapis.com",
            json!({}),
        )
    }

    pub(crate) fn bad_credential() -> Self {
        let message = "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or \
                       other valid authentication credential. See \
                       https://developers.google.com/identity/sign-in/web/devconsole-project.";
        Self::new(401, "UNAUTHENTICATED", message).with_reason("authError").with_info(
            "ACCESS_TOKEN_TYPE_UNSUPPORTED",
            "googleapis.com",
            json!({}),
        )
    }

    /// A right that is missing; also what a project answers that is not there.
    pub(crate) fn denied(permission: &str, resource: &str) -> Self {
        let message = format!("Permission '{permission}' denied on resource '{resource}' (or resource may not exist).");
        Self::new(403, "PERMISSION_DENIED", message).with_info(
            "IAM_PERMISSION_DENIED",
            "iam.googleapis.com",
            json!({ "permission": permission, "resource": resource }),
        )
    }

    pub(crate) fn sql_denied(permission: &str, resource: &str) -> Self {
        let message = format!(
            "boss::NOT_AUTHORIZED: Not authorized to access resource. Possibly missing permission {permission} on \
             resource {resource}."
        );
        Self::new(403, "PERMISSION_DENIED", message).with_reason("forbidden")
    }

    pub(crate) fn no_location(location: &str) -> Self {
        Self::new(
            403,
            "PERMISSION_DENIED",
            format!("Permission denied on 'locations/{location}' (or it may not exist)."),
        )
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(404, "NOT_FOUND", message).with_reason("notFound")
    }

    pub(crate) fn no_instance() -> Self {
        Self::new(404, "NOT_FOUND", "The Cloud SQL instance does not exist.").with_reason("instanceDoesNotExist")
    }

    pub(crate) fn exists(message: impl Into<String>) -> Self {
        Self::new(409, "ALREADY_EXISTS", message).with_reason("instanceAlreadyExists")
    }

    /// Versions are microseconds, as in an etag.
    pub fn edited(resource: &str, specified: &str, current: &str) -> Self {
        let message = format!(
            "Conflict for resource '{resource}': version '{specified}' was specified but current version is '{current}'."
        );
        Self::new(409, "ABORTED", message)
    }

    /// Settings that somebody else has edited.
    pub(crate) fn stale() -> Self {
        Self::new(412, "FAILED_PRECONDITION", "Condition does not match.").with_reason("staleData")
    }

    pub fn in_progress() -> Self {
        let message = "Operation failed because another operation was already in progress. Try your request after the \
                       current operation is complete.";
        Self::new(409, "ABORTED", message).with_reason("operationInProgress")
    }

    pub(crate) fn wrong_state(message: impl Into<String>) -> Self {
        Self::new(400, "FAILED_PRECONDITION", message).with_reason("failedPrecondition")
    }

    pub fn quota(retry_after: Duration) -> Self {
        let message = "Quota exceeded for quota metric 'Write requests' and limit 'Write requests per minute per \
                       region' of this service.";
        let mut refusal = Self::new(429, "RESOURCE_EXHAUSTED", message).with_reason("rateLimitExceeded").with_info(
            "RATE_LIMIT_EXCEEDED",
            "googleapis.com",
            json!({ "quota_metric": "write_requests" }),
        );
        refusal.retry_after = Some(retry_after);
        refusal
    }

    pub fn unavailable() -> Self {
        Self::new(503, "UNAVAILABLE", "The service is currently unavailable.").with_reason("backendError")
    }

    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "INTERNAL", message).with_reason("internalError")
    }

    /// The answer's body. A refusal of Cloud SQL's own has no status.
    pub(crate) fn body(&self, is_run: bool) -> Value {
        let mut error = json!({ "code": self.http, "message": self.message });
        let reason = self.reason.filter(|_| !is_run);
        if let Some(reason) = reason {
            error["errors"] = json!([{ "message": self.message, "domain": "global", "reason": reason }]);
        }
        if reason.is_none() || self.http == 401 {
            error["status"] = self.status.into();
        }
        if !self.details.is_empty() {
            error["details"] = self.details.clone().into();
        }
        json!({ "error": error })
    }
}
