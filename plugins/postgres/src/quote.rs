//! Names and values as SQL.

/// A name, whatever it holds.
pub fn name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A value; the host takes backslashes as they stand, but for one before a quote.
pub fn literal(value: &str) -> String {
    let quoted = format!("'{}'", value.replace('\'', "''"));
    match quoted.contains(r"\'") {
        true => format!("E{}", quoted.replace('\\', r"\\")),
        false => quoted,
    }
}

/// The elements of a setting that PostgreSQL keeps as a list of names, for example `search_path`: quotes undone.
pub fn list_elements(value: &str) -> Vec<String> {
    let mut elements = Vec::new();
    let mut rest = value.trim_start();
    while !rest.is_empty() {
        let (element, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_element(quoted),
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                (rest[..end].trim_end().to_owned(), &rest[end..])
            }
        };
        elements.push(element);
        rest = after.trim_start().strip_prefix(',').unwrap_or_default().trim_start();
    }
    elements
}

fn quoted_element(text: &str) -> (String, &str) {
    let mut element = String::new();
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if character != '"' {
            element.push(character);
        } else if characters.next_if(|(_, next)| *next == '"').is_some() {
            element.push('"');
        } else {
            return (element, &text[at + 1..]);
        }
    }
    (element, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled() {
        assert_eq!(name(r#"a"b"#), r#""a""b""#);
        assert_eq!(literal(r"a'b\c"), r"'a''b\c'");
        assert_eq!(literal(r"a'b\"), r"E'a''b\\'");
    }

    #[test]
    fn lists_are_taken_apart() {
        assert_eq!(list_elements(r#""$user", public, "a ""b"", c""#), ["$user", "public", r#"a "b", c"#]);
        assert_eq!(list_elements(r#""""#), [""]);
        assert_eq!(list_elements(""), Vec::<String>::new());
        assert_eq!(list_elements("one"), ["one"]);
    }
}
