//! Runs of workflows, in MySQL: queued by the API, worked off by the worker, shown by the observability panel.

use crate::access::digest;
use crate::release::Tables;
use anyhow::{Context, Result};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, TxOpts};
use serde_json::{Value, json};

/// The run's number; none where there is no such workflow.
pub async fn queue(mysql: &mut Conn, tables: Tables, workflow: &str, input: &str) -> Result<Option<u64>> {
    let known: Option<i64> = mysql.exec_first("SELECT 1 FROM workflows WHERE id = ?", (workflow,)).await?;
    if known.is_none() {
        return Ok(None);
    }
    let insert = format!("INSERT INTO {} (workflow, input) VALUES (?, ?)", tables.runs);
    mysql.exec_drop(insert, (workflow, input)).await?;
    Ok(mysql.last_insert_id())
}

pub async fn status(mysql: &mut Conn, tables: Tables, run: u64) -> Result<Option<String>> {
    let select = format!("SELECT {} FROM {} WHERE id = ?", tables.status, tables.runs);
    Ok(mysql.exec_first(select, (run,)).await?)
}

/// How many there are, and a checksum of what they were asked for; what became of them since doesn't change it.
pub async fn summary(mysql: &mut Conn, tables: Tables) -> Result<Value> {
    let select = format!(
        "SELECT COUNT(*), LPAD(HEX(BIT_XOR(CRC32(CONCAT_WS('|', id, workflow, input)))), 8, '0'), \
         COALESCE(SUM({} = 'queued'), 0) FROM {}",
        tables.status, tables.runs
    );
    let (count, checksum, queued): (u64, String, u64) =
        mysql.query_first(select).await?.context("a count has one row")?;
    Ok(json!({ "count": count, "checksum": checksum.to_lowercase(), "queued": queued }))
}

/// Works the oldest queued run off; false where there is none.
pub async fn work_off_one(mysql: &mut Conn, tables: Tables) -> Result<bool> {
    let Tables { runs, status, .. } = tables;
    let mut transaction = mysql.start_transaction(TxOpts::default()).await?;
    let select =
        format!("SELECT id, workflow, input FROM {runs} WHERE {status} = 'queued' ORDER BY id LIMIT 1 FOR UPDATE");
    let next: Option<(u64, String, String)> = transaction.query_first(select).await?;
    let Some((id, workflow, input)) = next else {
        transaction.rollback().await?;
        return Ok(false);
    };
    let update = format!("UPDATE {runs} SET {status} = 'done', result = ? WHERE id = ?");
    transaction.exec_drop(update, (digest(&[&workflow, &input]), id)).await?;
    transaction.commit().await?;
    Ok(true)
}
