//! The throw-away double of a project, for a rehearsal or a drill: what its files say, with everything of production taken
//! out.
//!
//! [`Double::of`] replaces what it knows, and [`Double::check`] then looks at the outcome with an eye of its own: what
//! still reaches out of the double's folder, names or networks is an error, whatever let it through.

use super::reading::{More, does_more, is_the_machines};
use crate::driver::durable;
use crate::driver::engine::{CPU_SHARES, OOM_SCORE_ADJ};
use crate::driver::trees::copy::{properties_of, settle};
use crate::effect::hex;
use crate::model::VerbError;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::path::{Component, Path, PathBuf};

/// On everything that a rehearsal makes, or a drill, with the deployment's name.
pub const REHEARSAL_LABEL: &str = "upgraded.rehearsal";
pub const DRILL_LABEL: &str = "upgraded.drill";
/// Letters of a deployment's name in that of its double.
const NAME_LETTERS: usize = 20;
/// Of a service that does without: they would name it twice, let users in, let others route to it, or turn it off.
const DROPPED: [&str; 14] = [
    "annotations",
    "cgroup_parent",
    "container_name",
    "devices",
    "device_cgroup_rules",
    "dns",
    "dns_search",
    "external_links",
    "gpus",
    "logging",
    "mac_address",
    "network_mode",
    "ports",
    "profiles",
];
/// What can't be taken away without its being another service; each with what is right.
const HOST_WIDE: [&str; 4] = ["pid", "ipc", "uts", "userns_mode"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Double {
    /// The Compose project's name; nothing else begins with it.
    pub project: String,
    pub deployment: String,
    /// On everything that is made for it.
    pub label: &'static str,
    /// Everything of the double lies in it.
    pub folder: PathBuf,
    /// The live project's folder, of which `copy` holds what is needed.
    pub origin: PathBuf,
}

impl Double {
    pub fn copy(&self) -> PathBuf {
        self.folder.join("project")
    }

    /// Where what production has at `path` lies in the double.
    pub fn moved(&self, path: &Path) -> PathBuf {
        if path.starts_with(&self.folder) {
            return path.to_owned();
        }
        match path.strip_prefix(&self.origin) {
            Ok(inner) => self.copy().join(inner),
            Err(_) => {
                let names = path.components().filter(|part| matches!(part, Component::Normal(_)));
                self.folder.join("outside").join(names.collect::<PathBuf>())
            }
        }
    }

    /// A volume's, by its key in the files.
    pub fn volume(&self, key: &str) -> String {
        format!("{}_{key}", self.project)
    }

    /// What `docker compose config` says of the copied files, as it may run.
    pub fn of(&self, mut rendered: Value) -> Result<Value, VerbError> {
        let root = rendered.as_object_mut().ok_or_else(|| unreadable("the configuration is no mapping"))?;
        root.insert("name".into(), json!(self.project));
        let volumes = keys(root.get("volumes"));
        // A service that names none joins it, also one whose mode is taken away.
        let networks = root.entry("networks").or_insert_with(|| json!({}));
        if let Some(networks) = networks.as_object_mut() {
            networks.entry("default").or_insert(Value::Null);
        }
        for (kind, made) in [("volumes", json!({})), ("networks", json!({ "internal": true }))] {
            let Some(all) = root.get_mut(kind).and_then(Value::as_object_mut) else { continue };
            for (key, entry) in all.iter_mut() {
                let mut own = made.clone();
                own["name"] = json!(self.volume(key));
                own["labels"] = json!({ (self.label): self.deployment });
                *entry = own;
            }
        }
        if let Some(services) = root.get_mut("services").and_then(Value::as_object_mut) {
            for (name, service) in services.iter_mut() {
                let service = service.as_object_mut().ok_or_else(|| unreadable(&format!("`{name}` is no mapping")))?;
                self.service(name, service, &volumes)?;
            }
        }
        self.check(&rendered)?;
        Ok(rendered)
    }

    fn service(&self, name: &str, service: &mut Map<String, Value>, volumes: &[String]) -> Result<(), VerbError> {
        if let Some(mode) = text(service.get("network_mode")) {
            match mode.split_once(':') {
                Some(("service", _)) => drop(service.remove("networks")),
                None if ["none", "bridge", "default"].contains(&mode) => {}
                _ => return Err(refusal(name, &format!("has `network_mode: {mode}`"), "networks of the project")),
            }
        }
        drop_all(service);
        for key in HOST_WIDE {
            match text(service.get(key)) {
                Some(mode) if mode == "host" || mode.starts_with("container:") => {
                    return Err(refusal(name, &format!("has `{key}: {mode}`"), "one of its own"));
                }
                _ => {}
            }
        }
        if service.get("privileged") == Some(&json!(true)) {
            return Err(refusal(name, "is `privileged`", "the capabilities that it needs under `cap_add`"));
        }
        if service.get("use_api_socket") == Some(&json!(true)) || service.contains_key("provider") {
            return Err(refusal(name, "has the engine's own socket, or a provider of the machine's", "a service"));
        }
        if let Some(networks) = service.get_mut("networks").and_then(Value::as_object_mut) {
            for network in networks.values_mut().filter_map(Value::as_object_mut) {
                network.retain(|key, _| ["aliases", "interface_name", "priority"].contains(&key.as_str()));
            }
        }
        if let Some(from) = service.get("volumes_from").and_then(Value::as_array)
            && from.iter().filter_map(Value::as_str).any(|from| from.starts_with("container:"))
        {
            return Err(refusal(name, "has the volumes of a container outside of the project", "`volumes`"));
        }
        self.extra_hosts(service);
        for mount in service.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
            self.mount(name, mount, volumes)?;
        }
        if let Some(deploy) = service.get_mut("deploy").and_then(Value::as_object_mut) {
            deploy.remove("labels");
            if let Some(resources) = deploy.get_mut("resources").and_then(Value::as_object_mut)
                && let Some(reservations) = resources.get_mut("reservations").and_then(Value::as_object_mut)
            {
                reservations.remove("devices");
            }
        }
        if service.contains_key("build") {
            service.insert("image".into(), json!(format!("{}-{name}", self.project)));
        }
        service.insert("labels".into(), json!({ (self.label): self.deployment }));
        service.insert("pull_policy".into(), json!("never"));
        service.insert("cpu_shares".into(), json!(CPU_SHARES));
        service.insert("oom_score_adj".into(), json!(OOM_SCORE_ADJ));
        Ok(())
    }

    /// Names for addresses that no route leads to only make a service wait.
    fn extra_hosts(&self, service: &mut Map<String, Value>) {
        match service.get_mut("extra_hosts") {
            Some(Value::Array(hosts)) => {
                hosts.retain(|host| !host.as_str().is_some_and(|host| host.ends_with("host-gateway")));
            }
            Some(Value::Object(hosts)) => hosts.retain(|_, address| address != &json!("host-gateway")),
            _ => {}
        }
    }

    fn mount(&self, name: &str, mount: &mut Value, volumes: &[String]) -> Result<(), VerbError> {
        let mount = mount.as_object_mut().ok_or_else(|| unreadable(&format!("a mount of `{name}` is no mapping")))?;
        let source = text(mount.get("source")).unwrap_or_default().to_owned();
        match text(mount.get("type")).unwrap_or_default() {
            "tmpfs" | "image" => Ok(()),
            "volume" if source.is_empty() || volumes.contains(&source) => Ok(()),
            "bind" => {
                let reads = mount.get("read_only") == Some(&json!(true));
                let path = self.instead_of_path(name, Path::new(&source), reads)?;
                mount.insert("source".into(), json!(path.display().to_string()));
                Ok(())
            }
            other => Err(refusal(name, &format!("has a mount of type `{other}`"), "`bind`, `volume` or `tmpfs`")),
        }
    }

    /// What a service sees in place of a path of the machine; `reads`: it can't write there.
    pub fn instead_of_path(&self, service: &str, path: &Path, reads: bool) -> Result<PathBuf, VerbError> {
        if is_the_machines(path) {
            let why = format!("mounts `{}`, through which it reaches the machine", path.display());
            return Err(refusal(service, &why, "no such mount, for example in an override file"));
        }
        if reads && !path.starts_with(&self.origin) {
            match does_more(path) {
                None => return Ok(path.to_owned()),
                Some(More::Reaches(why)) => {
                    let why = format!("mounts `{}`, {why}", path.display());
                    return Err(refusal(service, &why, "what it reads of that, one by one,"));
                }
                Some(More::Unknown) => {}
            }
        }
        let moved = self.moved(path);
        if !moved.exists() {
            make_instead_of(path, &moved)?;
        }
        Ok(moved)
    }

    /// Whether what is written there stays in its folder; a link in the copied folder may lead anywhere.
    pub fn holds(&self, path: &Path) -> bool {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        real(path).starts_with(real(&self.folder))
    }

    /// Nothing of production is left.
    pub fn check(&self, rendered: &Value) -> Result<(), VerbError> {
        let left = |what: String| Err(left(&what));
        let own = |name: Option<&str>| name.is_some_and(|name| name.starts_with(&format!("{}_", self.project)));
        if text(rendered.get("name")) != Some(&self.project) {
            return left("the project has another name".into());
        }
        for kind in ["volumes", "networks"] {
            for (key, entry) in rendered.get(kind).and_then(Value::as_object).into_iter().flatten() {
                if !own(text(entry.get("name")))
                    || entry.get("external").is_some()
                    || entry.get("driver_opts").is_some()
                {
                    return left(format!("`{kind}.{key}` is not its own"));
                }
                if kind == "networks" && entry.get("internal") != Some(&json!(true)) {
                    return left(format!("`networks.{key}` leads out"));
                }
            }
        }
        if rendered["networks"]["default"]["internal"] != true {
            return left("the network that services join by themselves leads out".into());
        }
        for (name, service) in rendered.get("services").and_then(Value::as_object).into_iter().flatten() {
            let network = text(service.get("network_mode")).filter(|mode| !mode.starts_with("service:"));
            let forbidden = DROPPED.iter().filter(|key| **key != "network_mode");
            if let Some(key) = forbidden.copied().find(|key| service.get(key).is_some()).or(network) {
                return left(format!("`{name}` has `{key}`"));
            }
            for mount in service.get("volumes").and_then(Value::as_array).into_iter().flatten() {
                let writable = mount.get("read_only") != Some(&json!(true)) && text(mount.get("type")) == Some("bind");
                let source = Path::new(text(mount.get("source")).unwrap_or_default());
                if writable && !self.holds(source) {
                    return left(format!("`{name}` writes to `{}`", source.display()));
                }
            }
        }
        Ok(())
    }
}

