//! The file for a Compose project. Pure.

use super::{Compose, Database, Store, Version};
use crate::config::init::Found;
use crate::config::init::propose::{commented, head_of, list, policy_with, quoted, quoted_key, quoted_path};
use std::fmt::Write;
use std::path::Path;

const USUAL_ENGINE: &str = "/var/run/docker.sock";

pub fn propose(name: &str, found: &Found, compose: &Compose) -> String {
    let sections = [head(compose), settings(compose), platform(found, compose), data(name, compose), policy(compose)];
    sections.join("\n")
}

fn head(compose: &Compose) -> String {
    match &compose.version {
        Version::Key { version, .. } | Version::Tags { version, .. } => {
            head_of(version, "edit this line; the daemon does the rest")
        }
        Version::Unknown => head_of("0.0.0", "not found: write here what is installed"),
    }
}

fn settings(compose: &Compose) -> String {
    let mut out = String::from("[settings]\n");
    match &compose.services[..] {
        [] => out.push_str("# services = [\"web\", \"worker\"]   # those that a change of release starts anew\n"),
        services => {
            let comment = "a change of release stops and starts these; the first one's image says what is installed";
            let _ = writeln!(out, "services = {}   # {comment}", list(services));
        }
    }
    match &compose.gate[..] {
        [] => out.push_str("# gate = [\"proxy\"]   # those that let users in: they stop first and start last\n"),
        gate => {
            let _ = writeln!(out, "gate = {}   # lets users in: stops first and starts last", list(gate));
        }
    }
    if let Version::Key { tag, .. } = &compose.version
        && !["{version}", "v{version}"].contains(&tag.as_str())
    {
        let _ = writeln!(out, "tag = {}   # how images' tags are written", quoted(tag));
    }
    let address = compose.address.as_deref().unwrap_or("127.0.0.1:8080");
    let _ = writeln!(
        out,
        "# acts = [{{ wave = [\"web\"], follow = [{{ service = \"web\", success = \"…\", failure = \"…\" }}] }}]   # a \
         migration in a service's log\n\
         # undo = [\"code-only\"]   # where an old release runs on the new one's data; without it, data goes back too\n\
         # health = {}   # answers 2xx while the product is healthy\n\
         # http = [{}]   # every origin that is asked, here for `health`",
        quoted(&format!("http://{address}/health")),
        quoted(&format!("http://{address}"))
    );
    out
}

fn platform(found: &Found, compose: &Compose) -> String {
    let files: Vec<String> = compose.files.iter().map(|file| commented(file)).collect();
    let mut out = format!(
        "[platform]\nplugin = \"compose\"\ndirectory = {}   # {}\n\
         engine = {}   # who may ask an engine may do everything on this machine\n",
        quoted_path(&found.directory),
        files.join(", "),
        quoted(&format!("unix://{}", compose.engine.as_deref().unwrap_or(Path::new(USUAL_ENGINE)).display()))
    );
    match &compose.version {
        Version::Key { key, written, text, .. } => {
            let place = if *written { "of `.env`; images' tags are made of it" } else { "images' tags are made of it; it will stand in `.env`" };
            let _ = writeln!(out, "version-key = {}   # {place}", quoted(key));
            version_text(&mut out, text);
        }
        Version::Tags { services, text, .. } => {
            let _ = writeln!(
                out,
                "version-services = {}   # the tags of their images in the files are the version",
                list(services)
            );
            version_text(&mut out, text);
        }
        Version::Unknown => out.push_str(
            "# No tag of an image says a version. Where one does, the key of `.env` that it is made of, or the services \
             whose\n# images have it:\n# version-key = \"VERSION\"\n# version-services = [\"web\"]\n",
        ),
    }
    if !compose.profiles.is_empty() {
        let _ = writeln!(
            out,
            "\n# [platform.compose]\n# profiles = {}   # of services that do not run now",
            list(&compose.profiles)
        );
    }
    out
}

