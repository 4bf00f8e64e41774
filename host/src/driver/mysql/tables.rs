//! The first artifact: the tables as SQL for a person's client, each with the statement that loads its rows in a comment;
//! and which of a table's keys are made once its rows are there.

use super::session::name;
use super::shape::Table;
use crate::model::VerbError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

const HEAD: &str = "-- upgraded ";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    table: Table,
    bytes: usize,
}

pub fn to_sql(tables: &[Table]) -> Result<String, VerbError> {
    let mut text = String::from("SET foreign_key_checks = 0;\n");
    for (number, table) in tables.iter().enumerate() {
        let head = Head { table: table.clone(), bytes: table.statement.len() };
        let json = serde_json::to_string(&head).map_err(|error| VerbError::Invalid(error.to_string()))?;
        let load = load(&name(&table.name), table, &format!("{}.NUMBER.tsv", number + 1)).replace('\n', " ");
        text.push_str(&format!("{HEAD}{json}\n-- {load}\n{};\n", table.statement));
    }
    Ok(text)
}

pub fn of_sql(text: &str) -> Result<Vec<Table>, VerbError> {
    parse(text).ok_or_else(|| VerbError::other("tables", "the saved tables can't be read"))
}

fn parse(text: &str) -> Option<Vec<Table>> {
    let (_, mut rest) = text.split_once('\n')?;
    let mut tables = Vec::new();
    while !rest.is_empty() {
        let (head, after) = rest.strip_prefix(HEAD)?.split_once('\n')?;
        let Head { table, bytes } = serde_json::from_str(head).ok()?;
        let (_, after) = after.split_once('\n')?;
        tables.push(Table { statement: after.get(..bytes)?.into(), ..table });
        rest = after.get(bytes..)?.strip_prefix(";\n")?;
    }
    Some(tables)
}

/// What loads lines into the table. What the server does not take as bytes is told what it is.
pub fn load(into: &str, table: &Table, file: &str) -> String {
    const TEXTS: [&str; 4] = ["json", "inet4", "inet6", "uuid"];
    let (mut columns, mut set) = (Vec::new(), Vec::new());
    for (number, column) in table.stored().enumerate() {
        let named = name(&column.name);
        if TEXTS.contains(&column.kind.as_str()) {
            columns.push(format!("@v{number}"));
            set.push(format!("{named} = CONVERT(@v{number} USING utf8mb4)"));
        } else {
            columns.push(named);
        }
    }
    if columns.is_empty() {
        columns.push("@none".into());
    }
    let set = if set.is_empty() { String::new() } else { format!(" SET {}", set.join(", ")) };
    let columns = columns.join(", ");
    format!("LOAD DATA LOCAL INFILE '{file}' INTO TABLE {into} CHARACTER SET binary ({columns}){set}")
}

/// Keys that a server has in the order in which they were made.
const IN_ORDER: [&str; 3] = ["  KEY ", "  SPATIAL KEY ", "  VECTOR KEY "];

/// How to make a table, and what of it once its rows are there: the keys that nothing needs before.
pub struct Steps<'a> {
    pub first: String,
    pub later: Vec<&'a str>,
}

/// Keys that a foreign key needs, as `(table, first column)`.
pub fn needed(tables: &[Table]) -> BTreeSet<(&str, &str)> {
    let mut needed = BTreeSet::new();
    for table in tables {
        for line in table.statement.lines().filter(|line| line.starts_with("  CONSTRAINT ")) {
            let Some((_, key)) = line.split_once(" FOREIGN KEY (") else { continue };
            let Some((own, other)) = key.split_once(" REFERENCES ") else { continue };
            needed.extend(quoted(own).map(|(column, _)| (table.name.as_str(), column)));
            let other = quoted(other).and_then(|(other, rest)| Some((other, quoted(rest.strip_prefix(" (")?)?.0)));
            needed.extend(other);
        }
    }
    needed
}

