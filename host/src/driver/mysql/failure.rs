//! What the server's errors mean.

use crate::config::ServerConfig;
use crate::model::{Failure, VerbError};
use mysql_async::Error;

pub fn of_statement(error: &Error) -> VerbError {
    match error {
        Error::Server(server) => of_code(server.code, &server.message),
        other => VerbError::Unavailable(format!("the connection to the server broke: {other}")),
    }
}

pub fn of_connection(server: &ServerConfig, error: &Error) -> VerbError {
    match error {
        Error::Server(said) => of_code(said.code, &said.message),
        other => VerbError::Unavailable(format!(
            "no connection to the server at `{}`, port {}, as `{}`: {other}",
            server.host, server.port, server.user
        )),
    }
}

/// Numbers as in the servers' manuals.
pub fn of_code(code: u16, message: &str) -> VerbError {
    let message = message.trim_end_matches('.').to_owned();
    match code {
        1044 | 1045 | 1142 | 1143 | 1227 | 1370 | 1410 | 1698 | 3118 | 4151 | 3879 => VerbError::Denied(message),
        1049 | 1051 | 1146 | 1305 | 1360 | 1539 => VerbError::NotFound(message),
        1007 | 1050 | 1205 => VerbError::Conflict(message),
        1040 | 1053 | 1152 | 1158..=1161 | 1213 | 1290 => VerbError::Unavailable(message),
        code => VerbError::Other(Failure { code: format!("sql-{code}"), message, retryable: false }),
    }
}

/// Whether the thing that was to be dropped or changed is not there.
pub fn is_gone(error: &VerbError) -> bool {
    matches!(error, VerbError::NotFound(_))
}
