//! What the files say, as `docker compose config` renders it.

use crate::driver::project::secret_parts;
use crate::model::VerbError;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Stands for a `$` while it is looked for secrets: no variable's value has it.
const DOLLAR: &str = "\0";

/// A service of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    pub name: String,
    /// Where it is only built, the name that Compose gives to what it builds.
    pub image: Option<String>,
    /// It has a build section.
    pub builds: bool,
    pub replicas: u32,
    /// Those that must have started, or ended, before it.
    pub after: Vec<String>,
    pub mounts: Vec<DeclaredMount>,
    /// By their whole names.
    pub networks: Vec<String>,
    /// Why no second container of it can run beside the first.
    pub single: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredMount {
    /// `volume`, `bind`, `tmpfs` and others.
    pub kind: String,
    /// A volume's whole name, or a path of the machine.
    pub source: String,
    pub target: String,
    pub read_only: bool,
}

pub struct Declaration {
    pub name: String,
    pub services: Vec<Declared>,
    /// Values of the services' environment that look secret: shown to nobody.
    pub secrets: Vec<String>,
}

#[derive(Deserialize)]
struct Rendered {
    name: String,
    #[serde(default)]
    services: BTreeMap<String, Service>,
    #[serde(default)]
    volumes: BTreeMap<String, Option<Named>>,
    #[serde(default)]
    networks: BTreeMap<String, Option<Named>>,
}

#[derive(Deserialize)]
struct Named {
    name: Option<String>,
}

#[derive(Deserialize)]
struct Service {
    image: Option<String>,
    build: Option<Value>,
    scale: Option<u32>,
    #[serde(default)]
    deploy: Option<Deploy>,
    #[serde(default)]
    depends_on: BTreeMap<String, Value>,
    #[serde(default)]
    volumes: Vec<Volume>,
    #[serde(default)]
    environment: Option<BTreeMap<String, Option<Value>>>,
    container_name: Option<String>,
    network_mode: Option<String>,
    mac_address: Option<String>,
    #[serde(default)]
    ports: Vec<Port>,
    #[serde(default)]
    networks: BTreeMap<String, Option<Network>>,
}

#[derive(Deserialize)]
struct Port {
    published: Option<Value>,
}

#[derive(Deserialize)]
struct Network {
    ipv4_address: Option<String>,
    ipv6_address: Option<String>,
    mac_address: Option<String>,
}

#[derive(Deserialize)]
struct Deploy {
    replicas: Option<u32>,
}

#[derive(Deserialize)]
struct Volume {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    source: String,
    target: String,
    #[serde(default)]
    read_only: bool,
}

impl Declaration {
    pub fn read(rendered: &Value) -> Result<Self, VerbError> {
        let rendered = Rendered::deserialize(rendered).map_err(|error| {
            VerbError::other("compose", format!("what `docker compose config` says can't be read: {error}"))
        })?;
        let secrets = rendered.services.values().flat_map(secrets).collect();
        let named = (rendered.volumes, rendered.networks);
        let project = rendered.name;
        let services = rendered.services.into_iter();
        let services = services.map(|(name, service)| declared(&project, name, service, &named)).collect();
        Ok(Self { name: project, services, secrets })
    }
}

type AllNamed = BTreeMap<String, Option<Named>>;

fn declared(project: &str, name: String, service: Service, (volumes, networks): &(AllNamed, AllNamed)) -> Declared {
    let whole = |all: &AllNamed, name: &str| match all.get(name) {
        Some(Some(Named { name: Some(name) })) => name.clone(),
        _ => name.to_owned(),
    };
    let whole_name = |volume: &Volume| match volume.kind.as_str() {
        "volume" => whole(volumes, &volume.source),
        _ => volume.source.clone(),
    };
    let replicas = service.scale.or(service.deploy.as_ref().and_then(|deploy| deploy.replicas)).unwrap_or(1);
    let built = service.build.as_ref().map(|_| format!("{project}-{name}"));
    Declared {
        single: single(&service, replicas),
        name,
        image: service.image.or(built),
        builds: service.build.is_some(),
        replicas,
        after: service.depends_on.into_keys().collect(),
        networks: service.networks.keys().map(|name| whole(networks, name)).collect(),
        mounts: service
            .volumes
            .iter()
            .map(|volume| DeclaredMount {
                kind: volume.kind.clone(),
                source: whole_name(volume),
                target: volume.target.clone(),
                read_only: volume.read_only,
            })
            .collect(),
    }
}

/// What a second container would need that only one can have. Replicas share what they write to already; of one alone it
/// isn't known that it could.
fn single(service: &Service, replicas: u32) -> Option<String> {
    if let Some(name) = &service.container_name {
        return Some(format!("its container is named `{name}`"));
    }
    if service.network_mode.as_deref() == Some("host") {
        return Some("it is on the machine's own network".into());
    }
    let port = service.ports.iter().find_map(|port| match &port.published {
        Some(Value::String(port)) if !["", "0"].contains(&port.as_str()) => Some(port.clone()),
        Some(Value::Number(port)) if port.as_u64() != Some(0) => Some(port.to_string()),
        _ => None,
    });
    if let Some(port) = port {
        return Some(format!("it publishes port {port} of this machine"));
    }
    let fixed = |network: &Network| network.ipv4_address.is_some() || network.ipv6_address.is_some();
    let has_mac = |network: &Network| network.mac_address.is_some();
    if service.mac_address.is_some() || service.networks.values().flatten().any(|n| fixed(n) || has_mac(n)) {
        return Some("it has an address of its own".into());
    }
    let written = service.volumes.iter().find(|volume| volume.kind != "tmpfs" && !volume.read_only);
    written.filter(|_| replicas < 2).map(|volume| format!("it has no replica, and writes to `{}`", volume.target))
}

