//! Reads `[platform.kubernetes]`: a release of Helm, its cluster, and where its charts come from.

use super::Reading;
use super::grants::has_parent;
use crate::config::deployment::KubernetesConfig;
use crate::config::document::{Item, Table};
use reqwest::Url;
use std::path::{Path, PathBuf};

impl Reading<'_, '_> {
    pub(super) fn kubernetes(&mut self, item: &Item) -> Option<KubernetesConfig> {
        let mut table = item.table(self.report)?;
        let kubeconfig = table.take("kubeconfig").map(|item| self.path(&item));
        let context = table.take("context").map(|item| item.text(self.report).map(str::to_owned));
        let cluster = table.take("cluster").map(|item| item.text(self.report).map(str::to_owned));
        let release = self.object_name(&mut table, "release", "the release's name, as `helm list` has it");
        let namespace = self.object_name(&mut table, "namespace", "the release's namespace");
        let rehearsal_namespace = self.rehearsal_namespace(&mut table, namespace.as_deref());
        let chart = table.require("chart", "a chart of `repository`, `oci://…`, or a path", self.report);
        let chart = chart.and_then(|item| item.text(self.report).map(str::to_owned));
        let repository = table.take("repository").map(|item| self.chart_repository(&item));
        let plain_http = table.take("plain-http").map_or(Some(false), |item| {
            let flag = item.value.as_bool();
            if flag.is_none() {
                item.wrong_type("true or false", self.report);
            }
            flag
        });
        let values = table.take("values").map_or(Some(vec!["values.yaml".into()]), |item| self.values(&item));
        let helm = table.take("helm").map_or(Some("helm".into()), |item| self.path(&item));
        table.finish(self.report);
        Some(KubernetesConfig {
            kubeconfig: kubeconfig.map_or(Some(None), |read| read.map(Some))?,
            context: context.map_or(Some(None), |read| read.map(Some))?,
            cluster: cluster.map_or(Some(None), |read| read.map(Some))?,
            namespace: namespace?,
            rehearsal_namespace: rehearsal_namespace?,
            release: release?,
            chart: chart?,
            repository: repository.map_or(Some(None), |read| read.map(Some))?,
            plain_http: plain_http?,
            values: values?,
            helm: helm?,
        })
    }

    /// None: what is there is wrong.
    fn rehearsal_namespace(&mut self, table: &mut Table, namespace: Option<&str>) -> Option<Option<String>> {
        let Some(item) = table.take("rehearsal-namespace") else { return Some(None) };
        let named = self.named_object(&item)?;
        if Some(named.as_str()) != namespace {
            return Some(Some(named));
        }
        let message = format!("`{}` is the namespace of what is live", item.path);
        let help = "a namespace in which nothing else is: a rehearsal empties it";
        self.report.add_with_help(item.span.clone(), message, help);
        None
    }

    fn object_name(&mut self, table: &mut Table, key: &'static str, help: &str) -> Option<String> {
        let item = table.require(key, help, self.report)?;
        self.named_object(&item)
    }

    fn named_object(&mut self, item: &Item) -> Option<String> {
        let text = item.text(self.report)?;
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let fits = text.starts_with(inner) && text.ends_with(inner) && text.chars().all(|c| inner(c) || c == '-');
        if fits && text.len() <= 53 {
            return Some(text.to_owned());
        }
        let message = format!("`{}` can't be the name of something in a cluster", item.path);
        self.report.add_with_help(
            item.span.clone(),
            message,
            "lower-case letters, digits and `-` between them, 53 at most",
        );
        None
    }

    fn chart_repository(&mut self, item: &Item) -> Option<String> {
        let text = item.text(self.report)?;
        let url =
            Url::parse(text).ok().filter(|url| ["http", "https"].contains(&url.scheme()) && url.password().is_none());
        if url.is_some() {
            return Some(text.to_owned());
        }
        let message = format!("`{}` is no address of a repository of charts", item.path);
        let help = "for example `https://charts.example.com`; charts of a registry are named in `chart`: `oci://…`";
        self.report.add_with_help(item.span.clone(), message, help);
        None
    }

    fn values(&mut self, item: &Item) -> Option<Vec<PathBuf>> {
        let mut files = Vec::new();
        for (part, text) in item.texts(self.report) {
            let path = Path::new(text);
            if has_parent(path) || path.is_absolute() || text.is_empty() {
                let message = format!("`{}` must be a file beneath the platform's `directory`", part.path);
                self.report.add_with_help(part.span, message, "for example `values.yaml`");
                return None;
            }
            files.push(path.components().collect());
        }
        Some(files)
    }
}
