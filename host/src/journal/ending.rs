//! The end of a run, written together with what it means: a crash right after it must not make a version that failed look
//! untried.

use super::{Journal, JournalError, Record, failpoint};
use crate::plan::aftermath::Aftermath;
use crate::plan::event::Event;
use jiff::Timestamp;
use rusqlite::{Connection, params};

/// Whose run ended.
pub struct Ending<'a> {
    pub deployment: &'a str,
    /// SHA-256 of the file that the run began with, hexadecimal.
    pub file_digest: &'a str,
    pub aftermath: &'a Aftermath,
}

impl Journal {
    /// Like [`Journal::append`], for the run's last event.
    pub fn finish(&self, run: u64, number: u64, event: &Event, ending: &Ending<'_>) -> Result<Record, JournalError> {
        let at = Timestamp::now();
        let body = serde_json::to_string(event).map_err(JournalError::Encode)?;
        let outcome = match event {
            Event::Finished { outcome } => serde_json::to_string(outcome).map_err(JournalError::Encode)?,
            _ => return self.append(run, number, event),
        };
        self.write(|connection| {
            let transaction = connection.unchecked_transaction()?;
            super::insert(&transaction, run, number, at, &body)?;
            transaction.execute(
                "UPDATE runs SET ended = ?2, outcome = ?3 WHERE run = ?1",
                params![run as i64, at.to_string(), outcome],
            )?;
            draw(&transaction, run, ending)?;
            transaction.commit()
        })?;
        failpoint::recorded(event);
        Ok(Record { number, at, event: event.clone() })
    }
}

fn draw(connection: &Connection, run: u64, ending: &Ending<'_>) -> rusqlite::Result<()> {
    match ending.aftermath {
        Aftermath::Settled { version, lifts } => {
            if *lifts {
                super::lift(connection, ending.deployment)?;
            }
            super::settle(connection, ending.deployment, ending.file_digest, version)
        }
        Aftermath::Quarantined { version, why } => {
            connection.execute(
                "INSERT OR REPLACE INTO quarantine (deployment, version, run, why) VALUES (?1, ?2, ?3, ?4)",
                params![ending.deployment, version, run as i64, why],
            )?;
            Ok(())
        }
        Aftermath::GoesOn => super::lift(connection, ending.deployment).map(|_| ()),
    }
}
