//! Claims whose data lies in a folder of this machine, as the provisioners of a single machine make them.

use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::rights::Right;
use serde_json::Value;
use std::path::PathBuf;

const HOSTNAME: &str = "kubernetes.io/hostname";
/// Of the kernel that runs: no other machine has it.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// What finding a claim's folder takes beside the rights in the namespace.
pub(crate) const RIGHTS: [(&str, &str); 2] = [("persistentvolumes", "get"), ("nodes", "list")];

impl Cluster {
    /// The folder of a node in which the claim's data lies; the node is this machine. An error says where it lies instead.
    pub async fn folder_of(&self, claim: &str) -> Result<PathBuf> {
        let volume = self.volume_of(claim).await?;
        let (folder, mut nodes) = place(claim, &volume)?;
        if nodes.is_empty() {
            let pods = self.pods_with(claim).await?;
            nodes.extend(pods.iter().filter_map(|pod| pod["spec"]["nodeName"].as_str()).map(str::to_owned));
        }
        let all = self.list("/api/v1/nodes", None).await.map_err(|error| right_for(claim, RIGHTS[1], error))?;
        if all.iter().any(|node| is_one_of(node, &nodes) && is_this_machine(node)) {
            return Ok(folder);
        }
        let nodes =
            if nodes.is_empty() { "another machine".to_owned() } else { format!("the node `{}`", nodes.join("`, `")) };
        Err(Error::Invalid(format!(
            "the claim `{claim}` lies in `{}` of {nodes}, and this machine is none of them: the daemon of that node would be right",
            folder.display()
        )))
    }

