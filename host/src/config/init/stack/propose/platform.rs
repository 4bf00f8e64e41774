//! What a platform's own lines say.

use super::{gap, quoted};
use crate::config::init::Found;
use crate::config::init::propose::{beginning, commented, list, quoted_key, quoted_path};
use crate::config::init::stack::chart::{ChartVersion, Origin, Release};
use crate::config::init::stack::cloud::Region;
use crate::config::init::stack::{Platform, Stack, Version};
use std::fmt::Write;
use std::path::Path;

const USUAL_ENGINE: &str = "/var/run/docker.sock";
const PODMAN: &str = "/run/podman/podman.sock";
/// Where engines of ordinary users listen.
const OF_USERS: &str = "/run/user";

pub(super) fn lines(found: &Found, stack: &Stack) -> String {
    let mut out = beginning(found);
    let directory = quoted_path(&found.directory);
    match &stack.platform {
        Platform::Compose { engine, files, profiles } => {
            let _ = writeln!(out, "plugin = \"compose\"\ndirectory = {directory}   # {}", commented(&files.join(", ")));
            push_engine(&mut out, engine.as_deref().unwrap_or(Path::new(USUAL_ENGINE)));
            out.push_str(&version(stack, "services", "web"));
            if !profiles.is_empty() {
                let profiles = list(profiles);
                let _ = writeln!(
                    out,
                    "\n# [platform.compose]\n# profiles = {profiles}   # of services that do not run now"
                );
            }
        }
        Platform::Podman { engine, pods, config_maps, networks, units } => {
            let _ = writeln!(out, "plugin = \"podman\"\ndirectory = {directory}   # the files of pods and `.env`");
            push_engine(&mut out, engine.as_deref().unwrap_or(Path::new(PODMAN)));
            let _ = writeln!(out, "pods = {}   # in the order in which they are started", list(pods));
            if !config_maps.is_empty() {
                let _ = writeln!(out, "config-maps = {}", list(config_maps));
            }
            match &networks[..] {
                [] => out.push_str(
                    "# networks = [\"shop\"]   # where the pods are made with `podman kube play --network`\n",
                ),
                networks => {
                    let _ = writeln!(out, "networks = {}   # as `podman kube play --network`", list(networks));
                }
            }
            for (file, unit) in units {
                let (file, unit) = (commented(file), commented(unit));
                let _ = writeln!(out, "# The pods of `{file}` are stopped and started through their unit `{unit}`.");
            }
            out.push_str(&version(stack, "containers", "core/web"));
        }
        Platform::Helm(release) => helm(&mut out, &directory, release),
        Platform::CloudRun(region) => cloud_run(&mut out, stack, region),
    }
    out
}

fn push_engine(out: &mut String, socket: &Path) {
    let everything = if socket.starts_with(OF_USERS) { "as its user" } else { "on this machine" };
    let socket = quoted(&format!("unix://{}", socket.display()));
    let _ = writeln!(out, "engine = {socket}   # who may ask an engine may do everything {everything}");
}

/// `carriers`: what has images.
fn version(stack: &Stack, carriers: &str, example: &str) -> String {
    let (mut out, text) = match &stack.version {
        Version::Key { key, written, text, .. } => {
            let place = match written {
                true => "of `.env`; images' tags are made of it",
                false => "images' tags are made of it; it will stand in `.env`",
            };
            (format!("version-key = {}   # {place}\n", quoted(key)), text.as_str())
        }
        Version::Tags { services, text, .. } => {
            let comment = "the tags of their images in the files are the version";
            (format!("version-{carriers} = {}   # {comment}\n", list(services)), text.as_str())
        }
        Version::Told(_) | Version::Unknown => (
            format!(
                "# No tag of an image says a version. Where one does, the key of `.env` that it is made of, or the {carriers} \
                 whose\n# images have it:\n# version-key = \"VERSION\"\n# version-{carriers} = [{}]\n",
                quoted(example)
            ),
            "{version}",
        ),
    };
    push_text(&mut out, text);
    out
}

fn push_text(out: &mut String, text: &str) {
    if text != "{version}" {
        let _ = writeln!(out, "version-text = {}", quoted(text));
    }
}

