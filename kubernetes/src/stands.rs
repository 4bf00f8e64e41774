//! Whether a workload stands, from what the API says of it and of its pods. Pure.

use crate::workload::{Kind, Workload};
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Stands,
    /// Not yet; what it waits for.
    Coming(String),
    /// It won't by itself; with the pod that says so, where one does.
    Broken {
        why: String,
        pod: Option<String>,
    },
}

/// A container that was started again so often since will not stand.
const RESTARTS: u64 = 2;

impl Workload {
    /// At the generation that was asked for, all replicas of it ready and nothing older left. `pods`: those of that generation.
    pub fn standing(&self, pods: &[Value]) -> Standing {
        if let Some(broken) = self.failed() {
            return broken;
        }
        let status = &self.object["status"];
        let number = |name: &str| status[name].as_u64().unwrap_or(0);
        if status["observedGeneration"].as_u64().is_some_and(|seen| seen < self.generation()) {
            return Standing::Coming("its controller has not seen it yet".into());
        }
        let wanted = u64::from(self.replicas());
        let (all, updated, ready) = match self.kind {
            Kind::Deployment => (number("replicas"), number("updatedReplicas"), number("availableReplicas")),
            Kind::StatefulSet => {
                let newest = status["updateRevision"] == status["currentRevision"];
                let updated = if newest { number("replicas") } else { number("updatedReplicas") };
                (number("replicas"), updated, number("readyReplicas"))
            }
            Kind::DaemonSet => {
                (number("currentNumberScheduled"), number("updatedNumberScheduled"), number("numberAvailable"))
            }
            Kind::Job => (number("succeeded"), number("succeeded"), number("succeeded")),
            Kind::CronJob => return Standing::Stands,
        };
        if all == wanted && updated == wanted && ready == wanted {
            return Standing::Stands;
        }
        if let Some(broken) = pods.iter().find_map(broken_pod) {
            return broken;
        }
        let waits = pods.iter().find_map(why_no_node).map(|why| format!("; no node takes {why}")).unwrap_or_default();
        Standing::Coming(format!("{ready} of {wanted} are ready, {updated} are new{waits}"))
    }

    fn failed(&self) -> Option<Standing> {
        let conditions = self.object["status"]["conditions"].as_array()?;
        let is = |kind: &str, status: &str| conditions.iter().find(move |c| c["type"] == kind && c["status"] == status);
        let said = |condition: &Value| condition["message"].as_str().unwrap_or_default().to_owned();
        match self.kind {
            Kind::Job => {
                is("Failed", "True").map(|c| Standing::Broken { why: format!("failed: {}", said(c)), pod: None })
            }
            Kind::Deployment => {
                let refused = is("ReplicaFailure", "True");
                refused.map(|c| Standing::Broken { why: format!("its pods are refused: {}", said(c)), pod: None })
            }
            _ => None,
        }
    }
}

fn broken_pod(pod: &Value) -> Option<Standing> {
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return None;
    }
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let broken = |why: String| Some(Standing::Broken { why, pod: Some(name.to_owned()) });
    let status = &pod["status"];
    let lists = ["initContainerStatuses", "containerStatuses"];
    for container in lists.iter().flat_map(|list| status[*list].as_array().into_iter().flatten()) {
        let inside = container["name"].as_str().unwrap_or_default();
        let waiting = &container["state"]["waiting"];
        let message = waiting["message"].as_str().unwrap_or_default();
        match waiting["reason"].as_str().unwrap_or_default() {
            reason @ ("ImagePullBackOff" | "ErrImagePull" | "InvalidImageName" | "ErrImageNeverPull") => {
                return broken(format!("can't get the image of `{inside}` ({reason}): {message}"));
            }
            reason @ ("CreateContainerConfigError" | "CreateContainerError" | "RunContainerError") => {
                return broken(format!("`{inside}` can't be made ({reason}): {message}"));
            }
            "CrashLoopBackOff" if container["restartCount"].as_u64().unwrap_or(0) >= RESTARTS => {
                let code = container["lastState"]["terminated"]["exitCode"].as_i64();
                let code = code.map(|code| format!(", the last time with {code}")).unwrap_or_default();
                return broken(format!("`{inside}` keeps ending{code}"));
            }
            _ => {}
        }
    }
    None
}

