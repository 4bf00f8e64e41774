//! YAML as a tree that knows its lines, of each document of a file; aliases and merges are followed.

use crate::Mistake;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value as Json};
use std::collections::BTreeMap;
use std::ops::Range;

const DEPTH: usize = 64;
/// Aliases may name each other to no end.
const NODES: usize = 50_000;

#[derive(Debug, Clone)]
pub struct Node {
    pub value: Value,
    /// From 1.
    pub line: usize,
    /// In bytes, quotes and all; of a scalar that stands in one piece.
    pub range: Option<Range<usize>>,
    pub style: ScalarStyle,
}

#[derive(Debug, Clone)]
pub enum Value {
    Scalar(String),
    Sequence(Vec<Node>),
    Mapping(Vec<(String, Node)>),
}

impl Node {
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Mapping(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// By keys of mappings.
    pub fn at(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::Sequence(items) => items,
            _ => &[],
        }
    }

    pub fn entries(&self) -> &[(String, Node)] {
        match &self.value {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// A scalar that isn't nothing.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text) if !self.is_null() => Some(text),
            _ => None,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(text)
            if self.style == ScalarStyle::Plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    pub fn json(&self) -> Json {
        match &self.value {
            Value::Scalar(text) if self.style == ScalarStyle::Plain => plain(text),
            Value::Scalar(text) => Json::String(text.clone()),
            Value::Sequence(items) => Json::Array(items.iter().map(Self::json).collect()),
            Value::Mapping(entries) => {
                Json::Object(entries.iter().map(|(key, node)| (key.clone(), node.json())).collect::<Map<_, _>>())
            }
        }
    }

    fn size(&self) -> usize {
        let beneath: usize = match &self.value {
            Value::Scalar(_) => 0,
            Value::Sequence(items) => items.iter().map(Self::size).sum(),
            Value::Mapping(entries) => entries.iter().map(|(_, node)| node.size()).sum(),
        };
        beneath + 1
    }
}

/// As YAML 1.1 has it, which Kubernetes reads.
fn plain(text: &str) -> Json {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Json::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Json::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Json::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let octal = digits.strip_prefix("0o").or_else(|| digits.strip_prefix('0').filter(|rest| !rest.is_empty()));
    if let Some(octal) = octal
        && let Ok(number) = i64::from_str_radix(octal, 8)
    {
        return Json::from(if text.starts_with('-') { -number } else { number });
    }
    if let Some(number) = digits.strip_prefix("0x").and_then(|hex| i64::from_str_radix(hex, 16).ok()) {
        return Json::from(number);
    }
    if let Ok(number) = text.parse::<i64>() {
        return Json::from(number);
    }
    let numeric = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.chars().all(|c| c.is_ascii_digit() || ".eE+-".contains(c));
    match text.parse::<f64>().ok().filter(|_| numeric).and_then(Number::from_f64) {
        Some(number) => Json::Number(number),
        None => Json::String(text.to_owned()),
    }
}

/// Each document that says anything.
pub fn documents(file: &str, text: &str) -> Result<Vec<Node>, Mistake> {
    let wrong = |line: usize, why: String| Mistake { file: file.into(), line: Some(line), why };
    let events: Result<Vec<_>, _> = Parser::new_from_str(text).collect();
    let events = events.map_err(|error| wrong(error.marker().line(), format!("this is no YAML: {}", error.info())))?;
    let mut reading = Reading { text, events, at: 0, anchors: BTreeMap::new(), nodes: 0 };
    let mut documents = Vec::new();
    while let Some((event, _)) = reading.events.get(reading.at) {
        if !matches!(event, Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..)) {
            reading.at += 1;
            continue;
        }
        let node = reading.node(0).map_err(|(line, why)| wrong(line, why.into()))?;
        documents.extend((!node.is_null()).then_some(node));
    }
    Ok(documents)
}

struct Reading<'t> {
    text: &'t str,
    events: Vec<(Event<'t>, Span)>,
    at: usize,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
}

type Wrong = (usize, &'static str);

impl Reading<'_> {
    fn node(&mut self, depth: usize) -> Result<Node, Wrong> {
        let Some((event, span)) = self.events.get(self.at).cloned() else { return Err((1, "the file ends too early")) };
        self.at += 1;
        let line = span.start.line();
        self.count(1, line)?;
        if depth > DEPTH {
            return Err((line, "this is nested too deep"));
        }
        let mut place = (None, ScalarStyle::Plain);
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                place = (range(self.text, span, &text, style), style);
                (Value::Scalar(text.into_owned()), anchor)
            }
            Event::SequenceStart(anchor, _) => (self.sequence(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.mapping(depth)?, anchor),
            Event::Alias(anchor) => {
                let named = self.anchors.get(&anchor).cloned().ok_or((line, "this alias names nothing"))?;
                self.count(named.size(), line)?;
                return Ok(named);
            }
            _ => return Err((line, "a value would be right here")),
        };
        let node = Node { value, line, range: place.0, style: place.1 };
        if anchor != 0 {
            self.count(node.size(), line)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, Wrong> {
        let mut items = Vec::new();
        while !self.ends(&Event::SequenceEnd) {
            items.push(self.node(depth + 1)?);
        }
        Ok(Value::Sequence(items))
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, Wrong> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        let mut merged = Vec::new();
        while !self.ends(&Event::MappingEnd) {
            let key = self.node(depth + 1)?;
            let Value::Scalar(name) = key.value else { return Err((key.line, "a key must be a text")) };
            let value = self.node(depth + 1)?;
            match name.as_str() {
                "<<" => merged.push(value),
                _ if entries.iter().any(|(there, _)| *there == name) => {
                    return Err((key.line, "this key stands here twice"));
                }
                _ => entries.push((name, value)),
            }
        }
        for source in merged {
            let sources = if source.items().is_empty() { std::slice::from_ref(&source) } else { source.items() };
            for (key, node) in sources.iter().flat_map(Node::entries) {
                if !entries.iter().any(|(there, _)| there == key) {
                    self.count(node.size(), node.line)?;
                    entries.push((key.clone(), node.clone()));
                }
            }
        }
        Ok(Value::Mapping(entries))
    }

    fn ends(&mut self, with: &Event<'_>) -> bool {
        let ends = self.events.get(self.at).is_some_and(|(event, _)| event == with);
        self.at += usize::from(ends);
        ends
    }

    fn count(&mut self, nodes: usize, line: usize) -> Result<(), Wrong> {
        self.nodes += nodes;
        if self.nodes > NODES { Err((line, "aliases make too much of this file")) } else { Ok(()) }
    }
}

/// The parser counts characters, and its end may lie behind a comment.
fn range(text: &str, span: Span, value: &str, style: ScalarStyle) -> Option<Range<usize>> {
    let start = text.char_indices().nth(span.start.index()).map_or(text.len(), |(byte, _)| byte);
    let rest = &text[start..];
    let quoted = |quote: char| {
        let inner = rest.strip_prefix(quote)?;
        // One with escapes is none that a reference to an image needs.
        inner.starts_with(value).then_some(())?;
        inner[value.len()..].starts_with(quote).then_some(value.len() + 2)
    };
    let length = match style {
        ScalarStyle::DoubleQuoted => quoted('"'),
        ScalarStyle::SingleQuoted => quoted('\''),
        ScalarStyle::Plain => rest.starts_with(value).then_some(value.len()),
        ScalarStyle::Literal | ScalarStyle::Folded => None,
    };
    length.filter(|length| *length > 0).map(|length| start..start + length)
}
