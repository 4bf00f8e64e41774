//! One connection, and the two ways to use it: `query` reads, `execute` changes and is journaled.
//!
//! A reading statement always runs in a read-only transaction, whatever the phase. A session that is dropped in the midst
//! of a statement has the server give the statement up.

use super::connect::{self, Connection};
use super::failure::statement_failure;
use super::pulse::Pulse;
use super::reach::Reach;
use super::statement::{self, Kind};
use crate::config::ServerConfig;
use crate::context::StepContext;
use crate::effect::hex;
use crate::model::VerbError;
use futures::StreamExt;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio_postgres::SimpleQueryMessage;
use tokio_util::task::TaskTracker;

/// Text that depends on nothing but the data: manifests of two databases are compared byte for byte. And nothing ends a
/// session that waits for long work; older servers don't know the last of these settings.
const PLAIN_TEXT: &str = "SET search_path = pg_catalog; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres'; \
    SET timezone = 'UTC'; SET extra_float_digits = 1; SET bytea_output = 'hex'; SET xmlbinary = 'base64'; \
    SET xmloption = 'content'; SET lc_monetary = 'C'; SET quote_all_identifiers = off; SET row_security = off; \
    SET standard_conforming_strings = on; SET client_min_messages = 'warning'; SET statement_timeout = 0; \
    SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
    SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('idle_session_timeout', 'transaction_timeout')";

/// A plugin gets no more at once in any case.
const ANSWER_BYTES: usize = 64 << 20;

/// Rows of text, as the server prints them.
pub type Rows = Vec<Vec<Option<String>>>;

/// One connection; closed when dropped. Names in SQL are qualified: nothing but `pg_catalog` is searched.
pub struct Session {
    connection: Connection,
    database: String,
    reach: Reach,
    idle: Duration,
    pulse: Pulse,
    transaction: AtomicU8,
}

/// What the plugin began and has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    None = 0,
    Reading = 1,
    Changing = 2,
}

/// What a connection is opened with.
pub(super) struct Opening<'a> {
    pub server: &'a ServerConfig,
    pub reach: Reach,
    pub database: &'a str,
    pub mark: &'a str,
    pub idle: Duration,
    pub tasks: &'a TaskTracker,
}

impl Session {
    pub(super) async fn open(opening: Opening<'_>) -> Result<Self, VerbError> {
        let Opening { server, reach, database, mark, idle, tasks } = opening;
        let connection = connect::open(server, database, mark, tasks).await?;
        connection.client.batch_execute(PLAIN_TEXT).await.map_err(|error| statement_failure(database, &error))?;
        Ok(Self {
            connection,
            database: database.into(),
            reach,
            idle,
            pulse: Pulse::new(server, mark, tasks),
            transaction: AtomicU8::new(Transaction::None as u8),
        })
    }

    /// Rows of text. A statement that is no reading one is journaled, and needs a phase that may change.
    pub async fn query(&self, cx: &StepContext, sql: &str) -> Result<Rows, VerbError> {
        match statement::kinds(sql, &self.reach)?[..] {
            [Kind::Reading] => cx.activity.watch(self.idle, self.pulse.beside(&cx.activity, self.read(sql))).await,
            [Kind::BeginReading] => self.control(sql, Transaction::Reading).await,
            // However the plugin ends it, what only read leaves nothing behind.
            [Kind::End] if self.transaction() != Transaction::Changing => {
                self.control("ROLLBACK", Transaction::None).await
            }
            [_] => self.change(cx, sql).await.map(|(rows, _)| rows),
            _ => Err(VerbError::Invalid("`query` takes one statement; `execute` takes several".into())),
        }
    }

    /// Journaled; the number of rows. Several statements are one transaction, as the server has it.
    pub async fn execute(&self, cx: &StepContext, sql: &str) -> Result<u64, VerbError> {
        self.change(cx, sql).await.map(|(_, count)| count)
    }

    async fn change(&self, cx: &StepContext, sql: &str) -> Result<(Rows, u64), VerbError> {
        cx.effects.may_change("postgres.execute")?;
        let kinds = statement::kinds(sql, &self.reach)?;
        let owns = self.reach.owns(&self.database);
        if !owns && kinds.contains(&Kind::Inside) {
            return Err(VerbError::Denied(format!("nothing is changed inside the database `{}`", self.database)));
        }
        let reads_only = !owns && kinds.iter().all(|kind| *kind == Kind::Reading);
        let arguments = Arguments { database: &self.database, sql: hex(&Sha256::digest(sql)) };
        let work = async {
            if reads_only {
                let rows = self.read(sql).await?;
                let count = rows.len() as u64;
                return Ok((rows, count));
            }
            let answer = self.send(sql).await?;
            for kind in &kinds {
                match kind {
                    Kind::Begin | Kind::BeginReading => self.enter(Transaction::Changing),
                    Kind::End => self.enter(Transaction::None),
                    Kind::Reading | Kind::Session | Kind::Database | Kind::Inside => {}
                }
            }
            Ok(answer)
        };
        let watched = cx.activity.watch(self.idle, self.pulse.beside(&cx.activity, work));
        cx.effects.perform("postgres.execute", &arguments, &self.database, true, watched).await
    }

