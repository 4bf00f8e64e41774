//! What a database holds, as sorted lines `id<TAB>count<TAB>digest`: the same for the live one, a frozen copy, and what a
//! restore made of a backup.
//!
//! Rows count by their text, in any order. Objects count by names, types, owners and grants; not by the text of their
//! definitions, which PostgreSQL itself writes differently after a restore. What belongs to an extension is the
//! extension's, its version too, and what a materialized view holds is recomputed by a restore. What the server makes by
//! itself for partitions and ranges does not count, nor an index that is not valid, which no dump has. A manifest is the
//! same on each side of a major version: the right to MAINTAIN (17) and constraints that say NOT NULL (18) don't count.

use crate::properties::Properties;
use crate::quote;
use crate::server::{Connection, Row, Server, cell, truth};
use upgraded_sdk::{Error, Result};

/// Tables asked for at once.
const BATCH: usize = 16;
const SEQUENCE: &str = "sequence/";
/// In place of a digest: whatever is there fits.
const ANY: &str = "*";

/// How much of the tables' content is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Every row.
    Whole,
    /// Every row of the smallest tables, up to [`BRIEF_BYTES`] in all; the rows of others are counted alone.
    Brief,
}

/// Half a second on a slow processor.
const BRIEF_BYTES: i64 = 64 << 20;

/// Within the caller's snapshot.
pub fn take(server: &impl Server, connection: &impl Connection, database: &str, extent: Extent) -> Result<String> {
    let mut lines = Properties::read_inside(connection, database)?.lines();
    add(&mut lines, connection.query(&objects())?)?;
    add(&mut lines, connection.query(LARGE_OBJECTS)?)?;
    lines.extend(sequences(connection)?);
    let tables = connection.query(&tables(extent))?;
    for (number, batch) in tables.chunks(BATCH).enumerate() {
        server.progress((number * BATCH) as u64, tables.len() as u64, "tables", "counted");
        add(&mut lines, connection.query(&union(batch, table)?)?)?;
    }
    lines.sort();
    Ok(lines.join("\n"))
}

/// They are no part of a snapshot: whoever draws from one moves it for everybody.
pub fn sequences(connection: &impl Connection) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for batch in connection.query(SEQUENCES)?.chunks(BATCH) {
        add(&mut lines, connection.query(&union(batch, sequence)?)?)?;
    }
    Ok(lines)
}

