//! Triggers, each made by a statement that names no database and no other trigger.

use super::grants;
use super::session::{Session, name, quoted};
use super::shape::{Kind, Object, column, definer};
use crate::model::VerbError;

/// In the order in which they are made: of one table's at one moment the first to act comes first.
pub async fn read(session: &mut Session, database: &str) -> Result<Vec<Object>, VerbError> {
    let sql = format!(
        "SELECT TRIGGER_NAME, DEFINER, ACTION_TIMING, EVENT_MANIPULATION, EVENT_OBJECT_TABLE, SQL_MODE, \
         COLLATION_CONNECTION FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = {} \
         ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER",
        quoted(database)
    );
    let mut triggers = Vec::new();
    for row in grants::texts(session.rows(&sql).await?) {
        let [trigger, by, timing, event, table, mode, collation] = &row[..] else { continue };
        let body = written(session, trigger).await?;
        let (by, trigger_name, table) = (definer(by), name(trigger), name(table));
        let statement = format!("CREATE {by} TRIGGER {trigger_name} {timing} {event} ON {table} FOR EACH ROW {body}");
        let (sql_mode, collation) = (Some(mode.clone()), Some(collation.clone()));
        triggers.push(Object { sql_mode, collation, ..Object::new(Kind::Trigger, trigger, statement) });
    }
    Ok(triggers)
}

/// The body as its author wrote it. What a server lists has lost the quotes and backslashes within texts.
async fn written(session: &mut Session, trigger: &str) -> Result<String, VerbError> {
    let said = session.row(&format!("SHOW CREATE TRIGGER {}", name(trigger))).await?;
    let statement = column(said, 2, trigger)?;
    let body = body(&statement).map(str::to_owned);
    body.ok_or_else(|| VerbError::other("definition", format!("how the trigger `{trigger}` is made can't be read")))
}

/// What follows `FOR EACH ROW` and another trigger's name. The head keeps what its author wrote: a database's name, say.
fn body(statement: &str) -> Option<&str> {
    const HEAD_ENDS: [&str; 3] = ["FOR", "EACH", "ROW"];
    let (mut rest, mut found) = (statement, 0);
    while found < HEAD_ENDS.len() {
        let (word, after) = token(rest)?;
        found = match word.eq_ignore_ascii_case(HEAD_ENDS[found]) {
            true => found + 1,
            // A table may be called so behind its database.
            false => usize::from(word.eq_ignore_ascii_case(HEAD_ENDS[0])),
        };
        rest = after;
    }
    let body = after_order(rest).unwrap_or(rest).trim_start();
    (!body.is_empty()).then_some(body)
}

/// None: it says nothing about another trigger.
fn after_order(rest: &str) -> Option<&str> {
    let (order, after) = token(rest)?;
    let (other, after) = token(after)?;
    let orders = ["FOLLOWS", "PRECEDES"].iter().any(|word| order.eq_ignore_ascii_case(word));
    // A label may be called so.
    (orders && other != ":").then_some(after)
}

/// A word, something in quotes or another sign, and what follows it; space and comments before it are left out.
fn token(text: &str) -> Option<(&str, &str)> {
    let text = after_space(text);
    let first = text.chars().next()?;
    let end = match first {
        '`' | '"' | '\'' => end_of_quoted(text, first)?,
        _ if is_of_word(first) => text.find(|c: char| !is_of_word(c)).unwrap_or(text.len()),
        _ => first.len_utf8(),
    };
    Some(text.split_at(end))
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

/// A quote that is there twice is part of what is in quotes.
fn end_of_quoted(text: &str, quote: char) -> Option<usize> {
    let mut at = 1;
    loop {
        at += text[at..].find(quote)? + 1;
        match text[at..].starts_with(quote) {
            true => at += 1,
            false => return Some(at),
        }
    }
}

fn after_space(text: &str) -> &str {
    const LINES: [&str; 4] = ["#", "-- ", "--\t", "--\n"];
    let mut rest = text.trim_start();
    loop {
        let is_line = LINES.iter().any(|begin| rest.starts_with(*begin));
        rest = match (is_line, rest.strip_prefix("/*")) {
            (true, _) => rest.split_once('\n').map_or("", |(_, after)| after),
            (false, Some(comment)) => comment.split_once("*/").map_or("", |(_, after)| after),
            (false, None) => return rest,
        }
        .trim_start();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_taken_as_it_was_written() {
        const HEAD: &str = "CREATE DEFINER=`root`@`%` TRIGGER ";
        const BODY: &str = "BEGIN SET @x = 'it''s'; /* FOR EACH ROW */ INSERT INTO t VALUES ('\\\\', \"a\\\"b\"); END";
        for head in [
            "`noted` AFTER INSERT ON `orders` FOR EACH ROW ",
            "noted after insert on orders for each row\n",
            "IF NOT EXISTS shop . noted BEFORE UPDATE ON shop.for FOR\tEACH -- of them\n ROW ",
            "`for each row` BEFORE DELETE ON `odd ``FOR EACH ROW` FOR EACH ROW\n\n  ",
            "\"a \"\"b\" /* FOR EACH ROW `*/ AFTER INSERT # 'x\n ON t FOR EACH/**/ROW ",
            "n AFTER INSERT ON t FOR EACH ROW FOLLOWS `other ``one` ",
            "n AFTER INSERT ON t FOR EACH ROW /* first */ precedes other\n",
            "n AFTER INSERT ON `t`FOR EACH ROW PRECEDES'other'",
        ] {
            assert_eq!(body(&format!("{HEAD}{head}{BODY}")), Some(BODY), "{head}");
        }
        let commented = format!("/* kept */ {BODY}");
        assert_eq!(body(&format!("{HEAD}n AFTER INSERT ON t FOR EACH ROW {commented}")), Some(commented.as_str()));
        let labelled = format!("follows: {BODY}");
        assert_eq!(body(&format!("{HEAD}n AFTER INSERT ON t FOR EACH ROW {labelled}")), Some(labelled.as_str()));
        for none in ["", "CREATE TRIGGER n AFTER INSERT ON t FOR EACH ROW", "CREATE TRIGGER `n FOR EACH ROW SET @x = 1"]
        {
            assert_eq!(body(none), None, "{none}");
        }
    }
}
