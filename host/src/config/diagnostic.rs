//! What is wrong in a file of settings: all of it, each with its place and with what would be right.
//!
//! Made by the readers beside it, rendered by the command line, served as JSON by the daemon. Messages name keys and
//! never repeat values that could be secrets.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// In bytes of the file.
    pub span: Range<usize>,
    pub message: String,
    /// What would be right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// `file:line:column: message`, and the help after it.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file.display(), self.line, self.column, self.message)?;
        match &self.help {
            Some(help) => write!(f, " ({help})"),
            None => Ok(()),
        }
    }
}

/// Every mistake of one file, in the file's order; one at least. As JSON a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(transparent)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
    /// The file's text, for the excerpts; it is not part of the JSON.
    #[serde(skip)]
    text: Option<Arc<str>>,
}

/// One line for each mistake.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, diagnostic) in self.list.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            diagnostic.fmt(f)?;
        }
        Ok(())
    }
}

impl Diagnostics {
    pub fn list(&self) -> &[Diagnostic] {
        &self.list
    }

    /// For diagnostics that came as JSON: [`Diagnostics::render`] then shows excerpts of `text`.
    pub fn with_text(mut self, text: &str) -> Self {
        self.text = Some(text.into());
        self
    }

    /// A mistake that is about the file as a whole: it is not there, can't be read, is no text.
    pub fn of_file(file: &Path, message: impl Into<String>, help: Option<String>) -> Self {
        let whole = Diagnostic { file: file.into(), line: 1, column: 1, span: 0..0, message: message.into(), help };
        Self { list: vec![whole], text: None }
    }

    /// For a person's terminal: file, line, mark, help.
    pub fn render(&self, colour: bool) -> String {
        super::render::render(&self.list, self.text.as_deref(), colour)
    }
}

/// Collects the mistakes of one file while it is read.
pub(super) struct Report<'a> {
    file: &'a Path,
    text: &'a str,
    list: Vec<Diagnostic>,
    /// Lines with mistakes of the syntax: what else seems wrong there, or seems missing, only follows from them.
    broken_lines: Vec<usize>,
    /// The first such line that should begin a table: what follows it stands in a wrong one.
    broken_table: Option<usize>,
}

impl<'a> Report<'a> {
    pub fn new(file: &'a Path, text: &'a str) -> Self {
        Self { file, text, list: Vec::new(), broken_lines: Vec::new(), broken_table: None }
    }

    pub fn syntax(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.push(span.clone(), message.into(), None);
        let line = position(self.text, self.within(span).start).0;
        self.broken_lines.push(line);
        if self.text.lines().nth(line - 1).is_some_and(|text| text.trim_start().starts_with('[')) {
            self.broken_table = Some(self.broken_table.map_or(line, |first| first.min(line)));
        }
    }

    pub fn unknown(&mut self, span: Range<usize>, name: &str, help: String) {
        let line = position(self.text, self.within(span.clone()).start).0;
        if self.broken_table.is_none_or(|table| line < table) {
            self.push(span, format!("`{name}` is not known"), Some(help));
        }
    }

    /// Whether a mistake at this very place is reported already.
    pub fn has(&self, span: &Range<usize>) -> bool {
        self.list.iter().any(|diagnostic| diagnostic.span == *span)
    }

    pub fn missing(&mut self, span: Range<usize>, name: &str, help: &str) {
        if self.broken_lines.is_empty() {
            self.push(span, format!("`{name}` is missing"), Some(help.into()));
        }
    }

    pub fn add(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.push(span, message.into(), None);
    }

    pub fn add_with_help(&mut self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.push(span, message.into(), Some(help.into()));
    }

    pub fn push(&mut self, span: Range<usize>, message: String, help: Option<String>) {
        let span = self.within(span);
        let (line, column) = position(self.text, span.start);
        let diagnostic = Diagnostic { file: self.file.into(), line, column, span, message, help };
        if !self.broken_lines.contains(&line) && !self.list.contains(&diagnostic) {
            self.list.push(diagnostic);
        }
    }

    /// `value` where no mistake was found; its absence is one that was.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, Diagnostics> {
        match value {
            Some(value) if self.list.is_empty() => Ok(value),
            _ => {
                if self.list.is_empty() {
                    self.add(0..0, "the file can't be read, and nothing says why: this is a mistake of upgraded's");
                }
                self.list.sort_by_key(|diagnostic| diagnostic.span.start);
                Err(Diagnostics { list: self.list, text: Some(self.text.into()) })
            }
        }
    }

    /// Spans come from parsers; one that is not within the text, or cuts a character, must not end the daemon.
    fn within(&self, span: Range<usize>) -> Range<usize> {
        let on_boundary = |at: usize| self.text.floor_char_boundary(at);
        let start = on_boundary(span.start);
        start..on_boundary(span.end).max(start)
    }
}

/// Line and column of a byte, both from 1; a byte order mark is no column.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() + 1;
    let column = before[line_start..].trim_start_matches('\u{feff}').chars().count() + 1;
    (line, column)
}

/// The known word that is most like `word`, where one is alike enough to be meant.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            *distance <= (candidate.chars().count().max(3)) / 3 || {
                let (shorter, longer) = if word.len() < candidate.len() {
                    (word.as_str(), *candidate)
                } else {
                    (*candidate, word.as_str())
                };
                shorter.len() >= 3 && longer.starts_with(shorter)
            }
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `` `a`, `b` and `c` ``
pub fn listed<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => "none".into(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
