//! Reads services and commands: what the operator lets a platform's plugin start, stop and run.

use super::Reading;
use super::places::{is_secret, secret};
use crate::config::deployment::{CommandConfig, EnvironmentValue, ServiceConfig, ServiceControl};
use crate::config::document::{Item, Names, Table};
use crate::config::secret::is_variable_name;
use reqwest::Url;
use std::collections::BTreeMap;
use toml::de::DeValue;

const CONTROL_HELP: &str = "`unit = \"NAME.service\"`, or `start`, `stop` and `status`, each with an `argv`";
const UNIT_KINDS: [&str; 5] = [".service", ".socket", ".timer", ".target", ".path"];

impl Reading<'_, '_> {
    pub fn services(&mut self, item: &Item) -> BTreeMap<String, ServiceConfig> {
        let Some(table) = item.table(self.report) else { return BTreeMap::new() };
        let items = table.named(&Names::SERVICE, self.report);
        items.into_iter().filter_map(|item| Some((item.name.to_owned(), self.service(&item)?))).collect()
    }

    pub fn commands(&mut self, item: &Item) -> BTreeMap<String, CommandConfig> {
        let Some(table) = item.table(self.report) else { return BTreeMap::new() };
        let items = table.named(&Names::COMMAND, self.report);
        items.into_iter().filter_map(|item| Some((item.name.to_owned(), self.command(&item)?))).collect()
    }

    fn service(&mut self, item: &Item) -> Option<ServiceConfig> {
        let mut table = item.table(self.report)?;
        let control = self.control(&mut table);
        let health = match table.take("health") {
            None => Some(None),
            Some(item) => self.health(&item).map(Some),
        };
        let log = match table.take("log") {
            None => Some(None),
            Some(item) => self.path(&item).map(Some),
        };
        table.finish(self.report);
        Some(ServiceConfig { control: control?, health: health?, log: log? })
    }

    fn control(&mut self, table: &mut Table) -> Option<ServiceControl> {
        let unit = table.take("unit");
        let commands = ["start", "stop", "status"].map(|key| (key, table.take(key)));
        let given: Vec<&Item> = commands.iter().filter_map(|(_, item)| item.as_ref()).collect();
        match (&unit, given.as_slice()) {
            (Some(unit), []) => self.unit(unit).map(ServiceControl::Unit),
            (Some(_), [command, ..]) => {
                let message = format!("`{}` has both a unit and commands", table.path);
                self.report.add_with_help(command.key.clone(), message, CONTROL_HELP);
                None
            }
            (None, []) => {
                let message = format!("`{}` has neither a unit nor commands", table.path);
                self.report.add_with_help(table.place.clone(), message, CONTROL_HELP);
                None
            }
            (None, _) => {
                for (key, _) in commands.iter().filter(|(_, item)| item.is_none()) {
                    self.report.missing(table.place.clone(), &table.name_of(key), CONTROL_HELP);
                }
                let [start, stop, status] = commands.map(|(_, item)| item.and_then(|item| self.command(&item)));
                let status = CommandConfig { reads_only: true, ..status? };
                Some(ServiceControl::Commands { start: start?, stop: stop?, status })
            }
        }
    }

    fn unit(&mut self, item: &Item) -> Option<String> {
        let text = item.text(self.report)?;
        if is_unit_name(text) {
            return Some(text.to_owned());
        }
        let message = format!("`{}` is no name of a unit", item.path);
        let whole = format!("{text}.service");
        let help = if is_unit_name(&whole) { format!("write `{whole}`") } else { "for example `app.service`".into() };
        self.report.add_with_help(item.span.clone(), message, help);
        None
    }

