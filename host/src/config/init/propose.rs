//! A deployment's file out of what was found. Pure. What isn't known stands in it as a comment.

use super::{Found, Layout, Postgres, Repository, Script, stack};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The text of the file for the deployment `name`; it parses, as soon as the secrets that it names are there.
pub fn propose(name: &str, found: &Found) -> String {
    if let Some(stack) = &found.stack {
        return stack::propose(name, found, stack);
    }
    let sections =
        [head(found), settings(found), platform(found), services(found), commands(found), data(name, found), policy()];
    sections.join("\n")
}

fn head(found: &Found) -> String {
    let (version, comment) = match &found.repository {
        Some(Repository { tag: Some(tag), .. }) => {
            (version_of(tag).to_owned(), "edit this line; the daemon does the rest")
        }
        Some(Repository { commit: Some(commit), .. }) => {
            (commit.clone(), "no tag names what is installed, so its commit does")
        }
        _ => ("0.0.0".to_owned(), "not found: write here what is installed"),
    };
    head_of(&version, comment)
}

pub(super) fn head_of(version: &str, comment: &str) -> String {
    format!(
        "# What upgraded was told of this installation, and what it found by itself. Look it over before you put it\n\
         # among the deployments; `upgradectl plan` then shows what it would do, and changes nothing.\n\n\
         product = \"generic\"   # or the plugin that the product's vendor ships\n\
         version = {}   # {comment}\n",
        quoted(version)
    )
}

/// A tag without its `v`.
fn version_of(tag: &str) -> &str {
    let bare = tag.strip_prefix('v').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    bare.unwrap_or(tag)
}

fn settings(found: &Found) -> String {
    let mut out = String::from("[settings]\n");
    push_tag(&mut out, found);
    let names: Vec<String> = found.units.iter().map(|unit| service_name(unit)).collect();
    if names.is_empty() {
        out.push_str("# services = [\"web\", \"worker\"]   # those of the platform that belong to the product\n");
    } else {
        let _ = writeln!(out, "services = {}", list(&names));
    }
    let gate = names.first().map_or("web", String::as_str);
    let _ = writeln!(out, "# gate = [{}]   # those that let users in: they stop first and start last", quoted(gate));
    let wave = if names.is_empty() { String::new() } else { format!(", {{ wave = {} }}", list(&names)) };
    match &found.migrate {
        Some(_) => {
            let _ = writeln!(out, "acts = [{{ command = \"migrate\" }}{wave}]   # a change of release, in this order");
        }
        None => out.push_str(
            "# acts = [{ command = \"migrate\" }, { wave = [\"web\"] }]   # a change of release, in this order\n",
        ),
    }
    out.push_str(
        "# undo = [\"code-only\"]   # where an old release runs on the new one's data; without it, data goes back too\n\
         # health = \"http://127.0.0.1:8080/health\"   # answers 2xx while the product is healthy\n\
         # http = [\"http://127.0.0.1:8080\"]   # every origin that is asked, here for `health`\n",
    );
    out
}

/// Both plugins have `v{version}` by themselves.
fn push_tag(out: &mut String, found: &Found) {
    let tags = found.repository.iter().flat_map(|repository| &repository.tags);
    let (with_v, all) = tags.fold((0, 0), |(with_v, all), tag| (with_v + usize::from(version_of(tag) != tag), all + 1));
    if all > 0 && with_v * 2 < all {
        out.push_str("tag = \"{version}\"   # how tags are written\n");
    }
}

fn platform(found: &Found) -> String {
    let directory = quoted_path(&found.directory);
    let mut out = beginning(found);
    let _ = writeln!(out, "plugin = \"source\"\ndirectory = {directory}");
    let address = found.repository.as_ref().and_then(|repository| repository.address.as_deref());
    match address {
        Some(address) if super::super::read::repository_mistake(address).is_none() => {
            let _ = writeln!(out, "repository = {}   # releases are fetched from here, by their tags", quoted(address));
        }
        _ => out.push_str(
            "# repository = \"https://example.org/product.git\"   # releases are fetched from here, by their tags\n",
        ),
    }
    push_tag(&mut out, found);
    if found.build.is_some() {
        out.push_str(
            "build = \"build\"   # the command below, run in a new release's folder while the old one serves\n",
        );
    }
    match found.layout {
        Layout::Releases => {}
        Layout::Checkout | Layout::Neither => out.push_str(
            "# Releases will lie in `releases/COMMIT` of this folder, and the link `current` will name the one that runs:\n\
             # services and commands have to run in `current`.\n",
        ),
    }
    out
}

pub(super) fn beginning(found: &Found) -> String {
    let others = found.others.iter().map(|other| format!("# Also here, and not proposed: {}\n", commented(other)));
    format!("{}[platform]\n", others.collect::<String>())
}

fn services(found: &Found) -> String {
    let mut out = String::new();
    for unit in &found.units {
        let _ = writeln!(
            out,
            "[platform.services.{}]\nunit = {}\n# health = \"http://127.0.0.1:8080/health\"\n",
            quoted_key(&service_name(unit)),
            quoted(unit)
        );
    }
    if found.units.is_empty() {
        out.push_str(
            "# No unit of systemd mentions the folder. A unit, or three commands:\n\
             # [platform.services.web]\n\
             # unit = \"web.service\"\n\
             # start = [\"bin/web\", \"start\"]\n\
             # stop = [\"bin/web\", \"stop\"]\n\
             # status = [\"bin/web\", \"status\"]   # exits with 0 while it runs\n\
             # health = \"http://127.0.0.1:8080/health\"\n\
             # log = \"log/web.log\"\n\n",
        );
    }
    out.truncate(out.trim_end().len() + 1);
    out
}

