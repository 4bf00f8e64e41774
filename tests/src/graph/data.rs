//! What the server holds of a [`Graph`], asked by SQL of the test's own.

use super::Graph;
use crate::machine::pids;
use std::fs;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(120);

/// A line for every table with a checksum of its rows, every sequence, column, index, constraint and extension, and for
/// the database itself: owners, grants, limits and settings.
const DATA: &str = r#"
SELECT line FROM (
    SELECT concat_ws(' ', 'table', c.oid::regclass, pg_get_userbyid(relowner),
        (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(coalesce(relacl, acldefault('r', relowner))) a),
        (xpath('//c/text()', query_to_xml(format('SELECT count(*) || '' '' || coalesce(md5(string_agg(t::text, E''\n'' '
            'ORDER BY t::text COLLATE "C")), ''-'') AS c FROM %s t', c.oid::regclass), false, true, '')))[1])
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'm') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
UNION ALL
    SELECT concat_ws(' ', 'sequence', schemaname, sequencename, sequenceowner, coalesce(last_value, -1)) FROM pg_sequences
UNION ALL
    SELECT concat_ws(' ', 'column', attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull)
    FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped
UNION ALL
    SELECT concat_ws(' ', 'index', indexdef) FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
    SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
UNION ALL
    SELECT concat_ws(' ', 'extension', extname, extversion) FROM pg_extension
UNION ALL
    SELECT concat_ws(' ', 'database', pg_get_userbyid(datdba), datconnlimit, datallowconn, shobj_description(oid, 'pg_database'),
        (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(coalesce(datacl, acldefault('d', datdba))) a))
    FROM pg_database WHERE datname = current_database()
UNION ALL
    SELECT concat_ws(' ', 'setting', setrole::regrole, setconfig) FROM pg_db_role_setting
    WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
) lines(line) ORDER BY line COLLATE "C""#;

impl Graph {
    /// Everything that a rollback brings back, a line each.
    pub fn data(&self) -> String {
        self.sql(DATA)
    }

    /// Of the live database: another one after a restore took its name.
    pub fn database_id(&self) -> String {
        self.server_sql(&format!("SELECT oid FROM pg_database WHERE datname = '{}'", self.database))
    }

    /// Databases that the daemon made of this one.
    pub fn copies(&self) -> Vec<String> {
        let sql = format!(
            "SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) = '{}' \
             AND (starts_with(datname, '{}_up_') OR starts_with(datname, 'upgraded_drill_')) ORDER BY 1",
            self.role(),
            self.database
        );
        self.server_sql(&sql).lines().map(str::to_owned).collect()
    }

    /// The name of what the step copied or set aside.
    pub fn copy_of(&self, step: &str) -> String {
        let digest = format!("SELECT left(encode(sha256(convert_to('{step}', 'UTF8')), 'hex'), 16)");
        format!("{}_up_{}", self.database, self.server_sql(&digest))
    }

    /// No connection and no tool of a run is left, and no database but the copies that the journal keeps, all closed.
    pub(super) fn is_left_alone(&self) {
        let backends = format!(
            "SELECT string_agg(application_name, ',') FROM pg_stat_activity \
             WHERE starts_with(application_name, 'upgraded/') AND usename = '{}' OR starts_with(datname, '{}_up_')",
            self.role(),
            self.database
        );
        let began = Instant::now();
        while !self.server_sql(&backends).is_empty() {
            assert!(began.elapsed() < PATIENCE, "connections of a run are left: {}", self.server_sql(&backends));
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(self.tools(), Vec::<String>::new(), "tools of a run still run");
        let kept: Vec<String> = self.kept_steps().iter().map(|step| self.copy_of(step)).collect();
        for copy in self.copies() {
            assert!(kept.contains(&copy), "nobody keeps `{copy}`; kept are {kept:?}");
        }
        let open = format!(
            "SELECT string_agg(datname, ',') FROM pg_database WHERE datallowconn AND starts_with(datname, '{}_up_')",
            self.database
        );
        assert_eq!(self.server_sql(&open), "", "copies that somebody could write to");
    }

    /// What the journal says is kept.
    pub fn kept_steps(&self) -> Vec<String> {
        let journal = self.journal();
        let mut steps =
            journal.prepare("SELECT step FROM copies WHERE binding = 'main'").expect("the journal's copies");
        let steps = steps.query_map([], |row| row.get(0)).expect("the journal's copies");
        steps.collect::<Result<_, _>>().expect("the journal's copies")
    }

    fn tools(&self) -> Vec<String> {
        let ours = format!("PGDATABASE={}", self.database);
        let tools = pids().filter_map(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
            let of_ours = String::from_utf8_lossy(&environment).split('\0').any(|entry| entry.starts_with(&ours));
            (name.starts_with("pg_") && of_ours).then(|| format!("{pid} {}", name.trim()))
        });
        tools.collect()
    }
}
