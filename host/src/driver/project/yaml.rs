//! YAML files: finds where a value stands, and puts another in its place. Comments, order, quotes and anchors stay.

use crate::model::VerbError;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::ops::Range;

/// `text` with `values` in place, by dotted path: `services.web.image`. A path that isn't there is an error: where a new
/// key would go is not for us to say.
pub fn set(path: &str, text: &str, values: &[(String, String)]) -> Result<String, VerbError> {
    let mut text = text.to_owned();
    for (dotted, value) in values {
        if value.chars().any(char::is_control) {
            return Err(VerbError::Invalid(format!("the value of `{dotted}` is more than one line")));
        }
        let keys = keys(dotted);
        let found = find(&text, &keys).map_err(|error| VerbError::Invalid(format!("`{path}` is no YAML: {error}")))?;
        let scalar = match &found[..] {
            [scalar] => scalar,
            [] => return Err(VerbError::Invalid(format!("`{path}` has no value at `{dotted}`"))),
            _ => return Err(VerbError::Invalid(format!("`{dotted}` stands in `{path}` more than once"))),
        };
        if scalar.value == *value {
            continue;
        }
        if scalar.range.is_empty() {
            return Err(VerbError::Invalid(format!("`{dotted}` in `{path}` goes over several lines")));
        }
        let quoted = match scalar.style {
            ScalarStyle::SingleQuoted => format!("'{}'", value.replace('\'', "''")),
            ScalarStyle::DoubleQuoted => double(value),
            ScalarStyle::Plain if is_plain(value) => value.clone(),
            ScalarStyle::Plain => double(value),
            ScalarStyle::Literal | ScalarStyle::Folded => {
                return Err(VerbError::Invalid(format!("`{dotted}` in `{path}` is a block of text")));
            }
        };
        text.replace_range(scalar.range.clone(), &quoted);
    }
    Ok(text)
}

/// Divided at dots; a key in quotes may have dots in it.
fn keys(dotted: &str) -> Vec<String> {
    let mut keys = vec![String::new()];
    let mut quoted = false;
    for letter in dotted.chars() {
        match letter {
            '"' => quoted = !quoted,
            '.' if !quoted => keys.push(String::new()),
            other => keys.last_mut().expect("there is one").push(other),
        }
    }
    keys
}

struct Scalar {
    value: String,
    style: ScalarStyle,
    /// In bytes, quotes and all.
    range: Range<usize>,
}

/// Where in a document something is: in a mapping, which of its keys is open; in a sequence, nothing that has a name.
enum Place {
    Mapping { key: Option<String> },
    Sequence,
}

fn find(text: &str, wanted: &[String]) -> Result<Vec<Scalar>, saphyr_parser::ScanError> {
    let mut places: Vec<Place> = Vec::new();
    let mut found = Vec::new();
    let here = |places: &[Place]| -> bool {
        let keys = places.iter().map(|place| match place {
            Place::Mapping { key } => key.as_deref(),
            Place::Sequence => None,
        });
        keys.eq(wanted.iter().map(|key| Some(key.as_str())))
    };
    // What a value ends, the next key begins.
    let close = |places: &mut Vec<Place>| {
        if let Some(Place::Mapping { key }) = places.last_mut() {
            *key = None;
        }
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event?;
        match event {
            Event::MappingStart(..) => places.push(Place::Mapping { key: None }),
            Event::SequenceStart(..) => places.push(Place::Sequence),
            Event::MappingEnd | Event::SequenceEnd => {
                places.pop();
                close(&mut places);
            }
            Event::Scalar(value, style, ..) => match places.last_mut() {
                Some(Place::Mapping { key: key @ None }) => *key = Some(value.into_owned()),
                _ => {
                    if here(&places) {
                        let range = range(text, span, &value, style);
                        found.push(Scalar { value: value.into_owned(), style, range });
                    }
                    close(&mut places);
                }
            },
            Event::Alias(_) => match places.last_mut() {
                Some(Place::Mapping { key: key @ None }) => *key = Some(String::new()),
                _ => close(&mut places),
            },
            _ => {}
        }
    }
    Ok(found)
}

/// In bytes. The parser counts characters, and its end may lie behind a comment.
fn range(text: &str, span: Span, value: &str, style: ScalarStyle) -> Range<usize> {
    let start = text.char_indices().nth(span.start.index()).map_or(text.len(), |(byte, _)| byte);
    extent(text, start, value, style)
}

