//! `.env` files: finds each key's value, and puts another in its place. Comments, order and quotes stay.

use crate::model::VerbError;
use regex::Regex;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::LazyLock;

/// `KEY=value` of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    /// With its quotes.
    pub whole: Range<usize>,
    /// Without them, escapes as they stand.
    pub inner: Range<usize>,
    pub quote: Option<char>,
}

/// `.env`, `.env.production`, `shop.env`.
pub fn is_dotenv(path: &str) -> bool {
    let name = Path::new(path).file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name == ".env" || name.starts_with(".env.") || name.ends_with(".env")
}

pub fn parse(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let end = text[at..].find('\n').map_or(text.len(), |end| at + end);
        match entry(text, at, end) {
            Some(entry) => {
                // A quoted value may go over several lines.
                at = text[entry.whole.end..].find('\n').map_or(text.len(), |end| entry.whole.end + end) + 1;
                entries.push(entry);
            }
            None => at = end + 1,
        }
    }
    entries
}

/// The last value of `key`, without its quotes.
pub fn value(text: &str, key: &str) -> Option<String> {
    let entry = parse(text).into_iter().rfind(|entry| entry.key == key)?;
    Some(unquoted(&text[entry.inner.clone()], entry.quote))
}

/// All of them, for a reader that fills nothing in: one that refers to another is an error.
pub fn variables(path: &str, text: &str) -> Result<BTreeMap<String, String>, VerbError> {
    static REFERENCE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?:^|[^\\])\$[A-Za-z_{]").expect("a constant"));
    let variable = |entry: Entry| {
        let (key, inner) = (entry.key, &text[entry.inner]);
        if entry.quote != Some('\'') && REFERENCE.is_match(inner) {
            return Err(VerbError::Invalid(format!(
                "`{key}` of `{path}` refers to another variable, which is not filled in here; in single quotes `$` stands for itself"
            )));
        }
        Ok((key, unquoted(inner, entry.quote)))
    };
    parse(text).into_iter().map(variable).collect()
}

/// `text` with `values` in place; a key that is missing is appended.
pub fn set(path: &str, text: &str, values: &[(String, String)]) -> Result<String, VerbError> {
    let mut text = text.to_owned();
    for (key, value) in values {
        if !is_key(key) {
            return Err(VerbError::Invalid(format!("`{key}` is no name of a key for `{path}`")));
        }
        if value.contains('\0') {
            return Err(VerbError::Invalid(format!("the value of `{key}` has a zero byte")));
        }
        let entries = parse(&text);
        let mut found = entries.iter().filter(|entry| entry.key == *key);
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => {
                return Err(VerbError::Invalid(format!(
                    "`{key}` stands in `{path}` twice; which of the two counts depends on who reads it, so one has to go"
                )));
            }
            (Some(entry), None) => {
                if unquoted(&text[entry.inner.clone()], entry.quote) != *value {
                    text.replace_range(entry.whole.clone(), &quoted(value, entry.quote));
                }
            }
            (None, _) => append(&mut text, key, value),
        }
    }
    Ok(text)
}

fn append(text: &mut String, key: &str, value: &str) {
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push_str(line_end);
    }
    text.push_str(&format!("{key}={}{line_end}", quoted(value, None)));
}

fn entry(text: &str, start: usize, end: usize) -> Option<Entry> {
    let line = &text[start..end];
    let body = line.trim_start();
    let body = body.strip_prefix("export ").map_or(body, str::trim_start);
    let (key, value) = body.split_once('=')?;
    let key = key.trim_end();
    if !is_key(key) {
        return None;
    }
    let from = end - value.trim_start_matches([' ', '\t']).len();
    if let Some(quote) = text[from..].chars().next().filter(|first| matches!(first, '"' | '\''))
        && let Some(length) = closing(&text[from + 1..], quote)
    {
        let inner = from + 1..from + 1 + length;
        return Some(Entry { key: key.into(), whole: from..inner.end + 1, inner, quote: Some(quote) });
    }
    let value = &text[from..end];
    let comment = value.match_indices('#').find(|(at, _)| *at == 0 || value[..*at].ends_with([' ', '\t']));
    let value = value[..comment.map_or(value.len(), |(at, _)| at)].trim_end();
    let whole = from..from + value.len();
    Some(Entry { key: key.into(), inner: whole.clone(), whole, quote: None })
}

/// Where the quote closes.
fn closing(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, found) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if found == '\\' && quote == '"' {
            escaped = true;
        } else if found == quote {
            return Some(at);
        }
    }
    None
}