fn helm(out: &mut String, directory: &str, release: &Release) {
    let _ = writeln!(out, "plugin = \"helm\"\ndirectory = {directory}   # where the values are");
    match &release.version_key {
        Some((key, text)) => {
            let file = release.values.last().map(String::as_str).unwrap_or_default();
            let _ = writeln!(out, "version-key = {}   # of `{}`", quoted(key), commented(file));
            push_text(out, text);
        }
        None => out.push_str(
            "# version-key = \"image.tag\"   # where a release is a tag in the values; else the chart's version says it\n",
        ),
    }
    match &release.chart_version {
        None => {}
        Some(ChartVersion::Text(text)) if text.contains("{version}") => {
            let _ = writeln!(out, "chart-version = {}   # how the chart of a release is called", quoted(text));
        }
        Some(ChartVersion::Text(text)) => {
            let comment = "it stays; `{version}` where each release has a chart of its own";
            let _ = writeln!(out, "chart-version = {}   # {comment}", quoted(text));
        }
        Some(ChartVersion::Unlike(version)) => {
            let what = format!("the chart `{version}` is here; write how that of a release is called");
            out.push_str(&gap("chart-version", "{version}", &commented(&what)));
        }
    }
    out.push_str("\n[platform.kubernetes]\n");
    match &release.cluster {
        Some(cluster) => {
            let _ = writeln!(out, "kubeconfig = {}   # yours; better one with an account of its own", quoted_path(&cluster.kubeconfig));
        }
        None => out.push_str("# kubeconfig = \"/etc/upgraded/kubeconfig\"   # without it, the account of the pod that the daemon runs in\n"),
    }
    let cluster = release.cluster.as_ref();
    match (&release.context, cluster.and_then(|cluster| cluster.context.as_ref())) {
        (Some(context), _) => push(out, "context", context, &release.script),
        (None, Some(current)) => push(out, "context", current, "the current one"),
        (None, None) => out.push_str("# context = \"production\"   # without it, the kubeconfig's current one\n"),
    }
    let example = release.chart_name.as_deref().unwrap_or("shop");
    let current = cluster.filter(|_| release.context.is_none());
    match (&release.namespace, current.and_then(|cluster| cluster.namespace.as_ref())) {
        (Some(namespace), _) => push(out, "namespace", namespace, &release.script),
        (None, Some(namespace)) => push(out, "namespace", namespace, "the context's"),
        (None, None) => out.push_str(&gap("namespace", example, "the release's namespace, as `helm list -A` has it")),
    }
    match &release.name {
        Some(name) => push(out, "release", name, &release.script),
        None => out.push_str(&gap("release", example, "the release's name, as `helm list -A` has it")),
    }
    chart(out, release);
    let values = list(&release.values);
    match &release.more_values[..] {
        [] => {
            let _ = writeln!(out, "values = {values}");
        }
        more => {
            let _ =
                writeln!(out, "values = {values}   # here are also {}; later ones win", commented(&more.join(", ")));
        }
    }
}

fn chart(out: &mut String, release: &Release) {
    let line = |out: &mut String, chart: &str, comment: &str| {
        let _ = writeln!(out, "chart = {}{comment}", quoted(chart));
    };
    match &release.chart {
        Origin::Registry(chart) => line(out, chart, ""),
        Origin::Folder(path) if path.contains("{version}") => line(out, path, ""),
        Origin::Folder(path) => {
            line(
                out,
                path,
                "   # one release alone: bring each by hand, or name a chart of `repository`, or `oci://…`",
            );
        }
        Origin::Repository { chart, address: Some(address) } => {
            line(out, chart, "");
            let _ = writeln!(out, "repository = {}", quoted(address));
        }
        Origin::Repository { chart, address: None } => {
            line(out, chart, "");
            let what = "that the chart is of, as `helm repo list` has it";
            out.push_str(&gap("repository", "https://charts.example.com", what));
        }
        Origin::Unknown => {
            out.push_str(&gap("chart", "shop", "a chart of `repository`, `oci://…`, or a path beneath `directory`"));
            out.push_str("# repository = \"https://charts.example.com\"   # that `chart` is of\n");
        }
    }
}