/// Of the scalar that begins at this byte, quotes and all; empty where it goes over several lines without any.
pub fn extent(text: &str, start: usize, value: &str, style: ScalarStyle) -> Range<usize> {
    let rest = &text[start..];
    let length = match style {
        ScalarStyle::DoubleQuoted => quoted_length(rest, '"', Some('\\')),
        ScalarStyle::SingleQuoted => quoted_length(rest, '\'', None),
        _ if rest.starts_with(value) => Some(value.len()),
        _ => None,
    };
    start..start + length.unwrap_or(0)
}

/// With both quotes. Without an escape, a doubled quote is one of the text.
fn quoted_length(text: &str, quote: char, escape: Option<char>) -> Option<usize> {
    let mut letters = text.char_indices().skip(1).peekable();
    while let Some((at, letter)) = letters.next() {
        if Some(letter) == escape {
            letters.next();
        } else if letter == quote {
            match letters.peek() {
                Some((_, next)) if escape.is_none() && *next == quote => drop(letters.next()),
                _ => return Some(at + letter.len_utf8()),
            }
        }
    }
    None
}

fn double(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Means itself without quotes, and is a string.
fn is_plain(value: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "./_-:@+".contains(c);
    let begins = value.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/' || c == '.');
    let other_kind = value.parse::<f64>().is_ok()
        || ["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&value.to_lowercase().as_str());
    begins && value.chars().all(fits) && !value.ends_with(':') && !other_kind
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COMPOSE: &str = r#"# the shop
x-env: &env   # for all
  TZ: UTC
services:
  web:
    image: "r:5000/shop/web:1.3.0"   # pinned
    environment: { <<: *env, MODE: 'é' }
    ports: ["80:80"]
  worker: &worker
    image: &image r:5000/shop/worker:1.3.0
    command: [work, image]
  "odd.name":
    image: 'shop:1.3.0'
  second:
    <<: *worker
    image: *image
"#;

    fn put(values: &[(&str, &str)]) -> Result<String, VerbError> {
        let values: Vec<_> = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        set("compose.yaml", COMPOSE, &values)
    }

    #[test]
    fn everything_around_a_value_stays() {
        let new = put(&[
            ("services.web.image", "r:5000/shop/web:1.4.0"),
            ("services.worker.image", "r:5000/shop/worker:1.4.0"),
            ("services.\"odd.name\".image", "it's:1.4.0"),
        ])
        .unwrap();
        let expected = COMPOSE
            .replace("web:1.3.0", "web:1.4.0")
            .replace("worker:1.3.0", "worker:1.4.0")
            .replace("'shop:1.3.0'", "'it''s:1.4.0'");
        assert_eq!(new, expected);
        assert_eq!(put(&[("services.web.image", "r:5000/shop/web:1.3.0")]).unwrap(), COMPOSE);
        assert!(put(&[("services.worker.image", "1.40")]).unwrap().contains("&image \"1.40\""), "a string stays one");
    }

    #[test]
    fn what_is_not_there_is_not_made_up() {
        let message = |key| put(&[(key, "x")]).unwrap_err().to_string();
        assert_eq!(message("services.wev.image"), "`compose.yaml` has no value at `services.wev.image`");
        assert_eq!(message("services.second.image"), "`compose.yaml` has no value at `services.second.image`");
        assert_eq!(message("services.web"), "`compose.yaml` has no value at `services.web`");
        assert!(set("a.yaml", "a: [", &[("a".into(), "b".into())]).unwrap_err().to_string().contains("no YAML"));
        assert!(put(&[("services.web.image", "a\nb: c")]).is_err());
    }

    proptest! {
        #[test]
        fn what_is_set_is_read_back_and_nothing_else_changes(value in "[ -~]{1,20}") {
            let new = put(&[("services.web.image", &value)]).unwrap();
            let scalars = find(&new, &keys("services.web.image")).unwrap();
            prop_assert_eq!(&scalars[0].value, &value);
            let back = set("compose.yaml", &new, &[("services.web.image".into(), "r:5000/shop/web:1.3.0".into())]);
            prop_assert_eq!(back.unwrap(), COMPOSE);
        }
    }
}
