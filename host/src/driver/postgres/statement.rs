//! Reads SQL just far enough to say what kind of statement it is and which databases it names. Pure.
//!
//! A role that may do everything on a server must not become a shell or a way to other databases: what is not listed
//! here is refused. Functions that a `SELECT` calls are beyond it; the role's own rights are their limit.

use super::lexer::{Span, Token, split};
use super::reach::Reach;
use crate::model::VerbError;

/// What a statement does, as far as its words say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Runs in a read-only transaction.
    Reading,
    /// `BEGIN … READ ONLY`.
    BeginReading,
    Begin,
    End,
    /// Of the session alone: `SET`, `RESET`.
    Session,
    /// Of one database as a whole: made, renamed, set, dropped, granted.
    Database,
    /// Rows and objects inside the connected database.
    Inside,
}

/// The kind of every statement in `sql`, or why one is refused. Names of databases must lie within `reach`.
pub fn kinds(sql: &str, reach: &Reach) -> Result<Vec<Kind>, VerbError> {
    let mut kinds = Vec::new();
    for statement in split(sql) {
        let statement = statement?;
        statement.literals().try_for_each(check_end)?;
        let kind = kind(&statement)?;
        if kind == Kind::Database {
            check_databases(&statement, reach)?;
        }
        kinds.push(kind);
    }
    match kinds.is_empty() {
        true => Err(VerbError::Invalid("the SQL holds no statement".into())),
        false => Ok(kinds),
    }
}

fn kind(statement: &Span<'_>) -> Result<Kind, VerbError> {
    let has = |wanted: &str| statement.has(wanted);
    let kind = match (statement.word(0), statement.word(1)) {
        ("select" | "values" | "table" | "show", _) if !has("into") => Kind::Reading,
        ("with" | "explain", _) => Kind::Reading,
        ("", _) if statement.token(0) == Some(&Token::Sign('(')) => Kind::Reading,
        ("begin", _) | ("start", "transaction") => match has("only") && !has("write") {
            true => Kind::BeginReading,
            false => Kind::Begin,
        },
        ("commit" | "rollback" | "end" | "abort", second) if second != "prepared" => Kind::End,
        ("set" | "reset", second) if second != "session" || has("characteristics") => Kind::Session,
        ("create" | "alter" | "drop", "database") => Kind::Database,
        ("comment" | "grant" | "revoke" | "security", _) if has("database") => Kind::Database,
        ("alter", "role" | "user") if has("in") && has("database") => Kind::Database,
        ("analyze" | "vacuum" | "reindex" | "refresh" | "truncate" | "insert" | "update" | "delete" | "lock", _) => {
            Kind::Inside
        }
        ("checkpoint", _) => Kind::Session,
        (
            "create" | "alter" | "drop",
            "table" | "unlogged" | "index" | "unique" | "schema" | "view" | "materialized" | "sequence" | "type",
        ) => Kind::Inside,
        ("comment" | "grant" | "revoke", _) if has("on") => Kind::Inside,
        (first, second) => {
            return Err(VerbError::Denied(format!(
                "statements `{}` are not offered",
                format!("{first} {second}").trim()
            )));
        }
    };
    Ok(kind)
}

/// That a literal ends in the same place whatever the session's settings are, which a plugin may change.
fn check_end(literal: &str) -> Result<(), VerbError> {
    // Not where `standard_conforming_strings` is off, and not where it continues one with `E`.
    if literal.starts_with('\'') && literal.contains(r"\'") {
        return Err(VerbError::Invalid("a backslash stands before a quote in the SQL: write E'…'".into()));
    }
    // Some encodings of a client take the backslash for a part of such a letter.
    let mut pairs = literal.chars().zip(literal.chars().skip(1));
    if literal.starts_with(['e', 'E']) && pairs.any(|(letter, next)| !letter.is_ascii() && next == '\\') {
        return Err(VerbError::Invalid(r"a backslash follows a letter that is not ASCII in the SQL: write \u…".into()));
    }
    Ok(())
}

fn check_databases(statement: &Span<'_>, reach: &Reach) -> Result<(), VerbError> {
    for name in databases(statement) {
        if !reach.owns(name) {
            return Err(VerbError::Denied(format!("the statement names the database `{name}`, which is not granted")));
        }
    }
    Ok(())
}

