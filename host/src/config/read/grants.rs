//! Reads what the operator lets a binding use: folders, repositories, data, origins, servers.

use super::binding::{ReadBinding, Spot};
use super::places::{is_secret, secret};
use super::{Directory, Reading};
use crate::config::deployment::{ComposeConfig, EngineConfig, Grants, HookConfig, ServerConfig};
use crate::config::document::{Item, Table};
use crate::config::secret::SecretSource;
use crate::model::{Role, ServiceRef};
use reqwest::Url;
use std::path::{Component, Path, PathBuf};
use toml::de::DeValue;

/// Where a server listens, and the database that is always there.
const POSTGRES: (u64, &str) = (5432, "postgres");
const MYSQL: (u64, &str) = (3306, "mysql");

impl Reading<'_, '_> {
    /// Takes the grants that a role can have. What it can't have is the plugin's, or a mistake.
    pub fn grants(&mut self, table: &mut Table, role: Role, read: &mut ReadBinding) {
        let grants = &mut read.config.grants;
        if let Some(item) = table.take("http") {
            grants.http = self.origins(&item);
        }
        match role {
            Role::Product => {}
            Role::Platform => {
                table.take("plugin");
                grants.directory = table.take("directory").and_then(|item| self.directory_grant(&item));
                grants.repository = table.take("repository").and_then(|item| self.repository(&item));
                // Its own folder is where its relative paths start.
                let outer = self.directory.clone();
                if let Some(own) = &grants.directory {
                    self.directory = Directory::Of(own.clone());
                }
                grants.commands = table.take("commands").map(|item| self.commands(&item)).unwrap_or_default();
                grants.services = table.take("services").map(|item| self.services(&item)).unwrap_or_default();
                if let Some(item) = table.take("compose") {
                    let client;
                    (grants.compose, client) = self.compose(&item);
                    grants.engine = table.take("engine").and_then(|item| self.engine(&item, client));
                } else {
                    grants.engine = table.take("engine").and_then(|item| self.engine(&item, None));
                }
                grants.kubernetes = table.take("kubernetes").and_then(|item| self.kubernetes(&item));
                grants.pods = self.pods(table);
                self.directory = outer;
                grants.google = table.take("google").and_then(|item| self.google(&item, role));
            }
            Role::Datastore => {
                table.take("plugin");
                if let Some(item) = table.take("paths") {
                    read.paths = self.paths(&item, grants);
                }
                grants.google = table.take("google").and_then(|item| self.google(&item, role));
                if let Some(item) = table.take("hook") {
                    grants.hook = self.hook(&item);
                    read.hook = Some(Spot::from(&item));
                }
                if let Some(item) = table.take("server") {
                    let usual = if grants.mysql { MYSQL } else { POSTGRES };
                    (grants.server, read.database) = self.server(&item, usual);
                }
            }
        }
    }

    fn directory_grant(&mut self, item: &Item) -> Option<PathBuf> {
        let text = item.text(self.report)?;
        let path = Path::new(text);
        if !path.is_absolute() || has_parent(path) {
            let message = format!("`{}` must be an absolute path", item.path);
            self.report.add_with_help(item.span.clone(), message, "for example `/opt/app`");
            return None;
        }
        if path.components().count() == 1 {
            self.report.add(item.span.clone(), format!("`{}` can't be the whole file system", item.path));
            return None;
        }
        Some(path.components().collect())
    }

    /// `unix:///var/run/docker.sock`
    fn engine(&mut self, item: &Item, client: Option<PathBuf>) -> Option<EngineConfig> {
        let text = item.text(self.report)?;
        let example = "the socket of an engine on this machine, for example `unix:///var/run/docker.sock`";
        let path = Path::new(text.strip_prefix("unix://").unwrap_or(text));
        if path.is_absolute() && !has_parent(path) {
            return Some(EngineConfig { socket: path.components().collect(), client });
        }
        let message = match text.split_once("://") {
            Some(("tcp" | "ssh" | "http" | "https", _)) => format!(
                "`{}` is an engine on another machine: its volumes and addresses are not here, and could be neither \
                 saved nor checked",
                item.path
            ),
            _ => format!("`{}` is no engine", item.path),
        };
        self.report.add_with_help(item.span.clone(), message, example);
        None
    }

