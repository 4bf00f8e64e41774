//! What a database holds, in lines that are the same wherever it lies: `id<TAB>count<TAB>digest`, sorted.

use super::grants::Grant;
use super::shape::{Object, Shape};
use crate::effect::hex;
use sha2::{Digest, Sha256};

/// In place of a digest: it fits every one.
const COUNTED: &str = "*";

/// One table's rows.
#[derive(Debug, PartialEq, Eq)]
pub struct Content {
    pub table: String,
    pub rows: u64,
    pub digest: String,
}

impl Content {
    /// Only how many.
    pub fn counted(table: &str, rows: u64) -> Self {
        Self { table: table.into(), rows, digest: COUNTED.into() }
    }
}

pub fn text(shape: &Shape, contents: &[Content]) -> String {
    let mut lines = vec![line("database", "", "1", &digest(&format!("{} {}", shape.charset, shape.collation)))];
    lines.extend(shape.tables.iter().map(|table| line("table", &table.name, "1", &digest(&table.definition()))));
    let rows = |content: &Content| line("rows", &content.table, &content.rows.to_string(), &content.digest);
    lines.extend(contents.iter().map(rows));
    lines.extend(shape.objects.iter().map(|object| line(&of_kind(object), &object.name, "1", &digest(&of(object)))));
    for account in shape.grants.chunk() {
        let text: Vec<String> = account.iter().map(|grant| serde_json::to_string(grant).unwrap_or_default()).collect();
        lines.push(line("grants", &account[0].account, &account.len().to_string(), &digest(&text.join("\n"))));
    }
    lines.sort();
    lines.concat()
}

/// Without the grants, which name the database.
pub fn without_grants(manifest: &str) -> String {
    manifest.split_inclusive('\n').filter(|line| !line.starts_with("grants ")).collect()
}

trait ByAccount {
    fn chunk(&self) -> Vec<Vec<&Grant>>;
}

impl ByAccount for std::collections::BTreeSet<Grant> {
    fn chunk(&self) -> Vec<Vec<&Grant>> {
        let all: Vec<&Grant> = self.iter().collect();
        all.chunk_by(|a, b| a.account == b.account).map(<[_]>::to_vec).collect()
    }
}

fn line(kind: &str, name: &str, count: &str, digest: &str) -> String {
    let mut id = String::new();
    for letter in format!("{kind} {name}").trim_end().chars() {
        match letter {
            '\t' | '\n' | '\r' | '\\' => id.extend(letter.escape_default()),
            letter => id.push(letter),
        }
    }
    format!("{id}\t{count}\t{digest}\n")
}

fn of_kind(object: &Object) -> String {
    object.kind.sql().to_lowercase()
}

fn of(object: &Object) -> String {
    let Object { sql_mode, collation, time_zone, enabled, statement, .. } = object;
    format!("{sql_mode:?} {collation:?} {time_zone:?} {enabled} {statement}")
}

pub fn digest(text: &str) -> String {
    hex(&Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_on_its_line() {
        assert_eq!(line("view", "a\tb\nc", "1", "x"), "view a\\tb\\nc\t1\tx\n");
        assert_eq!(line("database", "", "1", "x"), "database\t1\tx\n");
    }

    #[test]
    fn grants_are_left_out_where_the_database_is_another() {
        assert_eq!(
            without_grants("database\t1\ta\ngrants 'a'@'%'\t1\tb\ntable t\t1\tc\n"),
            "database\t1\ta\ntable t\t1\tc\n"
        );
    }
}
