//! What the product's database holds, and when it was last written to, over PostgreSQL's protocol.

use upgraded_sdk::Session;
use upgraded_sdk::prelude::*;

/// Tables asked for at once.
const BATCH: usize = 16;
/// In place of a number of rows and of their digest: whatever is there fits.
const ANY: &str = "*";
const PAUSE_MS: u64 = 500;
/// So long a connection of a stopped service may linger.
const ALONE_WITHIN_MS: u64 = 60_000;

const TABLES: &str = "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
    ORDER BY 1, 2";

const SCHEMA: &str = "SELECT 'columns', count(*), md5(coalesce(string_agg(line, E'\\n' ORDER BY line COLLATE \"C\"), '')) \
    FROM (SELECT concat_ws(' ', table_schema, table_name, column_name, data_type, is_nullable, column_default) AS line \
    FROM information_schema.columns WHERE table_schema !~ '^pg_' AND table_schema <> 'information_schema') lines \
    UNION ALL SELECT 'sequences', count(*), md5(coalesce(string_agg(line, E'\\n' ORDER BY line COLLATE \"C\"), '')) \
    FROM (SELECT concat_ws(' ', schemaname, sequencename, last_value) AS line FROM pg_sequences) lines";

/// Moves with every row that is written, every object that is changed, and every sequence that is drawn from.
const EVIDENCE: &str = "SELECT encode(sha256(convert_to(concat_ws(E'\\n', \
    (SELECT string_agg(concat_ws(' ', relid, pg_relation_filenode(relid), n_tup_ins, n_tup_upd, n_tup_del), ',' \
     ORDER BY relid) FROM pg_stat_user_tables), \
    (SELECT string_agg(concat_ws(' ', schemaname, sequencename, last_value), ',' ORDER BY schemaname, sequencename) \
     FROM pg_sequences), \
    (SELECT count(*) || ' ' || coalesce(sum(xmin::text::int8), 0) FROM pg_class), \
    (SELECT count(*) || ' ' || coalesce(sum(xmin::text::int8), 0) FROM pg_attribute)), 'UTF8')), 'hex')";

/// Of another account's sessions an account sees no more than whose they are, unless it has `pg_read_all_stats`. Google's
/// own and those that only pass on what was written don't count.
const OTHERS: &str = "SELECT coalesce(string_agg(DISTINCT usename || ' ' || \
    coalesce(host(client_addr), CASE WHEN backend_type IS NULL THEN 'from somewhere' ELSE 'local' END), ', '), '') \
    FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
    AND (backend_type = 'client backend' OR (backend_type IS NULL AND usename IS NOT NULL \
     AND usename !~ '^cloudsql(admin|agent|replica|connpooladmin)$' AND pid NOT IN (SELECT pid FROM pg_stat_replication))) \
    AND NOT starts_with(coalesce(application_name, ''), 'upgraded/')";

/// An error names who is connected still.
pub fn until_alone(host: &DatastoreHost, database: &str) -> Result<()> {
    let session = host.postgres().connect(Some(database))?;
    let mut waited_ms = 0;
    loop {
        let others = value(&session, OTHERS)?;
        if others.is_empty() {
            return Ok(());
        }
        if waited_ms >= ALONE_WITHIN_MS {
            let message =
                format!("others than the stopped services are connected to `{database}` and could write: {others}");
            return Err(Error::conflict(message));
        }
        host.progress(waited_ms / 1000, None, "s", &format!("connected still: {others}"));
        host.pause(PAUSE_MS);
        waited_ms += PAUSE_MS;
    }
}

pub fn evidence(host: &DatastoreHost, database: &str) -> Result<String> {
    value(&host.postgres().connect(Some(database))?, EVIDENCE)
}

/// A line for each table, for the columns of all and for the sequences of all.
pub fn count(host: &DatastoreHost, database: &str) -> Result<Vec<String>> {
    let session = host.postgres().connect(Some(database))?;
    session.query("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")?;
    let mut lines: Vec<String> = session.query(SCHEMA)?.iter().map(line).collect::<Result<_>>()?;
    let tables = session.query(TABLES)?;
    for (number, batch) in tables.chunks(BATCH).enumerate() {
        host.progress((number * BATCH) as u64, Some(tables.len() as u64), "tables", "counted");
        let all = batch.iter().map(|row| Ok(table(cell(row, 0)?, cell(row, 1)?))).collect::<Result<Vec<_>>>()?;
        for row in session.query(&all.join(" UNION ALL "))? {
            lines.push(line(&row)?);
        }
    }
    session.query("COMMIT")?;
    Ok(lines)
}

/// What was the same before a backup and after it is what the backup holds; of the rest, anything fits that is there: a
/// backup is of some moment in between.
pub fn with_moved(before: &str, after: &str) -> String {
    let moved = |line: &str| match line.split_once('\t') {
        Some((id, _)) if !before.lines().any(|other| other == line) => format!("{id}\t{ANY}\t{ANY}"),
        _ => line.to_owned(),
    };
    after.lines().map(moved).collect::<Vec<_>>().join("\n")
}

/// The sum of the rows' hashes knows no order, and counts a row that is there twice.
fn table(schema: &str, table: &str) -> String {
    let (literal, name) = (|text: &str| text.replace('\'', "''"), |text: &str| text.replace('"', "\"\""));
    format!(
        "SELECT 'table/{}.{}', count(*), coalesce(sum(hashtextextended((upgraded_row.*)::text, 0)), 0)::text \
         FROM ONLY \"{}\".\"{}\" upgraded_row",
        literal(schema),
        literal(table),
        name(schema),
        name(table)
    )
}

type Row = Vec<Option<String>>;

fn line(row: &Row) -> Result<String> {
    let id: String = cell(row, 0)?.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    Ok(format!("{id}\t{}\t{}", cell(row, 1)?, cell(row, 2)?))
}

fn cell(row: &Row, at: usize) -> Result<&str> {
    let found = row.get(at).and_then(Option::as_deref);
    found.ok_or_else(|| Error::other("answer", format!("the server's answer lacks column {}", at + 1)))
}

fn value(session: &Session, sql: &str) -> Result<String> {
    let rows = session.query(sql)?;
    rows.first().map_or_else(
        || Err(Error::other("answer", "the server answered without a row")),
        |row| Ok(cell(row, 0)?.to_owned()),
    )
}
