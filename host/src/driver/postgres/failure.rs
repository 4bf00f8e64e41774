//! What went wrong between us and a server, in the contract's words. A `DETAIL` may hold rows, so it is left out but for
//! errors about the database as a whole.

use crate::config::ServerConfig;
use crate::model::{Failure, VerbError};
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

pub fn statement_failure(database: &str, error: &Error) -> VerbError {
    match error.as_db_error() {
        Some(db) => of_state(database, db),
        None => VerbError::Unavailable(format!("the connection to `{database}` broke: {}", causes(error))),
    }
}

pub fn connection_failure(server: &ServerConfig, database: &str, error: &Error) -> VerbError {
    match error.as_db_error() {
        Some(db) => of_state(database, db),
        None if error.to_string().contains("password") => VerbError::Denied(format!(
            "the server wants a password for `{}`, and `server.password` names none",
            server.user
        )),
        None => VerbError::Unavailable(format!(
            "no connection to `{database}` at `{}`, port {}, as `{}`: {}",
            server.host,
            server.port,
            server.user,
            causes(error)
        )),
    }
}

fn of_state(database: &str, error: &DbError) -> VerbError {
    let mut message = format!("`{database}`: {}", error.message());
    let detail = error.detail().filter(|_| *error.code() == SqlState::OBJECT_IN_USE);
    for more in [detail, error.hint()].into_iter().flatten() {
        message.push_str("; ");
        message.push_str(more.trim_end_matches('.'));
    }
    match error.code() {
        state if *state == SqlState::INSUFFICIENT_PRIVILEGE => VerbError::Denied(message),
        state if *state == SqlState::INVALID_PASSWORD => VerbError::Denied(message),
        state if *state == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => VerbError::Denied(message),
        state if *state == SqlState::INVALID_CATALOG_NAME => VerbError::NotFound(message),
        state if *state == SqlState::UNDEFINED_TABLE => VerbError::NotFound(message),
        state if *state == SqlState::UNDEFINED_OBJECT => VerbError::NotFound(message),
        state if *state == SqlState::DUPLICATE_DATABASE => VerbError::Conflict(message),
        state if *state == SqlState::OBJECT_IN_USE => VerbError::Conflict(message),
        state if *state == SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE => VerbError::Conflict(message),
        state if *state == SqlState::CANNOT_CONNECT_NOW => VerbError::Unavailable(message),
        state if *state == SqlState::TOO_MANY_CONNECTIONS => VerbError::Unavailable(message),
        state if *state == SqlState::ADMIN_SHUTDOWN => VerbError::Unavailable(message),
        state if *state == SqlState::CRASH_SHUTDOWN => VerbError::Unavailable(message),
        state => VerbError::Other(Failure {
            code: format!("sql-{}", state.code().to_lowercase()),
            message,
            retryable: false,
        }),
    }
}

fn causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
