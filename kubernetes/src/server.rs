//! The server that a workload's pod runs: its container, where what it keeps lies on this machine, and which server is in
//! an image.

use crate::cluster::Cluster;
use crate::double::{POLICIES, TAIL_LINES, alone, policy, why_none_starts};
use crate::error::{Error, Result};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What a script about an image needs nothing of.
const LEFT_OUT: [&str; 4] = ["args", "env", "envFrom", "volumeMounts"];

/// Where a path of a container lies among the volumes of its pod.
#[derive(Debug, PartialEq, Eq)]
enum Lies {
    Claim(String, PathBuf),
    /// In a folder of the node.
    Node(PathBuf),
}

/// Of a pod's `spec`: the container that serves the port, or else the first.
pub(crate) fn container(spec: &Value, port: u16) -> Option<&Value> {
    let containers = spec["containers"].as_array()?;
    let serves = |container: &&Value| {
        let mut ports = container["ports"].as_array().into_iter().flatten();
        ports.any(|own| own["containerPort"] == port)
    };
    containers.iter().find(serves).or(containers.first())
}

impl Cluster {
    /// The folder of this machine in which the server that serves `port` keeps what it sees as `path`. An error says where
    /// it lies instead, or who else has it.
    pub async fn folder_of_server(&self, workload: &str, port: u16, path: &Path) -> Result<PathBuf> {
        let name = self.ready_pod(workload).await?;
        let pod = self.pod(&name).await?;
        let folder = match lies(&pod, port, path)? {
            Lies::Node(folder) => self.on_this_machine(&pod, folder).await?,
            Lies::Claim(claim, within) => {
                let others: Vec<String> = self.users_of(&claim).await?.into_iter().filter(|pod| *pod != name).collect();
                if !others.is_empty() {
                    let others = others.join("`, `");
                    return Err(Error::Invalid(format!(
                        "the claim `{claim}` is mounted by the pod `{others}` too, which would go on with the old data: a \
                         claim of the server's own would be right"
                    )));
                }
                self.folder_of(&claim).await?.join(within)
            }
        };
        // Without the slash that joining nothing leaves.
        Ok(folder.components().collect())
    }

    pub(crate) async fn pod(&self, name: &str) -> Result<Value> {
        let pod = self.get(&self.path("api/v1", "pods"), name).await?;
        pod.ok_or_else(|| Error::Unavailable(format!("the pod `{name}` is gone")))
    }

    async fn on_this_machine(&self, pod: &Value, folder: PathBuf) -> Result<PathBuf> {
        let own = self.own_node().await?;
        match own.is_some_and(|own| pod["spec"]["nodeName"] == own) {
            true => Ok(folder),
            false => Err(Error::Invalid(format!(
                "`{}` lies on the node {}, and nothing says that this machine is it: a ClusterRole with the right to list \
                 nodes, and the daemon of that node, would be right",
                folder.display(),
                pod["spec"]["nodeName"]
            ))),
        }
    }

    /// Starts a pod that runs nothing but `script`, in the image of the server that a workload's `template` has. There may be
    /// one already.
    pub async fn start_asking(&self, template: &Value, port: u16, name: &str, script: &str) -> Result<()> {
        let pod = asking(template, port, name, script)?;
        self.make(POLICIES, "networkpolicies", &policy(name)).await?;
        self.make("api/v1", "pods", &pod).await
    }

    /// What the script said; none: not yet.
    pub async fn asked(&self, name: &str) -> Result<Option<String>> {
        let pod = self.pod(name).await?;
        if pod["status"]["phase"] == "Succeeded" {
            return Ok(Some(self.tail(name, TAIL_LINES).await));
        }
        match why_none_starts(&pod) {
            Some(why) => Err(Error::other("image", format!("{why}: {}", self.why(name, TAIL_LINES).await))),
            None => Ok(None),
        }
    }
}

