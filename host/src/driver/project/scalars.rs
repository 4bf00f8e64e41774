//! The values of a YAML file, JSON among them, and where each stands: for what looks for secrets in it.

use super::yaml::extent;
use saphyr_parser::{Event, Parser, ScalarStyle};
use std::ops::Range;

#[derive(Debug, PartialEq, Eq)]
pub struct Scalar {
    /// Which it is the value of: a mapping's key, or, of a `value`, the `name` beside it. None: it is an item of a list.
    pub key: Option<String>,
    /// In bytes, without its quotes.
    pub range: Range<usize>,
    /// Without quotes, so that it may not be a text.
    pub plain: bool,
    /// Within braces or brackets.
    pub in_flow: bool,
}

#[derive(Default)]
struct Place {
    mapping: bool,
    in_flow: bool,
    /// Of a mapping, whose value comes next.
    key: Option<String>,
    /// What the mapping calls `name`, and which scalar it calls `value`.
    name: Option<String>,
    value: Option<usize>,
}

/// In their order, without blocks of text and without what goes over several lines; none where `text` is no YAML.
pub fn scalars(text: &str) -> Option<Vec<Scalar>> {
    // The parser counts characters.
    let starts: Option<Vec<usize>> = (!text.is_ascii()).then(|| text.char_indices().map(|(byte, _)| byte).collect());
    let byte = |index: usize| match &starts {
        Some(starts) => starts.get(index).copied().unwrap_or(text.len()),
        None => index.min(text.len()),
    };
    let (mut scalars, mut places): (Vec<Scalar>, Vec<Place>) = (Vec::new(), Vec::new());
    for event in Parser::new_from_str(text) {
        let (event, span) = event.ok()?;
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                // What begins without a sign of its own has no length.
                let has_sign = span.end.index() > span.start.index();
                let opens = has_sign && text[byte(span.start.index())..].starts_with(['{', '[']);
                let in_flow = opens || places.last().is_some_and(|place| place.in_flow);
                let mapping = matches!(event, Event::MappingStart(..));
                places.push(Place { mapping, in_flow, ..Place::default() });
            }
            Event::MappingEnd | Event::SequenceEnd => {
                if let Some(Place { name: Some(name), value: Some(value), .. }) = places.pop() {
                    scalars[value].key = Some(name);
                }
                end(&mut places, "");
            }
            Event::Scalar(value, style, ..) => {
                let place = places.last_mut();
                let key = place.as_ref().and_then(|place| place.key.clone());
                let is_key = place.as_ref().is_some_and(|place| place.mapping) && key.is_none();
                let range = inner(text, extent(text, byte(span.start.index()), &value, style), style);
                if !is_key && !range.is_empty() && !matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
                    let in_flow = place.as_ref().is_some_and(|place| place.in_flow);
                    match (place, key.as_deref()) {
                        (Some(place), Some("name")) => place.name = Some(value.to_string()),
                        (Some(place), Some("value")) => place.value = Some(scalars.len()),
                        _ => {}
                    }
                    scalars.push(Scalar { key, range, plain: style == ScalarStyle::Plain, in_flow });
                }
                end(&mut places, &value);
            }
            Event::Alias(_) => end(&mut places, ""),
            _ => {}
        }
    }
    Some(scalars)
}

/// A key is followed by its value, and a value by the next key.
fn end(places: &mut [Place], text: &str) {
    if let Some(place) = places.last_mut().filter(|place| place.mapping) {
        place.key = place.key.is_none().then(|| text.to_owned());
    }
}

fn inner(text: &str, whole: Range<usize>, style: ScalarStyle) -> Range<usize> {
    let quote = match style {
        ScalarStyle::SingleQuoted => '\'',
        ScalarStyle::DoubleQuoted => '"',
        _ => return whole,
    };
    let is_quoted = whole.len() > 1 && text[whole.clone()].starts_with(quote) && text[whole.clone()].ends_with(quote);
    if is_quoted { whole.start + 1..whole.end - 1 } else { whole.start..whole.start }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_found_with_its_key() {
        let text = "é: x\n? { a: b }\n: 'c d'\nlist: [ \"e\", f=g, { h: i } ]\nenv:\n- name: DB_PASSWORD\n  value: j\n\
                    - { value: k, name: TOKEN }\nblock: |\n  l\nn: &m o # p\nalias: *m\nq: r\n";
        let found = scalars(text).unwrap();
        let told: Vec<_> =
            found.iter().map(|s| (s.key.as_deref(), &text[s.range.clone()], s.plain, s.in_flow)).collect();
        let expected = [
            (Some("é"), "x", true, false),
            (Some("a"), "b", true, true),
            (Some(""), "c d", false, false),
            (None, "e", false, true),
            (None, "f=g", true, true),
            (Some("h"), "i", true, true),
            (Some("name"), "DB_PASSWORD", true, false),
            (Some("DB_PASSWORD"), "j", true, false),
            (Some("TOKEN"), "k", true, true),
            (Some("name"), "TOKEN", true, true),
            (Some("n"), "o", true, false),
            (Some("q"), "r", true, false),
        ];
        assert_eq!(told, expected);
        assert_eq!(scalars("a: [ {{ .Values.x }}: b"), None);
    }
}
