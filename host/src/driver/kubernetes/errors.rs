//! What the cluster and `helm` say, in the words of the contract.

use crate::model::VerbError;
use upgraded_kubernetes::Error;

pub fn verb_error(error: Error) -> VerbError {
    match error {
        Error::Denied(text) => VerbError::Denied(text),
        Error::NotFound(text) => VerbError::NotFound(text),
        Error::Conflict(text) => VerbError::Conflict(text),
        Error::Unavailable(text) => VerbError::Unavailable(text),
        Error::Invalid(text) => VerbError::Invalid(text),
        Error::Other { code, message } => VerbError::other(code, message),
    }
}

/// What a `helm` that failed wrote.
pub fn helm_error(what: &str, said: &str) -> VerbError {
    let told = said.trim();
    let text = format!("`{what}`: {}", if told.is_empty() { "it failed, and said nothing" } else { told });
    let says = |part: &str| told.contains(part);
    if says("another operation") && says("in progress") {
        return VerbError::Conflict(text);
    }
    if says("forbidden") || says("Unauthorized") {
        return VerbError::Denied(text);
    }
    if says("cluster unreachable") || says("connection refused") || says("no such host") {
        return VerbError::Unavailable(text);
    }
    if says("meet the specifications of the schema") || says("execution error at") || says("parse error") {
        return VerbError::Invalid(text);
    }
    VerbError::other("helm", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_of_the_schema_is_the_callers_mistake() {
        let said = "Error: values don't meet the specifications of the schema(s) in the following chart(s):\nevose:\n- replicas: Invalid type";
        assert!(matches!(helm_error("helm upgrade", said), VerbError::Invalid(text) if text.contains("Invalid type")));
        let pending = "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress";
        assert!(matches!(helm_error("helm upgrade", pending), VerbError::Conflict(_)));
    }
}
