//! TOML with its places: tables whose keys are taken one by one, each mistake reported where it stands.
//!
//! Pure. Used by every reader of a file beside it.

use super::diagnostic::{Report, listed, nearest};
use super::duration::parse_duration;
use std::ops::Range;
use std::time::Duration;
use toml::de::{DeTable, DeValue};

/// Parses the text; every mistake of its syntax is reported, and what could be read is returned beside them.
pub(super) fn parse<'t>(text: &'t str, report: &mut Report) -> DeTable<'t> {
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        report.syntax(span, error.message());
    }
    root.into_inner()
}

/// A key with its value and its dotted name, for messages.
#[derive(Clone)]
pub(super) struct Item<'t> {
    /// The key itself; empty in an array.
    pub name: &'t str,
    pub path: String,
    pub key: Range<usize>,
    pub span: Range<usize>,
    pub value: &'t DeValue<'t>,
}

impl<'t> Item<'t> {
    pub fn string(&self, report: &mut Report) -> Option<&'t str> {
        let text = self.value.as_str();
        if text.is_none() {
            self.wrong_type("a string", report);
        }
        text
    }

    /// A string with at least one character.
    pub fn text(&self, report: &mut Report) -> Option<&'t str> {
        let text = self.string(report)?;
        if text.is_empty() {
            report.add(self.span.clone(), format!("`{}` is empty", self.path));
            return None;
        }
        if text.contains('\0') {
            report.add(self.span.clone(), format!("`{}` holds a zero character", self.path));
            return None;
        }
        Some(text)
    }

    pub fn boolean(&self, report: &mut Report) -> Option<bool> {
        let value = self.value.as_bool();
        if value.is_none() {
            self.wrong_type("`true` or `false`", report);
        }
        value
    }

    pub fn integer(&self, within: std::ops::RangeInclusive<u64>, report: &mut Report) -> Option<u64> {
        let Some(integer) = self.value.as_integer() else {
            self.wrong_type("an integer", report);
            return None;
        };
        let value = u64::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|value| within.contains(value));
        if value.is_none() {
            let (path, first, last) = (&self.path, within.start(), within.end());
            report.add(self.span.clone(), format!("`{path}` must be an integer from {first} to {last}"));
        }
        value
    }

    /// `"90s"`; a number without a unit says nothing.
    pub fn duration(&self, report: &mut Report) -> Option<Duration> {
        if let Some(number) = self.value.as_integer() {
            let message = format!("`{}` must be a string with a unit", self.path);
            report.add_with_help(self.span.clone(), message, format!("for example `\"{}s\"`", number.as_str()));
            return None;
        }
        let read = parse_duration(self.text(report)?);
        if let Err(error) = &read {
            report.add(self.span.clone(), format!("`{}`: {error}", self.path));
        }
        read.ok()
    }

    pub fn table(&self, report: &mut Report) -> Option<Table<'t>> {
        let DeValue::Table(table) = self.value else {
            self.wrong_type("a table", report);
            return None;
        };
        Some(Table::new(table, self.path.clone(), self.key.clone()))
    }

    pub fn array(&self, report: &mut Report) -> Option<Vec<Item<'t>>> {
        let DeValue::Array(array) = self.value else {
            self.wrong_type("an array", report);
            return None;
        };
        Some(self.elements(array))
    }

    /// The strings of an array that are some; what else is in it is reported.
    pub fn texts(&self, report: &mut Report) -> Vec<(Item<'t>, &'t str)> {
        let items = self.array(report).unwrap_or_default();
        items.into_iter().filter_map(|item| item.text(report).map(|text| (item, text))).collect()
    }

    fn elements(&self, array: &'t [toml::Spanned<DeValue<'t>>]) -> Vec<Item<'t>> {
        let item = |(number, element): (usize, &'t toml::Spanned<DeValue<'t>>)| Item {
            name: "",
            path: format!("{}.{number}", self.path),
            key: element.span(),
            span: element.span(),
            value: element.get_ref(),
        };
        array.iter().enumerate().map(item).collect()
    }

    pub fn wrong_type(&self, wanted: &str, report: &mut Report) {
        let message = format!("`{}` must be {wanted}, and is {}", self.path, type_of(self.value));
        report.add(self.span.clone(), message);
    }
}