    /// And the folder of the client's settings.
    fn compose(&mut self, item: &Item) -> (ComposeConfig, Option<PathBuf>) {
        let Some(mut table) = item.table(self.report) else { return Default::default() };
        let mut config = ComposeConfig::default();
        for (key, list) in [("files", &mut config.files), ("env-files", &mut config.env_files)] {
            let Some(item) = table.take(key) else { continue };
            for (part, text) in item.texts(self.report) {
                let path = Path::new(text);
                if has_parent(path) || text.is_empty() {
                    let message = format!("`{}` must be a file beneath the platform's `directory`", part.path);
                    self.report.add_with_help(part.span, message, "for example `compose.prod.yaml`");
                    continue;
                }
                list.push(path.components().collect());
            }
        }
        if let Some(item) = table.take("profiles") {
            config.profiles = item.texts(self.report).into_iter().map(|(_, text)| text.to_owned()).collect();
        }
        if let Some(item) = table.take("project")
            && let Some(text) = item.text(self.report)
        {
            let first = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            let fits = text.starts_with(first) && text.chars().all(|c| first(c) || c == '-' || c == '_');
            if fits {
                config.project = Some(text.to_owned());
            } else {
                let message = format!("`{}` is no name of a Compose project", item.path);
                let help = "lower-case letters, digits, `-` and `_`, beginning with a letter or digit";
                self.report.add_with_help(item.span.clone(), message, help);
            }
        }
        let client = table.take("client").and_then(|item| self.path(&item));
        table.finish(self.report);
        (config, client)
    }

    fn repository(&mut self, item: &Item) -> Option<String> {
        let text = item.text(self.report)?;
        match repository_mistake(text).filter(|_| !self.catalog.is_of_a_run()) {
            None => Some(text.to_owned()),
            Some((message, help)) => {
                self.report.add_with_help(item.span.clone(), format!("`{}` {message}", item.path), help);
                None
            }
        }
    }

    /// `["data/files"]`, named as they are written, or `{ uploads = "data/files" }`.
    fn paths(&mut self, item: &Item, grants: &mut Grants) -> Vec<(Spot, PathBuf)> {
        let mut spots = Vec::new();
        let named: Vec<(String, Item)> = match item.value {
            DeValue::Table(_) => {
                let table = item.table(self.report);
                table.iter().flat_map(Table::items).map(|part| (part.name.to_owned(), part)).collect()
            }
            DeValue::Array(_) => {
                let elements = item.texts(self.report);
                elements.into_iter().map(|(part, text)| (text.to_owned(), part)).collect()
            }
            _ => {
                item.wrong_type("an array of paths, or a table of them by name", self.report);
                return spots;
            }
        };
        for (name, part) in named {
            let kind = match part.value {
                DeValue::String(text) => text.split_once(':'),
                _ => None,
            };
            match kind {
                Some(("volume", volume)) => {
                    grants.volumes.extend(self.volume(&part, volume).map(|volume| (name, volume)))
                }
                Some(("claim", claim)) => grants.claims.extend(self.claim(&part, claim).map(|claim| (name, claim))),
                _ => {
                    let Some(path) = self.path(&part) else { continue };
                    spots.push((Spot::from(&part), path.clone()));
                    grants.paths.insert(name, path);
                }
            }
        }
        spots
    }

