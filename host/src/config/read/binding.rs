//! Reads bindings: the product's, the platforms' and the datastores' tables.

use super::places::Settings;
use super::{Directory, Reading, schema};
use crate::config::deployment::{BindingConfig, Grants};
use crate::config::diagnostic::{listed, nearest};
use crate::config::document::{Item, Names, Table, unknown_key};
use crate::model::{Binding, Info, Role, ServiceRef, whole};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::de::DeValue;

/// A binding with what later checks need of the file.
pub(super) struct ReadBinding {
    pub config: BindingConfig,
    pub key: Range<usize>,
    /// Where each of its `paths` stands.
    pub paths: Vec<(Spot, PathBuf)>,
    pub database: Option<Spot>,
    pub hook: Option<Spot>,
}

/// As a table names it, and what it says of itself.
struct Found {
    named: String,
    info: Info,
}

/// A dotted name and its place.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    pub path: String,
    pub span: Range<usize>,
}

impl From<&Item<'_>> for Spot {
    fn from(item: &Item) -> Self {
        Self { path: item.path.clone(), span: item.span.clone() }
    }
}

impl Reading<'_, '_> {
    /// `[settings]` belongs to the plugin that `product` names.
    pub fn product(&mut self, named: &Item, settings: Option<&Item>) -> Option<(ReadBinding, Info)> {
        let found = self.plugin(named, Role::Product, "product");
        let empty = DeValue::Table(Default::default());
        let nowhere = Item {
            name: "settings",
            path: "settings".into(),
            key: named.span.clone(),
            span: named.span.clone(),
            value: &empty,
        };
        let table = settings.unwrap_or(&nowhere).table(self.report)?;
        let found = found?;
        let read = self.binding("product", Role::Product, &found, table)?;
        Some((read, found.info))
    }

    /// `[platform]` is `[platforms.main]` for short.
    pub fn platforms(&mut self, root: &mut Table) -> Option<Vec<ReadBinding>> {
        let (short, long) = (root.take("platform"), root.take("platforms"));
        let mut items: Vec<(String, Item)> = Vec::new();
        let mut sound = true;
        if let Some(short) = &short {
            items.push(("main".into(), short.clone()));
        }
        if let Some(long) = &long {
            match long.table(self.report) {
                Some(table) => items.extend(self.named(&table, &Names::PLATFORM)),
                None => sound = false,
            }
        }
        if let (Some(short), Some(main)) = (&short, items.iter().skip(1).find(|(name, _)| name == "main")) {
            let message = "`[platform]` and `[platforms.main]` are the same platform, and both are there";
            let help = format!("keep one of them, or give `{}` another name", main.1.path);
            self.report.add_with_help(short.key.clone(), message, help);
            sound = false;
        }
        if items.is_empty() && sound {
            self.report.missing(0..0, "[platform]", "name what runs it: `[platform]` with `plugin = \"…\"`");
            return None;
        }
        items.sort_by_key(|(_, item)| item.key.start);
        self.directory = self.first_directory(&items);
        self.platforms = items.iter().map(|(name, _)| name.clone()).collect();
        let read = self.bindings(items, Role::Platform);
        read.filter(|_| sound)
    }

    pub fn datastores(&mut self, root: &mut Table) -> Option<Vec<ReadBinding>> {
        let Some(item) = root.take("datastores") else { return Some(Vec::new()) };
        let table = item.table(self.report)?;
        let items = self.named(&table, &Names::DATASTORE);
        self.bindings(items, Role::Datastore)
    }