pub(super) fn type_of(value: &DeValue) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// A table that is being read: what was taken is known, what is left at the end is a mistake.
pub(super) struct Table<'t> {
    table: &'t DeTable<'t>,
    /// Dotted, empty for the document.
    pub path: String,
    /// The table's own key; where a missing key is reported.
    pub place: Range<usize>,
    taken: Vec<&'static str>,
}

impl<'t> Table<'t> {
    pub fn new(table: &'t DeTable<'t>, path: String, place: Range<usize>) -> Self {
        Self { table, path, place, taken: Vec::new() }
    }

    pub fn document(table: &'t DeTable<'t>) -> Self {
        Self::new(table, String::new(), 0..0)
    }

    /// The value of a key, which is known from now on.
    pub fn take(&mut self, key: &'static str) -> Option<Item<'t>> {
        if !self.taken.contains(&key) {
            self.taken.push(key);
        }
        self.look(key)
    }

    /// As [`Table::take`]; its absence is reported.
    pub fn require(&mut self, key: &'static str, help: &str, report: &mut Report) -> Option<Item<'t>> {
        let item = self.take(key);
        if item.is_none() {
            report.missing(self.place.clone(), &self.name_of(key), help);
        }
        item
    }

    pub fn look(&self, key: &str) -> Option<Item<'t>> {
        self.items().find(|item| item.name == key)
    }

    /// Every key in the file's order.
    pub fn items(&self) -> impl Iterator<Item = Item<'t>> + use<'t, '_> {
        self.table.iter().map(|(key, value)| Item {
            name: key.get_ref(),
            path: self.name_of(key.get_ref()),
            key: key.span(),
            span: value.span(),
            value: value.get_ref(),
        })
    }

    pub fn taken(&self) -> impl Iterator<Item = &'static str> {
        self.taken.iter().copied()
    }

    pub fn is_taken(&self, key: &str) -> bool {
        self.taken.contains(&key)
    }

    /// Keys that nobody took.
    fn rest(&self) -> Vec<Item<'t>> {
        self.items().filter(|item| !self.taken.contains(&item.name)).collect()
    }

    /// Reports every key that nobody took, each with the nearest that is known here.
    pub fn finish(self, report: &mut Report) {
        for item in self.rest() {
            unknown_key(&item, self.taken.iter().copied(), report);
        }
    }

    /// Every key as a name of the operator's own: `[datastores.NAME]`.
    pub fn named(&self, names: &Names, report: &mut Report) -> Vec<Item<'t>> {
        let (good, bad): (Vec<_>, Vec<_>) = self.items().partition(|item| names.accept(item.name));
        for item in bad {
            let message = format!("`{}` can't be the name of a {}", item.name, names.what);
            report.add_with_help(item.key, message, names.rule());
        }
        good
    }

    pub fn name_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// What an operator may call something: it becomes a part of file names, of steps and of marks on processes.
pub(super) struct Names {
    pub what: &'static str,
    /// Beside letters and digits.
    pub signs: &'static [char],
}

impl Names {
    pub const DEPLOYMENT: Names = Names { what: "deployment", signs: &['-', '_', '.'] };
    /// Bindings name steps, and steps name databases and folders.
    pub const PLATFORM: Names = Names { what: "platform", signs: &['-'] };
    pub const DATASTORE: Names = Names { what: "datastore", signs: &['-'] };
    pub const SERVICE: Names = Names { what: "service", signs: &['-', '_', '.', '@'] };
    pub const COMMAND: Names = Names { what: "command", signs: &['-', '_', '.', ':'] };

    pub fn accept(&self, name: &str) -> bool {
        name.len() <= 40
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || self.signs.contains(&c))
    }

    pub fn rule(&self) -> String {
        let signs: Vec<String> = self.signs.iter().map(char::to_string).collect();
        let signs = listed(signs.iter().map(String::as_str));
        format!("up to 40 letters, digits and {signs}, a letter or digit first")
    }
}

/// Reports a key that is not known here.
pub(super) fn unknown_key<'k>(item: &Item, known: impl Iterator<Item = &'k str> + Clone, report: &mut Report) {
    let help = match nearest(item.name, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => match known.clone().count() {
            0 => "no keys are known here".to_owned(),
            _ => format!("known here: {}", listed(known)),
        },
    };
    report.unknown(item.key.clone(), &item.path, help);
}