    fn volume(&mut self, item: &Item, name: &str) -> Option<String> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        if name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(fits) {
            return Some(name.to_owned());
        }
        let message = format!("`{}` names no volume", item.path);
        self.report.add_with_help(item.span.clone(), message, "as `docker volume ls` has it: `volume:shop_data`");
        None
    }

    fn claim(&mut self, item: &Item, name: &str) -> Option<String> {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if name.starts_with(inner) && name.ends_with(inner) && name.chars().all(|c| inner(c) || "-.".contains(c)) {
            return Some(name.to_owned());
        }
        let message = format!("`{}` names no claim", item.path);
        let help = "as `kubectl get persistentvolumeclaims` has it: `claim:data-shop-database-0`";
        self.report.add_with_help(item.span.clone(), message, help);
        None
    }

    /// An absolute path; a relative one starts from the platform's `directory` and doesn't lead out of it.
    pub fn path(&mut self, item: &Item) -> Option<PathBuf> {
        let text = item.text(self.report)?;
        let path = Path::new(text);
        if has_parent(path) {
            let message = format!("`{}` leads out by `..`", item.path);
            self.report.add_with_help(item.span.clone(), message, "write the absolute path");
            return None;
        }
        if path.is_absolute() {
            return Some(path.components().collect());
        }
        match &self.directory {
            Directory::Of(folder) => Some(folder.join(path).components().collect()),
            Directory::Mistaken => None,
            Directory::NotNamed => {
                let message =
                    format!("`{}` is relative, and no platform has a `directory` for it to start from", item.path);
                self.report.add_with_help(
                    item.span.clone(),
                    message,
                    "write the absolute path, or give the platform a `directory`",
                );
                None
            }
        }
    }

    fn origins(&mut self, item: &Item) -> Vec<String> {
        let texts = item.texts(self.report);
        let mut origins = Vec::new();
        for (part, text) in texts {
            match origin(text) {
                Ok(origin) => origins.push(origin),
                Err(help) => {
                    let message = format!("`{}` is no origin: scheme, host and port", part.path);
                    self.report.add_with_help(part.span, message, help);
                }
            }
        }
        origins
    }

    fn server(&mut self, item: &Item, usual: (u64, &'static str)) -> (Option<ServerConfig>, Option<Spot>) {
        let Some(mut table) = item.table(self.report) else { return (None, None) };
        let service = table.take("service").map(|item| self.service_named(&item));
        let host = match &service {
            Some(_) => Some(""),
            None => {
                let what = "a name, an address, or the folder of a Unix socket; or `service`, the server's container";
                table.require("host", what, self.report).and_then(|item| item.text(self.report))
            }
        };
        let port = match table.take("port") {
            None => Some(usual.0),
            Some(item) => item.integer(1..=65535, self.report),
        };
        let user = table.require("user", "the role that the host connects as", self.report);
        let user = user.and_then(|item| item.text(self.report));
        let password = table.take("password").map(|item| self.password(&item));
        let named = table.require("database", "the database that belongs to this datastore", self.report);
        let database = named.as_ref().and_then(|item| item.text(self.report));
        let maintenance = match table.take("maintenance") {
            None => Some(usual.1),
            Some(item) => item.text(self.report),
        };
        if let (Some(named), Some(database)) = (&named, database)
            && Some(database) == maintenance
        {
            let message = format!("`{}` is the maintenance database, which can't be frozen or restored", named.path);
            self.report.add_with_help(
                named.span.clone(),
                message,
                "name another one in `maintenance`, for example `template1`",
            );
        }
        let tools = table.take("tools").map(|item| self.path(&item));
        table.finish(self.report);
        let server = (|| {
            Some(ServerConfig {
                service: service.map_or(Some(None), |read| read.map(Some))?,
                host: host?.into(),
                port: u16::try_from(port?).ok()?,
                user: user?.into(),
                password: password.map_or(Some(None), |read| read.map(Some))?,
                database: database?.into(),
                maintenance: maintenance?.into(),
                tools: tools.map_or(Some(None), |read| read.map(Some))?,
            })
        })();
        (server, named.as_ref().map(Spot::from))
    }

    /// `{ service = "cache", before = ["redis-cli", "save"] }`
    fn hook(&mut self, item: &Item) -> Option<HookConfig> {
        let mut table = item.table(self.report)?;
        let service = table.require("service", "the service in whose container the commands run", self.report);
        let service = service.and_then(|item| self.service_named(&item));
        let [before, after] = ["before", "after"].map(|key| table.take(key));
        if before.is_none() && after.is_none() {
            let help = "each an array: the program and its arguments, for example `before = [\"redis-cli\", \"save\"]`";
            self.report.missing(table.place.clone(), &table.name_of("before` or `after"), help);
        }
        let some = before.is_some() || after.is_some();
        let [before, after] = [before, after].map(|item| item.map_or(Some(Vec::new()), |item| self.argv(&item)));
        table.finish(self.report);
        some.then_some(())?;
        Some(HookConfig { service: service?, before: before?, after: after? })
    }

    /// `NAME`, or `PLATFORM/NAME` where that isn't `main`. The name of a container in a pod is `SERVICE/CONTAINER`.
    fn service_named(&mut self, item: &Item) -> Option<ServiceRef> {
        let text = item.text(self.report)?;
        let (first, rest) = text.split_once('/').unwrap_or(("main", text));
        let is_platform = !text.contains('/') || self.platforms.iter().any(|name| name == first);
        let (platform, name) = if is_platform { (first, rest) } else { ("main", text) };
        if platform.is_empty() || name.split('/').any(str::is_empty) || name.matches('/').count() > 1 {
            let message = format!("`{}` is no service", item.path);
            let help = "for example `postgres`, `main/postgres`, or `database/postgres` in a pod";
            self.report.add_with_help(item.span.clone(), message, help);
            return None;
        }
        Some(ServiceRef { platform: platform.to_owned(), name: name.to_owned() })
    }

    fn password(&mut self, item: &Item) -> Option<SecretSource> {
        if is_secret(item.value) {
            return secret(item, self);
        }
        let message = format!("`{}` must be a secret", item.path);
        self.report.add_with_help(
            item.span.clone(),
            message,
            "the value itself never stands in the file: `{ secret = \"file:/etc/upgraded/secrets/NAME\" }`",
        );
        None
    }
}

