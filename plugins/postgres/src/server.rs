//! The seam between this plugin and what stands behind it: the host's `postgres`, or in tests the host's driver.

use upgraded_sdk::{DatastoreHost, Error, MajorVersions, Result, Session};

pub type Row = Vec<Option<String>>;

pub trait Server {
    type Connection: Connection;
    /// None: the maintenance database.
    fn connect(&self, database: Option<&str>) -> Result<Self::Connection>;
    fn versions(&self) -> Result<MajorVersions>;
    fn dump(&self, database: &str, snapshot: &str) -> Result<String>;
    fn restore(&self, database: &str, artifact: &str) -> Result<()>;
    fn progress(&self, done: u64, total: u64, unit: &str, message: &str);
}

pub trait Connection {
    fn query(&self, sql: &str) -> Result<Vec<Row>>;
    fn execute(&self, sql: &str) -> Result<u64>;

    /// The first row; none where there is none.
    fn row(&self, sql: &str) -> Result<Option<Row>> {
        Ok(self.query(sql)?.into_iter().next())
    }
    /// The only value of the only row.
    fn value(&self, sql: &str) -> Result<String> {
        let value = self.row(sql)?.and_then(|row| row.into_iter().next()).flatten();
        value.ok_or_else(|| Error::other("answer", "the server answered without a value"))
    }
}

/// What the operator granted.
pub struct Granted<'a>(pub &'a DatastoreHost);

impl Server for Granted<'_> {
    type Connection = Session;
    fn connect(&self, database: Option<&str>) -> Result<Session> {
        self.0.postgres().connect(database)
    }
    fn versions(&self) -> Result<MajorVersions> {
        self.0.postgres().versions()
    }
    fn dump(&self, database: &str, snapshot: &str) -> Result<String> {
        self.0.postgres().dump(database, Some(snapshot))
    }
    fn restore(&self, database: &str, artifact: &str) -> Result<()> {
        self.0.postgres().restore(database, artifact)
    }
    fn progress(&self, done: u64, total: u64, unit: &str, message: &str) {
        self.0.progress(done, Some(total), unit, message);
    }
}

impl Connection for Session {
    fn query(&self, sql: &str) -> Result<Vec<Row>> {
        Session::query(self, sql)
    }
    fn execute(&self, sql: &str) -> Result<u64> {
        Session::execute(self, sql)
    }
}

/// A cell that the SQL says is there.
pub fn cell(row: &Row, at: usize) -> Result<&str> {
    row.get(at)
        .and_then(Option::as_deref)
        .ok_or_else(|| Error::other("answer", format!("the server's answer lacks column {}", at + 1)))
}

pub fn number<T: std::str::FromStr>(row: &Row, at: usize) -> Result<T> {
    let text = cell(row, at)?;
    text.parse().map_err(|_| Error::other("answer", format!("`{text}` is not the number that was asked for")))
}

/// PostgreSQL's `t` and `f`.
pub fn truth(row: &Row, at: usize) -> Result<bool> {
    Ok(cell(row, at)? == "t")
}
