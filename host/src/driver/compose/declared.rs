//! What the files say, as `docker compose config` renders it.

use crate::driver::project::secret_parts;
use crate::model::VerbError;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A service of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    pub name: String,
    /// None where it is only built.
    pub image: Option<String>,
    /// It has a build section.
    pub builds: bool,
    pub replicas: u32,
    /// Those that must have started, or ended, before it.
    pub after: Vec<String>,
    pub mounts: Vec<DeclaredMount>,
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
        let volumes = rendered.volumes;
        let services = rendered.services.into_iter().map(|(name, service)| declared(name, service, &volumes)).collect();
        Ok(Self { name: rendered.name, services, secrets })
    }
}

fn declared(name: String, service: Service, volumes: &BTreeMap<String, Option<Named>>) -> Declared {
    let whole_name = |volume: &Volume| match volumes.get(&volume.source) {
        Some(Some(Named { name: Some(name) })) if volume.kind == "volume" => name.clone(),
        _ => volume.source.clone(),
    };
    Declared {
        name,
        image: service.image,
        builds: service.build.is_some(),
        replicas: service.scale.or(service.deploy.and_then(|deploy| deploy.replicas)).unwrap_or(1),
        after: service.depends_on.into_keys().collect(),
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

fn secrets(service: &Service) -> Vec<String> {
    let environment = service.environment.iter().flatten();
    let texts = environment.filter_map(|(key, value)| match value {
        Some(Value::String(text)) => Some(secret_parts(key, text)),
        _ => None,
    });
    texts.flatten().map(str::to_owned).collect()
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
                   "environment":{"DATABASE":"postgres://shop:pw12@db/shop"}}},
            "volumes":{"data":{"name":"shop_data"},"other":null}}"#;
        let declaration = Declaration::read(&serde_json::from_str(json).unwrap()).unwrap();
        assert_eq!(declaration.name, "shop");
        assert_eq!(declaration.secrets, ["hunter2", "pw12"]);
        let [db, web] = &declaration.services[..] else { panic!() };
        assert_eq!((db.replicas, db.builds, db.mounts[0].source.as_str()), (1, false, "shop_data"));
        assert!(db.mounts[1].read_only && db.mounts[1].source == "/etc/shop");
        assert_eq!((web.replicas, web.builds, &web.after[..]), (2, true, &["db".to_owned()][..]));
        assert!(Declaration::read(&Value::Null).is_err());
    }
}
