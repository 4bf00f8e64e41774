//! What happened, durable before anything else happens: SQLite with a write-ahead log and full synchronisation, one
//! writer. Keeps events; what they mean is `plan`'s business.

mod failpoint;
mod reserve;
mod rows;
mod schema;

pub use failpoint::failpoint;
pub use reserve::{is_full, with_reserve};
pub use rows::*;

use crate::effect::hex;
use crate::plan::aftermath::Aftermath;
use crate::plan::event::{Event, Outcome};
use crate::plan::{Kind, PLAN_SCHEMA, Plan};
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("the journal `{path}` can't be opened: {source}")]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error(
        "the journal `{path}` was written by a newer release (its format is {found}, ours is {ours}); start that \
         release again, or one after it"
    )]
    Newer { path: PathBuf, found: u32, ours: u32 },
    #[error("the journal can't be used: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("event {number} of run {run} can't be read: {source}")]
    Unreadable { run: u64, number: u64, source: serde_json::Error },
    #[error("an event can't be written as JSON: {0}")]
    Encode(serde_json::Error),
    #[error("a manifest can't be packed or unpacked: {0}")]
    Manifest(#[from] std::io::Error),
    #[error("run {run} was planned by a newer release (its plan's schema is {found}, ours is {ours})")]
    NewerPlan { run: u64, found: u64, ours: u32 },
    #[error("there is no run {0}")]
    NoRun(u64),
    #[error("another run of `{0}` is under way")]
    UnderWay(String),
}

#[derive(Clone)]
pub struct Journal {
    connection: Arc<Mutex<Connection>>,
    reserve: Option<Arc<PathBuf>>,
}

/// Of one deployment.
const REFUSALS_KEPT: u32 = 100;

