//! What a database consists of beside its rows: tables, views, routines, triggers, events, grants.

use super::grants::{self, Grant};
use super::lanes;
use super::session::{Flavour, Session, name, quoted};
use super::triggers;
use crate::model::VerbError;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug)]
pub struct Shape {
    pub charset: String,
    pub collation: String,
    pub tables: Vec<Table>,
    /// In the order in which they are made.
    pub objects: Vec<Object>,
    pub grants: BTreeSet<Grant>,
}

#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    pub name: String,
    pub columns: Vec<Column>,
    /// How it is made; it names no database.
    #[serde(skip)]
    pub statement: String,
    #[serde(skip)]
    pub engine: String,
    /// Of MariaDB: its former rows are kept, and no backup has them.
    #[serde(skip)]
    pub versioned: bool,
    /// The first column of the primary key, where that is a whole number.
    #[serde(skip)]
    pub key: Option<String>,
    /// Of its rows, as the server last estimated it.
    #[serde(skip)]
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    /// For example `int`.
    pub kind: String,
    pub is_generated: bool,
}

impl Table {
    /// Without the next number of `AUTO_INCREMENT`.
    pub fn definition(&self) -> String {
        without_next_number(&self.statement)
    }

    /// The columns that hold something of their own.
    pub fn stored(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| !column.is_generated)
    }

    pub fn is_sequence(&self) -> bool {
        self.statement.starts_with("CREATE SEQUENCE ")
    }
}

/// What is made by a statement of its own. The statement names no database where the server names none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    pub kind: Kind,
    pub name: String,
    /// As `ALTER` names it: `DEFINER=…`, for events alone.
    pub definer: Option<String>,
    pub sql_mode: Option<String>,
    pub collation: Option<String>,
    pub time_zone: Option<String>,
    /// An event is made disabled, and enabled once nothing is fenced.
    pub enabled: bool,
    #[serde(skip)]
    pub statement: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Function,
    Procedure,
    Package,
    PackageBody,
    View,
    Trigger,
    Event,
}

impl Kind {
    pub fn sql(self) -> &'static str {
        match self {
            Self::Function => "FUNCTION",
            Self::Procedure => "PROCEDURE",
            Self::Package => "PACKAGE",
            Self::PackageBody => "PACKAGE BODY",
            Self::View => "VIEW",
            Self::Trigger => "TRIGGER",
            Self::Event => "EVENT",
        }
    }
}

impl Shape {
    /// `enabled`: the events that a fence or a restore disabled. `None` where there is no such database.
    pub async fn read(
        session: &mut Session, database: &str, enabled: &BTreeSet<String>,
    ) -> Result<Option<Self>, VerbError> {
        let sql = "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA \
                   WHERE SCHEMA_NAME = ";
        let row = session.row(&format!("{sql}{}", quoted(database))).await?;
        let [Some(charset), Some(collation)] = &row[..] else { return Ok(None) };
        // With the database as the default one, the server leaves its name out of views.
        session.set(&format!("USE {}", name(database))).await?;
        Ok(Some(Self {
            charset: charset.clone(),
            collation: collation.clone(),
            tables: tables(session, database).await?,
            objects: objects(session, database, enabled).await?,
            grants: grants::read(session, database).await?,
        }))
    }

    pub fn table_names(&self) -> impl Iterator<Item = &str> {
        self.tables.iter().map(|table| table.name.as_str())
    }
}

async fn tables(session: &mut Session, database: &str) -> Result<Vec<Table>, VerbError> {
    let literal = quoted(database);
    let sql = format!(
        "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COALESCE(GENERATION_EXPRESSION, '') <> '' \
         FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {literal} ORDER BY TABLE_NAME, ORDINAL_POSITION"
    );
    let mut columns: BTreeMap<String, Vec<Column>> = BTreeMap::new();
    for row in grants::texts(session.rows(&sql).await?) {
        let [table, column, kind, generated] = &row[..] else { continue };
        let column = Column { name: column.clone(), kind: kind.to_lowercase(), is_generated: generated == "1" };
        columns.entry(table.clone()).or_default().push(column);
    }
    let mut keys = lanes::keys(session, database).await?;
    let sql = format!(
        "SELECT TABLE_NAME, TABLE_TYPE, ENGINE, COALESCE(DATA_LENGTH, 0) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {literal} \
         AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE') ORDER BY TABLE_NAME"
    );
    let mut tables = Vec::new();
    for row in grants::texts(session.rows(&sql).await?) {
        let [table, kind, engine, bytes] = &row[..] else { continue };
        let what = if kind == "SEQUENCE" { "SEQUENCE" } else { "TABLE" };
        let said = session.row(&format!("SHOW CREATE {what} {}", name(table))).await?;
        tables.push(Table {
            name: table.clone(),
            engine: engine.clone(),
            versioned: kind == "SYSTEM VERSIONED",
            statement: column(said, 1, table)?,
            columns: columns.remove(table).unwrap_or_default(),
            key: keys.remove(table),
            bytes: bytes.parse().unwrap_or_default(),
        });
    }
    Ok(tables)
}

