//! The contract's `error` and our own.

use super::bindings::types::{Error, Failure};
use crate::model::{self, VerbError};

impl From<VerbError> for Error {
    fn from(error: VerbError) -> Self {
        match error {
            VerbError::Denied(why) => Error::Denied(why),
            VerbError::NotFound(what) => Error::NotFound(what),
            VerbError::Conflict(what) => Error::Conflict(what),
            VerbError::Timeout => Error::Timeout,
            VerbError::Cancelled => Error::Cancelled,
            VerbError::Unavailable(what) => Error::Unavailable(what),
            VerbError::Invalid(what) => Error::Invalid(what),
            VerbError::Other(model::Failure { code, message, retryable }) => {
                Error::Other(Failure { code, message, retryable })
            }
        }
    }
}

impl From<Error> for VerbError {
    fn from(error: Error) -> Self {
        match error {
            Error::Denied(why) => VerbError::Denied(why),
            Error::NotFound(what) => VerbError::NotFound(what),
            Error::Conflict(what) => VerbError::Conflict(what),
            Error::Timeout => VerbError::Timeout,
            Error::Cancelled => VerbError::Cancelled,
            Error::Unavailable(what) => VerbError::Unavailable(what),
            Error::Invalid(what) => VerbError::Invalid(what),
            Error::Other(Failure { code, message, retryable }) => {
                VerbError::Other(model::Failure { code, message, retryable })
            }
        }
    }
}