fn lies(pod: &Value, port: u16, path: &Path) -> Result<Lies> {
    let spec = &pod["spec"];
    let refused = |why: &str| Error::Invalid(format!("the data in `{}` {why}", path.display()));
    let goes = || refused("goes with its pod: a claim there would be right");
    let mounts = container(spec, port).and_then(|container| container["volumeMounts"].as_array());
    let target = |mount: &Value| PathBuf::from(mount["mountPath"].as_str().unwrap_or_default());
    let around = mounts.into_iter().flatten().filter(|mount| path.starts_with(target(mount)));
    let mount = around.max_by_key(|mount| target(mount).components().count()).ok_or_else(goes)?;
    if mount["subPathExpr"].is_string() {
        return Err(refused("lies in a `subPathExpr` of its volume: a `subPath` would be right"));
    }
    let within = Path::new(mount["subPath"].as_str().unwrap_or_default());
    let within = within.join(path.strip_prefix(target(mount)).unwrap_or(path));
    let mut volumes = spec["volumes"].as_array().into_iter().flatten();
    let volume = volumes.find(|volume| volume["name"] == mount["name"]).ok_or_else(goes)?;
    if let Some(claim) = volume["persistentVolumeClaim"]["claimName"].as_str() {
        return Ok(Lies::Claim(claim.to_owned(), within));
    }
    volume["hostPath"]["path"].as_str().map(|folder| Lies::Node(Path::new(folder).join(within))).ok_or_else(goes)
}

fn asking(template: &Value, port: u16, name: &str, script: &str) -> Result<Value> {
    let mut pod = alone(template, port, name)?;
    pod["spec"]["volumes"] = json!([]);
    let container = &mut pod["spec"]["containers"][0];
    container["command"] = json!(["sh", "-c", script]);
    if let Some(container) = container.as_object_mut() {
        LEFT_OUT.into_iter().for_each(|key| drop(container.remove(key)));
    }
    Ok(pod)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(mount: Value, volume: Value) -> Value {
        json!({ "spec": {
            "containers": [
                { "name": "exporter", "image": "exporter:1", "volumeMounts": [{ "name": "data", "mountPath": "/" }] },
                {
                    "name": "db", "image": "postgres:17", "ports": [{ "containerPort": 5432 }], "args": ["-c", "x=1"],
                    "env": [{ "name": "POSTGRES_PASSWORD", "value": "secret" }],
                    "volumeMounts": [{ "name": "conf", "mountPath": "/var/lib" }, mount],
                },
            ],
            "volumes": [{ "name": "conf", "configMap": {} }, volume],
        } })
    }

    #[test]
    fn a_servers_data_lies_in_the_nearest_volume() {
        let mount = json!({ "name": "data", "mountPath": "/var/lib/postgresql", "subPath": "pg" });
        let claim = json!({ "name": "data", "persistentVolumeClaim": { "claimName": "data-db-0" } });
        let of = |mount: &Value, volume: &Value| {
            let found = lies(&pod(mount.clone(), volume.clone()), 5432, Path::new("/var/lib/postgresql/data"));
            found.map_err(|error| error.to_string())
        };
        assert_eq!(of(&mount, &claim), Ok(Lies::Claim("data-db-0".into(), "pg/data".into())));
        let node = json!({ "name": "data", "hostPath": { "path": "/srv/db" } });
        assert_eq!(of(&mount, &node), Ok(Lies::Node("/srv/db/pg/data".into())));
        for (mount, volume, why) in [
            (&mount, &json!({ "name": "data", "emptyDir": {} }), "goes with its pod: a claim"),
            (&json!({ "name": "data", "mountPath": "/srv" }), &claim, "goes with its pod: a claim"),
            (
                &json!({ "name": "data", "mountPath": "/var/lib/postgresql", "subPathExpr": "$(POD)" }),
                &claim,
                "a `subPath` would be right",
            ),
        ] {
            let said = of(mount, volume).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn an_image_is_asked_with_nothing_that_a_server_gets() {
        let template = pod(json!({ "name": "data", "mountPath": "/srv" }), json!({ "name": "data", "emptyDir": {} }));
        let made = asking(&template, 5432, "x", "postgres --version").unwrap();
        let container = &made["spec"]["containers"][0];
        assert_eq!(
            (&container["image"], &container["command"]),
            (&json!("postgres:17"), &json!(["sh", "-c", "postgres --version"]))
        );
        assert!(LEFT_OUT.iter().all(|key| container[*key].is_null()), "{container}");
        assert_eq!(made["spec"]["volumes"], json!([]));
    }
}