pub fn steps<'a>(table: &'a Table, needed: &BTreeSet<(&str, &str)>) -> Steps<'a> {
    let statement = table.statement.as_str();
    let whole = Steps { first: statement.into(), later: Vec::new() };
    let Some(options) = statement.rfind("\n) ENGINE=InnoDB") else { return whole };
    let (columns, options) = statement.split_at(options);
    let mut lines: Vec<&str> = columns.split('\n').map(|line| line.strip_suffix(',').unwrap_or(line)).collect();
    // A column that numbers itself has to be the first of a key.
    let numbers = |column: &str| {
        let begin = format!("  `{column}` ");
        lines.iter().any(|line| line.starts_with(&begin) && line.contains(" AUTO_INCREMENT"))
    };
    let is_late = |line: &&str| {
        let Some((_, columns)) = line.strip_prefix("  KEY ").and_then(quoted) else { return false };
        let Some((column, _)) = columns.strip_prefix(" (").and_then(quoted) else { return false };
        !needed.contains(&(table.name.as_str(), column)) && !numbers(column)
    };
    // A key that is made later is the last of its kind.
    let stays = |line: &&str| IN_ORDER.iter().any(|begin| line.starts_with(*begin)) && !is_late(line);
    let behind = lines.iter().rposition(stays).map_or(0, |last| last + 1);
    let later: Vec<&str> = lines[behind..].iter().copied().filter(is_late).collect();
    if later.is_empty() {
        return whole;
    }
    lines.retain(|line| !later.contains(line));
    let head = lines.remove(0);
    let first = format!("{head}\n{}{options}", lines.join(",\n"));
    Steps { first, later: later.into_iter().map(str::trim_start).collect() }
}

/// A plain name in backticks at the beginning, and what follows.
fn quoted(text: &str) -> Option<(&str, &str)> {
    text.trim_start().strip_prefix('`')?.split_once('`').filter(|(_, rest)| !rest.starts_with('`'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::mysql::shape::Column;

    fn table(name: &str, statement: &str) -> Table {
        let column = |name: &str, kind: &str, generated| Column {
            name: name.into(),
            kind: kind.into(),
            is_generated: generated,
        };
        let columns = vec![column("id", "int", false), column("j", "json", false), column("twice", "int", true)];
        Table { name: name.into(), columns, statement: statement.into(), ..Table::default() }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let tables = [table("a", "CREATE TABLE `a` (\n  `id` int\n) COMMENT='x;\n-- upgraded {'"), table("b\nc", "x")];
        let text = to_sql(&tables).expect("written");
        assert_eq!(of_sql(&text).as_deref(), Ok(&tables[..]));
        for cut in [1, text.len() / 2, text.len() - 1] {
            assert!(of_sql(&text[..cut]).is_err(), "{cut}");
        }
        assert!(text.contains(
            "-- LOAD DATA LOCAL INFILE '1.NUMBER.tsv' INTO TABLE `a` CHARACTER SET binary (`id`, @v1) SET `j` = \
             CONVERT(@v1 USING utf8mb4)\n"
        ));
    }

    #[test]
    fn keys_that_nothing_needs_come_later() {
        let parents = table("parents", "CREATE TABLE `parents` (\n  `a` int,\n  KEY `a` (`a`)\n) ENGINE=InnoDB");
        let own = table(
            "t",
            "CREATE TABLE `t` (\n  `id` int NOT NULL,\n  `n` int NOT NULL AUTO_INCREMENT,\n  `p` int,\n  `x` int COMMENT 'a, b',\n  \
             PRIMARY KEY (`id`),\n  UNIQUE KEY `u` (`x`),\n  KEY `n` (`n`),\n  KEY `p` (`p`,`x`),\n  KEY `x` (`x`) COMMENT 'c,',\n  \
             FULLTEXT KEY `f` (`x`),\n  CONSTRAINT `p` FOREIGN KEY (`p`) REFERENCES `parents` (`a`)\n) ENGINE=InnoDB AUTO_INCREMENT=3",
        );
        let tables = [parents, own];
        let needed = needed(&tables);
        assert_eq!(needed, [("t", "p"), ("parents", "a")].into());
        assert!(steps(&tables[0], &needed).later.is_empty());
        let Steps { first, later } = steps(&tables[1], &needed);
        assert_eq!(later, ["KEY `x` (`x`) COMMENT 'c,'"]);
        assert_eq!(first, tables[1].statement.replace("\n  KEY `x` (`x`) COMMENT 'c,',", ""));
        let before = table(
            "t",
            "CREATE TABLE `t` (\n  `x` int,\n  `p` int,\n  KEY `x` (`x`),\n  KEY `p` (`p`),\n  KEY `y` (`x`,`p`),\n  \
             FULLTEXT KEY `f` (`x`)\n) ENGINE=InnoDB",
        );
        assert_eq!(steps(&before, &needed).later, ["KEY `y` (`x`,`p`)"], "keys stay in their order");
        let last = table("t", "CREATE TABLE `t` (\n  `x` int,\n  KEY `x` (`x`)\n) ENGINE=InnoDB");
        assert_eq!(steps(&last, &needed).first, "CREATE TABLE `t` (\n  `x` int\n) ENGINE=InnoDB");
        let other = table("t", "CREATE TABLE `t` (\n  `x` int,\n  KEY `x` (`x`)\n) ENGINE=MyISAM");
        assert!(steps(&other, &needed).later.is_empty());
    }
}