fn version_text(out: &mut String, text: &str) {
    if text != "{version}" {
        let _ = writeln!(out, "version-text = {}", quoted(text));
    }
}

fn data(name: &str, compose: &Compose) -> String {
    let mut out = String::from(
        "# Everything that the product writes belongs to a datastore, or stands under `disposable`: what is in neither\n\
         # would not come back with a rollback.\n",
    );
    for database in &compose.databases {
        out.push_str(&server(name, database));
    }
    if !compose.stores.is_empty() {
        out.push_str(
            "[datastores.files]   # saved while the services above are stopped\nplugin = \"files\"\n[datastores.files.paths]\n",
        );
        for Store { name, place, service } in &compose.stores {
            let _ = writeln!(out, "{} = {}   # {}", quoted_key(name), quoted(place), commented(service));
        }
        out.push('\n');
    }
    if compose.databases.is_empty() && compose.stores.is_empty() {
        out.push_str(
            "# Nothing was found. For example:\n\
             # [datastores.files]\n# plugin = \"files\"\n# paths = { uploads = \"volume:product_uploads\", media = \"data/media\" }\n",
        );
    }
    out.truncate(out.trim_end().len() + 1);
    out
}

/// No value of a password is taken over, only what it is called.
fn server(name: &str, database: &Database) -> String {
    let Database { service, plugin, user, database, password } = database;
    let binding: String = service.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    let binding = binding.trim_start_matches('-');
    let mut out = String::new();
    let missing = if database.is_none() { "# " } else { "" };
    if database.is_none() {
        let _ = writeln!(out, "# The files don't say which database of `{}` is the product's:", commented(service));
    }
    let mut line = |text: String| {
        let _ = writeln!(out, "{missing}{text}");
    };
    line(format!("[datastores.{binding}]"));
    line(format!("plugin = {}", quoted(plugin)));
    line(format!("[datastores.{binding}.server]"));
    line(format!("service = {}", quoted(service)));
    match *plugin {
        "mysql" => line(format!("user = {}   # an account of its own; docs/OPERATING.md has its rights", quoted(user))),
        _ => line(format!("user = {}", quoted(user))),
    }
    line(format!("database = {}", quoted(database.as_deref().unwrap_or("…"))));
    let secret =
        format!("password = {{ secret = {} }}", quoted(&format!("file:/etc/upgraded/secrets/{name}-{binding}")));
    match (*plugin, password) {
        ("mysql", _) => line(format!("{secret}   # write it there, with mode 600")),
        (_, Some(variable)) => {
            line(format!("{secret}   # `{}` has it; write it there, with mode 600", commented(variable)));
        }
        (_, None) => line(format!("# {secret}   # write it there, with mode 600")),
    }
    if database.as_deref() == Some("postgres") {
        line("maintenance = \"template1\"   # where databases are made and renamed".into());
    }
    out.push('\n');
    out
}

fn policy(compose: &Compose) -> String {
    let of = |stores: &[Store]| -> Vec<String> {
        let entry = |store: &Store| match store.place.starts_with("volume:") {
            true => store.place.clone(),
            false => format!("path:{}", store.place),
        };
        stores.iter().map(entry).collect()
    };
    let (caches, files) = (of(&compose.caches), of(&compose.files_mounted));
    let mut out = String::new();
    if !caches.is_empty() {
        let services: Vec<String> = compose.caches.iter().map(|store| commented(&store.service)).collect();
        let _ = writeln!(out, "# What a cache keeps ({}): where it may be lost,", services.join(", "));
    }
    if !files.is_empty() {
        out.push_str(
            "# Single files that services could write to: mount them with `:ro`, or, where they change nothing,\n",
        );
    }
    let all: Vec<String> = caches.into_iter().chain(files).collect();
    if all.is_empty() {
        out.push_str("# disposable = [\"volume:product_cache\", \"path:tmp\"]\n");
    } else {
        let _ = writeln!(out, "# disposable = {}", list(&all));
    }
    policy_with(&out)
}
