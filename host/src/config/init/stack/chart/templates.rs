//! What a chart would install, as far as its templates are plain text: workloads, their images and variables, claims. What
//! a template computes is left out, and a file that is no YAML then is passed over.

use super::{Chart, Release, joined};
use crate::config::init::stack::part::{Part, Role};
use crate::config::init::stack::{YAML, files, text_at};
use crate::config::init::text_of;
use compose_files::Node;
use regex::{Captures, Regex};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

/// Stands for the release's name.
const RELEASE: &str = "\u{1}";
const WORKLOADS: [&str; 3] = ["Deployment", "StatefulSet", "DaemonSet"];

/// The workloads, and the claims that have documents of their own.
pub(super) fn read(directory: &Path, chart: &Chart, release: &Release) -> (Vec<Part>, Vec<String>) {
    let folder = directory.join(joined(&chart.folder, "templates"));
    let text = text_of(&directory.join(joined(&chart.folder, "values.yaml"))).unwrap_or_default();
    let values = Node::parse("values.yaml", "", &text).ok();
    let mut context = Context { chart, values, helpers: BTreeMap::new() };
    for name in files(&folder, &[".tpl"]) {
        context.helpers.extend(helpers(&text_of(&folder.join(&name)).unwrap_or_default()));
    }
    let called = release.name.as_deref().unwrap_or(&chart.name);
    let (mut parts, mut claims) = (context.servers(), Vec::new());
    for name in files(&folder, &YAML) {
        let text = context.filled(&text_of(&folder.join(&name)).unwrap_or_default());
        for document in Node::documents(&name, "", &text).unwrap_or_default() {
            let Some(named) = text_at(&document, &["metadata", "name"]) else { continue };
            match text_at(&document, &["kind"]) {
                Some("PersistentVolumeClaim") => claims.push(named.replace(RELEASE, called)),
                Some(kind) if WORKLOADS.contains(&kind) => {
                    let own = named.strip_prefix(RELEASE).and_then(|rest| rest.strip_prefix('-'));
                    parts
                        .extend(workload(own.map_or_else(|| named.replace(RELEASE, called), str::to_owned), &document));
                }
                _ => {}
            }
        }
    }
    (parts, claims)
}

/// By its first container.
fn workload(service: String, document: &Node) -> Option<Part> {
    let container = document.at(&["spec", "template", "spec", "containers"])?.items().first()?;
    let image = text_at(container, &["image"]);
    let variables = container.get("env").map(Node::items).unwrap_or_default().iter();
    let environment = variables.filter_map(|entry| {
        let name = text_at(entry, &["name"])?;
        Some((name.to_owned(), text_at(entry, &["value"]).unwrap_or_default().to_owned()))
    });
    Some(Part {
        name: service.clone(),
        service,
        role: image.map_or(Role::Own, Role::of),
        image: image.map(str::to_owned),
        environment: environment.collect(),
        mounts: Vec::new(),
        address: None,
    })
}

struct Context<'c> {
    chart: &'c Chart,
    values: Option<Node>,
    /// By their names, those of one line.
    helpers: BTreeMap<String, String>,
}

impl Context<'_> {
    fn value(&self, path: &str) -> Option<&str> {
        text_at(self.values.as_ref()?, &path.split('.').collect::<Vec<_>>())
    }

    /// Databases that the chart brings as charts of their own.
    fn servers(&self) -> Vec<Part> {
        let charts = self.chart.root.get("dependencies").map(Node::items).unwrap_or_default().iter();
        let named = charts.filter_map(|chart| text_at(chart, &["alias"]).or(text_at(chart, &["name"])));
        let enabled = named.filter(|name| self.value(&format!("{name}.enabled")) != Some("false"));
        let servers = enabled.filter(|name| Role::of(name).is_server());
        let part = |name: &str| {
            let of = |key: &str| self.value(&format!("{name}.auth.{key}")).map(str::to_owned);
            let (user, database) = (of("username"), of("database"));
            let known = [("POSTGRES_USER", user), ("POSTGRES_DB", database.clone()), ("MYSQL_DATABASE", database)];
            let known = known.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
            Part {
                service: name.to_owned(),
                name: name.to_owned(),
                image: None,
                role: Role::of(name),
                environment: known.collect(),
                mounts: Vec::new(),
                address: None,
            }
        };
        servers.map(part).collect()
    }

    /// With what stands between braces in place, where that is a value.
    fn filled(&self, text: &str) -> String {
        static ALONE: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"(?m)^[ \t]*\{\{[^{}]*\}\}[ \t]*$").expect("it is a pattern"));
        let text = COMMENT.replace_all(text, "");
        self.inline(&ALONE.replace_all(&text, ""), 0)
    }

    fn inline(&self, text: &str, depth: usize) -> String {
        static ACTION: LazyLock<Regex> =
            LazyLock::new(|| Regex::new(r"\{\{-?\s*([^{}]*?)\s*-?\}\}").expect("it is a pattern"));
        let filled = ACTION.replace_all(text, |found: &Captures| self.expression(&found[1], depth).unwrap_or_default());
        filled.into_owned()
    }

    /// `.Values.image.tag | default .Chart.AppVersion`
    fn expression(&self, text: &str, depth: usize) -> Option<String> {
        const DEPTH: usize = 4;
        text.split('|').find_map(|term| {
            let term = term.trim();
            let term = term.strip_prefix("default").unwrap_or(term).trim();
            match term {
                ".Release.Name" => Some(RELEASE.to_owned()),
                ".Chart.Name" => Some(self.chart.name.clone()),
                ".Chart.Version" => Some(self.chart.version.clone()),
                ".Chart.AppVersion" => self.chart.app_version.clone(),
                _ => match term.strip_prefix("include") {
                    Some(rest) => {
                        let name = rest.trim().strip_prefix('"')?.split('"').next()?;
                        match self.helpers.get(name) {
                            // As `helm create` writes them.
                            _ if name.ends_with(".fullname") => Some(RELEASE.to_owned()),
                            Some(helper) if depth < DEPTH => Some(self.inline(helper, depth + 1)),
                            _ => None,
                        }
                    }
                    None => match term.strip_prefix(".Values.") {
                        Some(path) => self.value(path).map(str::to_owned),
                        None => Some(term.strip_prefix('"')?.strip_suffix('"')?.to_owned()),
                    },
                },
            }
            .filter(|value| !value.is_empty())
        })
    }
}

static COMMENT: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?s)\{\{-?\s*/\*.*?\*/\s*-?\}\}").expect("it is a pattern"));

fn helpers(text: &str) -> BTreeMap<String, String> {
    static HELPER: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = r#"(?s)\{\{-?\s*define\s+"([^"]+)"\s*-?\}\}(.*?)\{\{-?\s*end\s*-?\}\}"#;
        Regex::new(pattern).expect("it is a pattern")
    });
    let text = COMMENT.replace_all(text, "");
    let all = HELPER.captures_iter(&text).map(|found| (found[1].to_owned(), found[2].trim().to_owned()));
    all.filter(|(_, body)| !body.contains('\n')).collect()
}
