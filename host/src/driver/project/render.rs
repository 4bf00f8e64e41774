//! What a change makes of a file's text. Pure.

use super::{dotenv, yaml};
use crate::model::{Change, VerbError};
use std::path::Path;
use toml_edit::{DocumentMut, Item, Key, Table, TableLike, Value};

pub fn render(path: &str, old: Option<&[u8]>, change: &Change) -> Result<Option<Vec<u8>>, VerbError> {
    let values = match change {
        Change::Content(bytes) | Change::Program(bytes) => return Ok(Some(bytes.clone())),
        Change::Remove => return Ok(None),
        Change::Set(values) => values,
    };
    let old = std::str::from_utf8(old.unwrap_or_default())
        .map_err(|_| VerbError::Invalid(format!("`{path}` is no text, so no key of it can be set")))?;
    if dotenv::is_dotenv(path) {
        return Ok(Some(dotenv::set(path, old, values)?.into_bytes()));
    }
    if Path::new(path).extension().is_some_and(|extension| extension == "toml") {
        return Ok(Some(set_toml(path, old, values)?.into_bytes()));
    }
    if Path::new(path).extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
        return Ok(Some(yaml::set(path, old, values)?.into_bytes()));
    }
    Err(VerbError::Invalid(format!(
        "keys can be set in `.env`, `.toml` and `.yaml` files, and `{path}` is none of them; its whole content would be \
         right"
    )))
}

fn set_toml(path: &str, old: &str, values: &[(String, String)]) -> Result<String, VerbError> {
    let mut document: DocumentMut =
        old.parse().map_err(|error| VerbError::Invalid(format!("`{path}` is no TOML: {error}")))?;
    for (dotted, value) in values {
        let keys = Key::parse(dotted)
            .map_err(|error| VerbError::Invalid(format!("`{dotted}` is no dotted path of TOML: {error}")))?;
        let Some((last, tables)) = keys.split_last() else {
            return Err(VerbError::Invalid(format!("a key of `{path}` has no name")));
        };
        let no_table =
            || VerbError::Invalid(format!("`{dotted}` leads through something in `{path}` that is no table"));
        let mut table: &mut dyn TableLike = document.as_table_mut();
        for key in tables {
            let item = table.entry(key.get()).or_insert_with(new_table);
            table = item.as_table_like_mut().ok_or_else(no_table)?;
        }
        match table.get_mut(last.get()) {
            Some(item) => replace(path, dotted, item, value)?,
            None => {
                table.insert(last.get(), toml_edit::value(value));
            }
        }
    }
    Ok(document.to_string())
}

fn new_table() -> Item {
    let mut table = Table::new();
    table.set_implicit(true);
    Item::Table(table)
}

/// Of the kind that was there: a number stays a number.
fn replace(path: &str, dotted: &str, item: &mut Item, text: &str) -> Result<(), VerbError> {
    let wrong = |kind: &str| VerbError::Invalid(format!("`{dotted}` in `{path}` is {kind}, and `{text}` is none"));
    let Item::Value(old) = item else {
        return Err(VerbError::Invalid(format!("`{dotted}` in `{path}` is a table, so it has no value to set")));
    };
    let mut new = match old {
        Value::String(old) if old.value() == text => return Ok(()),
        Value::String(_) => Value::from(text),
        Value::Integer(_) => Value::from(text.parse::<i64>().map_err(|_| wrong("a whole number"))?),
        Value::Float(_) => Value::from(text.parse::<f64>().map_err(|_| wrong("a number"))?),
        Value::Boolean(_) => Value::from(text.parse::<bool>().map_err(|_| wrong("`true` or `false`"))?),
        Value::Datetime(_) => Value::from(text.parse::<toml_edit::Datetime>().map_err(|_| wrong("a time"))?),
        Value::Array(_) | Value::InlineTable(_) => {
            return Err(VerbError::Invalid(format!(
                "`{dotted}` in `{path}` is a list or a table, so it has no value to set"
            )));
        }
    };
    *new.decor_mut() = old.decor().clone();
    *old = new;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(path: &str, old: &str, values: &[(&str, &str)]) -> Result<String, VerbError> {
        let values = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        render(path, Some(old.as_bytes()), &Change::Set(values)).map(|bytes| String::from_utf8(bytes.unwrap()).unwrap())
    }

    #[test]
    fn toml_keeps_its_comments_and_kinds() {
        let old = "# the shop\nversion = \"1.3.0\" # now\n\n[db]\nport = 5432\npool = { size = 5 }\n";
        let values = [("version", "1.4.0"), ("db.port", "6432"), ("db.pool.size", "7"), ("cache.\"a.b\"", "x")];
        insta::assert_snapshot!(set("shop.toml", old, &values).unwrap(), @r#"
        # the shop
        version = "1.4.0" # now

        [db]
        port = 6432
        pool = { size = 7 }

        [cache]
        "a.b" = "x"
        "#);
    }

    #[test]
    fn what_can_not_be_set_says_why() {
        let message = |path, old, key| set(path, old, &[(key, "x")]).unwrap_err().to_string();
        assert_eq!(message("a.toml", "n = 1\n", "n"), "`n` in `a.toml` is a whole number, and `x` is none");
        assert_eq!(message("a.toml", "[t]\n", "t"), "`t` in `a.toml` is a table, so it has no value to set");
        assert_eq!(message("a.toml", "n = 1\n", "n.m"), "`n.m` leads through something in `a.toml` that is no table");
        assert!(message("a.toml", "n = \n", "n").starts_with("`a.toml` is no TOML"));
        assert!(message("a.ini", "n = 1\n", "n").starts_with("keys can be set in `.env`, `.toml` and `.yaml` files"));
    }
}