impl Journal {
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let connection = Connection::open(path).map_err(|source| JournalError::Open { path: path.into(), source })?;
        schema::prepare(&connection, path)?;
        let journal = Self {
            connection: Arc::new(Mutex::new(connection)),
            reserve: Some(Arc::new(path.with_file_name(reserve::FILE))),
        };
        // Without room for it a run is refused in preflight; reading stays possible.
        journal.has_reserve();
        Ok(journal)
    }

    /// For the simulator: nothing outlives it.
    pub fn in_memory() -> Result<Self, JournalError> {
        let connection = Connection::open_in_memory()?;
        schema::prepare(&connection, Path::new(":memory:"))?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), reserve: None })
    }

    /// Whether the room that the way back needs is set aside; tries to set it aside.
    pub fn has_reserve(&self) -> bool {
        self.reserve.as_ref().is_none_or(|path| reserve::set_aside(path).is_ok())
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().expect("no panic holds the journal")
    }

    /// Writes; where the disk is full, once more with the reserve freed.
    fn write<T>(&self, work: impl Fn(&Connection) -> rusqlite::Result<T>) -> Result<T, JournalError> {
        let connection = self.connection();
        let first = work(&connection);
        // SQLite calls a quota that is used up an error of input and output.
        let full = |error: &rusqlite::Error| {
            matches!(error.sqlite_error_code(), Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure))
        };
        match (&first, &self.reserve) {
            (Err(error), Some(reserve)) if full(error) && std::fs::remove_file(reserve.as_ref()).is_ok() => {
                Ok(work(&connection)?)
            }
            _ => Ok(first?),
        }
    }

    fn read<T>(
        &self, sql: &str, parameters: impl rusqlite::Params, row: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, JournalError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(sql)?;
        let rows = statement.query_map(parameters, row)?.collect::<rusqlite::Result<_>>()?;
        Ok(rows)
    }

    // ---- runs ----

    /// A run's first event; the run's number. Of a deployment that has an open run, none begins.
    pub fn begin(&self, plan: &Plan) -> Result<u64, JournalError> {
        let kind = match plan.kind {
            Kind::Upgrade => "upgrade",
            Kind::Rollback(_) => "rollback",
            Kind::Rehearsal => "rehearsal",
        };
        let event = Event::Planned { plan: Box::new(plan.clone()) };
        let body = serde_json::to_string(&event).map_err(JournalError::Encode)?;
        let now = Timestamp::now().to_string();
        let run = self.write(|connection| {
            let transaction = connection.unchecked_transaction()?;
            let begun = transaction.execute(
                "INSERT INTO runs (deployment, kind, source, target, started) SELECT ?1, ?2, ?3, ?4, ?5 \
                 WHERE NOT EXISTS (SELECT 1 FROM runs WHERE deployment = ?1 AND outcome IS NULL)",
                params![plan.deployment, kind, plan.from, plan.to, now],
            )?;
            if begun == 0 {
                return Ok(None);
            }
            let run = transaction.last_insert_rowid();
            transaction.execute(
                "INSERT INTO records (run, number, at, body) VALUES (?1, 0, ?2, ?3)",
                params![run, now, body],
            )?;
            transaction.commit()?;
            Ok(Some(run as u64))
        })?;
        let run = run.ok_or_else(|| JournalError::UnderWay(plan.deployment.clone()))?;
        failpoint("record");
        Ok(run)
    }

    /// The next run has this number, or a higher one.
    pub fn number_from(&self, run: u64) -> Result<(), JournalError> {
        let before = run as i64 - 1;
        self.write(|connection| {
            let transaction = connection.unchecked_transaction()?;
            let raise = "UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'runs'";
            if transaction.execute(raise, [before])? == 0 {
                transaction.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('runs', ?1)", [before])?;
            }
            transaction.commit()
        })
    }

    /// Durable when it returns. `number` is the event's place; one that is taken is an error.
    pub fn append(&self, run: u64, number: u64, event: &Event) -> Result<Record, JournalError> {
        self.append_with(run, number, event, |_, _| Ok(()))
    }

    /// The last event of a run, together with what it means for the deployment.
    pub fn finish(
        &self, run: u64, number: u64, plan: &Plan, outcome: &Outcome, aftermath: &Aftermath,
    ) -> Result<Record, JournalError> {
        let said = serde_json::to_string(outcome).map_err(JournalError::Encode)?;
        let (name, file) = (&plan.deployment, digest(&plan.file));
        self.append_with(run, number, &Event::Finished { outcome: outcome.clone() }, |transaction, at| {
            let ended = "UPDATE runs SET ended = ?2, outcome = ?3 WHERE run = ?1";
            transaction.execute(ended, params![run as i64, at.to_string(), said])?;
            if *outcome == Outcome::Committed {
                lift_quarantine(transaction, name)?;
            }
            match aftermath {
                Aftermath::Settled { version } => settle(transaction, name, &file, version),
                Aftermath::Quarantined { version, why } => quarantine(transaction, name, version, run, why),
                Aftermath::LookAgain => Ok(()),
            }
        })
    }

    fn append_with(
        &self, run: u64, number: u64, event: &Event, also: impl Fn(&Connection, Timestamp) -> rusqlite::Result<()>,
    ) -> Result<Record, JournalError> {
        let at = Timestamp::now();
        let body = serde_json::to_string(event).map_err(JournalError::Encode)?;
        self.write(|connection| {
            let transaction = connection.unchecked_transaction()?;
            transaction.execute(
                "INSERT INTO records (run, number, at, body) VALUES (?1, ?2, ?3, ?4)",
                params![run as i64, number as i64, at.to_string(), body],
            )?;
            also(&transaction, at)?;
            transaction.commit()
        })?;
        failpoint::recorded(event);
        Ok(Record { number, at, event: event.clone() })
    }

    pub fn records(&self, run: u64) -> Result<Vec<Record>, JournalError> {
        let rows =
            self.read("SELECT number, at, body FROM records WHERE run = ?1 ORDER BY number", [run as i64], |row| {
                Ok((row.get::<_, i64>(0)? as u64, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
            })?;
        if rows.is_empty() {
            return Err(JournalError::NoRun(run));
        }
        let record = |(number, at, body): (u64, String, String)| {
            let event =
                serde_json::from_str(&body).map_err(|source| JournalError::Unreadable { run, number, source })?;
            Ok(Record { number, at: rows::time(&at), event })
        };
        rows.into_iter().map(record).collect()
    }

    /// The run's first event.
    pub fn plan(&self, run: u64) -> Result<Plan, JournalError> {
        let bodies = self.read("SELECT body FROM records WHERE run = ?1 AND number = 0", [run as i64], |row| {
            row.get::<_, String>(0)
        })?;
        let body = bodies.into_iter().next().ok_or(JournalError::NoRun(run))?;
        let value: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
        if let Some(found) = value["plan"]["schema"].as_u64().filter(|found| *found > u64::from(PLAN_SCHEMA)) {
            return Err(JournalError::NewerPlan { run, found, ours: PLAN_SCHEMA });
        }
        match serde_json::from_str(&body).map_err(|source| JournalError::Unreadable { run, number: 0, source })? {
            Event::Planned { plan } => Ok(*plan),
            _ => Err(JournalError::NoRun(run)),
        }
    }

    /// Newest first; of one deployment, or of all.
    pub fn runs(&self, deployment: Option<&str>, limit: u32) -> Result<Vec<RunRow>, JournalError> {
        self.read(rows::RUNS_OF, params![deployment, limit], RunRow::read)
    }

    /// Oldest first.
    pub fn open_runs(&self) -> Result<Vec<RunRow>, JournalError> {
        self.read(rows::OPEN_RUNS, [None::<&str>], RunRow::read)
    }

    pub fn open_run(&self, deployment: &str) -> Result<Option<u64>, JournalError> {
        let open = self.read(rows::OPEN_RUNS, [Some(deployment)], RunRow::read)?;
        Ok(open.first().map(|row| row.run))
    }

    pub fn run(&self, run: u64) -> Result<RunRow, JournalError> {
        self.read(rows::ONE_RUN, [run as i64], RunRow::read)?.pop().ok_or(JournalError::NoRun(run))
    }

    // ---- manifests ----

    /// A manifest has a line for each file or table: it lies beside the events, once for each content. Its digest.
    pub fn keep_manifest(&self, run: u64, manifest: &str) -> Result<String, JournalError> {
        let digest = digest(manifest);
        let body = zstd::encode_all(manifest.as_bytes(), zstd::DEFAULT_COMPRESSION_LEVEL)?;
        self.write(|connection| {
            let sql = "INSERT OR IGNORE INTO manifests (run, digest, body) VALUES (?1, ?2, ?3)";
            connection.execute(sql, params![run as i64, digest, body])
        })?;
        Ok(digest)
    }

    pub fn manifest(&self, digest: &str) -> Result<Option<String>, JournalError> {
        let sql = "SELECT body FROM manifests WHERE digest = ?1 LIMIT 1";
        let found = self.read(sql, [digest], |row| row.get::<_, Vec<u8>>(0))?.pop();
        let unpacked = found.map(|body| zstd::decode_all(body.as_slice())).transpose()?;
        Ok(unpacked.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Those of the deployment's other runs go, up to the `newest`.
    pub fn forget_manifests_but_of(
        &self, deployment: &str, held: &BTreeSet<u64>, newest: u64,
    ) -> Result<(), JournalError> {
        let held = held.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        let sql = format!(
            "DELETE FROM manifests WHERE run IN \
             (SELECT run FROM runs WHERE deployment = ?1 AND run <= ?2 AND run NOT IN ({held}))"
        );
        self.write(|connection| connection.execute(&sql, params![deployment, newest as i64]))?;
        Ok(())
    }

    // ---- refusals and quarantine ----

    /// The same refusal again only moves its time. The oldest are forgotten.
    pub fn refuse(&self, refusal: &Refusal) -> Result<(), JournalError> {
        self.write(|connection| {
            let transaction = connection.unchecked_transaction()?;
            transaction.execute(
                "INSERT INTO refusals (deployment, source, target, why, at) VALUES (?1, ?2, ?3, ?4, ?5) \
                 ON CONFLICT (deployment, target, why) DO UPDATE SET at = excluded.at, source = excluded.source",
                params![refusal.deployment, refusal.from, refusal.to, refusal.why, refusal.at.to_string()],
            )?;
            transaction.execute(
                "DELETE FROM refusals WHERE deployment = ?1 AND rowid NOT IN \
                 (SELECT rowid FROM refusals WHERE deployment = ?1 ORDER BY at DESC LIMIT ?2)",
                params![refusal.deployment, REFUSALS_KEPT],
            )?;
            transaction.commit()
        })?;
        Ok(())
    }

    /// Newest first.
    pub fn refusals(&self, deployment: Option<&str>, limit: u32) -> Result<Vec<Refusal>, JournalError> {
        self.read(rows::REFUSALS, params![deployment, limit], Refusal::read)
    }

    pub fn quarantined(&self, deployment: &str) -> Result<Option<Quarantine>, JournalError> {
        let rows = self.read(
            "SELECT deployment, version, run, why FROM quarantine WHERE deployment = ?1",
            [deployment],
            Quarantine::read,
        )?;
        Ok(rows.into_iter().next())
    }

    pub fn lift_quarantine(&self, deployment: &str) -> Result<bool, JournalError> {
        Ok(self.write(|connection| lift_quarantine(connection, deployment))? > 0)
    }

    // ---- settled files ----

    /// The deployment's file with this digest needs nothing more done; `version` is what runs.
    pub fn settle(&self, deployment: &str, file: &str, version: &str) -> Result<(), JournalError> {
        self.write(|connection| settle(connection, deployment, file, version))
    }

    /// The file is looked at again, whatever it says.
    pub fn unsettle(&self, deployment: &str) -> Result<(), JournalError> {
        self.write(|connection| {
            connection.execute("UPDATE settled SET file_digest = '' WHERE deployment = ?1", [deployment])
        })?;
        Ok(())
    }

    /// The file's digest and the version that ran when it was settled.
    pub fn settled(&self, deployment: &str) -> Result<Option<(String, String)>, JournalError> {
        let connection = self.connection();
        let mut statement =
            connection.prepare_cached("SELECT file_digest, version FROM settled WHERE deployment = ?1")?;
        Ok(statement.query_row([deployment], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
    }

    // ---- copies ----

    pub fn keep(&self, copy: &KeptCopy) -> Result<(), JournalError> {
        self.write(|connection| {
            connection.execute(
                "INSERT OR IGNORE INTO copies (deployment, run, binding, step, made) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![copy.deployment, copy.run as i64, copy.binding, copy.step, copy.made.to_string()],
            )
        })?;
        Ok(())
    }

    /// Oldest first.
    pub fn kept(&self, deployment: Option<&str>) -> Result<Vec<KeptCopy>, JournalError> {
        self.read(rows::COPIES, [deployment], KeptCopy::read)
    }

    pub fn let_go(&self, copy: &KeptCopy) -> Result<(), JournalError> {
        self.write(|connection| {
            connection.execute(
                "DELETE FROM copies WHERE deployment = ?1 AND binding = ?2 AND step = ?3",
                params![copy.deployment, copy.binding, copy.step],
            )
        })?;
        Ok(())
    }
}

/// SHA-256, hexadecimal: of a deployment's file in `settled`, of a manifest.
pub fn digest(text: &str) -> String {
    hex(&Sha256::digest(text))
}

fn settle(connection: &Connection, deployment: &str, file: &str, version: &str) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO settled (deployment, file_digest, version) VALUES (?1, ?2, ?3)";
    connection.execute(sql, params![deployment, file, version]).map(drop)
}

fn quarantine(connection: &Connection, deployment: &str, version: &str, run: u64, why: &str) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO quarantine (deployment, version, run, why) VALUES (?1, ?2, ?3, ?4)";
    connection.execute(sql, params![deployment, version, run as i64, why]).map(drop)
}

fn lift_quarantine(connection: &Connection, deployment: &str) -> rusqlite::Result<usize> {
    connection.execute("DELETE FROM quarantine WHERE deployment = ?1", [deployment])
}
