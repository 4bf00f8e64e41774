//! `${NAME}` and `$NAME` in a file of pods, filled in as `envsubst` does, from `.env` files.

use std::collections::BTreeMap;

/// `KEY=value` lines, with `export` before them or not; of several with one key the last counts. Quotes around a value go.
pub fn variables(text: &str) -> Vec<(String, String)> {
    let entry = |line: &str| {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (key, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        let key = key.trim();
        is_name(key).then(|| (key.to_owned(), unquoted(value.trim())))
    };
    text.lines().filter_map(entry).collect()
}

/// `text` with the variables that are set in place. One that isn't set stays as it stands: it may be the shell's of a
/// container. `${NAME:-usual}` is what is set, or `usual`.
pub fn substituted(text: &str, set: &BTreeMap<String, String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        filled.push_str(&rest[..at]);
        let (whole, name, usual) = match reference(&rest[at..]) {
            Some(found) => found,
            None => ("$", "", None),
        };
        match (set.get(name), usual) {
            (Some(value), Some(usual)) if value.is_empty() => filled.push_str(usual),
            (Some(value), _) => filled.push_str(value),
            (None, Some(usual)) => filled.push_str(usual),
            (None, None) => filled.push_str(whole),
        }
        rest = &rest[at + whole.len()..];
    }
    filled.push_str(rest);
    filled
}

/// The names of the variables that stand in a text.
pub fn left(text: &str) -> Vec<&str> {
    let found = text.match_indices('$').filter_map(|(at, _)| reference(&text[at..]));
    found.map(|(_, name, _)| name).collect()
}

/// Those of them that [`substituted`] fills in.
pub fn filled<'t>(text: &'t str, set: &BTreeMap<String, String>) -> Vec<&'t str> {
    let found = text.match_indices('$').filter_map(|(at, _)| reference(&text[at..]));
    let mut names = Vec::new();
    for (_, name, usual) in found {
        if (usual.is_some() || set.contains_key(name)) && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The whole, the name, and what is usual, of a text that begins with `$`.
fn reference(text: &str) -> Option<(&str, &str, Option<&str>)> {
    let after = &text[1..];
    if let Some(inner) = after.strip_prefix('{') {
        let end = inner.find('}')?;
        let (name, usual) = match inner[..end].split_once(":-") {
            Some((name, usual)) => (name, Some(usual)),
            None => (&inner[..end], None),
        };
        return is_name(name).then(|| (&text[..end + 3], name, usual));
    }
    let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
    let name = &after[..end];
    is_name(name).then(|| (&text[..=end], name, None))
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn unquoted(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some(inner) = value.strip_prefix(quote)
            && let Some(end) = inner.find(quote)
        {
            return inner[..end].to_owned();
        }
    }
    // A comment begins after a blank.
    value.split_once(" #").map_or(value, |(value, _)| value.trim_end()).to_owned()
}