/// The manifest with [`ANY`] for each sequence that is no longer what it was `before`: what was saved meanwhile may hold
/// either.
pub fn with_moved_sequences(manifest: &str, before: &[String]) -> String {
    let line = |line: &str| match line.rsplit_once('\t') {
        Some((kept, _)) if line.starts_with(SEQUENCE) && !before.iter().any(|other| other == line) => {
            format!("{kept}\t{ANY}")
        }
        _ => line.to_owned(),
    };
    manifest.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Whether the line of a database is what a manifest says, as far as both say something.
fn fits(expected: &str, found: &str) -> bool {
    match (without_digest(expected), without_digest(found)) {
        (Some(kept), _) => found.starts_with(kept),
        (None, Some(kept)) => expected.starts_with(kept),
        (None, None) => expected == found,
    }
}

fn without_digest(line: &str) -> Option<&str> {
    line.strip_suffix(ANY).filter(|kept| kept.ends_with('\t'))
}

/// What a person reads of the differences between two manifests; none where there are none.
pub fn difference(expected: &str, found: &str) -> Option<String> {
    const SHOWN: usize = 5;
    let missing =
        expected.lines().filter(|line| !found.lines().any(|other| fits(line, other))).map(|line| format!("-{line}"));
    let extra =
        found.lines().filter(|line| !expected.lines().any(|other| fits(other, line))).map(|line| format!("+{line}"));
    let all: Vec<String> = missing.chain(extra).map(|line| line.replace('\t', " ")).collect();
    match all.len() {
        0 => None,
        count if count <= SHOWN => Some(all.join(", ")),
        count => Some(format!("{}, and {} more", all[..SHOWN].join(", "), count - SHOWN)),
    }
}

fn add(lines: &mut Vec<String>, rows: Vec<Row>) -> Result<()> {
    for row in rows {
        // A name may hold what separates.
        let id: String = cell(&row, 0)?.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        lines.push(format!("{id}\t{}\t{}", cell(&row, 1)?, cell(&row, 2)?));
    }
    Ok(())
}

fn union(batch: &[Row], one: impl Fn(&Row) -> Result<String>) -> Result<String> {
    let parts: Result<Vec<String>> = batch.iter().map(one).collect();
    match parts?.join(" UNION ALL ") {
        sql if sql.is_empty() => Err(Error::other("manifest", "nothing to ask for")),
        sql => Ok(sql),
    }
}

/// The sum of the rows' hashes knows no order, and counts a row that is there twice.
fn table(row: &Row) -> Result<String> {
    let (schema, table) = (cell(row, 0)?, cell(row, 1)?);
    let values = match row.get(3).and_then(Option::as_deref) {
        Some(columns) => format!("ROW({columns})"),
        None => "(upgraded_row.*)".to_owned(),
    };
    let digest = match truth(row, 2)? {
        true => format!("coalesce(sum(hashtextextended({values}::text, 0)), 0)::text"),
        false => quote::literal(ANY),
    };
    Ok(format!(
        "SELECT {}, count(*), {digest} FROM ONLY {}.{} upgraded_row",
        quote::literal(&format!("table/{schema}.{table}")),
        quote::name(schema),
        quote::name(table)
    ))
}

fn sequence(row: &Row) -> Result<String> {
    let (schema, sequence) = (cell(row, 0)?, cell(row, 1)?);
    Ok(format!(
        "SELECT {}, 1::int8, last_value || CASE WHEN is_called THEN ' called' ELSE '' END FROM {}.{}",
        quote::literal(&format!("{SEQUENCE}{schema}.{sequence}")),
        quote::name(schema),
        quote::name(sequence)
    ))
}

/// Tables that hold rows of their own, those of extensions only where the extension says that a dump takes all of them;
/// whether their rows are digested; and of heirs the columns by name.
fn tables(extent: Extent) -> String {
    let digested = match extent {
        Extent::Whole => "true".to_owned(),
        Extent::Brief => {
            format!("sum(pg_table_size(c.oid)) OVER (ORDER BY pg_table_size(c.oid), c.oid) <= {BRIEF_BYTES}")
        }
    };
    let columns = format!("CASE WHEN {} THEN {COLUMNS_BY_NAME} END", is_heir("c"));
    format!("SELECT n.nspname, c.relname, {digested}, {columns} {TABLES}")
}

const COLUMNS_BY_NAME: &str = "(SELECT string_agg(format('upgraded_row.%I', a.attname), ', ' \
    ORDER BY a.attname COLLATE \"C\") FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)";

const TABLES: &str = "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
    AND (NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid \
      AND d.deptype = 'e') \
     OR EXISTS (SELECT FROM pg_extension e, unnest(e.extconfig, e.extcondition) AS x(relation, condition) \
      WHERE x.relation = c.oid AND x.condition = '')) ORDER BY 1, 2";

const SEQUENCES: &str = "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid \
      AND d.deptype = 'e') ORDER BY 1, 2";

const LARGE_OBJECTS: &str = "SELECT 'large-objects', count(*), \
    coalesce(sum(hashtextextended(oid || ' ' || md5(lo_get(oid)), 0)), 0) FROM pg_largeobject_metadata";

