//! A release of Helm by its files: a chart, values for one, or a script that installs it.

mod templates;

use super::part::Role;
use super::scripts::{self, Command, is_name};
use super::version::{begins_with_a_number, without_v};
use super::{Platform, Stack, Store, Version, YAML, files, text_at, wrong};
use crate::config::init::cluster::Cluster;
use crate::config::init::text_of;
use compose_files::{Mistake, Node};
use reqwest::Url;
use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path};

const CHART: &str = "Chart.yaml";
const VALUES: &str = "values.yaml";
/// Where a tag of the product's usually stands in the values.
const TAGS: [&str; 5] = ["image.tag", "global.image.tag", "global.imageTag", "imageTag", "tag"];

/// As far as files say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The file that says that it is one.
    pub source: String,
    /// The script that installs it.
    pub script: String,
    pub name: Option<String>,
    pub namespace: Option<String>,
    pub context: Option<String>,
    pub chart: Origin,
    /// What the chart calls itself.
    pub chart_name: Option<String>,
    /// How the chart's version follows from the release's; none: it is the same.
    pub chart_version: Option<ChartVersion>,
    /// In the last of `values`, and how the version is written there.
    pub version_key: Option<(&'static str, String)>,
    /// Those that it is installed with.
    pub values: Vec<String>,
    /// Others that lie here.
    pub more_values: Vec<String>,
    /// The operator's clients'.
    pub cluster: Option<Cluster>,
}

/// Where the chart comes from, as the deployment's file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `oci://…`
    Registry(String),
    Repository {
        chart: String,
        address: Option<String>,
    },
    /// A path, with `{version}` where it is called by its version.
    Folder(String),
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChartVersion {
    /// With `{version}`, or the same for all.
    Text(String),
    /// Of the chart that is here.
    Unlike(String),
}

/// What `Chart.yaml` says.
struct Chart {
    /// Beneath the project's; empty for that.
    folder: String,
    name: String,
    version: String,
    app_version: Option<String>,
    root: Node,
}

/// None where there is neither a chart nor values nor a script for one.
pub(super) fn look(directory: &Path) -> io::Result<Option<Stack>> {
    let chart = chart_of(directory).map_err(wrong)?;
    let commands = scripts::commands(directory, "helm");
    // A release and a chart: documents mention the command alone.
    let installing = commands.iter().rfind(|command| installed(command).len() > 1);
    let named = files(directory, &YAML).into_iter().filter(|name| name.starts_with("values"));
    let (values, more_values) = values_of(installing, chart.as_ref(), named.collect());
    let source = match (&chart, installing, values.first().or(more_values.first())) {
        (Some(chart), ..) => joined(&chart.folder, CHART),
        (None, Some(command), _) => command.file.clone(),
        (None, None, Some(values)) => values.clone(),
        (None, None, None) => return Ok(None),
    };
    let option = |names: &[&str]| installing?.option(names).map(str::to_owned);
    let mut release = Release {
        source,
        script: installing.map(|command| command.file.clone()).unwrap_or_default(),
        name: installing
            .and_then(|command| installed(command).first().copied())
            .filter(|name| is_name(name))
            .map(str::to_owned),
        namespace: option(&["--namespace", "-n"]).filter(|name| is_name(name)),
        context: option(&["--kube-context"]).filter(|name| !name.contains('$')),
        chart: origin(directory, installing, &commands, chart.as_ref()),
        chart_name: chart.as_ref().map(|chart| chart.name.clone()),
        chart_version: None,
        version_key: None,
        values,
        more_values,
        cluster: None,
    };
    let chart_version = chart.as_ref().map(|chart| chart.version.clone());
    let chart_version =
        chart_version.or_else(|| option(&["--version"]).filter(|version| begins_with_a_number(version)));
    let tag = tag_of(directory, &mut release).map_err(wrong)?;
    let app_version = chart.as_ref().and_then(|chart| chart.app_version.clone());
    let version = tag.or(app_version).or(chart_version.clone()).map(|version| without_v(&version).0);
    if let (Some(version), Some(of_chart)) = (&version, chart_version) {
        let rest =
            of_chart.strip_prefix(version.as_str()).filter(|rest| rest.is_empty() || rest.starts_with(['-', '+']));
        release.chart_version = match rest {
            Some("") => None,
            Some(rest) => Some(ChartVersion::Text(format!("{{version}}{rest}"))),
            None if release.version_key.is_some() => Some(ChartVersion::Text(of_chart)),
            None => Some(ChartVersion::Unlike(of_chart)),
        };
    }
    Ok(Some(stack(directory, release, version, chart.as_ref())))
}

fn stack(directory: &Path, release: Release, version: Option<String>, chart: Option<&Chart>) -> Stack {
    let (parts, claims) = chart.map(|chart| templates::read(directory, chart, &release)).unwrap_or_default();
    let mut stack = Stack::of(Platform::Helm(Box::new(release)), directory, &BTreeMap::new(), &parts);
    stack.version = version.map_or(Version::Unknown, Version::Told);
    // Whether it is published the cluster knows.
    stack.gate = parts.iter().filter(|part| part.role == Role::Proxy).map(|part| part.service.clone()).collect();
    let store = |claim: String| Store {
        place: format!("claim:{claim}"),
        name: claim,
        service: "where it lies on this machine; else it can't be saved, only be `disposable`".into(),
    };
    stack.data.stores.extend(claims.into_iter().map(store));
    stack
}

