//! YAML as a tree that knows where each value stands: with aliases and merges followed to where the value is written.

use crate::Mistake;
use saphyr_parser::{Event, Parser, ScalarStyle, Span, Tag};
use std::collections::BTreeMap;
use std::rc::Rc;

const DEPTH: usize = 64;
/// Aliases may name each other to no end.
const NODES: usize = 100_000;

#[derive(Debug, Clone)]
pub struct Node {
    pub value: Value,
    pub place: Place,
    pub(crate) merge: Merge,
}

#[derive(Debug, Clone)]
pub enum Value {
    Null,
    Scalar(String),
    Sequence(Vec<Node>),
    /// In order, each key once.
    Mapping(Vec<(String, Node)>),
}

/// Where a value is written.
#[derive(Debug, Clone)]
pub struct Place {
    pub file: Rc<str>,
    /// What its relative paths start from: empty for the project's own folder.
    pub folder: Rc<str>,
    /// From 1.
    pub line: usize,
    /// Dotted, `services.web.image`, a key with dots in quotes; none beneath a sequence.
    pub path: Option<String>,
}

/// What a file's value does to that of the files before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Merge {
    Over,
    /// `!override`
    Instead,
    /// `!reset`
    Away,
}

impl Node {
    /// The first document. `folder`: what relative paths of the file start from.
    pub fn parse(file: &str, folder: &str, text: &str) -> Result<Self, Mistake> {
        let empty = || {
            let place = Place { file: file.into(), folder: folder.into(), line: 1, path: Some(String::new()) };
            Self { value: Value::Mapping(Vec::new()), place, merge: Merge::Over }
        };
        Ok(Reading::of(file, folder, text)?.document()?.unwrap_or_else(empty))
    }

    /// Every document.
    pub fn documents(file: &str, folder: &str, text: &str) -> Result<Vec<Self>, Mistake> {
        let mut reading = Reading::of(file, folder, text)?;
        std::iter::from_fn(|| reading.document().transpose()).collect()
    }

    /// A mapping's value.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// By keys of mappings.
    pub fn at(&self, keys: &[&str]) -> Option<&Node> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    pub fn entries(&self) -> &[(String, Node)] {
        match &self.value {
            Value::Mapping(entries) => entries,
            _ => &[],
        }
    }

    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::Sequence(items) => items,
            _ => &[],
        }
    }

    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// One text, or each of a sequence.
    pub fn texts(&self) -> Vec<&str> {
        self.text().into_iter().chain(self.items().iter().filter_map(Node::text)).collect()
    }

    /// Of a mapping, or of a sequence of `KEY=value`.
    pub fn pairs(&self) -> Vec<(&str, Option<&str>)> {
        let entries = self.entries().iter().map(|(key, node)| (key.as_str(), node.text()));
        let items = self.items().iter().filter_map(Node::text).map(|text| match text.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (text, None),
        });
        entries.chain(items).collect()
    }

    pub(crate) fn take(&mut self, key: &str) -> Option<Node> {
        let Value::Mapping(entries) = &mut self.value else { return None };
        let at = entries.iter().position(|(name, _)| name == key)?;
        Some(entries.remove(at).1)
    }

    fn size(&self) -> usize {
        let beneath: usize = match &self.value {
            Value::Null | Value::Scalar(_) => 0,
            Value::Sequence(items) => items.iter().map(Self::size).sum(),
            Value::Mapping(entries) => entries.iter().map(|(_, node)| node.size()).sum(),
        };
        beneath + 1
    }
}

struct Reading<'t> {
    events: Vec<(Event<'t>, Span)>,
    at: usize,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    file: Rc<str>,
    folder: Rc<str>,
}

type Wrong = (usize, &'static str);

impl<'t> Reading<'t> {
    fn of(file: &str, folder: &str, text: &'t str) -> Result<Self, Mistake> {
        let events: Result<Vec<_>, _> = Parser::new_from_str(text).collect();
        let events = events.map_err(|error| Mistake {
            file: file.into(),
            line: Some(error.marker().line()),
            why: format!("this is no YAML: {}", error.info()),
        })?;
        Ok(Self { events, at: 0, anchors: BTreeMap::new(), nodes: 0, file: file.into(), folder: folder.into() })
    }

    /// The next one.
    fn document(&mut self) -> Result<Option<Node>, Mistake> {
        let begins =
            |event: &Event| matches!(event, Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingStart(..));
        match self.events[self.at..].iter().position(|(event, _)| begins(event)) {
            None => Ok(None),
            Some(before) => {
                self.at += before;
                let read = self.node(Some(String::new()), 0);
                let wrong =
                    |(line, why): Wrong| Mistake { file: self.file.to_string(), line: Some(line), why: why.into() };
                read.map(Some).map_err(wrong)
            }
        }
    }

    fn node(&mut self, path: Option<String>, depth: usize) -> Result<Node, Wrong> {
        let Some((event, span)) = self.events.get(self.at).cloned() else { return Err((1, "the file ends too early")) };
        self.at += 1;
        let line = span.start.line();
        self.count(1, line)?;
        if depth > DEPTH {
            return Err((line, "this is nested too deep"));
        }
        let (value, anchor, tag) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let null = style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                (if null { Value::Null } else { Value::Scalar(text.into_owned()) }, anchor, tag)
            }
            Event::SequenceStart(anchor, tag) => (self.sequence(depth)?, anchor, tag),
            Event::MappingStart(anchor, tag) => (self.mapping(path.as_deref(), depth)?, anchor, tag),
            Event::Alias(anchor) => {
                let named = self.anchors.get(&anchor).cloned().ok_or((line, "this alias names nothing"))?;
                self.count(named.size(), line)?;
                return Ok(named);
            }
            _ => return Err((line, "a value would be right here")),
        };
        let place = Place { file: self.file.clone(), folder: self.folder.clone(), line, path };
        let node = Node { value, place, merge: merge(tag.as_deref()) };
        if anchor != 0 {
            self.count(node.size(), line)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, Wrong> {
        let mut items = Vec::new();
        while !self.ends(&Event::SequenceEnd) {
            items.push(self.node(None, depth + 1)?);
        }
        Ok(Value::Sequence(items))
    }

    fn mapping(&mut self, path: Option<&str>, depth: usize) -> Result<Value, Wrong> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        let mut merged = Vec::new();
        while !self.ends(&Event::MappingEnd) {
            let key = self.node(None, depth + 1)?;
            let line = key.place.line;
            let Value::Scalar(key) = key.value else { return Err((line, "a key must be a text")) };
            let value = self.node(path.map(|path| joined(path, &key)), depth + 1)?;
            if key == "<<" {
                merged.push((line, value));
            } else {
                entries.push((key, value));
            }
        }
        for (line, source) in merged {
            let sources = if source.items().is_empty() { std::slice::from_ref(&source) } else { source.items() };
            for (key, node) in sources.iter().flat_map(Node::entries) {
                if !entries.iter().any(|(there, _)| there == key) {
                    self.count(node.size(), line)?;
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

fn merge(tag: Option<&Tag>) -> Merge {
    match tag.map(|tag| tag.suffix.as_str()) {
        Some("override") => Merge::Instead,
        Some("reset") => Merge::Away,
        _ => Merge::Over,
    }
}

fn joined(path: &str, key: &str) -> String {
    let key = if key.contains('.') { format!("\"{key}\"") } else { key.to_owned() };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}