/// Kinds of objects, and the lines that say which there are. `{own}` leaves out what is the system's or an extension's.
const OBJECTS: &[(&str, &str)] = &[
    (
        "extensions",
        "SELECT concat_ws(' ', e.extname, n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace",
    ),
    (
        "schemas",
        "SELECT concat_ws(' ', n.nspname, pg_get_userbyid(n.nspowner), {acl:n.nspacl,n,n.nspowner}) FROM pg_namespace n \
      WHERE {own:pg_namespace,n.oid}",
    ),
    (
        "relations",
        "SELECT concat_ws(' ', n.nspname, c.relname, c.relkind, c.relpersistence, c.relrowsecurity, c.relforcerowsecurity, \
      c.relreplident, c.relispopulated, pg_get_userbyid(c.relowner), c.reloptions, \
      CASE c.relkind WHEN 'S' THEN {acl:c.relacl,s,c.relowner} ELSE {acl:c.relacl,r,c.relowner} END) \
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
      WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't' AND {own:pg_class,c.oid}",
    ),
    (
        "columns",
        "SELECT concat_ws(' ', n.nspname, c.relname, a.attname, row_number() OVER (PARTITION BY c.oid \
       ORDER BY CASE WHEN {heir:c} THEN a.attname END COLLATE \"C\", a.attnum), format_type(a.atttypid, a.atttypmod), \
      a.attnotnull, a.atthasdef, a.attidentity, a.attgenerated, a.attcollation::regcollation, \
      (SELECT string_agg(concat_ws('=', x.grantee::regrole, x.privilege_type, x.is_grantable), ',' \
       ORDER BY x.grantee::regrole::text COLLATE \"C\", x.privilege_type, x.is_grantable) FROM aclexplode(a.attacl) x)) \
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
      WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c') AND c.relpersistence <> 't' \
      AND {own:pg_class,c.oid}",
    ),
    (
        "constraints",
        "SELECT concat_ws(' ', n.nspname, c.relname, t.typname, k.conname, k.contype, k.convalidated, k.condeferrable) \
      FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace LEFT JOIN pg_class c ON c.oid = k.conrelid \
      LEFT JOIN pg_type t ON t.oid = k.contypid WHERE k.contype <> 'n' AND NOT (k.contype = 'f' AND k.conparentid <> 0) \
      AND {own:pg_constraint,k.oid} AND (k.conrelid = 0 OR {mine:pg_class,k.conrelid}) \
      AND (k.contypid = 0 OR {mine:pg_type,k.contypid})",
    ),
    (
        "indexes",
        "SELECT concat_ws(' ', n.nspname, t.relname, c.relname, m.amname, i.indisunique, i.indisprimary, i.indnkeyatts, i.indnatts) \
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid JOIN pg_am m ON m.oid = c.relam \
      JOIN pg_namespace n ON n.oid = c.relnamespace WHERE (i.indisvalid OR t.relkind = 'p') AND i.indisready AND t.relpersistence <> 't' \
      AND {own:pg_class,t.oid} AND {mine:pg_class,c.oid}",
    ),
    (
        "functions",
        "SELECT concat_ws(' ', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid), p.prokind, p.prosecdef, \
      p.provolatile, p.proisstrict, l.lanname, pg_get_userbyid(p.proowner), md5(p.prosrc), {acl:p.proacl,f,p.proowner}) \
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang WHERE {own:pg_proc,p.oid} \
      AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = 'pg_proc'::regclass AND i.objid = p.oid AND i.deptype = 'i')",
    ),
    (
        "types",
        "SELECT concat_ws(' ', n.nspname, t.typname, t.typtype, pg_get_userbyid(t.typowner), {acl:t.typacl,T,t.typowner}, \
      (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid)) \
      FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE (t.typtype IN ('d', 'e', 'r') \
      OR EXISTS (SELECT FROM pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c')) AND {own:pg_type,t.oid}",
    ),
    (
        "triggers",
        "SELECT concat_ws(' ', n.nspname, c.relname, t.tgname, t.tgenabled, t.tgtype, t.tgfoid::regproc) FROM pg_trigger t \
      JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal AND t.tgparentid = 0 \
      AND {own:pg_class,c.oid}",
    ),
    (
        "rules",
        "SELECT concat_ws(' ', n.nspname, c.relname, r.rulename, r.ev_type, r.ev_enabled, r.is_instead) FROM pg_rewrite r \
      JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {own:pg_class,c.oid}",
    ),
    (
        "policies",
        "SELECT concat_ws(' ', n.nspname, c.relname, p.polname, p.polcmd, p.polpermissive, \
      (SELECT string_agg(r::regrole::text, ',' ORDER BY r::regrole::text COLLATE \"C\") FROM unnest(p.polroles) r)) FROM pg_policy p \
      JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {own:pg_class,c.oid}",
    ),
    (
        "inheritance",
        "SELECT concat_ws(' ', i.inhrelid::regclass, i.inhparent::regclass, i.inhseqno) FROM pg_inherits i WHERE {mine:pg_class,i.inhrelid}",
    ),
    (
        "default-grants",
        "SELECT concat_ws(' ', pg_get_userbyid(d.defaclrole), n.nspname, d.defaclobjtype, {acl:d.defaclacl,r,d.defaclrole}) \
      FROM pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace",
    ),
    (
        "event-triggers",
        "SELECT concat_ws(' ', evtname, evtevent, evtenabled) FROM pg_event_trigger t WHERE {mine:pg_event_trigger,t.oid}",
    ),
    (
        "publications",
        "SELECT concat_ws(' ', pubname, puballtables, pubinsert, pubupdate, pubdelete, pubtruncate) FROM pg_publication",
    ),
    (
        "foreign-servers",
        "SELECT concat_ws(' ', s.srvname, f.fdwname, pg_get_userbyid(s.srvowner)) FROM pg_foreign_server s \
      JOIN pg_foreign_data_wrapper f ON f.oid = s.srvfdw",
    ),
    (
        "collations",
        "SELECT concat_ws(' ', n.nspname, c.collname, c.collprovider) FROM pg_collation c JOIN pg_namespace n \
      ON n.oid = c.collnamespace WHERE {own:pg_collation,c.oid}",
    ),
    (
        "operators",
        "SELECT concat_ws(' ', n.nspname, o.oprname, o.oprleft::regtype, o.oprright::regtype) FROM pg_operator o \
      JOIN pg_namespace n ON n.oid = o.oprnamespace WHERE {own:pg_operator,o.oid}",
    ),
];