async fn objects(session: &mut Session, database: &str, enabled: &BTreeSet<String>) -> Result<Vec<Object>, VerbError> {
    let literal = quoted(database);
    let mut objects = Vec::new();
    let sql = format!(
        "SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {literal} \
         ORDER BY ROUTINE_NAME"
    );
    for row in grants::texts(session.rows(&sql).await?) {
        let kind = routine(&row[0])?;
        let said = session.row(&format!("SHOW CREATE {} {}", kind.sql(), name(&row[1]))).await?;
        objects.push(Object {
            sql_mode: said.get(1).cloned().flatten(),
            collation: said.get(4).cloned().flatten(),
            ..Object::new(kind, &row[1], column(said, 2, &row[1])?)
        });
    }
    let sql =
        format!("SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = {literal} ORDER BY TABLE_NAME");
    for view in session.list(&sql).await? {
        let said = session.row(&format!("SHOW CREATE VIEW {}", name(&view))).await?;
        let collation = said.get(3).cloned().flatten();
        objects.push(Object { collation, ..Object::new(Kind::View, &view, column(said, 1, &view)?) });
    }
    objects.extend(triggers::read(session, database).await?);
    let sql = format!(
        "SELECT EVENT_NAME, DEFINER, STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {literal} \
         ORDER BY EVENT_NAME"
    );
    for row in grants::texts(session.rows(&sql).await?) {
        let said = session.row(&format!("SHOW CREATE EVENT {}", name(&row[0]))).await?;
        objects.push(Object {
            definer: Some(definer(&row[1])),
            sql_mode: said.get(1).cloned().flatten(),
            time_zone: said.get(2).cloned().flatten(),
            collation: said.get(5).cloned().flatten(),
            enabled: row[2] == "ENABLED" || enabled.contains(&row[0]),
            ..Object::new(Kind::Event, &row[0], disabled(&column(said, 3, &row[0])?))
        });
    }
    objects.sort_by_key(|object| object.kind);
    Ok(objects)
}

impl Object {
    /// What its statement needs of the connection.
    pub fn settings(&self) -> Option<String> {
        let parts = [
            self.collation.as_ref().map(|collation| format!("collation_connection = {}", quoted(collation))),
            self.time_zone.as_ref().map(|zone| format!("time_zone = {}", quoted(zone))),
            self.sql_mode.as_ref().map(|mode| format!("sql_mode = {}", quoted(mode))),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| format!("SET SESSION {}", parts.join(", ")))
    }

    pub fn new(kind: Kind, name: &str, statement: String) -> Self {
        let name = name.to_owned();
        Self { kind, name, definer: None, sql_mode: None, collation: None, time_zone: None, enabled: false, statement }
    }
}

fn routine(kind: &str) -> Result<Kind, VerbError> {
    [Kind::Function, Kind::Procedure, Kind::Package, Kind::PackageBody]
        .into_iter()
        .find(|known| known.sql() == kind)
        .ok_or_else(|| VerbError::Invalid(format!("a `{kind}` is nothing that can be saved")))
}

/// Of what `SHOW CREATE` says.
pub fn column(mut row: Vec<Option<String>>, index: usize, of: &str) -> Result<String, VerbError> {
    let text = if index < row.len() { row.swap_remove(index) } else { None };
    text.ok_or_else(|| VerbError::Denied(format!("the user may not read how `{of}` is defined")))
}

pub fn definer(written: &str) -> String {
    match written.rsplit_once('@') {
        Some((user, host)) => format!("DEFINER={}@{}", name(user), name(host)),
        None => format!("DEFINER={}", name(written)),
    }
}

fn without_next_number(definition: &str) -> String {
    const WORD: &str = " AUTO_INCREMENT=";
    let options = definition.rfind("\n) ENGINE=").unwrap_or(definition.len());
    let comment = definition[options..].find(" COMMENT='").map_or(definition.len(), |at| options + at);
    let Some(at) = definition[options..comment].find(WORD).map(|at| options + at) else { return definition.into() };
    let number = &definition[at + WORD.len()..];
    let rest = number.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{}{rest}", &definition[..at])
}

/// The state of an event stands behind its schedule and before its comment and body.
fn disabled(statement: &str) -> String {
    let from = statement.find(" ON COMPLETION ").unwrap_or(statement.len());
    for state in [" PRESERVE ENABLE", " PRESERVE DISABLE"] {
        if let Some(at) = statement[from..].find(state).filter(|at| *at <= " ON COMPLETION NOT".len()) {
            let (before, after) = (&statement[..from + at], &statement[from + at + state.len()..]);
            let after =
                ["ON SLAVE", "ON REPLICA"].iter().find_map(|on| after.trim_start().strip_prefix(on)).unwrap_or(after);
            return format!("{before} PRESERVE DISABLE{after}");
        }
    }
    statement.into()
}

