//! The file for what containers run, whatever their platform. Pure.

mod platform;

use super::{Data, Database, Platform, Stack, Store, Version};
use crate::config::init::Found;
use crate::config::init::propose::{commented, head_of, list, policy_with, quoted, quoted_key, script};
use std::fmt::Write;

pub fn propose(name: &str, found: &Found, stack: &Stack) -> String {
    let mut sections = vec![head(stack), settings(stack), platform::lines(found, stack)];
    sections.extend(commands(found, stack));
    sections.extend([data(name, stack), policy(&stack.data)]);
    sections.join("\n")
}

/// What the files don't say: a line of the file as it is once somebody has.
fn gap(key: &str, example: &str, what: &str) -> String {
    format!("# {key} = {}   # not found: {what}\n", quoted(example))
}

fn head(stack: &Stack) -> String {
    match &stack.version {
        Version::Key { version, .. } | Version::Tags { version, .. } | Version::Told(version) => {
            head_of(version, "edit this line; the daemon does the rest")
        }
        Version::Unknown => head_of("0.0.0", "not found: write here what is installed"),
    }
}

fn settings(stack: &Stack) -> String {
    let in_cloud = matches!(stack.platform, Platform::CloudRun(_));
    let mut out = String::from("[settings]\n");
    match &stack.services[..] {
        [] => out.push_str("# services = [\"web\", \"worker\"]   # those that a change of release starts anew\n"),
        services => {
            let comment = match in_cloud {
                true => "a change of release brings these a new revision",
                false => "a change of release stops and starts these; the first one's image says what is installed",
            };
            let _ = writeln!(out, "services = {}   # {comment}", list(services));
        }
    }
    match &stack.gate[..] {
        [] => out.push_str("# gate = [\"proxy\"]   # those that let users in: they stop first and start last\n"),
        gate => {
            let _ = writeln!(out, "gate = {}   # lets users in: stops first and starts last", list(gate));
        }
    }
    if let Version::Key { tag, .. } = &stack.version
        && !["{version}", "v{version}"].contains(&tag.as_str())
    {
        let _ = writeln!(out, "tag = {}   # how images' tags are written", quoted(tag));
    }
    let origin = match (&stack.address, in_cloud) {
        (Some(address), _) => format!("http://{address}"),
        (None, true) => "https://web-abcdefghij-ew.a.run.app".to_owned(),
        (None, false) => "http://127.0.0.1:8080".to_owned(),
    };
    if in_cloud {
        let waves: Vec<String> =
            stack.services.iter().map(|service| format!("{{ wave = [{}] }}", quoted(service))).collect();
        let waves = if waves.is_empty() { "{ wave = [\"web\"] }".to_owned() } else { waves.join(", ") };
        let _ = writeln!(out, "# acts = [{waves}]   # one after the other, each well before the next");
    } else {
        out.push_str(
            "# acts = [{ wave = [\"web\"], follow = [{ service = \"web\", success = \"…\", failure = \"…\" }] }]   # a \
             migration in a service's log\n",
        );
    }
    let _ = writeln!(
        out,
        "# undo = [\"code-only\"]   # where an old release runs on the new one's data; without it, data goes back too\n\
         # health = {}   # answers 2xx while the product is healthy\n\
         # http = [{}]   # every origin that is asked, here for `health`",
        quoted(&format!("{origin}/health")),
        quoted(&origin)
    );
    out
}

/// None where nothing was found: few products need any.
fn commands(found: &Found, stack: &Stack) -> Option<String> {
    let mut out = String::new();
    for (name, command) in &stack.commands {
        let _ = writeln!(out, "{}directory = {}\n", script(name, command), quoted(&found.directory.to_string_lossy()));
    }
    out.truncate(out.trim_end().len() + 1);
    (!stack.commands.is_empty()).then_some(out)
}

fn data(name: &str, stack: &Stack) -> String {
    let Data { databases, instances, stores, .. } = &stack.data;
    let mut out = String::from(
        "# Everything that the product writes belongs to a datastore, or stands under `disposable`: what is in neither\n\
         # would not come back with a rollback.\n",
    );
    for database in databases {
        out.push_str(&server(name, database));
    }
    for instance in instances {
        out.push_str(&platform::instance(name, stack, instance));
    }
    if !stores.is_empty() {
        out.push_str(
            "[datastores.files]   # saved while the services above are stopped\nplugin = \"files\"\n[datastores.files.paths]\n",
        );
        for Store { name, place, service } in stores {
            let _ = writeln!(out, "{} = {}   # {}", quoted_key(name), quoted(place), commented(service));
        }
        out.push('\n');
    }
    if databases.is_empty() && instances.is_empty() && stores.is_empty() {
        out.push_str(platform::example(&stack.platform));
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

fn policy(data: &Data) -> String {
    let of = |stores: &[Store]| -> Vec<String> {
        let entry = |store: &Store| match store.place.starts_with("volume:") {
            true => store.place.clone(),
            false => format!("path:{}", store.place),
        };
        stores.iter().map(entry).collect()
    };
    let (caches, files) = (of(&data.caches), of(&data.files_mounted));
    let mut out = String::new();
    if !caches.is_empty() {
        let services: Vec<String> = data.caches.iter().map(|store| commented(&store.service)).collect();
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
