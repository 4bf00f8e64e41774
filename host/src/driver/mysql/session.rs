//! One connection: rows of text, and statements that change.
//!
//! Every connection of a step holds a named lock (`GET_LOCK`), by which an interrupted step's connections are found on
//! MySQL and MariaDB alike. A session that is dropped in the midst of a statement has the server give it up.

use super::failure;
use crate::config::ServerConfig;
use crate::driver::server::check_transport;
use crate::driver::server::names::short_digest;
use crate::model::VerbError;
use bytes::Bytes;
use futures::StreamExt;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Row, Value};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio_util::task::TaskTracker;

/// How long a server may take to greet.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Connections that one step may have at once.
pub const LOCKS: u32 = 12;
const LOCK_WITHIN: Duration = Duration::from_secs(20);
const LOCK_POLL: Duration = Duration::from_millis(100);
/// Of what is loaded, in one packet.
const CHUNK_BYTES: usize = 1 << 20;

/// The same text for the same data, whatever the server's settings. Locks are waited for no longer than this, and a
/// session that waits for long work is not ended.
const PLAIN_TEXT: &str = "SET SESSION time_zone = '+00:00', lock_wait_timeout = 50, sql_quote_show_create = 1, \
    wait_timeout = 2147483, foreign_key_checks = 1, collation_connection = utf8mb4_bin, \
    character_set_results = utf8mb4, character_set_client = utf8mb4";

pub type Rows = Vec<Vec<Option<String>>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    MariaDb,
    MySql,
}

/// Who connects where, for which step.
#[derive(Clone)]
pub struct Way {
    pub server: ServerConfig,
    pub step: String,
    pub tasks: TaskTracker,
    pub cut: Cut,
}

impl Way {
    /// The name of a connection's lock; of no other database's steps.
    pub fn lock(&self, number: u32) -> String {
        lock(&self.server, &self.step, number)
    }
}

pub fn lock(server: &ServerConfig, step: &str, number: u32) -> String {
    format!("upgraded/{}/{number}", short_digest(&format!("{}/{step}", server.database)))
}

/// Where a test cuts a verb off: after so many statements that change something.
#[derive(Clone, Default)]
pub struct Cut {
    #[cfg(test)]
    pub left: std::sync::Arc<std::sync::Mutex<Option<u32>>>,
}

impl Cut {
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "nothing is cut outside tests"))]
    fn pass(&self) -> Result<(), VerbError> {
        #[cfg(test)]
        if let Some(left) = self.left.lock().expect("no panic holds this lock").as_mut() {
            *left = left.checked_sub(1).ok_or_else(|| VerbError::other("cut", "the test cuts here"))?;
        }
        Ok(())
    }
}

pub struct Session {
    conn: Option<Conn>,
    busy: bool,
    way: Way,
    pub id: String,
    pub flavour: Flavour,
    /// For example `10.11.6`.
    pub version: String,
    /// As grants name it: `'app'@'%'`.
    pub account: String,
}

impl Session {
    pub async fn open(way: &Way) -> Result<Self, VerbError> {
        Self::connect(way).await?.locked().await
    }

    /// A busy server takes a while to notice that connections ended.
    async fn locked(mut self) -> Result<Self, VerbError> {
        let began = Instant::now();
        loop {
            for number in 0..LOCKS {
                let lock = quoted(&self.way.lock(number));
                if self.text(&format!("SELECT GET_LOCK({lock}, 0)")).await? == "1" {
                    return Ok(self);
                }
            }
            if began.elapsed() > LOCK_WITHIN {
                return Err(VerbError::Unavailable("too many connections of this step are open".into()));
            }
            tokio::time::sleep(LOCK_POLL).await;
        }
    }

    /// Without a lock: to look at the step's other connections.
    pub async fn connect(way: &Way) -> Result<Self, VerbError> {
        Self::connect_at(way, &way.server).await
    }

    /// As [`Session::open`], by a relay that leads to the server.
    pub async fn open_through(way: &Way, relay: ServerConfig) -> Result<Self, VerbError> {
        Self::connect_at(way, &relay).await?.locked().await
    }

    async fn connect_at(way: &Way, server: &ServerConfig) -> Result<Self, VerbError> {
        check_transport(server)?;
        let conn = match tokio::time::timeout(CONNECT_TIMEOUT, Conn::new(options(server)?)).await {
            Ok(answer) => answer.map_err(|error| failure::of_connection(server, &error))?,
            Err(_) => return Err(VerbError::Unavailable(format!("the server at `{}` does not answer", server.host))),
        };
        let mut session = Self {
            conn: Some(conn),
            busy: false,
            way: way.clone(),
            id: String::new(),
            flavour: Flavour::MySql,
            version: String::new(),
            account: String::new(),
        };
        session.send(PLAIN_TEXT).await?;
        let facts = session.rows("SELECT VERSION(), CONNECTION_ID(), CURRENT_USER()").await?;
        let mut facts = facts.into_iter().flatten().flatten();
        let version = facts.next().unwrap_or_default();
        session.flavour = if version.contains("MariaDB") { Flavour::MariaDb } else { Flavour::MySql };
        session.version = version.split('-').next().unwrap_or_default().into();
        session.id = facts.next().unwrap_or_default();
        session.account = account(&facts.next().unwrap_or_default());
        session.own_mode().await?;
        Ok(session)
    }