    fn named<'t>(&mut self, table: &Table<'t>, names: &Names) -> Vec<(String, Item<'t>)> {
        table.named(names, self.report).into_iter().map(|item| (item.name.to_owned(), item)).collect()
    }

    fn bindings(&mut self, items: Vec<(String, Item)>, role: Role) -> Option<Vec<ReadBinding>> {
        let read: Vec<_> = items.iter().map(|(name, item)| self.named_binding(name, item, role)).collect();
        read.into_iter().collect()
    }

    fn named_binding(&mut self, name: &str, item: &Item, role: Role) -> Option<ReadBinding> {
        let mut table = item.table(self.report)?;
        let help = format!("name the {role}'s plugin; there are: {}", self.of_role(role));
        let named = table.require("plugin", &help, self.report);
        // Without its plugin's schema nothing is known of the rest.
        let found = self.plugin(&named?, role, name)?;
        self.binding(name, role, &found, table)
    }

    /// The plugin that an item names, where it is there and of the right role.
    fn plugin(&mut self, named: &Item, role: Role, binding: &str) -> Option<Found> {
        let name = named.text(self.report)?;
        let span = named.span.clone();
        match self.catalog.info_for(role, binding, name) {
            Some(info) if info.role == role => Some(Found { named: name.to_owned(), info }),
            Some(info) => {
                let message = format!("`{name}` is a {}, and a {role} is needed here", info.role);
                self.report.add_with_help(span, message, format!("for a {role} there are: {}", self.of_role(role)));
                None
            }
            None if let Some(problem) = self.catalog.problem(name) => {
                let message = format!("the plugin `{name}` can't be used: {}", problem.why);
                if problem.is_its_own {
                    let help = "this is the plugin's mistake; a version of it for this host would be right";
                    self.report.add_with_help(span, message, help);
                } else {
                    self.report.add(span, message);
                }
                None
            }
            None => {
                let known = self.names_of_role(role);
                let there = format!("for a {role} there are: {}", self.of_role(role));
                let help = match nearest(name, known.iter().map(String::as_str)) {
                    Some(near) => format!("did you mean `{near}`? {there}"),
                    None => there,
                };
                self.report.add_with_help(span, format!("there is no plugin `{name}`"), help);
                None
            }
        }
    }

    fn of_role(&self, role: Role) -> String {
        listed(self.names_of_role(role).iter().map(String::as_str))
    }

    fn names_of_role(&self, role: Role) -> Vec<String> {
        let names = self.catalog.names();
        names.into_iter().filter(|name| self.catalog.info(name).is_some_and(|info| info.role == role)).collect()
    }

    /// A binding's table: grants to the host, the rest to the plugin's schema.
    fn binding(&mut self, name: &str, role: Role, found: &Found, mut table: Table) -> Option<ReadBinding> {
        let Found { named, info } = found;
        let schema = match serde_json::from_str::<Value>(&info.config_schema) {
            Ok(schema) => schema,
            Err(error) => {
                let message = format!("the plugin `{}` has a schema that is no JSON: {error}", info.name);
                self.report.add_with_help(table.place.clone(), message, "this is the plugin's mistake");
                return None;
            }
        };
        let names = schema::properties(&schema);
        let mut read = ReadBinding {
            config: BindingConfig {
                binding: Binding { name: name.into(), role, plugin: info.name.clone() },
                named: named.clone(),
                settings: Value::Null,
                grants: Grants { mysql: info.mysql, ..Grants::default() },
            },
            key: table.place.clone(),
            paths: Vec::new(),
            database: None,
            hook: None,
        };
        self.grants(&mut table, role, &mut read);
        let known: Vec<String> = table.taken().map(str::to_owned).chain(names.iter().cloned()).collect();
        let mut settings = Settings::default();
        for item in table.items() {
            let (granted, named) = (table.is_taken(item.name), names.contains(item.name));
            match (granted, named) {
                (true, false) => {}
                (false, false) if !schema::takes_any_key(&schema) => {
                    unknown_key(&item, known.iter().map(String::as_str), self.report);
                }
                _ => settings.insert(&item, self),
            }
        }
        schema::check(&settings, &schema, &table, info, self.report);
        read.config.grants.secrets = settings.secrets;
        read.config.settings = Value::Object(settings.object);
        Some(read)
    }

    /// Looked for ahead: another platform's paths may start from it.
    fn first_directory(&self, platforms: &[(String, Item)]) -> Directory {
        let tables = platforms.iter().filter_map(|(_, item)| item.value.as_table());
        match tables.filter_map(|table| table.get("directory")).next().map(|value| value.get_ref().as_str()) {
            None => Directory::NotNamed,
            Some(Some(path)) if Path::new(path).is_absolute() => Directory::Of(Path::new(path).components().collect()),
            Some(_) => Directory::Mistaken,
        }
    }

    /// What the product's plugin says that it needs.
    pub fn needs(&mut self, info: &Info, product: &ReadBinding, platforms: &[ReadBinding], datastores: &[ReadBinding]) {
        for need in info.needs.iter().filter(|need| !need.optional) {
            let bound = match need.role {
                Role::Product => continue,
                Role::Platform => platforms,
                Role::Datastore => datastores,
            };
            let fits =
                |read: &ReadBinding| need.plugins.is_empty() || need.plugins.contains(&read.config.binding.plugin);
            if !bound.iter().any(fits) {
                let one_of = match need.plugins.as_slice() {
                    [] => String::new(),
                    plugins => format!(" with one of these plugins: {}", listed(plugins.iter().map(String::as_str))),
                };
                let message = format!("`{}` needs a {}{one_of}", info.name, need.role);
                let help = format!("add `[{}s.NAME]` with `plugin = \"…\"`", need.role);
                self.report.add_with_help(product.key.clone(), message, help);
            }
        }
    }

    /// Each thing belongs to one datastore, or a restore of one would undo the other's.
    pub fn overlaps(&mut self, platforms: &[ReadBinding], datastores: &[ReadBinding]) {
        let paths: Vec<_> = datastores.iter().flat_map(|read| &read.paths).collect();
        for (number, (place, path)) in paths.iter().enumerate() {
            if let Some((other, _)) =
                paths[..number].iter().find(|(_, before)| path.starts_with(before) || before.starts_with(path))
            {
                let message = format!("`{}` and `{}` overlap: `{}`", other.path, place.path, path.display());
                self.report.add_with_help(place.span.clone(), message, "each file belongs to one datastore");
            }
            let holds = |read: &&ReadBinding| {
                read.config.grants.directory.as_ref().is_some_and(|folder| folder.starts_with(path))
            };
            if let Some(platform) = platforms.iter().find(holds) {
                let message = format!(
                    "`{}` holds the whole folder of the platform `{}`",
                    place.path, platform.config.binding.name
                );
                self.report.add_with_help(place.span.clone(), message, "name the data's own folders and files");
            }
        }
        let mut stores = BTreeMap::new();
        for read in datastores {
            let (name, grants) = (&read.config.binding.name, &read.config.grants);
            let volumes = grants.volumes.values().map(|volume| ("volume", volume));
            for (kind, store) in volumes.chain(grants.claims.values().map(|claim| ("claim", claim))) {
                if let Some(other) = stores.insert((kind, store), name) {
                    let message = format!("`{other}` and `{name}` both name the {kind} `{store}`");
                    self.report.add_with_help(
                        read.key.clone(),
                        message,
                        format!("each {kind} belongs to one datastore"),
                    );
                }
            }
        }
        let mut databases: BTreeMap<(Option<ServiceRef>, String, u16, String), &Spot> = BTreeMap::new();
        for read in datastores {
            let (Some(server), Some(place)) = (&read.config.grants.server, &read.database) else { continue };
            let database = (server.service.clone(), server.host.clone(), server.port, server.database.clone());
            if let Some(other) = databases.insert(database, place) {
                let message = format!("`{}` and `{}` are the same database", other.path, place.path);
                self.report.add_with_help(place.span.clone(), message, "each database belongs to one datastore");
            }
        }
    }

    /// A hook's service is stopped while its data goes back, and a server has to run while its own does.
    pub fn hooked_servers(&mut self, datastores: &[ReadBinding]) {
        for read in datastores {
            let (Some(hook), Some(place)) = (&read.config.grants.hook, &read.hook) else { continue };
            let stopped = whole(&hook.service);
            let runs_there = |other: &&ReadBinding| {
                let service = other.config.grants.server.as_ref().and_then(|server| server.service.as_ref());
                service.is_some_and(|service| whole(service) == stopped)
            };
            if let Some(other) = datastores.iter().find(runs_there) {
                let (name, server) = (&read.config.binding.name, &other.config.binding.name);
                let message = format!(
                    "`{}` is for the service `{stopped}`, which is stopped while the data of `{name}` goes back, and the \
                     server of `{server}` runs in it",
                    place.path
                );
                let help = "a service without a database's server would be right; of pods, one with a file of its own";
                self.report.add_with_help(place.span.clone(), message, help);
            }
        }
    }
}
