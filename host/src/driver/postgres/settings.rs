//! The settings of a database as a whole, which `pg_restore` sets only where it makes the database itself.
//!
//! Their values may be secrets: they go from the archive to the server and nowhere else.

use super::lexer::{Span, split};
use crate::model::VerbError;

/// The `SET` statements of `pg_restore --create`'s SQL, for the database `target` instead of the archive's own.
pub fn for_database(sql: &str, target: &str) -> Result<Vec<String>, VerbError> {
    let Some(start) = sql.find("; Type: DATABASE PROPERTIES;") else { return Ok(Vec::new()) };
    let sql = &sql[start..];
    let sql = &sql[sql.find('\n').unwrap_or(sql.len())..];
    let mut found = Vec::new();
    for statement in split(sql) {
        let statement = statement?;
        // Commands of `psql` end the section.
        if statement.text().starts_with('\\') {
            break;
        }
        if let Some(name) = set_of_database(&statement) {
            found.push(statement.with(name, &quote(target)));
        }
    }
    Ok(found)
}

/// Where the database's name stands in `ALTER DATABASE x SET …` or `ALTER ROLE r IN DATABASE x SET …`.
fn set_of_database(statement: &Span<'_>) -> Option<usize> {
    let words: Vec<&str> = (0..6).map(|at| statement.word(at)).collect();
    match words[..] {
        ["alter", "database", _, "set", ..] => (!is_ours(statement.name(4))).then_some(2),
        ["alter", "role", _, "in", "database", _] if statement.word(6) == "set" => {
            (!is_ours(statement.name(7))).then_some(5)
        }
        _ => None,
    }
}

/// What we keep on a server about a fence.
fn is_ours(setting: &str) -> bool {
    setting.starts_with("upgraded.")
}

pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQL: &str = r#"
CREATE DATABASE shop WITH TEMPLATE = template0;
\connect shop
-- Name: shop; Type: DATABASE PROPERTIES; Schema: -; Owner: app
--

ALTER DATABASE shop CONNECTION LIMIT = 0;
ALTER DATABASE shop SET search_path TO '$user', 'public', 'a b';
ALTER DATABASE shop SET "app.secret" TO 'x''; ALTER DATABASE shop SET y TO 1
\connect';
ALTER DATABASE shop SET "upgraded.limit" TO '7';
ALTER ROLE "a;b" IN DATABASE shop SET work_mem TO '8MB';


\unrestrict X
ALTER DATABASE shop SET never TO '1';
"#;

    #[test]
    fn settings_go_to_the_other_database() {
        assert_eq!(
            for_database(SQL, "shop_up_1").expect("read"),
            [
                r#"ALTER DATABASE "shop_up_1" SET search_path TO '$user', 'public', 'a b'"#,
                "ALTER DATABASE \"shop_up_1\" SET \"app.secret\" TO 'x''; ALTER DATABASE shop SET y TO 1\n\\connect'",
                r#"ALTER ROLE "a;b" IN DATABASE "shop_up_1" SET work_mem TO '8MB'"#,
            ]
        );
        assert_eq!(for_database("SELECT 1;", "x").expect("read"), Vec::<String>::new());
    }
}