    /// The node that is this machine, as far as the account may look.
    pub(crate) async fn own_node(&self) -> Result<Option<String>> {
        match self.list("/api/v1/nodes", None).await {
            Ok(all) => {
                let own = all.iter().find(|node| is_this_machine(node));
                Ok(own.and_then(|node| node["metadata"]["name"].as_str()).map(str::to_owned))
            }
            Err(Error::Denied(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Names of the pods that have the claim mounted and have not ended.
    pub async fn users_of(&self, claim: &str) -> Result<Vec<String>> {
        let pods = self.pods_with(claim).await?;
        Ok(pods.iter().filter_map(|pod| pod["metadata"]["name"].as_str()).map(str::to_owned).collect())
    }

    pub(crate) async fn volume_of(&self, claim: &str) -> Result<Value> {
        let namespace = self.namespace();
        let found = self.get(&self.path("api/v1", "persistentvolumeclaims"), claim).await?.ok_or_else(|| {
            Error::NotFound(format!(
                "the namespace `{namespace}` has no claim `{claim}`; `kubectl get persistentvolumeclaims` lists those that there are"
            ))
        })?;
        let name = found["spec"]["volumeName"].as_str().ok_or_else(|| {
            let phase = found["status"]["phase"].as_str().unwrap_or("unbound");
            Error::Conflict(format!("the claim `{claim}` is `{phase}`: it has no volume yet"))
        })?;
        let volume =
            self.get("/api/v1/persistentvolumes", name).await.map_err(|error| right_for(claim, RIGHTS[0], error))?;
        volume.ok_or_else(|| Error::NotFound(format!("the volume `{name}` of the claim `{claim}` is gone")))
    }

    async fn pods_with(&self, claim: &str) -> Result<Vec<Value>> {
        let mut pods = self.list(&self.path("api/v1", "pods"), None).await?;
        let ended = |pod: &Value| matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        let mounts = |pod: &Value| {
            let mut volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
            volumes.any(|volume| volume["persistentVolumeClaim"]["claimName"] == claim)
        };
        pods.retain(|pod| mounts(pod) && !ended(pod));
        Ok(pods)
    }
}

fn is_this_machine(node: &Value) -> bool {
    let boot = std::fs::read_to_string(BOOT).unwrap_or_default();
    !boot.is_empty() && node["status"]["nodeInfo"]["bootID"] == boot.trim()
}

/// By its name or by its label. None are named: every node is one of them.
fn is_one_of(node: &Value, names: &[String]) -> bool {
    let metadata = &node["metadata"];
    names.is_empty() || names.iter().any(|name| metadata["name"] == *name || metadata["labels"][HOSTNAME] == *name)
}

/// The folder, and the nodes that the volume says it lies on.
pub(crate) fn place(claim: &str, volume: &Value) -> Result<(PathBuf, Vec<String>)> {
    let spec = &volume["spec"];
    let Some(folder) = spec["hostPath"]["path"].as_str().or(spec["local"]["path"].as_str()) else {
        let class = spec["storageClassName"].as_str().filter(|class| !class.is_empty()).unwrap_or("none");
        return Err(Error::Invalid(format!(
            "the claim `{claim}` is no folder of this machine: {} keeps it (its storage class is `{class}`); what a local \
             provisioner made, as `hostPath` or `local`, can be saved, or a database by its server",
            keeper(spec)
        )));
    };
    let terms = spec["nodeAffinity"]["required"]["nodeSelectorTerms"].as_array().into_iter().flatten();
    let expressions = terms.flat_map(|term| term["matchExpressions"].as_array().into_iter().flatten());
    let hosts = expressions.filter(|expression| expression["key"] == HOSTNAME && expression["operator"] == "In");
    let nodes = hosts.flat_map(|expression| expression["values"].as_array().into_iter().flatten());
    Ok((PathBuf::from(folder), nodes.filter_map(Value::as_str).map(str::to_owned).collect()))
}

/// The driver of CSI, a server, or the kind of volume.
fn keeper(spec: &Value) -> String {
    if let Some(driver) = spec["csi"]["driver"].as_str() {
        return format!("the driver `{driver}`");
    }
    if let Some(server) = spec["nfs"]["server"].as_str() {
        return format!("the NFS server `{server}`");
    }
    const SETTINGS: [&str; 2] = ["capacity", "claimRef"];
    let kinds = spec
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, value)| value.is_object() && !SETTINGS.contains(&key.as_str()));
    kinds.map(|(kind, _)| format!("`{kind}`")).next().unwrap_or_else(|| "something unknown".into())
}

fn right_for(claim: &str, (resource, verb): (&str, &str), error: Error) -> Error {
    match error {
        Error::Denied(_) => Error::Denied(format!(
            "where the claim `{claim}` lies can't be seen: a ClusterRole with the rule {} would be right",
            Right::wide(resource, verb)
        )),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_local_provisioners_volume_is_a_folder_of_its_node() {
        let volume = json!({ "spec": {
            "capacity": { "storage": "1Gi" }, "storageClassName": "local-path", "hostPath": { "path": "/var/lib/rancher/k3s/storage/pvc-1" },
            "nodeAffinity": { "required": { "nodeSelectorTerms": [{ "matchExpressions": [
                { "key": HOSTNAME, "operator": "In", "values": ["alpha"] },
            ] }] } },
        } });
        let (folder, nodes) = place("data", &volume).unwrap();
        assert_eq!((folder, &nodes[..]), ("/var/lib/rancher/k3s/storage/pvc-1".into(), &["alpha".to_owned()][..]));
        let node = |name: &str, label: &str| json!({ "metadata": { "name": name, "labels": { HOSTNAME: label } } });
        assert!(is_one_of(&node("alpha", "x"), &nodes) && is_one_of(&node("a.example", "alpha"), &nodes));
        assert!(!is_one_of(&node("beta", "beta"), &nodes) && is_one_of(&node("beta", "beta"), &[]));
        let local = json!({ "spec": { "local": { "path": "/mnt/disk" } } });
        assert_eq!(place("data", &local).unwrap(), ("/mnt/disk".into(), Vec::new()));
    }

    #[test]
    fn what_lies_elsewhere_is_refused_with_who_keeps_it() {
        let of = |spec: Value| place("data", &json!({ "spec": spec })).unwrap_err().to_string();
        let size = json!({ "storage": "1Gi" });
        let csi = of(json!({ "capacity": size, "storageClassName": "gp3", "csi": { "driver": "ebs.csi.aws.com" } }));
        assert!(
            csi.contains("claim `data`") && csi.contains("driver `ebs.csi.aws.com`") && csi.contains("`gp3`"),
            "{csi}"
        );
        let nfs = of(json!({ "capacity": size, "nfs": { "server": "10.0.0.9", "path": "/export" } }));
        assert!(nfs.contains("NFS server `10.0.0.9`") && nfs.contains("class is `none`"), "{nfs}");
        let other = of(json!({ "capacity": size, "claimRef": {}, "iscsi": { "iqn": "x" } }));
        assert!(other.contains("`iscsi` keeps it"), "{other}");
    }
}
