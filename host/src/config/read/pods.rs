//! Reads which files of pods a platform has.

use super::Reading;
use crate::config::deployment::PodsConfig;
use crate::config::document::{Item, Table};
use pod_files::service_of;
use std::path::{Component, Path, PathBuf};

const KEYS: [&str; 4] = ["pods", "config-maps", "env-files", "networks"];

impl Reading<'_, '_> {
    /// `pods = ["pod-database.yaml", "pod-core.yaml"]`, and what they need.
    pub fn pods(&mut self, table: &mut Table) -> PodsConfig {
        let mut config = PodsConfig::default();
        let Some(item) = table.take(KEYS[0]) else { return config };
        let files = self.files_beneath(&item, "pod-database.yaml");
        let mut services: Vec<(String, String)> = Vec::new();
        for (part, path) in &files {
            let (text, name) = (path.display().to_string(), service_of(&path.display().to_string()).to_owned());
            if let Some((_, other)) = services.iter().find(|(known, _)| *known == name) {
                let message = format!("`{other}` and `{text}` are both the service `{name}`");
                self.report.add_with_help(
                    part.span.clone(),
                    message,
                    "a service is called as its file, without `pod-`",
                );
            }
            services.push((name, text));
        }
        if files.is_empty() {
            let help = "for example `pods = [\"pod-database.yaml\", \"pod-core.yaml\"]`";
            self.report.add_with_help(item.span.clone(), format!("`{}` names no file", item.path), help);
        }
        config.files = files.into_iter().map(|(_, path)| path).collect();
        for (key, list) in [(KEYS[1], &mut config.config_maps), (KEYS[2], &mut config.env_files)] {
            let Some(item) = table.take(key) else { continue };
            list.extend(self.files_beneath(&item, "settings.yaml").into_iter().map(|(_, path)| path));
        }
        if let Some(item) = table.take(KEYS[3]) {
            for (part, text) in item.texts(self.report) {
                let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
                if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(fits) {
                    config.networks.push(text.to_owned());
                } else {
                    let help = "the name of one that there is: `podman network ls` lists them";
                    self.report.add_with_help(part.span, format!("`{}` is no network", part.path), help);
                }
            }
        }
        config
    }

    fn files_beneath<'i>(&mut self, item: &Item<'i>, example: &str) -> Vec<(Item<'i>, PathBuf)> {
        let mut files = Vec::new();
        for (part, text) in item.texts(self.report) {
            let path = Path::new(text);
            let is_beneath = path.components().all(|one| matches!(one, Component::Normal(_) | Component::CurDir));
            if text.is_empty() || !is_beneath {
                let message = format!("`{}` must be a file beneath the platform's `directory`", part.path);
                self.report.add_with_help(part.span, message, format!("for example `{example}`"));
                continue;
            }
            let path = path.components().filter(|one| matches!(one, Component::Normal(_))).collect();
            files.push((part, path));
        }
        files
    }
}