/// A node may still come, and a volume be made.
fn why_no_node(pod: &Value) -> Option<String> {
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return None;
    }
    let mut conditions = pod["status"]["conditions"].as_array()?.iter();
    let unscheduled = conditions.find(|c| c["type"] == "PodScheduled" && c["status"] == "False")?;
    let (name, why) = (pod["metadata"]["name"].as_str()?, unscheduled["message"].as_str().unwrap_or_default());
    Some(format!("the pod `{name}`: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment(spec: Value, status: Value) -> Workload {
        let object = json!({ "metadata": { "name": "api", "generation": 3 }, "spec": spec, "status": status });
        Workload { kind: Kind::Deployment, name: "api".into(), hook: false, object }
    }

    #[test]
    fn a_deployment_stands_when_nothing_older_is_left() {
        let spec = json!({ "replicas": 2 });
        let status = |seen: u64, all: u64| json!({ "observedGeneration": seen, "replicas": all, "updatedReplicas": 2, "availableReplicas": 2 });
        assert_eq!(deployment(spec.clone(), status(3, 2)).standing(&[]), Standing::Stands);
        assert!(matches!(deployment(spec.clone(), status(2, 2)).standing(&[]), Standing::Coming(_)));
        assert!(matches!(deployment(spec, status(3, 3)).standing(&[]), Standing::Coming(_)));
    }

    #[test]
    fn a_pod_that_keeps_ending_or_has_no_image_breaks_it() {
        let api = deployment(json!({ "replicas": 1 }), json!({ "observedGeneration": 3 }));
        let pod = |state: Value, restarts: u64| {
            json!({ "metadata": { "name": "api-1" }, "status": { "containerStatuses": [
                { "name": "api", "state": { "waiting": state }, "restartCount": restarts, "lastState": { "terminated": { "exitCode": 3 } } }
            ] } })
        };
        let broken = |why: &str| Standing::Broken { why: why.into(), pod: Some("api-1".into()) };
        let crash = json!({ "reason": "CrashLoopBackOff" });
        assert_eq!(api.standing(&[pod(crash.clone(), 2)]), broken("`api` keeps ending, the last time with 3"));
        assert!(matches!(api.standing(&[pod(crash, 1)]), Standing::Coming(_)), "once may be chance");
        let pull = json!({ "reason": "ErrImagePull", "message": "not found" });
        assert_eq!(api.standing(&[pod(pull, 0)]), broken("can't get the image of `api` (ErrImagePull): not found"));
    }

    #[test]
    fn a_pod_that_no_node_takes_is_waited_for_with_the_reason() {
        let api = deployment(json!({ "replicas": 1 }), json!({ "observedGeneration": 3 }));
        let pod = |name: &str, metadata: Value, why: &str| {
            let mut pod = json!({ "metadata": metadata, "status": { "conditions": [
                { "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": why }
            ] } });
            pod["metadata"]["name"] = json!(name);
            pod
        };
        let coming = |rest: &str| Standing::Coming(format!("0 of 1 are ready, 0 are new{rest}"));
        for why in [
            "0/3 nodes are available: 3 Insufficient memory",
            "pod has unbound immediate PersistentVolumeClaims",
            "persistentvolumeclaim \"data-0\" not found",
        ] {
            let waits = api.standing(&[pod("api-1", json!({}), why)]);
            assert_eq!(waits, coming(&format!("; no node takes the pod `api-1`: {why}")));
        }
        let goes = pod("api-0", json!({ "deletionTimestamp": "2024-02-29T12:00:00Z" }), "0/3 nodes are available");
        assert_eq!(api.standing(&[goes]), coming(""));
    }
}