/// `shop-web` of `shop-web.service`, with what a service's name can't hold left out.
fn service_name(unit: &str) -> String {
    let stem = unit.strip_suffix(".service").unwrap_or(unit);
    let name: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.@".contains(c) { c } else { '-' }).collect();
    name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).chars().take(40).collect()
}

fn commands(found: &Found) -> String {
    let mut out = String::new();
    for (name, found) in [("build", &found.build), ("migrate", &found.migrate)] {
        match found {
            Some(found) => {
                let _ = writeln!(out, "{}", script(name, found));
            }
            None => {
                let _ = writeln!(out, "# [platform.commands.{name}]\n# argv = [\"bin/{name}\"]\n");
            }
        }
    }
    out.truncate(out.trim_end().len() + 1);
    out
}

pub(super) fn script(name: &str, Script { argv, source }: &Script) -> String {
    format!("[platform.commands.{name}]   # {source}\nargv = {}\n", list(argv))
}

fn data(name: &str, found: &Found) -> String {
    let mut out = String::from(
        "# Everything that the product writes belongs to a datastore, or stands under `disposable`: what is in neither\n\
         # would not come back with a rollback.\n",
    );
    if !found.databases.is_empty() {
        let _ = writeln!(out, "[datastores.main]\nplugin = \"sqlite\"\npaths = {}\n", paths(&found.databases));
    }
    // A folder that holds a database belongs to two: a person has to say how they are to be kept apart.
    let (shared, own): (Vec<PathBuf>, Vec<PathBuf>) = found
        .uploads
        .iter()
        .cloned()
        .partition(|folder| found.databases.iter().any(|database| database.starts_with(folder)));
    if !own.is_empty() {
        let _ = writeln!(out, "[datastores.files]\nplugin = \"files\"\npaths = {}\n", paths(&own));
    }
    for folder in shared {
        let _ = writeln!(
            out,
            "# {} holds a database, which has its own datastore: name the other files and folders in it one by one.\n\
             # [datastores.files]\n# plugin = \"files\"\n# paths = {}\n",
            commented(&folder.display().to_string()),
            paths(&[folder.join("…")])
        );
    }
    if let Some(postgres) = &found.postgres {
        out.push_str(&server(name, postgres));
    }
    if found.databases.is_empty() && found.uploads.is_empty() && found.postgres.is_none() {
        out.push_str(
            "# Nothing was found. For example:\n\
             # [datastores.main]\n# plugin = \"sqlite\"\n# paths = [\"data/product.db\"]\n\n\
             # [datastores.files]\n# plugin = \"files\"\n# paths = [\"data/uploads\"]\n",
        );
    }
    out.truncate(out.trim_end().len() + 1);
    out
}

fn server(name: &str, postgres: &Postgres) -> String {
    let mut out = format!(
        "[datastores.postgres]   # {}\nplugin = \"postgres\"\n[datastores.postgres.server]\nhost = {}\n",
        commented(&postgres.source),
        quoted(&postgres.host)
    );
    if let Some(port) = postgres.port {
        let _ = writeln!(out, "port = {port}");
    }
    let user = postgres.user.as_deref().unwrap_or("postgres");
    let _ = writeln!(out, "user = {}   # owns the database, and may create others (CREATEDB)", quoted(user));
    let _ = writeln!(out, "database = {}", quoted(&postgres.database));
    let secret = quoted(&format!("file:/etc/upgraded/secrets/{name}-postgres"));
    let mark = if postgres.has_password { "" } else { "# " };
    let _ = writeln!(out, "{mark}password = {{ secret = {secret} }}   # write it there, with mode 600");
    if postgres.database == "postgres" {
        out.push_str("maintenance = \"template1\"   # where databases are made and renamed\n");
    }
    out
}

fn policy() -> String {
    policy_with("# disposable = [\"path:tmp\", \"path:cache\"]\n")
}

/// `disposable`: whole lines.
pub(super) fn policy_with(disposable: &str) -> String {
    format!(
        "[policy]\n\
         # window = [\"Sat 02:00-06:00 Europe/Berlin\"]   # when the product may be down; without it, at any time\n\
         approve = \"breaking\"   # never, breaking or always\n\
         drill = \"ahead\"   # the backup is restored beside the product before anything is touched: ahead, final or off\n\
         {disposable}\
         keep-backups = 5\n"
    )
}

pub(super) fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

pub(super) fn quoted_path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

pub(super) fn quoted_key(name: &str) -> String {
    let bare = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if bare && !name.is_empty() { name.to_owned() } else { quoted(name) }
}

pub(super) fn list(words: &[String]) -> String {
    format!("[{}]", words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(", "))
}

fn paths(paths: &[PathBuf]) -> String {
    format!("[{}]", paths.iter().map(|path| quoted_path(path)).collect::<Vec<_>>().join(", "))
}

/// Text of the project's for a comment: on one line.
pub(super) fn commented(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