/// One row for each kind: its name, the number of objects, the digest of their sorted lines.
fn objects() -> String {
    let kinds: Vec<String> = OBJECTS
        .iter()
        .map(|(kind, sql)| {
            format!(
                "SELECT 'objects/{kind}', count(*), encode(sha256(convert_to(coalesce(string_agg(x, E'\\n' ORDER BY x \
                 COLLATE \"C\"), ''), 'UTF8')), 'hex') FROM ({}) s(x)",
                expand(sql)
            )
        })
        .collect();
    kinds.join(" UNION ALL ")
}

/// Fills in what the kinds have in common: `{own:catalog,oid}`, `{mine:catalog,oid}`, `{heir:relation}`,
/// `{acl:column,kind,owner}`.
fn expand(sql: &str) -> String {
    let mut text = String::new();
    let mut rest = sql;
    while let Some(start) = rest.find('{') {
        let end = rest[start..].find('}').map_or(rest.len(), |end| start + end);
        let (form, arguments) = rest[start + 1..end].split_once(':').unwrap_or_default();
        let arguments: Vec<&str> = arguments.split(',').collect();
        text.push_str(&rest[..start]);
        text.push_str(&match (form, &arguments[..]) {
            ("own", [catalog, oid]) => {
                format!(
                    "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND {}",
                    not_of_an_extension(catalog, oid)
                )
            }
            ("mine", [catalog, oid]) => not_of_an_extension(catalog, oid),
            ("heir", [relation]) => is_heir(relation),
            // No grants are the built-in ones.
            ("acl", [acl, kind, owner]) => format!(
                "(SELECT string_agg(concat_ws('=', x.grantee::regrole, x.privilege_type, x.is_grantable), ',' \
                 ORDER BY x.grantee::regrole::text COLLATE \"C\", x.privilege_type, x.is_grantable) \
                 FROM aclexplode(coalesce({acl}, acldefault('{kind}', {owner}))) x WHERE x.privilege_type <> 'MAINTAIN')"
            ),
            _ => String::new(),
        });
        rest = &rest[(end + 1).min(rest.len())..];
    }
    text.push_str(rest);
    text
}

fn not_of_an_extension(catalog: &str, oid: &str) -> String {
    format!(
        "NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '{catalog}'::regclass AND e.objid = {oid} AND e.deptype = 'e')"
    )
}

/// Of a table that inherits: a restore puts the parent's columns first, whenever they came.
fn is_heir(relation: &str) -> String {
    format!("(NOT {relation}.relispartition AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = {relation}.oid))")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_shown_and_bounded() {
        assert_eq!(difference("a\t1\tx", "a\t1\tx"), None);
        let before = ["sequence/a\t1\t1".to_owned(), "sequence/b\t1\t4".to_owned()];
        let moved = with_moved_sequences("sequence/a\t1\t2 called\nsequence/b\t1\t4\ntable/t\t1\tx", &before);
        assert_eq!(moved, "sequence/a\t1\t*\nsequence/b\t1\t4\ntable/t\t1\tx");
        assert_eq!(difference(&moved, "sequence/a\t1\t9\nsequence/b\t1\t4\ntable/t\t1\tx"), None);
        assert_eq!(difference(&moved, "sequence/b\t1\t4\ntable/t\t1\tx").as_deref(), Some("-sequence/a 1 *"));
        let (whole, brief) = ("table/t\t1\tx", "table/t\t1\t*");
        assert_eq!((difference(whole, brief), difference(brief, whole)), (None, None));
        assert_eq!(difference(whole, "table/t\t2\t*").as_deref(), Some("-table/t 1 x, +table/t 2 *"));
        assert_eq!(difference("a\t1\tx\nb\t1\ty", "a\t2\tz").as_deref(), Some("-a 1 x, -b 1 y, +a 2 z"));
        let many: String = (0..9).map(|n| format!("{n}\t1\tx\n")).collect();
        assert!(difference(&many, "").is_some_and(|text| text.ends_with(", and 4 more")));
    }

    #[test]
    fn every_form_is_filled_in() {
        let sql = objects();
        assert!(!sql.contains('{') && !sql.contains('}'), "{sql}");
    }

    #[test]
    fn rows_of_heirs_are_read_by_name() {
        let row = |columns: Option<&str>| -> Row {
            vec![Some("public".into()), Some("t".into()), Some("t".into()), columns.map(str::to_owned)]
        };
        assert!(table(&row(None)).is_ok_and(|sql| sql.contains("((upgraded_row.*)::text, 0)")));
        let sql = table(&row(Some("upgraded_row.a, upgraded_row.b")));
        assert!(sql.is_ok_and(|sql| sql.contains("(ROW(upgraded_row.a, upgraded_row.b)::text, 0)")));
    }
}
