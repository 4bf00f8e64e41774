//! A PostgreSQL server whose answers the test writes.

use super::{FakeHost, State};
use crate::{Error, MajorVersions, Result};

pub type Rows = Vec<Vec<Option<String>>>;
type Answer = Box<dyn FnMut(&str, &str) -> Option<Result<Rows>>>;

pub struct Server {
    versions: MajorVersions,
    answers: Vec<Answer>,
    artifacts: u32,
}

impl Default for Server {
    fn default() -> Self {
        Self { versions: MajorVersions { server: 15, pg_dump: 15, pg_restore: 15 }, answers: Vec::new(), artifacts: 0 }
    }
}

impl FakeHost {
    pub fn versions(&self, server: u32, pg_dump: u32, pg_restore: u32) {
        self.state.0.postgres.borrow_mut().versions = MajorVersions { server, pg_dump, pg_restore };
    }
    /// Answers statements: handed the database (empty: the maintenance one) and the SQL; none where another answer must
    /// know. The last one that was added is asked first.
    pub fn on_sql(&self, answer: impl FnMut(&str, &str) -> Option<Result<Rows>> + 'static) {
        self.state.0.postgres.borrow_mut().answers.push(Box::new(answer));
    }
    /// Answers statements that contain `part` with rows of text, whatever the database.
    pub fn sql(&self, part: &str, rows: &[&[&str]]) {
        let part = part.to_owned();
        let rows: Rows = rows.iter().map(|row| row.iter().map(|cell| Some(cell.to_string())).collect()).collect();
        self.on_sql(move |_, sql| sql.contains(&part).then(|| Ok(rows.clone())));
    }
}

/// One connection of a test.
pub struct Session {
    state: State,
    database: String,
}

pub fn versions(state: &State) -> Result<MajorVersions> {
    state.reading("postgres.versions", &[])?;
    Ok(state.0.postgres.borrow().versions)
}

pub fn connect(state: &State, database: Option<&str>) -> Result<Session> {
    state.reading("postgres.connect", &[database.unwrap_or("-")])?;
    Ok(Session { state: state.clone(), database: database.unwrap_or_default().into() })
}

pub fn dump(state: &State, database: &str, snapshot: Option<&str>) -> Result<String> {
    state.changing("postgres.dump", &[database, snapshot.unwrap_or("-")])?;
    let mut server = state.0.postgres.borrow_mut();
    server.artifacts += 1;
    Ok(format!("artifact-{}", server.artifacts))
}

pub fn restore(state: &State, database: &str, artifact: &str) -> Result<()> {
    state.changing("postgres.restore", &[database, artifact])
}

impl Session {
    pub fn query(&self, sql: &str) -> Result<Rows> {
        self.state.reading("postgres.query", &[&self.database, sql])?;
        match self.answer(sql) {
            Some(answer) => answer,
            None => Err(Error::invalid(format!("the test has no answer to `{sql}`"))),
        }
    }
    /// A statement without an answer succeeds and touches no row.
    pub fn execute(&self, sql: &str) -> Result<u64> {
        self.state.changing("postgres.execute", &[&self.database, sql])?;
        self.answer(sql).unwrap_or(Ok(Vec::new())).map(|rows| rows.len() as u64)
    }
    fn answer(&self, sql: &str) -> Option<Result<Rows>> {
        let mut server = self.state.0.postgres.borrow_mut();
        server.answers.iter_mut().rev().find_map(|answer| answer(&self.database, sql))
    }
}
