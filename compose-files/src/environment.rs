//! `.env` files, and what a value makes of their variables.

/// `NAME=value`, `export NAME="value"`; the last of a name counts.
pub fn variables(text: &str) -> Vec<(String, String)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.strip_prefix("export ").unwrap_or(line).split_once('='));
    pairs.map(|(name, value)| (name.trim().to_owned(), unquoted(value.trim()).to_owned())).collect()
}

fn unquoted(value: &str) -> &str {
    let quoted =
        |quote: char| value.strip_prefix(quote).and_then(|rest| rest.split_once(quote)).map(|(inner, _)| inner);
    quoted('"').or_else(|| quoted('\'')).unwrap_or_else(|| value.split(" #").next().unwrap_or(value).trim_end())
}

/// `${NAME}`, `$NAME` and `${NAME:-default}` with what they stand for; nothing for what is not there.
pub fn interpolated(text: &str, value: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    for part in parts(text) {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Variable { name, operator, word } => {
                let there = value(name);
                let there_and_not_empty = there.as_deref().is_some_and(|value| !value.is_empty());
                match operator {
                    ":-" if !there_and_not_empty => out.push_str(&interpolated(word, value)),
                    "-" if there.is_none() => out.push_str(&interpolated(word, value)),
                    ":+" if there_and_not_empty => out.push_str(&interpolated(word, value)),
                    "+" if there.is_some() => out.push_str(&interpolated(word, value)),
                    ":+" | "+" => {}
                    _ => out.push_str(&there.unwrap_or_default()),
                }
            }
        }
    }
    out
}

/// The variables that a value is made of, those of defaults among them.
pub fn keys(text: &str) -> Vec<String> {
    let mut keys = Vec::new();
    for part in parts(text) {
        if let Part::Variable { name, word, .. } = part {
            keys.push(name.to_owned());
            keys.extend(self::keys(word));
        }
    }
    keys
}

enum Part<'t> {
    Text(&'t str),
    Variable { name: &'t str, operator: &'t str, word: &'t str },
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        parts.push(Part::Text(&rest[..at]));
        let after = &rest[at + 1..];
        let bare = name_length(after);
        rest = if let Some(after) = after.strip_prefix('$') {
            parts.push(Part::Text("$"));
            after
        } else if bare > 0 {
            parts.push(Part::Variable { name: &after[..bare], operator: "", word: "" });
            &after[bare..]
        } else if let Some(end) = after.strip_prefix('{').and_then(closing) {
            let inner = &after[1..=end];
            let (name, tail) = inner.split_at(name_length(inner));
            let operator = [":-", ":+", ":?", "-", "+", "?"].into_iter().find(|o| tail.starts_with(o)).unwrap_or("");
            parts.push(Part::Variable { name, operator, word: &tail[operator.len()..] });
            &after[end + 2..]
        } else {
            parts.push(Part::Text("$"));
            after
        };
    }
    parts.push(Part::Text(rest));
    parts
}

fn name_length(text: &str) -> usize {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    if !text.starts_with(first) {
        return 0;
    }
    text.find(|c: char| !first(c) && !c.is_ascii_digit()).unwrap_or(text.len())
}

/// Where the brace closes that stands before `text`.
pub(crate) fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}
