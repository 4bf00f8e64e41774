//! Ends what an interrupted step left running, and drops what a drill left lying.

use super::connect;
use super::names::derived_prefix;
use super::server::Server;
use super::session::Session;
use super::settings::quote;
use super::tools::MARK_VARIABLE;
use crate::model::VerbError;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// A server that comes up after a power cut recovers first.
const SERVER_TRIES: u32 = 30;
const BETWEEN_TRIES: Duration = Duration::from_secs(2);
const PROCESS_TRIES: u32 = 100;
const BETWEEN_PROCESSES: Duration = Duration::from_millis(50);

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
    let located = server.located().await?;
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

/// Kills the processes that carry the step in their environment, and waits until they are gone.
pub async fn end_processes(step: &str) {
    for _ in 0..PROCESS_TRIES {
        let found = marked(step);
        if found.is_empty() {
            return;
        }
        for pid in found {
            let _ = kill_process(pid, Signal::KILL);
        }
        tokio::time::sleep(BETWEEN_PROCESSES).await;
    }
}

/// Tools of PostgreSQL alone: a command of the operator's that the same step started is another driver's.
fn marked(step: &str) -> Vec<Pid> {
    let wanted = format!("{MARK_VARIABLE}={step}").into_bytes();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        name.starts_with("pg_")
            && fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|entry| entry == wanted))
    })
    .filter_map(Pid::from_raw)
    .collect()
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