    /// What our own statements are written for.
    pub async fn own_mode(&mut self) -> Result<(), VerbError> {
        // Without the latter, MariaDB makes an account of a name that it doesn't know.
        let (mode, limit) = match self.flavour {
            Flavour::MariaDb => (
                "NO_AUTO_VALUE_ON_ZERO,NO_AUTO_CREATE_USER",
                "max_statement_time = 0, idle_transaction_timeout = 0, idle_readonly_transaction_timeout = 0",
            ),
            Flavour::MySql => ("NO_AUTO_VALUE_ON_ZERO", "max_execution_time = 0, information_schema_stats_expiry = 0"),
        };
        let more = "collation_connection = utf8mb4_bin, time_zone = '+00:00'";
        self.send(&format!("SET SESSION sql_mode = '{mode}', {limit}, {more}")).await.map(drop)
    }

    pub async fn rows(&mut self, sql: &str) -> Result<Rows, VerbError> {
        let rows = self.send(sql).await?;
        Ok(rows.into_iter().map(|row| row.unwrap().into_iter().map(of_value).collect()).collect())
    }

    /// The first row's texts; none stands for NULL or no row.
    pub async fn row(&mut self, sql: &str) -> Result<Vec<Option<String>>, VerbError> {
        Ok(self.rows(sql).await?.into_iter().next().unwrap_or_default())
    }

    /// The first text; empty for NULL.
    pub async fn text(&mut self, sql: &str) -> Result<String, VerbError> {
        Ok(self.row(sql).await?.into_iter().next().flatten().unwrap_or_default())
    }

    /// The first column.
    pub async fn list(&mut self, sql: &str) -> Result<Vec<String>, VerbError> {
        Ok(self.rows(sql).await?.into_iter().filter_map(|mut row| row.swap_remove(0)).collect())
    }

    /// A statement that changes something.
    pub async fn change(&mut self, sql: &str) -> Result<(), VerbError> {
        self.way.cut.pass()?;
        self.send(sql).await.map(drop)
    }

    /// `LOAD DATA LOCAL`, which asks for these lines.
    pub async fn load(&mut self, sql: &str, lines: Bytes) -> Result<(), VerbError> {
        let conn = self.conn.as_mut().expect("it is there until the drop");
        conn.set_infile_handler(async move {
            let chunks = (0..lines.len()).step_by(CHUNK_BYTES);
            let chunks = chunks.map(move |at| Ok(lines.slice(at..lines.len().min(at + CHUNK_BYTES))));
            Ok(futures::stream::iter(chunks).boxed())
        });
        self.change(sql).await
    }

    /// Somebody else reads what the server answers from now on.
    pub fn lend(&mut self) {
        self.busy = true;
    }

    /// Nothing is under way.
    pub fn rest(&mut self) {
        self.busy = false;
    }

    /// A setting of this connection.
    pub async fn set(&mut self, sql: &str) -> Result<(), VerbError> {
        self.send(sql).await.map(drop)
    }

    async fn send(&mut self, sql: &str) -> Result<Vec<Row>, VerbError> {
        self.busy = true;
        let conn = self.conn.as_mut().expect("it is there until the drop");
        let answer = Box::pin(conn.query::<Row, _>(sql)).await;
        self.busy = false;
        answer.map_err(|error| failure::of_statement(&error))
    }

    pub async fn exists(&mut self, database: &str) -> Result<bool, VerbError> {
        let sql = "SELECT 1 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ";
        Ok(!self.rows(&format!("{sql}{}", quoted(database))).await?.is_empty())
    }

    pub async fn has_table(&mut self, database: &str, table: &str) -> Result<bool, VerbError> {
        let (database, table) = (quoted(database), quoted(table));
        let sql = "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = ";
        Ok(!self.rows(&format!("{sql}{database} AND TABLE_NAME = {table}")).await?.is_empty())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.busy || self.id.is_empty() {
            return;
        }
        let (way, id) = (self.way.clone(), std::mem::take(&mut self.id));
        self.way.tasks.spawn(async move {
            if let Ok(mut other) = Session::connect(&way).await {
                let _ = other.send(&format!("KILL {id}")).await;
            }
        });
    }
}

fn options(server: &ServerConfig) -> Result<Opts, VerbError> {
    let mut options = OptsBuilder::default()
        .prefer_socket(false)
        .user(Some(&server.user))
        .tcp_port(server.port)
        .stmt_cache_size(0)
        .max_allowed_packet(Some(1 << 30));
    options = match socket(server) {
        Some(socket) => options.socket(Some(socket)),
        None => options.ip_or_hostname(server.host.clone()),
    };
    if let Some(password) = &server.password {
        let secret = password.resolve().map_err(|error| VerbError::Denied(error.to_string()))?;
        options = options.pass(Some(secret.reveal()));
    }
    Ok(options.into())
}

/// The server's Unix socket: its path, or `mysqld.sock` in the named folder.
pub fn socket(server: &ServerConfig) -> Option<String> {
    let path = server.host.starts_with('/').then(|| Path::new(&server.host))?;
    let path = if path.is_dir() { path.join("mysqld.sock") } else { path.to_owned() };
    Some(path.display().to_string())
}

fn of_value(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        other => Some(other.as_sql(true)),
    }
}

/// `app@%` as grants have it.
pub fn account(text: &str) -> String {
    let (user, host) = text.rsplit_once('@').unwrap_or((text, ""));
    format!("'{user}'@'{host}'")
}

/// A name.
pub fn name(text: &str) -> String {
    format!("`{}`", text.replace('`', "``"))
}

/// A text, where a backslash escapes.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