    fn health(&mut self, item: &Item) -> Option<String> {
        let text = item.text(self.report)?;
        match Url::parse(text) {
            Ok(url)
                if matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|host| !host.is_empty()) =>
            {
                Some(text.to_owned())
            }
            _ => {
                let message = format!("`{}` is no address of a health check", item.path);
                self.report.add_with_help(item.span.clone(), message, "for example `http://127.0.0.1:8080/health`");
                None
            }
        }
    }

    /// `["npm", "run", "build"]`, or a table with `argv`.
    fn command(&mut self, item: &Item) -> Option<CommandConfig> {
        let plain = |argv| CommandConfig {
            argv,
            directory: None,
            environment: BTreeMap::new(),
            user: None,
            arguments: false,
            reads_only: false,
        };
        if !matches!(item.value, DeValue::Table(_)) {
            return self.argv(item).map(plain);
        }
        let mut table = item.table(self.report)?;
        let argv = table.require(
            "argv",
            "the program and its arguments, for example `[\"npm\", \"run\", \"build\"]`",
            self.report,
        );
        let argv = argv.and_then(|item| self.argv(&item));
        let directory = match table.take("directory") {
            None => Some(None),
            Some(item) => self.path(&item).map(Some),
        };
        let environment = match table.take("environment") {
            None => Some(BTreeMap::new()),
            Some(item) => self.environment(&item),
        };
        let user = match table.take("user") {
            None => Some(None),
            Some(item) => item.text(self.report).map(|text| Some(text.to_owned())),
        };
        let mut flag = |key| table.take(key).map_or(Some(false), |item| item.boolean(self.report));
        let (arguments, reads_only) = (flag("arguments"), flag("reads-only"));
        table.finish(self.report);
        Some(CommandConfig {
            directory: directory?,
            environment: environment?,
            user: user?,
            arguments: arguments?,
            reads_only: reads_only?,
            ..plain(argv?)
        })
    }

    /// No shell reads it: each word stands by itself.
    pub fn argv(&mut self, item: &Item) -> Option<Vec<String>> {
        if let Some(line) = item.value.as_str() {
            let message = format!("`{}` must be an array: the program and each of its arguments", item.path);
            self.report.add_with_help(item.span.clone(), message, as_words(line));
            return None;
        }
        let elements = item.array(self.report)?;
        let count = elements.len();
        let argv: Vec<String> = elements.iter().filter_map(|part| self.argument(part)).collect();
        match argv.as_slice() {
            _ if argv.len() < count => None,
            [] => {
                self.report.add(item.span.clone(), format!("`{}` is empty", item.path));
                None
            }
            [program, ..] if program.is_empty() => {
                self.report.add(item.span.clone(), format!("`{}` has no program", item.path));
                None
            }
            [line] if line.contains(char::is_whitespace) && !line.starts_with('/') => {
                let message = format!("`{}` is one word with spaces, and no shell splits it", item.path);
                self.report.add_with_help(item.span.clone(), message, as_words(line));
                None
            }
            _ => Some(argv),
        }
    }

    /// An argument may be empty.
    fn argument(&mut self, item: &Item) -> Option<String> {
        let text = item.string(self.report)?;
        if text.contains('\0') {
            self.report.add(item.span.clone(), format!("`{}` holds a zero character", item.path));
            return None;
        }
        Some(text.to_owned())
    }

    fn environment(&mut self, item: &Item) -> Option<BTreeMap<String, EnvironmentValue>> {
        let table = item.table(self.report)?;
        let items: Vec<Item> = table.items().collect();
        let read: Vec<_> = items.iter().map(|item| self.variable(item)).collect();
        read.into_iter().collect()
    }

    fn variable(&mut self, item: &Item) -> Option<(String, EnvironmentValue)> {
        if !is_variable_name(item.name) {
            let message = format!("`{}` can't be the name of a variable", item.path);
            self.report.add_with_help(item.key.clone(), message, "letters, digits and `_`, no digit first");
            return None;
        }
        let value = if is_secret(item.value) {
            EnvironmentValue::Secret(secret(item, self)?)
        } else if matches!(item.value, DeValue::String(_)) {
            EnvironmentValue::Plain(self.argument(item)?)
        } else {
            item.wrong_type("a string or a secret", self.report);
            return None;
        };
        Some((item.name.to_owned(), value))
    }
}

/// A unit's file name, as systemd takes it.
pub(in crate::config) fn is_unit_name(text: &str) -> bool {
    let sound = text.chars().all(|c| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c)) && !text.starts_with('-');
    sound && UNIT_KINDS.iter().any(|kind| text.strip_suffix(kind).is_some_and(|stem| !stem.is_empty()))
}

fn as_words(line: &str) -> String {
    let words: Vec<String> = line.split_whitespace().map(|word| format!("{word:?}")).collect();
    if line.contains(['"', '\'', '|', '&', ';', '$', '>', '<', '`', '\\']) {
        return "no shell reads it; put what needs one into a script and name that".into();
    }
    format!("write `[{}]`", words.join(", "))
}
