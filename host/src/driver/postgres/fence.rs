//! Ends what an interrupted step left running, and drops what a drill left lying.

use super::connect;
use super::session::Session;
use super::settings::quote;
use crate::context::Site;
use crate::driver::server::Server;
use crate::driver::server::names::derived_prefix;
use crate::model::VerbError;
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// A server that comes up after a power cut recovers first.
const SERVER_TRIES: u32 = 30;
const BETWEEN_TRIES: Duration = Duration::from_secs(2);

/// Terminates the backends under the mark and waits until none is left.
pub async fn end_backends(server: &Server, mark: &str, tasks: &TaskTracker) -> Result<(), VerbError> {
    let mut last = VerbError::Timeout;
    for _ in 0..SERVER_TRIES {
        match end_once(server, mark, tasks).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) if error.retryable() => last = error,
            Err(error) => return Err(error),
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
    Err(last)
}

async fn end_once(server: &Server, mark: &str, tasks: &TaskTracker) -> Result<bool, VerbError> {
    let located = server.located(&Site::Live).await?;
    let server = &located.config;
    let connection = connect::open(server, &server.maintenance, "upgraded/fence", tasks).await?;
    let literal = mark.replace('\'', "''");
    let sql = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{literal}'; \
         SELECT pg_sleep(0.1); SELECT 1 FROM pg_stat_activity WHERE application_name = '{literal}'"
    );
    let rows = connection.client.simple_query(&sql).await;
    let rows = rows.map_err(|error| super::failure::statement_failure(&server.maintenance, &error))?;
    // The last statement's count.
    let left = rows.iter().rev().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::CommandComplete(count) => Some(*count),
        _ => None,
    });
    Ok(left == Some(0))
}

/// The database of this name and those made from it.
pub async fn drop_databases(session: &Session, name: &str) -> Result<(), VerbError> {
    let prefix = derived_prefix(name);
    let rows = session.raw("SELECT datname FROM pg_database WHERE NOT datistemplate").await?;
    let databases = rows.into_iter().filter_map(|mut row| row.pop().flatten());
    for database in databases.filter(|database| database == name || database.starts_with(&prefix)) {
        session.raw(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quote(&database))).await?;
    }
    Ok(())
}