/// An empty folder, with the owner and mode of a folder that is there.
fn make_instead_of(path: &Path, moved: &Path) -> Result<(), VerbError> {
    let made = durable::make_passage(moved.parent().unwrap_or(moved)).and_then(|()| std::fs::create_dir(moved));
    made.map_err(|error| unreadable(&format!("`{}` can't be made: {error}", moved.display())))?;
    if path.is_dir() { settle(moved, &properties_of(path)?, false) } else { Ok(()) }
}

/// The projects of no operator begin so.
pub fn project_beginning(kind: &str) -> String {
    format!("upgraded-{kind}-")
}

/// The Compose project of a double; `of`: what tells it from every other.
pub fn project_name(kind: &str, deployment: &str, of: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = deployment.chars().map(plain).take(NAME_LETTERS).collect();
    format!("{}{name}-{}", project_beginning(kind), hex(&Sha256::digest(of)[..4]))
}

fn drop_all(service: &mut Map<String, Value>) {
    let kept = text(service.get("network_mode")).filter(|mode| mode.starts_with("service:")).map(str::to_owned);
    service.retain(|key, _| !DROPPED.contains(&key.as_str()));
    if let Some(mode) = kept {
        service.insert("network_mode".into(), json!(mode));
    }
}

fn keys(of: Option<&Value>) -> Vec<String> {
    of.and_then(Value::as_object).map(|all| all.keys().cloned().collect()).unwrap_or_default()
}

