//! Reads `[policy]`: when, with whose approval, and what is kept.

use super::Reading;
use crate::config::deployment::{Approve, Drill, DrillIn, Policy};
use crate::config::diagnostic::{listed, nearest};
use crate::config::document::{Item, Table};
use crate::config::window::Window;
use std::time::Duration;
use toml::de::DeValue;

const KEEP_BACKUPS: u32 = 5;
const KEEP_FROZEN: Duration = Duration::from_secs(24 * 3600);
const IDLE: Duration = Duration::from_secs(10 * 60);
const IDLE_AT_LEAST: Duration = Duration::from_secs(1);

impl Default for Policy {
    fn default() -> Self {
        Self {
            window: Vec::new(),
            approve: Approve::Breaking,
            drill: Drill::Ahead,
            drill_in: DrillIn::Double,
            rehearse: false,
            disposable: Vec::new(),
            keep_backups: KEEP_BACKUPS,
            keep_frozen: KEEP_FROZEN,
            idle: IDLE,
        }
    }
}

impl Reading<'_, '_> {
    pub fn policy(&mut self, item: Option<Item>) -> Option<Policy> {
        let default = Policy::default();
        let Some(item) = item else { return Some(default) };
        let mut table = item.table(self.report)?;
        let window = table.take("window").map_or(Some(default.window), |item| self.windows(&item));
        let approve = self.choice(
            &mut table,
            "approve",
            default.approve,
            &[("never", Approve::Never), ("breaking", Approve::Breaking), ("always", Approve::Always)],
        );
        let drill = self.choice(
            &mut table,
            "drill",
            default.drill,
            &[("ahead", Drill::Ahead), ("final", Drill::Final), ("off", Drill::Off)],
        );
        let drill_in = self.choice(
            &mut table,
            "drill-in",
            default.drill_in,
            &[("double", DrillIn::Double), ("server", DrillIn::Server)],
        );
        let rehearse = table.take("rehearse").map_or(Some(default.rehearse), |item| item.boolean(self.report));
        let disposable = table.take("disposable").map_or(Some(default.disposable), |item| self.disposable(&item));
        let keep_backups = match table.take("keep-backups") {
            None => Some(u64::from(default.keep_backups)),
            Some(item) => item.integer(1..=10_000, self.report),
        };
        let keep_frozen = self.duration(&mut table, "keep-frozen", default.keep_frozen);
        let idle = self.idle(&mut table, default.idle);
        table.finish(self.report);
        Some(Policy {
            window: window?,
            approve: approve?,
            drill: drill?,
            drill_in: drill_in?,
            rehearse: rehearse?,
            disposable: disposable?,
            keep_backups: u32::try_from(keep_backups?).ok()?,
            keep_frozen: keep_frozen?,
            idle: idle?,
        })
    }

    /// One window or several.
    fn windows(&mut self, item: &Item) -> Option<Vec<Window>> {
        let items = match item.value {
            DeValue::String(_) => vec![item.clone()],
            DeValue::Array(_) => item.array(self.report)?,
            _ => {
                item.wrong_type("a window or an array of windows", self.report);
                return None;
            }
        };
        let read: Vec<_> = items.iter().map(|item| self.window(item)).collect();
        read.into_iter().collect()
    }

    fn window(&mut self, item: &Item) -> Option<Window> {
        let text = item.text(self.report)?;
        match text.parse() {
            Ok(window) => Some(window),
            Err(error) => {
                self.report.add(item.span.clone(), format!("`{}`: {error}", item.path));
                None
            }
        }
    }

    fn disposable(&mut self, item: &Item) -> Option<Vec<String>> {
        let texts = item.texts(self.report);
        let mut stores = Vec::new();
        for (part, text) in &texts {
            match text.split_once(':') {
                Some((kind, name))
                    if !name.is_empty() && !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_lowercase()) =>
                {
                    stores.push((*text).to_owned());
                }
                _ => {
                    let message = format!("`{}` must say what it is and its name", part.path);
                    self.report.add_with_help(
                        part.span.clone(),
                        message,
                        "for example `volume:cache`, `path:tmp` or `database:scratch`",
                    );
                }
            }
        }
        Some(stores)
    }

    fn idle(&mut self, table: &mut Table, default: Duration) -> Option<Duration> {
        let place = table.look("idle").map(|item| item.span);
        let idle = self.duration(table, "idle", default)?;
        if idle < IDLE_AT_LEAST {
            self.report.add(place.unwrap_or_default(), format!("`{}` must be a second or more", table.name_of("idle")));
            return None;
        }
        Some(idle)
    }

    fn duration(&mut self, table: &mut Table, key: &'static str, default: Duration) -> Option<Duration> {
        table.take(key).map_or(Some(default), |item| item.duration(self.report))
    }

    fn choice<T: Copy>(
        &mut self, table: &mut Table, key: &'static str, default: T, choices: &[(&str, T)],
    ) -> Option<T> {
        let Some(item) = table.take(key) else { return Some(default) };
        let text = item.string(self.report)?;
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*choice);
        }
        let names = || choices.iter().map(|(name, _)| *name);
        let message = format!("`{}` must be one of {}", item.path, listed(names()));
        let help = nearest(text, names()).map(|near| format!("did you mean `{near}`?"));
        self.report.push(item.span, message, help);
        None
    }
}