pub(super) fn has_parent(path: &Path) -> bool {
    path.components().any(|component| component == Component::ParentDir)
}

/// As `scheme://host[:port]`, without a port that the scheme implies; or what would be right.
fn origin(text: &str) -> Result<String, String> {
    let example = || "for example `http://127.0.0.1:8080`".to_owned();
    let url = Url::parse(text).map_err(|_| example())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(example());
    }
    let origin = url.origin().ascii_serialization();
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let anonymous = url.username().is_empty() && url.password().is_none();
    if bare && anonymous { Ok(origin) } else { Err(format!("write `{origin}`")) }
}

/// Stands for the tag in the address of archives.
pub const ARCHIVE_TAG: &str = "{tag}";

/// Whether `repository` is the address of archives, or of single files, one for each release.
pub fn is_archive(repository: &str) -> bool {
    repository.contains(ARCHIVE_TAG)
}

/// What is wrong with a repository's address, and what would be right.
pub(in crate::config) fn repository_mistake(text: &str) -> Option<(&'static str, &'static str)> {
    const OF_ARCHIVES: (&str, &str) =
        ("is no address of archives", "for example `https://example.org/app-{tag}.tar.gz`, or an absolute path");
    let example = "a URL, for example `https://example.org/app.git`, or the absolute path of a folder";
    if text.starts_with('-') || text.contains("::") || text.chars().any(char::is_control) {
        return Some(("is no address of a repository", example));
    }
    if let Some((scheme, _)) = text.split_once("://") {
        let Ok(url) = Url::parse(text) else { return Some(("is no valid URL", example)) };
        // A user alone may be a token; of ssh it is part of the address.
        let account = match url.password() {
            Some(_) => Some("holds a password"),
            None => (scheme.starts_with("http") && !url.username().is_empty()).then_some("holds an account"),
        };
        if let Some(account) = account {
            let help = match is_archive(text) {
                true => "leave it out: archives are fetched without an account",
                false => "leave it out: ssh with a key, or a credential helper in git's system settings",
            };
            return Some((account, help));
        }
        if is_archive(text) {
            return (!["https", "http"].contains(&scheme)).then_some(OF_ARCHIVES);
        }
        let known = ["https", "http", "ssh", "git", "file", "git+ssh"].contains(&scheme);
        return (!known).then_some(("is of a kind that is not fetched", example));
    }
    let of_ssh = text.split_once(':').is_some_and(|(host, _)| !host.is_empty() && !host.contains('/'));
    let path = Path::new(text);
    if is_archive(text) && !path.is_absolute() {
        return Some(OF_ARCHIVES);
    }
    (!of_ssh && (!path.is_absolute() || has_parent(path))).then_some(("is neither a URL nor an absolute path", example))
}