fn text(value: Option<&Value>) -> Option<&str> {
    value.and_then(Value::as_str)
}

/// What of production was found in a double.
pub fn left(what: &str) -> VerbError {
    VerbError::other("rehearsal", format!("the double would touch production: {what}; nothing was started"))
}

pub fn refusal(service: &str, why: &str, right: &str) -> VerbError {
    VerbError::Invalid(format!("there can be no double of `{service}`: it {why}; {right} would be right"))
}

fn unreadable(why: &str) -> VerbError {
    VerbError::other("compose", format!("what `docker compose config` says can't be read: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn double(folder: &Path) -> Double {
        Double {
            project: "upgraded-rehearsal-shop".into(),
            deployment: "shop".into(),
            label: REHEARSAL_LABEL,
            folder: folder.to_owned(),
            origin: "/opt/shop".into(),
        }
    }

    fn rendered(service: Value) -> Value {
        json!({
            "name": "shop",
            "services": { "web": service },
            "networks": { "default": { "name": "shop_default", "ipam": {} }, "proxy": { "name": "proxy", "external": true } },
            "volumes": { "data": { "name": "shop_data" }, "nfs": { "name": "nfs", "driver_opts": { "device": ":/x" } } },
        })
    }

    #[test]
    fn nothing_of_production_is_left() {
        let scratch = tempfile::tempdir().unwrap();
        let double = double(scratch.path());
        let service = json!({
            "image": "shop/web:1", "container_name": "shop", "ports": [{ "target": 80, "published": "80" }],
            "restart": "always", "labels": { "traefik.enable": "true" }, "logging": { "driver": "syslog" },
            "profiles": ["mail"],
            "extra_hosts": ["db=10.0.0.1", "host.docker.internal=host-gateway"],
            "networks": { "default": { "ipv4_address": "10.1.0.3", "aliases": ["w"] }, "proxy": null },
            "environment": { "A": "b$$c" },
            "volumes": [
                { "type": "volume", "source": "data", "target": "/data" },
                { "type": "bind", "source": "/opt/shop/files", "target": "/files" },
                { "type": "bind", "source": "/opt/shop/web.conf", "target": "/web.conf", "read_only": true },
                { "type": "bind", "source": "/srv/pictures", "target": "/pictures" },
                { "type": "bind", "source": "/etc/ssl", "target": "/etc/ssl", "read_only": true },
            ],
        });
        let made = double.of(rendered(service)).unwrap();
        let web = &made["services"]["web"];
        for gone in ["container_name", "ports", "logging", "profiles"] {
            assert!(web.get(gone).is_none(), "{gone}: {web}");
        }
        assert_eq!(web["labels"], json!({ REHEARSAL_LABEL: "shop" }));
        assert_eq!(web["extra_hosts"], json!(["db=10.0.0.1"]));
        assert_eq!(web["networks"]["default"], json!({ "aliases": ["w"] }));
        assert_eq!(web["environment"]["A"], "b$$c");
        let sources: Vec<_> =
            web["volumes"].as_array().unwrap().iter().map(|m| m["source"].as_str().unwrap()).collect();
        let inside = |path: &str| scratch.path().join(path).display().to_string();
        assert_eq!(
            sources,
            [
                "data",
                &inside("project/files"),
                &inside("project/web.conf"),
                &inside("outside/srv/pictures"),
                "/etc/ssl"
            ]
        );
        for network in ["default", "proxy"] {
            assert_eq!(made["networks"][network]["internal"], true);
        }
        assert_eq!(made["volumes"]["nfs"]["name"], "upgraded-rehearsal-shop_nfs");
        assert!(made["volumes"]["nfs"].get("driver_opts").is_none());
    }

    #[test]
    fn a_service_that_names_no_network_leads_nowhere() {
        let scratch = tempfile::tempdir().unwrap();
        let service = json!({ "image": "shop/web:1", "network_mode": "bridge" });
        let mut projects = [rendered(service.clone()), rendered(service)];
        projects[0]["networks"] = json!({ "back": { "name": "shop_back" } });
        projects[1].as_object_mut().unwrap().remove("networks");
        for project in projects {
            let double = double(scratch.path());
            let made = double.of(project).unwrap();
            assert!(made["services"]["web"].get("network_mode").is_none(), "{made}");
            let own = json!({
                "internal": true, "name": "upgraded-rehearsal-shop_default", "labels": { REHEARSAL_LABEL: "shop" },
            });
            assert_eq!(made["networks"]["default"], own);
            let mut open = made;
            open["networks"].as_object_mut().unwrap().remove("default");
            let why = double.check(&open).unwrap_err().to_string();
            assert!(why.contains("leads out"), "{why}");
        }
    }

    #[test]
    fn what_cannot_be_cut_off_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let bind = |source: &str| json!({ "volumes": [{ "type": "bind", "source": source, "target": "/x", "read_only": true }] });
        for (service, why) in [
            (json!({ "network_mode": "host" }), "network_mode: host"),
            (json!({ "network_mode": "container:other" }), "network_mode: container:other"),
            (json!({ "pid": "host" }), "pid: host"),
            (json!({ "privileged": true }), "privileged"),
            (json!({ "volumes_from": ["container:other"] }), "a container outside"),
            (bind("/var/run/docker.sock"), "reaches the machine"),
            (bind("/"), "reaches the machine"),
            (bind("/dev/null"), "reaches the machine"),
            (json!({ "volumes": [{ "type": "cluster", "source": "x", "target": "/x" }] }), "type `cluster`"),
        ] {
            let refused = double(scratch.path()).of(rendered(service)).unwrap_err().to_string();
            assert!(refused.contains("no double of `web`") && refused.contains(why), "{refused}");
        }
    }

    #[test]
    fn a_folder_with_a_socket_is_refused_though_it_is_only_read() {
        let (scratch, mysql) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let _listener = std::os::unix::net::UnixListener::bind(mysql.path().join("mysql.sock")).unwrap();
        let bind = json!({ "type": "bind", "source": mysql.path(), "target": "/x", "read_only": true });
        let refused = double(scratch.path()).of(rendered(json!({ "volumes": [bind] }))).unwrap_err().to_string();
        assert!(refused.contains("no double of `web`") && refused.contains("mysql.sock"), "{refused}");
    }

    #[test]
    fn a_link_that_leads_out_is_found() {
        let (scratch, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(scratch.path().join("project")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), scratch.path().join("project/files")).unwrap();
        let service = json!({ "volumes": [{ "type": "bind", "source": "/opt/shop/files", "target": "/files" }] });
        let refused = double(scratch.path()).of(rendered(service)).unwrap_err().to_string();
        assert!(refused.contains("`web` writes to"), "{refused}");
    }
}
