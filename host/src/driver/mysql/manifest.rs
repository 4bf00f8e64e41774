//! What a database holds, in lines that are the same wherever it lies: `id<TAB>count<TAB>digest`, sorted.

use super::grants::Grant;
use super::session::{Session, name};
use super::shape::{Object, Shape, Table};
use crate::activity::Activity;
use crate::effect::hex;
use crate::model::VerbError;
use sha2::{Digest, Sha256};

/// One table's rows: how many, and a digest that doesn't depend on their order.
pub struct Content {
    table: String,
    rows: String,
    digest: String,
}

/// In the transaction that the session has begun.
pub async fn contents(
    session: &mut Session, database: &str, shape: &Shape, activity: &Activity,
) -> Result<Vec<Content>, VerbError> {
    let mut contents = Vec::new();
    for (done, table) in shape.tables.iter().enumerate() {
        let row = session.row(&question(database, table)).await?;
        let mut texts = row.into_iter().map(Option::unwrap_or_default);
        let rows = texts.next().unwrap_or_default();
        let digest = texts.collect::<Vec<_>>().join("-");
        contents.push(Content { table: table.name.clone(), rows, digest });
        activity.progress(done as u64 + 1, Some(shape.tables.len() as u64), "tables", "read for the manifest");
    }
    Ok(contents)
}

pub fn text(shape: &Shape, contents: &[Content]) -> String {
    let mut lines = vec![line("database", "", "1", &digest(&format!("{} {}", shape.charset, shape.collation)))];
    lines.extend(shape.tables.iter().map(|table| line("table", &table.name, "1", &digest(&table.definition))));
    lines.extend(contents.iter().map(|content| line("rows", &content.table, &content.rows, &content.digest)));
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

pub fn mark(manifest: &str) -> String {
    digest(manifest)
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

fn digest(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// Two halves of a digest of each row, by which the rows' order makes no difference: `XOR` of the one, the sum of the
/// other, which rows that stand twice don't leave as it is.
fn question(database: &str, table: &Table) -> String {
    let columns: Vec<String> = table.columns.iter().map(|(column, kind)| of_column(column, kind)).collect();
    let row = if columns.is_empty() { "''".to_owned() } else { format!("CONCAT({})", columns.join(", ")) };
    format!(
        "SELECT COUNT(*), COALESCE(BIT_XOR(CAST(CONV(LEFT(d, 16), 16, 10) AS UNSIGNED)), 0), \
         COALESCE(SUM(CAST(CONV(RIGHT(d, 16), 16, 10) AS UNSIGNED)), 0) \
         FROM (SELECT SHA2({row}, 256) AS d FROM {}.{}) AS rows_of_it",
        name(database),
        name(&table.name)
    )
}

/// NULL is told from empty, and where a value ends.
fn of_column(column: &str, kind: &str) -> String {
    let column = name(column);
    match kind {
        // What may be too large for one value of `CONCAT`.
        "tinyblob" | "blob" | "mediumblob" | "longblob" | "tinytext" | "text" | "mediumtext" | "longtext" | "json" => {
            format!("IFNULL(SHA2({column}, 256), 'N')")
        }
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
        | "geometrycollection" | "geomcollection" | "vector" => format!("IFNULL(SHA2(HEX({column}), 256), 'N')"),
        _ => {
            let bytes = format!("CAST({column} AS BINARY)");
            format!("IFNULL(CONCAT(LENGTH({bytes}), ':', {bytes}), 'N')")
        }
    }
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
