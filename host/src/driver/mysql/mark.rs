//! A mark: evidence of the last write to the database.
//!
//! InnoDB says when it last committed to a table, to the second, from the server's start on and for as long as it keeps the
//! table's definition; a table that was emptied or made anew has another number. Rows are read of what other engines keep.
//! A server that can't say it has every row read.

use super::Work;
use super::fence;
use super::files::in_the_engine;
use super::manifest;
use super::session::{self, Flavour, Session, quoted};
use super::shape::Table;
use crate::activity::Level;
use crate::model::VerbError;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Of a second in which something was written, so that the next write has another one.
const PASSES_WITHIN: Duration = Duration::from_millis(1500);
const POLL: Duration = Duration::from_millis(50);

pub async fn mark(work: &Work<'_>) -> Result<String, VerbError> {
    let mut session = work.session().await?;
    match evidence(work, &mut session).await {
        Err(error @ (VerbError::Cancelled | VerbError::Timeout | VerbError::Unavailable(_))) => Err(error),
        Err(why) => {
            work.cx.activity.line(Level::Info, format!("every row is read for the mark: {why}"));
            Ok(manifest::digest(&work.manifest(&mut session, &work.names.live).await?))
        }
        evidence => evidence,
    }
}

async fn evidence(work: &Work<'_>, session: &mut Session) -> Result<String, VerbError> {
    let live = work.names.live.as_str();
    let enabled = fence::enabled(session, &work.names).await?;
    let shape = work.shape(session, live, &enabled).await?;
    let is_dated = |table: &&Table| table.engine == "InnoDB" && !table.is_sequence();
    let others: Vec<Table> = shape.tables.iter().filter(|table| !is_dated(table)).cloned().collect();
    let numbers = numbers(session, live).await?;
    if numbers.len() < shape.tables.len() - others.len() {
        return Err(VerbError::Invalid("the server does not tell all of its tables' numbers".into()));
    }
    let contents = if others.is_empty() { Vec::new() } else { work.contents(session, live, &others).await? };
    let written = written(session, live).await?;
    let since = session.text(started(session.flavour)).await?;
    let last = written.values().max().filter(|at| !at.is_empty()).map_or("none", String::as_str);
    let digest = manifest::digest(&format!("{} {numbers:?} {written:?}", manifest::text(&shape, &contents)));
    Ok(format!("server up since {since}, last write {last}, {digest}"))
}

/// The engine's own, new with each `TRUNCATE`. Nothing where it has more tables than it keeps definitions of.
async fn numbers(session: &mut Session, database: &str) -> Result<BTreeMap<String, String>, VerbError> {
    let tables = match session.flavour {
        Flavour::MariaDb => "information_schema.INNODB_SYS_TABLES",
        Flavour::MySql => "information_schema.INNODB_TABLES",
    };
    let kept = format!("SELECT (SELECT COUNT(*) FROM {tables}) < @@GLOBAL.table_definition_cache");
    if session.text(&kept).await? != "1" {
        return Err(VerbError::Invalid(
            "the server has more tables than `table_definition_cache`, and forgets when it wrote them".into(),
        ));
    }
    let own = quoted(&in_the_engine(database));
    let sql = format!(
        "SELECT NAME, TABLE_ID FROM {tables} WHERE SUBSTRING_INDEX(NAME, '/', 1) = {own} \
         AND LOWER(NAME) NOT LIKE '%/fts\\_%'"
    );
    Ok(by_name(session.rows(&sql).await?))
}

/// When each table was; empty where it wasn't since the server's start. None of them in this second.
async fn written(session: &mut Session, database: &str) -> Result<BTreeMap<String, String>, VerbError> {
    let sql = format!(
        "SELECT TABLE_NAME, COALESCE(UPDATE_TIME, ''), COALESCE(UPDATE_TIME >= NOW(), 0) \
         FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND ENGINE = 'InnoDB' AND TABLE_TYPE <> 'SEQUENCE'",
        quoted(database)
    );
    let began = Instant::now();
    loop {
        let rows = session.rows(&sql).await?;
        if rows.iter().all(|row| row[2].as_deref() == Some("0")) {
            return Ok(by_name(rows));
        }
        if began.elapsed() > PASSES_WITHIN {
            return Err(VerbError::Invalid("somebody writes, or the server's clock was set back".into()));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The second column by the first.
fn by_name(rows: session::Rows) -> BTreeMap<String, String> {
    rows.into_iter().filter_map(|row| Some((row.first()?.clone()?, row.get(1)?.clone()?))).collect()
}

fn started(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::MariaDb => {
            "SELECT FROM_UNIXTIME(UNIX_TIMESTAMP() - VARIABLE_VALUE) FROM information_schema.GLOBAL_STATUS \
             WHERE VARIABLE_NAME = 'UPTIME'"
        }
        Flavour::MySql => {
            "SELECT FROM_UNIXTIME(UNIX_TIMESTAMP() - CAST(VARIABLE_VALUE AS UNSIGNED)) \
             FROM performance_schema.global_status WHERE VARIABLE_NAME = 'Uptime'"
        }
    }
}