fn secrets(service: &Service) -> Vec<String> {
    let environment = service.environment.iter().flatten();
    let texts = environment.filter_map(|(key, value)| match value {
        Some(Value::String(text)) => Some(parts_for_nobody(key, text)),
        _ => None,
    });
    texts.flatten().collect()
}

/// `docker compose config` doubles every `$`; none of those that are left is a variable's.
fn parts_for_nobody(key: &str, text: &str) -> Vec<String> {
    let text = text.replace("$$", DOLLAR);
    secret_parts(key, &text).into_iter().map(|part| part.replace(DOLLAR, "$")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_is_read() {
        let json = r#"{"name":"shop","services":{
            "db":{"image":"postgres:15","environment":{"POSTGRES_PASSWORD":"hunter2","PORT":"1","EMPTY":null},
                  "volumes":[{"type":"volume","source":"data","target":"/var/lib/postgresql/data","volume":{}},
                             {"type":"bind","source":"/etc/shop","target":"/etc/shop","read_only":true}]},
            "web":{"image":"shop/web:1","build":{"context":"."},"deploy":{"replicas":2},
                   "depends_on":{"db":{"condition":"service_healthy"}},
                   "environment":{"DATABASE":"postgres://shop:pw12@db/shop"}},
            "worker":{"build":{"context":"."}}},
            "volumes":{"data":{"name":"shop_data"},"other":null}}"#;
        let declaration = Declaration::read(&serde_json::from_str(json).unwrap()).unwrap();
        assert_eq!(declaration.name, "shop");
        assert_eq!(declaration.secrets, ["hunter2", "pw12"]);
        let [db, web, worker] = &declaration.services[..] else { panic!() };
        assert_eq!((db.replicas, db.builds, db.mounts[0].source.as_str()), (1, false, "shop_data"));
        assert!(db.mounts[1].read_only && db.mounts[1].source == "/etc/shop");
        assert_eq!((web.replicas, web.builds, &web.after[..]), (2, true, &["db".to_owned()][..]));
        assert_eq!((web.image.as_deref(), worker.image.as_deref()), (Some("shop/web:1"), Some("shop-worker")));
        assert!(Declaration::read(&Value::Null).is_err());
    }

    #[test]
    fn a_secret_is_what_the_container_gets() {
        let secrets = |key: &str, value: &str| {
            let json = format!(r#"{{"name":"shop","services":{{"web":{{"environment":{{"{key}":"{value}"}}}}}}}}"#);
            Declaration::read(&serde_json::from_str(&json).unwrap()).unwrap().secrets
        };
        assert_eq!(secrets("DB_PASSWORD", "pa$$$$word$$"), ["pa$$word$"]);
        assert_eq!(secrets("DB_PASSWORD", "$$ecret"), ["$ecret"]);
        assert_eq!(secrets("DATABASE", "postgres://shop:p$$w12@db/shop"), ["p$w12"]);
        assert!(secrets("PRICE", "$$12").is_empty());
    }

    #[test]
    fn what_cannot_be_two_at_once_says_why() {
        let single = |service: &str| {
            let json = format!(r#"{{"name":"shop","services":{{"web":{{"image":"web:1",{service}}}}}}}"#);
            Declaration::read(&serde_json::from_str(&json).unwrap())
                .unwrap()
                .services
                .remove(0)
                .single
                .unwrap_or_default()
        };
        let data = r#""volumes":[{"type":"volume","source":"data","target":"/data"}]"#;
        for (service, why) in [
            (r#""container_name":"shop-web""#, "its container is named `shop-web`"),
            (r#""network_mode":"host""#, "it is on the machine's own network"),
            (r#""ports":[{"target":80,"published":"8080"}]"#, "it publishes port 8080 of this machine"),
            (
                r#""ports":[{"target":80,"published":"8080-8081"}],"scale":2"#,
                "it publishes port 8080-8081 of this machine",
            ),
            (r#""networks":{"default":null,"lan":{"ipv4_address":"10.0.0.2"}}"#, "it has an address of its own"),
            (data, "it has no replica, and writes to `/data`"),
            (&format!(r#"{data},"deploy":{{"replicas":2}}"#), ""),
            (r#""ports":[{"target":80},{"target":81,"published":"0"}],"networks":{"default":null}"#, ""),
            (r#""volumes":[{"type":"bind","source":"/etc/shop","target":"/etc/shop","read_only":true}]"#, ""),
        ] {
            assert_eq!(single(service), why, "{service}");
        }
    }
}