/// Of the project's folder, or of one of those that usually hold a chart.
fn chart_of(directory: &Path) -> Result<Option<Chart>, Mistake> {
    let inner = std::fs::read_dir(directory.join("charts")).into_iter().flatten().flatten();
    let mut inner: Vec<String> = inner.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    inner.sort();
    let usual = ["", "chart", "helm"].map(str::to_owned).into_iter();
    for folder in usual.chain(inner.into_iter().map(|name| format!("charts/{name}"))) {
        let file = joined(&folder, CHART);
        let Some(text) = text_of(&directory.join(&file)) else { continue };
        let root = Node::parse(&file, "", &text)?;
        if text_at(&root, &["type"]) == Some("library") {
            continue;
        }
        let required = |key: &str, example: &str| {
            let why = format!("this chart has no `{key}`; `{key}: {example}` would be right");
            let missing = || Mistake { file: file.clone(), line: Some(root.place.line), why };
            text_at(&root, &[key]).map(str::to_owned).ok_or_else(missing)
        };
        let (name, version) = (required("name", "shop")?, required("version", "1.4.0")?);
        let app_version = text_at(&root, &["appVersion"]).map(str::to_owned);
        return Ok(Some(Chart { folder, name, version, app_version, root }));
    }
    Ok(None)
}

/// Those that the release is installed with, and others that lie here.
fn values_of(installing: Option<&Command>, chart: Option<&Chart>, here: Vec<String>) -> (Vec<String>, Vec<String>) {
    let given = installing.into_iter().flat_map(|command| command.options(&["--values", "-f"]));
    let given = given.flat_map(|list| list.split(',')).map(|file| file.trim_start_matches("./"));
    let is_beneath = |path: &&str| Path::new(path).components().all(|one| matches!(one, Component::Normal(_)));
    let given: Vec<String> = given.filter(is_beneath).filter(|file| !file.contains('$')).map(str::to_owned).collect();
    // A chart's own are in it anyway.
    let own = |name: &String| name == VALUES && chart.is_some_and(|chart| chart.folder.is_empty());
    let here: Vec<String> = here.into_iter().filter(|name| !own(name)).collect();
    let values = match &here[..] {
        _ if !given.is_empty() => given,
        [only] => vec![only.clone()],
        several if several.iter().any(|name| name == VALUES) => vec![VALUES.to_owned()],
        _ => Vec::new(),
    };
    let more = here.into_iter().filter(|name| !values.contains(name)).collect();
    (values, more)
}

fn origin(directory: &Path, installing: Option<&Command>, commands: &[Command], chart: Option<&Chart>) -> Origin {
    let here = || chart.map_or(Origin::Unknown, |chart| Origin::Folder(path_of(chart)));
    let named = installing.and_then(|command| installed(command).get(1).copied());
    let Some(named) = named.filter(|name| !name.contains(['$', '<'])) else { return here() };
    if named.starts_with("oci://") {
        return Origin::Registry(named.to_owned());
    }
    let path = named.trim_start_matches("./").trim_end_matches('/');
    if named.starts_with(['.', '/']) || directory.join(path).exists() {
        let same = |chart: &&Chart| chart.folder == path || (chart.folder.is_empty() && path == ".");
        return Origin::Folder(chart.filter(same).map_or_else(|| path.to_owned(), path_of));
    }
    if let Some(address) = installing.and_then(|command| command.option(&["--repo"])) {
        return Origin::Repository { chart: named.to_owned(), address: public(address) };
    }
    let Some((repository, name)) = named.split_once('/') else { return here() };
    let added = commands.iter().filter_map(|command| command.after(&["repo", "add"]));
    let mut added = added.filter_map(|words| Some((*words.first()?, *words.get(1)?)));
    let address = added.find(|(known, _)| *known == repository).and_then(|(_, address)| public(address));
    Origin::Repository { chart: name.to_owned(), address }
}

/// A repository's address without an account in it.
fn public(address: &str) -> Option<String> {
    let url = Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    (url.username().is_empty() && url.password().is_none() && !address.contains('$')).then(|| address.to_owned())
}

/// The release and the chart.
fn installed(command: &Command) -> Vec<&str> {
    command.after(&["upgrade"]).or_else(|| command.after(&["install"])).unwrap_or_default()
}

/// A folder that is called by its version is another one for another version.
fn path_of(chart: &Chart) -> String {
    match chart.folder.as_str() {
        "" => ".".to_owned(),
        folder => folder.strip_suffix(&chart.version).map_or(folder.to_owned(), |stem| format!("{stem}{{version}}")),
    }
}

/// The tag in the values, and its key into `release`.
fn tag_of(directory: &Path, release: &mut Release) -> Result<Option<String>, Mistake> {
    let Some(file) = release.values.last() else { return Ok(None) };
    let Some(text) = text_of(&directory.join(file)) else { return Ok(None) };
    let values = Node::parse(file, "", &text)?;
    let tag =
        |key: &&str| text_at(&values, &key.split('.').collect::<Vec<_>>()).filter(|tag| begins_with_a_number(tag));
    let Some((key, tag)) = TAGS.into_iter().find_map(|key| Some((key, tag(&key)?))) else { return Ok(None) };
    let (version, text) = without_v(tag);
    release.version_key = Some((key, text));
    Ok(Some(version))
}

fn joined(folder: &str, name: &str) -> String {
    Path::new(folder).join(name).display().to_string()
}