/// Drops what [`create`] makes, whatever is there now.
pub async fn drop_objects(session: &mut Session, database: &str) -> Result<(), VerbError> {
    let literal = quoted(database);
    let queries = [
        (Kind::Event, format!("SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {literal}")),
        (
            Kind::Trigger,
            format!("SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {literal}"),
        ),
        (Kind::View, format!("SELECT TABLE_NAME FROM information_schema.VIEWS WHERE TABLE_SCHEMA = {literal}")),
    ];
    for (kind, query) in queries {
        for object in session.list(&query).await? {
            session.change(&format!("DROP {} IF EXISTS {}.{}", kind.sql(), name(database), name(&object))).await?;
        }
    }
    let query =
        format!("SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {literal}");
    for row in grants::texts(session.rows(&query).await?) {
        let kind = routine(&row[0])?.sql();
        session.change(&format!("DROP {kind} IF EXISTS {}.{}", name(database), name(&row[1]))).await?;
    }
    Ok(())
}

/// Makes the objects in a database that has the tables and none of the objects; events are disabled.
pub async fn create(session: &mut Session, database: &str, objects: &[Object]) -> Result<(), VerbError> {
    session.set(&format!("USE {}", name(database))).await?;
    let made = create_all(session, objects).await;
    session.own_mode().await?;
    made
}

async fn create_all(session: &mut Session, objects: &[Object]) -> Result<(), VerbError> {
    let mut left: Vec<&Object> = objects.iter().collect();
    // A view may need another one.
    loop {
        let (mut later, mut why) = (Vec::new(), None);
        for object in &left {
            match create_one(session, object).await {
                Ok(()) => {}
                Err(VerbError::Unavailable(why)) => return Err(VerbError::Unavailable(why)),
                Err(error) if object.kind == Kind::View => {
                    later.push(*object);
                    why = Some((object, error));
                }
                Err(error) => return Err(of(object, &error)),
            }
        }
        match why {
            Some((object, error)) if later.len() == left.len() => return Err(of(object, &error)),
            Some(_) => left = later,
            None => return Ok(()),
        }
    }
}

fn of(object: &Object, error: &VerbError) -> VerbError {
    VerbError::other(
        "definition",
        format!("the {} `{}` can't be made: {error}", object.kind.sql().to_lowercase(), object.name),
    )
}

async fn create_one(session: &mut Session, object: &Object) -> Result<(), VerbError> {
    session.own_mode().await?;
    if let Some(settings) = object.settings() {
        session.set(&settings).await?;
    }
    session.change(&object.statement).await
}

/// Enables an event, and leaves whose it is.
pub async fn enable(session: &mut Session, database: &str, event: &str, definer: &str) -> Result<(), VerbError> {
    session.change(&format!("ALTER {definer} EVENT {}.{} ENABLE", name(database), name(event))).await
}

/// What only a table of this server's kind has: whether its rows are read in a snapshot.
pub fn is_transactional(engine: &str, flavour: Flavour) -> bool {
    let engine = engine.to_lowercase();
    engine == "innodb" || (flavour == Flavour::MariaDb && engine == "rocksdb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_number_is_no_part_of_a_definition() {
        let with = "CREATE TABLE `t` (\n  `id` int COMMENT ' AUTO_INCREMENT=1'\n) ENGINE=InnoDB AUTO_INCREMENT=30 \
                    DEFAULT CHARSET=utf8mb4 COMMENT='x AUTO_INCREMENT=9'";
        assert_eq!(without_next_number(with), with.replace(" AUTO_INCREMENT=30", ""));
        let without = "CREATE TABLE `t` (\n  `id` int\n) ENGINE=InnoDB COMMENT=' AUTO_INCREMENT=9'";
        assert_eq!(without_next_number(without), without);
    }

    #[test]
    fn events_are_written_disabled() {
        let head = "CREATE DEFINER=`a`@`%` EVENT `e` ON SCHEDULE EVERY 1 DAY ON COMPLETION";
        let tail = "COMMENT ' PRESERVE ENABLE' DO SELECT 1";
        for state in ["ENABLE", "DISABLE", "DISABLE ON SLAVE", "DISABLE ON REPLICA"] {
            for keeping in ["PRESERVE", "NOT PRESERVE"] {
                assert_eq!(
                    disabled(&format!("{head} {keeping} {state} {tail}")),
                    format!("{head} {keeping} DISABLE {tail}")
                );
            }
        }
    }

    #[test]
    fn whose_something_is_is_written_as_statements_have_it() {
        assert_eq!(definer("app@%"), "DEFINER=`app`@`%`");
        assert_eq!(definer("writers"), "DEFINER=`writers`");
    }
}