/// The names that follow `DATABASE`, `TEMPLATE` and `RENAME TO`, lists included.
fn databases<'a>(statement: &'a Span<'_>) -> Vec<&'a str> {
    let mut found = Vec::new();
    for at in 0..statement.len() {
        let mut next = match statement.word(at) {
            "database" | "template" => at + 1,
            "rename" if statement.word(at + 1) == "to" => at + 2,
            _ => continue,
        };
        while matches!(statement.word(next), "if" | "not" | "exists")
            || statement.token(next) == Some(&Token::Sign('='))
        {
            next += 1;
        }
        while !statement.name(next).is_empty() {
            // What every empty database is made of, and nobody can connect to.
            if !(statement.word(at) == "template" && statement.name(next) == "template0") {
                found.push(statement.name(next));
            }
            if statement.token(next + 1) != Some(&Token::Sign(',')) {
                break;
            }
            next += 2;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ServerConfig;
    use crate::context::Site;
    use proptest::prelude::*;

    fn reach() -> Reach {
        let server = ServerConfig {
            service: None,
            host: "/run".into(),
            port: 5432,
            user: "u".into(),
            password: None,
            database: "shop".into(),
            maintenance: "postgres".into(),
            tools: None,
        };
        Reach::new(&server, &Site::Live)
    }

    fn of(sql: &str) -> Vec<Kind> {
        kinds(sql, &reach()).expect("offered")
    }

    fn refused(sql: &str) -> String {
        kinds(sql, &reach()).expect_err(sql).to_string()
    }

    #[test]
    fn kinds_follow_the_words() {
        assert_eq!(of("select 1"), [Kind::Reading]);
        assert_eq!(of("/* a; /* b */ */ -- c\n WITH x AS (SELECT ';') SELECT * FROM x;"), [Kind::Reading]);
        assert_eq!(of("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"), [Kind::BeginReading]);
        assert_eq!(of("begin read only, read write"), [Kind::Begin]);
        assert_eq!(of("COMMIT; ROLLBACK"), [Kind::End, Kind::End]);
        assert_eq!(
            of("ALTER DATABASE shop RENAME TO \"shop_up_1\"; DROP DATABASE IF EXISTS shop_up_2"),
            [Kind::Database; 2]
        );
        assert_eq!(of("CREATE DATABASE shop_up_1 TEMPLATE template0"), [Kind::Database]);
        assert_eq!(of("GRANT CONNECT ON DATABASE shop TO app"), [Kind::Database]);
        assert_eq!(of("ALTER ROLE app IN DATABASE shop SET x TO 'DATABASE other'"), [Kind::Database]);
        assert_eq!(of("insert into t values ($a$;$a$, E'\\';')"), [Kind::Inside]);
    }

    #[test]
    fn programs_and_roles_are_refused() {
        for sql in [
            "COPY t TO PROGRAM 'sh'",
            "DO $$ begin end $$",
            "select 1; copy t from program 'sh'",
            "CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'x'",
            "CREATE EXTENSION plpython3u",
            "ALTER SYSTEM SET archive_command = 'sh'",
            "ALTER ROLE app SUPERUSER",
            "CREATE ROLE x SUPERUSER",
            "GRANT pg_execute_server_program TO app",
            "SET SESSION AUTHORIZATION app",
            "LOAD 'x'",
            "select 1 into t",
            "COMMIT PREPARED 'x'",
            "execute x",
        ] {
            assert!(refused(sql).starts_with("denied: statements"), "{sql}: {}", refused(sql));
        }
    }

    #[test]
    fn other_databases_are_refused() {
        for sql in [
            "DROP DATABASE other",
            "DROP DATABASE IF EXISTS \"other\" WITH (FORCE)",
            "CREATE DATABASE shop_up_1 TEMPLATE other",
            "CREATE DATABASE shop_up_1 TEMPLATE template1",
            "DROP DATABASE template0",
            "CREATE DATABASE shop_up_1 WITH TEMPLATE = other",
            "ALTER DATABASE shop RENAME TO other",
            "COMMENT ON DATABASE other IS 'x'",
            "GRANT ALL ON DATABASE shop, other TO app",
            "ALTER ROLE app IN DATABASE other SET x = 1",
            "ALTER DATABASE postgres SET x = 1",
        ] {
            assert!(refused(sql).contains("names the database"), "{sql}: {}", refused(sql));
        }
    }

    #[test]
    fn text_whose_end_depends_on_settings_is_refused() {
        for sql in [
            r"SELECT '\''; COPY t TO PROGRAM 'sh' --'",
            "SELECT E'a'\n'\\''; COPY t TO PROGRAM 'sh'; SELECT '",
            r"SELECT E'é\'; COPY t TO PROGRAM 'sh' --'",
        ] {
            assert!(refused(sql).starts_with("a backslash"), "{sql}: {}", refused(sql));
        }
        assert_eq!(of(r"SELECT 'C:\shop', 'é\d', E'it\'s', E'\\', '', $$\'$$"), [Kind::Reading]);
    }

    #[test]
    fn half_and_empty_text_is_refused() {
        for sql in ["select 'a", "  ", ";"] {
            assert!(matches!(kinds(sql, &reach()), Err(VerbError::Invalid(_))), "{sql}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gets_an_answer(sql in "\\PC{0,80}") {
            let _ = kinds(&sql, &reach());
        }
    }
}
