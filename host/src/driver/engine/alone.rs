//! A container like another, by itself: made from the same image, in no network.

use super::{DONE, Engine, MADE, NOT_MODIFIED, OK, STOP_WITHIN};
use crate::model::VerbError;
use hyper::Method;
use hyper::body::Bytes;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// Of what the other was made from.
const KEPT: [&str; 5] = ["Entrypoint", "Cmd", "Env", "User", "WorkingDir"];
/// Of what the engine was told to do with it.
const LIMITS: [&str; 10] = [
    "CapAdd",
    "CapDrop",
    "CpuPeriod",
    "CpuQuota",
    "Memory",
    "NanoCpus",
    "PidsLimit",
    "ReadonlyRootfs",
    "ShmSize",
    "Tmpfs",
];

/// Beside production: the kernel gives it what is left, and takes from it first.
pub const CPU_SHARES: u64 = 128;
pub const OOM_SCORE_ADJ: i64 = 800;

/// What a container by itself is called and sees.
pub struct Alone {
    pub name: String,
    pub labels: Value,
    /// What is read where it is.
    pub settings: Vec<Seen>,
    /// Where there is something empty in place of data; it goes with the container.
    pub empty: Vec<PathBuf>,
}

/// Of the machine, or a named volume.
pub struct Seen {
    pub volume: Option<String>,
    pub source: PathBuf,
    pub target: PathBuf,
}

impl Engine {
    /// Starts a container like the one of this ID; the ID of the new one. There may be one of its name already.
    pub async fn start_alone(&self, like: &str, alone: &Alone) -> Result<String, VerbError> {
        let (status, body) = self.get(&self.path(&format!("/containers/{like}/json")).await?, &[]).await?;
        if status != OK {
            return Err(self.refused(status, &body));
        }
        let like: Value = serde_json::from_slice(&body).map_err(|error| super::nonsense(&error))?;
        let made = made_from(&like, alone)?.to_string();
        if self.container(&alone.name).await?.is_none() {
            let path = self.path("/containers/create").await?;
            let (status, body) =
                self.ask(Method::POST, &path, &[("name", &alone.name)], made.into(), STOP_WITHIN).await?;
            if status != MADE {
                return Err(self.refused(status, &body));
            }
        }
        let path = self.path(&format!("/containers/{}/start", alone.name)).await?;
        match self.ask(Method::POST, &path, &[], Bytes::new(), STOP_WITHIN).await? {
            (DONE | NOT_MODIFIED, _) => {}
            (status, body) => return Err(self.refused(status, &body)),
        }
        let made = self.container(&alone.name).await?;
        Ok(made.ok_or_else(|| VerbError::NotFound(format!("the container `{}` is gone", alone.name)))?.id)
    }
}

/// What the engine is asked for.
fn made_from(like: &Value, alone: &Alone) -> Result<Value, VerbError> {
    let (config, host) = (&like["Config"], &like["HostConfig"]);
    if host["Privileged"] == true {
        return Err(VerbError::Invalid("its container has the devices of this machine".into()));
    }
    let mut made = said(config, &KEPT);
    let mut limits = said(host, &LIMITS);
    limits.insert("NetworkMode".into(), "none".into());
    limits.insert("CpuShares".into(), CPU_SHARES.into());
    limits.insert("OomScoreAdj".into(), OOM_SCORE_ADJ.into());
    let mount = |seen: &Seen| {
        let (kind, source) = match &seen.volume {
            Some(volume) => ("volume", volume.clone()),
            None => ("bind", seen.source.display().to_string()),
        };
        json!({ "Type": kind, "Source": source, "Target": seen.target, "ReadOnly": true })
    };
    limits.insert("Mounts".into(), alone.settings.iter().map(mount).collect());
    made.insert("HostConfig".into(), limits.into());
    made.insert("Image".into(), like["Image"].clone());
    made.insert("Labels".into(), alone.labels.clone());
    let empty = alone.empty.iter().map(|path| (path.display().to_string(), json!({})));
    made.insert("Volumes".into(), Value::Object(empty.collect()));
    Ok(made.into())
}

/// Nothing, zero and empty stand for what the engine does by itself.
fn said(of: &Value, keys: &[&str]) -> Map<String, Value> {
    let says = |value: &Value| match value {
        Value::Null => false,
        Value::Bool(says) => *says,
        Value::Number(number) => number.as_i64().is_none_or(|number| number > 0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(table) => !table.is_empty(),
    };
    let own = keys.iter().filter(|key| says(&of[**key]));
    own.map(|key| ((*key).to_owned(), of[*key].clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn like() -> Value {
        json!({
            "Image": "sha256:15",
            "Config": {
                "Image": "postgres:15", "Entrypoint": ["docker-entrypoint.sh"], "Cmd": ["postgres", "-c", "fsync=on"],
                "Env": ["POSTGRES_PASSWORD=pw"], "User": "", "Labels": { "app": "db" }, "Hostname": "db",
            },
            "HostConfig": {
                "NetworkMode": "bridge", "Memory": 268_435_456, "NanoCpus": 0, "CapAdd": [], "PidsLimit": 2048,
                "PortBindings": { "5432/tcp": [{ "HostPort": "5432" }] }, "RestartPolicy": { "Name": "always" },
                "Binds": ["/srv/data:/var/lib/postgresql/data"],
            },
        })
    }

    #[test]
    fn it_is_like_the_other_and_has_nothing_of_its_data_and_no_network() {
        let settings = vec![
            Seen { volume: None, source: "/etc/ssl".into(), target: "/etc/ssl".into() },
            Seen { volume: Some("pg-conf".into()), source: "/x/pg-conf".into(), target: "/conf".into() },
        ];
        let empty = vec![PathBuf::from("/var/lib/postgresql/data")];
        let alone =
            Alone { name: "upgraded-drill-1".into(), labels: json!({ "upgraded.drill": "shop" }), settings, empty };
        assert_eq!(
            made_from(&like(), &alone).unwrap(),
            json!({
                "Image": "sha256:15", "Entrypoint": ["docker-entrypoint.sh"], "Cmd": ["postgres", "-c", "fsync=on"],
                "Env": ["POSTGRES_PASSWORD=pw"], "Labels": { "upgraded.drill": "shop" },
                "Volumes": { "/var/lib/postgresql/data": {} },
                "HostConfig": {
                    "NetworkMode": "none", "Memory": 268_435_456, "PidsLimit": 2048, "CpuShares": 128, "OomScoreAdj": 800,
                    "Mounts": [
                        { "Type": "bind", "Source": "/etc/ssl", "Target": "/etc/ssl", "ReadOnly": true },
                        { "Type": "volume", "Source": "pg-conf", "Target": "/conf", "ReadOnly": true },
                    ],
                },
            })
        );
        let mut privileged = like();
        privileged["HostConfig"]["Privileged"] = json!(true);
        assert!(made_from(&privileged, &alone).is_err());
    }
}