fn is_key(text: &str) -> bool {
    let begins = text.chars().next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    begins && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

pub fn unquoted(inner: &str, quote: Option<char>) -> String {
    if quote != Some('"') {
        return inner.to_owned();
    }
    let mut value = String::new();
    let mut rest = inner.chars();
    while let Some(next) = rest.next() {
        match next {
            '\\' => match rest.next() {
                Some('n') => value.push('\n'),
                Some('r') => value.push('\r'),
                Some('t') => value.push('\t'),
                Some(other @ ('"' | '\\' | '$' | '`')) => value.push(other),
                Some(other) => value.extend(['\\', other]),
                None => value.push('\\'),
            },
            other => value.push(other),
        }
    }
    value
}

/// As it was quoted before, where the value allows it. What a reader would expand stands in single quotes.
fn quoted(value: &str, before: Option<char>) -> String {
    let one_line = !value.contains(['\n', '\r']);
    let plain = value.chars().all(|c| c.is_alphanumeric() || "_./:@%+,=-".contains(c));
    let single = one_line && !value.contains('\'');
    match before {
        None if plain => value.to_owned(),
        Some('\'') if single => format!("'{value}'"),
        _ if single && (before.is_none() || value.contains(['$', '`', '\\'])) => format!("'{value}'"),
        _ => {
            let mut text = String::from("\"");
            for c in value.chars() {
                match c {
                    '\n' => text.push_str("\\n"),
                    '\r' => text.push_str("\\r"),
                    '"' | '\\' | '$' | '`' => text.extend(['\\', c]),
                    other => text.push(other),
                }
            }
            text + "\""
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str =
        "# the shop\nVERSION=1.3.0   # keep me\n\nexport NAME=\"The Shop\"\nPEM='-----\nx=y\n-----'\nEMPTY=\n";

    fn set_one(text: &str, key: &str, value: &str) -> String {
        set(".env", text, &[(key.into(), value.into())]).unwrap()
    }

    #[test]
    fn only_the_value_changes() {
        assert_eq!(set_one(FILE, "VERSION", "1.4.0"), FILE.replace("1.3.0", "1.4.0"));
        assert_eq!(set_one(FILE, "NAME", "Say \"hi\""), FILE.replace("The Shop", "Say \\\"hi\\\""));
        assert_eq!(set_one(FILE, "EMPTY", "a b"), FILE.replace("EMPTY=", "EMPTY='a b'"));
        assert_eq!(set_one(FILE, "NAME", "The Shop"), FILE);
        assert_eq!(set_one("A=1", "B", "2"), "A=1\nB=2\n");
        assert_eq!(set_one("A=1\r\n", "A", "2"), "A=2\r\n");
        assert_eq!(set_one("", "B", "c$d"), "B='c$d'\n");
    }

    #[test]
    fn a_key_within_a_quoted_value_is_none() {
        let keys: Vec<String> = parse(FILE).into_iter().map(|entry| entry.key).collect();
        assert_eq!(keys, ["VERSION", "NAME", "PEM", "EMPTY"]);
    }

    #[test]
    fn a_key_that_is_there_twice_is_an_error() {
        let error = set(".env", "A=1\nA=2\n", &[("A".into(), "3".into())]).unwrap_err();
        assert!(error.to_string().starts_with("`A` stands in `.env` twice"), "{error}");
        assert!(set(".env", "", &[("A B".into(), "3".into())]).is_err());
    }

    #[test]
    fn all_variables_of_a_file() {
        let all = variables("web.env", FILE).unwrap();
        let pairs: Vec<(&str, &str)> = all.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let pem = ("PEM", "-----\nx=y\n-----");
        assert_eq!(pairs, [("EMPTY", ""), ("NAME", "The Shop"), pem, ("VERSION", "1.3.0")]);
        assert_eq!(variables(".env", "A='$B'\nC=\"\\$B\"\nD=1$\n").unwrap().len(), 3);
        for text in ["A=$B\n", "A=\"x${B}\"\n", "A=x$$B\n"] {
            let error = variables("web.env", text).unwrap_err().to_string();
            assert!(error.starts_with("`A` of `web.env` refers to another variable"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_set_is_read_back(before in prop::sample::select(vec!["A=x\n", "A='x'\n", "A=\"x\"\n", "B=1\n"]), value in "\\PC{0,20}|[ '\"\\\\$#\n=a]{0,12}") {
            let text = set_one(before, "A", &value);
            let entries = parse(&text);
            let entry = entries.iter().find(|entry| entry.key == "A").unwrap();
            prop_assert_eq!(unquoted(&text[entry.inner.clone()], entry.quote), value);
            prop_assert!(entries.len() <= 2, "{}", text);
        }

        #[test]
        fn any_text_is_parsed(text in "[A-Z='\"# \n\\\\]{0,40}") {
            for entry in parse(&text) {
                prop_assert!(text.get(entry.whole).is_some());
            }
        }
    }
}