    async fn read(&self, sql: &str) -> Result<Rows, VerbError> {
        if self.transaction() != Transaction::None {
            return Ok(self.send(sql).await?.0);
        }
        // Rolled back, because some functions write in a read-only transaction (`lo_unlink` before version 16). The line
        // end closes a comment at the end of `sql`.
        Ok(self.send(&format!("BEGIN TRANSACTION READ ONLY; {sql}\n; ROLLBACK")).await?.0)
    }

    async fn control(&self, sql: &str, then: Transaction) -> Result<Rows, VerbError> {
        let (rows, _) = self.send(sql).await?;
        self.enter(then);
        Ok(rows)
    }

    fn transaction(&self) -> Transaction {
        match self.transaction.load(Ordering::Relaxed) {
            0 => Transaction::None,
            1 => Transaction::Reading,
            _ => Transaction::Changing,
        }
    }

    fn enter(&self, transaction: Transaction) {
        self.transaction.store(transaction as u8, Ordering::Relaxed);
    }

    async fn send(&self, sql: &str) -> Result<(Rows, u64), VerbError> {
        self.connection.busy.store(true, Ordering::Release);
        let mut answer = Answer::default();
        let ended = self.hear(sql, &mut answer).await;
        self.connection.busy.store(false, Ordering::Release);
        let failure = match ended {
            _ if answer.is_too_long => VerbError::Invalid(format!(
                "the answer has more than {} MiB: the server can count, sum or hash its rows",
                ANSWER_BYTES >> 20
            )),
            Ok(()) => return Ok((answer.rows, answer.count)),
            Err(error) => statement_failure(&self.database, &error),
        };
        if !self.connection.client.is_closed() {
            // Whatever the statement was part of is over.
            self.enter(Transaction::None);
            let _ = self.connection.client.batch_execute("ROLLBACK").await;
        }
        Err(failure)
    }

    /// One that becomes too long is given up, and what still comes of it is passed over.
    async fn hear(&self, sql: &str, answer: &mut Answer) -> Result<(), tokio_postgres::Error> {
        let mut messages = pin!(self.connection.client.simple_query_raw(sql).await?);
        while let Some(message) = messages.next().await {
            let was_too_long = answer.is_too_long;
            answer.take(message?);
            if answer.is_too_long && !was_too_long {
                self.connection.give_up().await;
            }
        }
        Ok(())
    }

    /// For the driver's own statements: no journal, no check.
    pub(super) async fn raw(&self, sql: &str) -> Result<Rows, VerbError> {
        Ok(self.send(sql).await?.0)
    }
}

#[derive(Serialize)]
struct Arguments<'a> {
    database: &'a str,
    /// SHA-256: settings of a database may hold secrets.
    sql: String,
}

/// The rows of the last statement that returned any, and the sum of all counts.
#[derive(Default)]
struct Answer {
    rows: Rows,
    count: u64,
    /// What the rows take up here, about.
    bytes: usize,
    is_too_long: bool,
}

impl Answer {
    fn take(&mut self, message: SimpleQueryMessage) {
        match message {
            _ if self.is_too_long => {}
            SimpleQueryMessage::RowDescription(_) => self.clear(),
            SimpleQueryMessage::Row(row) => {
                self.push((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect());
            }
            SimpleQueryMessage::CommandComplete(rows) => self.count += rows,
            _ => {}
        }
    }

    fn push(&mut self, row: Vec<Option<String>>) {
        let text: usize = row.iter().flatten().map(String::len).sum();
        self.bytes += text + size_of_val(&row) + size_of_val(row.as_slice());
        self.rows.push(row);
        if self.bytes > ANSWER_BYTES {
            self.clear();
            self.is_too_long = true;
        }
    }

    fn clear(&mut self) {
        (self.rows, self.bytes) = (Rows::new(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_bound() {
        let mut answer = Answer::default();
        let row = || vec![Some("x".repeat(1 << 20)), None];
        for _ in 0..60 {
            answer.push(row());
        }
        assert_eq!((answer.rows.len(), answer.is_too_long), (60, false));
        answer.clear();
        for _ in 0..64 {
            answer.push(row());
        }
        assert_eq!((answer.rows.len(), answer.is_too_long), (0, true));
        answer.take(SimpleQueryMessage::CommandComplete(64));
        assert_eq!(answer.count, 0);
    }
}
