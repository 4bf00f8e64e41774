//! Values as the `format` of a schema has them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Number, Value};

/// What is wrong with a text of this format.
pub(super) fn wrong_text(format: &str, text: &str) -> Option<String> {
    let fits = match format {
        "int64" => text.parse::<i64>().is_ok(),
        "uint64" => text.parse::<u64>().is_ok(),
        "google-datetime" | "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
        "google-duration" => is_duration(text),
        "google-fieldmask" => is_mask(text),
        "byte" => STANDARD.decode(text).is_ok() || URL_SAFE.decode(text).is_ok(),
        other => panic!("a format that this crate does not know: `{other}`"),
    };
    (!fits).then(|| format!("`{text}` is no {format}"))
}

/// What is wrong with a whole number of this format.
pub(super) fn wrong_integer(format: &str, number: &Number) -> Option<String> {
    let range = match format {
        "int32" => i64::from(i32::MIN)..=i64::from(i32::MAX),
        "uint32" => 0..=i64::from(u32::MAX),
        other => panic!("a format that this crate does not know: `{other}`"),
    };
    let fits = number.as_i64().is_some_and(|number| range.contains(&number));
    (!fits).then(|| format!("{number} is no {format}"))
}

/// A text from a query, as the value that its parameter's type means.
pub(super) fn from_text(kind: &str, text: &str) -> Value {
    match kind {
        "integer" => text.parse().map_or_else(|_| text.into(), |number: i64| number.into()),
        "boolean" => text.parse().map_or_else(|_| text.into(), |yes: bool| yes.into()),
        "number" => text.parse().map_or_else(|_| text.into(), |number: f64| number.into()),
        _ => text.into(),
    }
}

fn is_duration(text: &str) -> bool {
    let Some(seconds) = text.strip_suffix('s') else { return false };
    let seconds = seconds.strip_prefix('-').unwrap_or(seconds);
    let (whole, part) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole) && digits(part) && part.len() <= 9
}

fn is_mask(text: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'*'))
    };
    text.is_empty() || text.split(',').all(|path| path.split('.').all(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_a_format() {
        for (format, good, bad) in [
            ("int64", "-12", "12.0"),
            ("google-datetime", "2026-01-02T03:04:05.678Z", "2026-01-02 03:04"),
            ("google-duration", "3.5s", "3.5"),
            ("google-duration", "300s", "-s"),
            ("google-fieldmask", "template.containers,traffic", "template..containers"),
            ("byte", "aGk=", "a"),
        ] {
            assert_eq!(wrong_text(format, good), None, "{format}");
            assert!(wrong_text(format, bad).is_some(), "{format}");
        }
    }

    #[test]
    fn numbers_have_a_range() {
        assert_eq!(wrong_integer("int32", &7.into()), None);
        assert!(wrong_integer("int32", &(1_i64 << 40).into()).is_some());
        assert!(wrong_integer("uint32", &(-1).into()).is_some());
    }
}