fn cloud_run(out: &mut String, stack: &Stack, region: &Region) {
    out.push_str("plugin = \"cloud-run\"\n");
    match &region.image {
        Some(image) => {
            let _ = writeln!(out, "image = {}   # of `{}`", quoted(image), commented(&region.source));
        }
        None => out.push_str(&gap(
            "image",
            "europe-west1-docker.pkg.dev/acme/shop/{service}:{version}",
            "the services' images, `{service}` and `{version}` for their names",
        )),
    }
    if !region.image_of.is_empty() {
        let others = region.image_of.iter().map(|(name, image)| format!("{} = {}", quoted_key(name), quoted(image)));
        let _ = writeln!(out, "image-of = {{ {} }}", others.collect::<Vec<_>>().join(", "));
    }
    match &region.health {
        Some(path) => {
            let comment = "asked of each revision before users are sent to it";
            let _ = writeln!(out, "health = {{ path = {} }}   # {comment}", quoted(path));
        }
        None => {
            out.push_str("# health = { path = \"/health\" }   # asked of each revision before users are sent to it\n")
        }
    }
    out.push_str("# directory = \"/opt/shop\"   # a folder whose `.env` names variables of all services; releases add theirs there\n");
    out.push_str("\n[platform.google]\n");
    push_project(out, region);
    match &region.region {
        Some(name) => push(out, "region", name, &region.source),
        None => out.push_str(&gap("region", "europe-west1", "where the services run")),
    }
    match &stack.services[..] {
        [] => out.push_str("# services = [\"web\"]   # not found: those that may be changed\n"),
        services => {
            let _ = writeln!(out, "services = {}   # those that may be changed", list(services));
        }
    }
    if !region.jobs.is_empty() {
        let _ = writeln!(out, "jobs = {}", list(&region.jobs));
    }
    let _ = writeln!(
        out,
        "{CREDENTIALS}   # or \"machine\"; without it, what `gcloud auth application-default login` left"
    );
}

const CREDENTIALS: &str = "# credentials = { secret = \"file:/etc/upgraded/secrets/google.json\" }";

/// An instance of Cloud SQL.
pub(super) fn instance(name: &str, stack: &Stack, instance: &str) -> String {
    let binding = if stack.data.instances.len() == 1 { "main" } else { instance };
    let mut out = format!("[datastores.{binding}]\nplugin = \"cloud-sql\"\n[datastores.{binding}.google]\n");
    if let Platform::CloudRun(region) = &stack.platform {
        push_project(&mut out, region);
    }
    let _ = writeln!(
        out,
        "instance = {}\n{CREDENTIALS}   # as above\n\
         # [datastores.{binding}.server]   # the same, reached directly: with it, rows are counted\n\
         # host = \"10.20.0.3\"\n# user = {user}\n# database = {user}\n\
         # password = {{ secret = \"file:/etc/upgraded/secrets/{name}-{binding}\" }}\n",
        quoted(instance),
        user = quoted(name)
    );
    out
}

/// Of data, where none was found.
pub(super) fn example(platform: &Platform) -> &'static str {
    match platform {
        Platform::Compose { .. } | Platform::Podman { .. } => {
            "# Nothing was found. For example:\n\
             # [datastores.files]\n# plugin = \"files\"\n# paths = { uploads = \"volume:product_uploads\", media = \"data/media\" }\n"
        }
        Platform::Helm(_) => {
            "# Nothing was found. For example:\n\
             # [datastores.main]\n# plugin = \"postgres\"\n# server = { service = \"postgres\", user = \"shop\", database = \"shop\" }\n"
        }
        Platform::CloudRun(_) => {
            "# Nothing was found. For example:\n\
             # [datastores.main]\n# plugin = \"cloud-sql\"\n# google = { project = \"acme\", instance = \"shop\" }\n"
        }
    }
}

fn push_project(out: &mut String, region: &Region) {
    match &region.project {
        Some(project) => push(out, "project", project, &region.source),
        None => out.push_str(&gap("project", "acme", "the project's id, as `gcloud projects list` has it")),
    }
}

fn push(out: &mut String, key: &str, value: &str, source: &str) {
    let _ = writeln!(out, "{key} = {}   # {}", quoted(value), commented(source));
}
