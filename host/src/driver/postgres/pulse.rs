//! Shows that a long statement lives: asks the server, over a connection of its own, whether the step's backends work.
//!
//! A backend that waits for a lock is no sign of life, so that a deadlock with somebody else ends by the idle deadline.

use super::connect::{self, Connection};
use crate::activity::Activity;
use crate::config::ServerConfig;
use std::future::Future;
use std::time::Duration;
use tokio_postgres::{Client, SimpleQueryMessage};
use tokio_util::task::TaskTracker;

/// Statements that are done by then cost no second connection.
const FIRST: Duration = Duration::from_secs(5);
const BETWEEN: Duration = Duration::from_secs(3);

/// Rows copied so far, and whether any backend of the step works without waiting for a lock.
const QUESTION: &str = "SELECT coalesce((SELECT sum(tuples_processed) FROM pg_stat_progress_copy p \
    JOIN pg_stat_activity b USING (pid) WHERE b.application_name = a.mark), 0), \
    EXISTS (SELECT FROM pg_stat_activity b WHERE b.application_name = a.mark AND state = 'active' \
    AND wait_event_type IS DISTINCT FROM 'Lock') FROM (SELECT current_setting('upgraded.mark') AS mark) a";

#[derive(Clone)]
pub struct Pulse {
    server: ServerConfig,
    mark: String,
    tasks: TaskTracker,
}

impl Pulse {
    pub fn new(server: &ServerConfig, mark: &str, tasks: &TaskTracker) -> Self {
        Self { server: server.clone(), mark: mark.into(), tasks: tasks.clone() }
    }

    /// `work`, with signs of life while it goes on.
    pub async fn beside<T>(&self, activity: &Activity, work: impl Future<Output = T>) -> T {
        tokio::select! {
            biased;
            result = work => result,
            never = self.beat(activity) => never,
        }
    }

    async fn beat<T>(&self, activity: &Activity) -> T {
        tokio::time::sleep(FIRST).await;
        loop {
            if let Some(connection) = self.connect().await {
                while let Some((rows, works)) = ask(&connection.client).await {
                    if rows > 0 {
                        activity.progress(rows, None, "rows", "copied by the server");
                    } else if works {
                        activity.touch();
                    }
                    tokio::time::sleep(BETWEEN).await;
                }
            }
            // No answer is no sign of life: the idle deadline decides.
            tokio::time::sleep(BETWEEN).await;
        }
    }

    async fn connect(&self) -> Option<Connection> {
        let database = &self.server.maintenance;
        let connection = connect::open(&self.server, database, "upgraded/pulse", &self.tasks).await.ok()?;
        let set = format!("SET upgraded.mark = '{}'", self.mark.replace('\'', "''"));
        connection.client.batch_execute(&set).await.ok()?;
        Some(connection)
    }
}

async fn ask(client: &Client) -> Option<(u64, bool)> {
    let messages = client.simple_query(QUESTION).await.ok()?;
    messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((row.get(0)?.parse().ok()?, row.get(1)? == "t")),
        _ => None,
    })
}
