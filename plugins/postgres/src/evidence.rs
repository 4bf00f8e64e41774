//! Evidence of the last write to one database, from inside it: moves with every row that is written, every object that is
//! changed and every sequence that is drawn from, and with nothing that happens in other databases of the server.
//!
//! Rows are counted by the server's own statistics, which a clean restart keeps and a crash of the server loses: then the
//! evidence moves although nobody wrote, which turns a run round and loses nothing. Vacuum, analyze and readers don't
//! move it.

use crate::server::Connection;
use upgraded_sdk::Result;

/// Their rows' versions say whether an object was made, changed or dropped.
const CATALOGS: &[&str] = &[
    "pg_attribute",
    "pg_cast",
    "pg_class",
    "pg_collation",
    "pg_constraint",
    "pg_default_acl",
    "pg_enum",
    "pg_event_trigger",
    "pg_extension",
    "pg_foreign_server",
    "pg_index",
    "pg_inherits",
    "pg_largeobject_metadata",
    "pg_namespace",
    "pg_operator",
    "pg_policy",
    "pg_proc",
    "pg_publication",
    "pg_rewrite",
    "pg_trigger",
    "pg_ts_config",
    "pg_type",
];

pub fn read(connection: &impl Connection) -> Result<String> {
    let catalogs: Vec<String> = CATALOGS
        .iter()
        .map(|catalog| {
            format!("(SELECT '{catalog} ' || count(*) || ' ' || coalesce(sum(xmin::text::int8), 0) FROM {catalog})")
        })
        .collect();
    connection.value(&format!(
        "SELECT encode(sha256(convert_to(concat_ws(E'\\n', \
         (SELECT string_agg(concat_ws(' ', relid, pg_relation_filenode(relid), n_tup_ins, n_tup_upd, n_tup_del), ',' \
          ORDER BY relid) FROM pg_stat_all_tables WHERE schemaname !~ '^pg_' AND schemaname <> 'information_schema' \
          OR relname = 'pg_largeobject'), \
         (SELECT string_agg(concat_ws(' ', schemaname, sequencename, last_value), ',' \
          ORDER BY schemaname, sequencename) FROM pg_sequences), {}), 'UTF8')), 'hex')",
        catalogs.join(", ")
    ))
}
