//! Whether a workload stands, from what the API says of it and of its pods. Pure.

use crate::forward::is_ready;
use crate::workload::{Kind, Workload};
use serde_json::Value;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Stands,
    /// Not yet: how far it is, and what is in its way, which may pass by itself.
    Coming {
        what: String,
        hindrance: Option<String>,
    },
    /// It won't by itself; with the pod that says so, where one does.
    Broken {
        why: String,
        pod: Option<String>,
    },
}

/// A container that was started again so often since will not stand.
const RESTARTS: u64 = 2;
/// What registries say of an image that they don't have.
const NOT_THERE: [&str; 2] = ["not found", "manifest unknown"];

impl Workload {
    /// At the generation that was asked for, all replicas of it ready and nothing older left. `pods`: those of that generation.
    pub fn standing(&self, pods: &[Value]) -> Standing {
        if let Some(broken) = self.failed() {
            return broken;
        }
        let status = &self.object["status"];
        let number = |name: &str| status[name].as_u64().unwrap_or(0);
        if status["observedGeneration"].as_u64().is_some_and(|seen| seen < self.generation()) {
            return Standing::Coming { what: "its controller has not seen it yet".into(), hindrance: None };
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
        let no_node = || pods.iter().find_map(why_no_node);
        let hindrance = self.refused().or_else(|| pods.iter().find_map(hindered)).or_else(no_node);
        Standing::Coming { what: format!("{ready} of {wanted} are ready, {updated} are new"), hindrance }
    }

    fn failed(&self) -> Option<Standing> {
        let said = self.condition("Failed").filter(|_| self.kind == Kind::Job)?;
        Some(Standing::Broken { why: format!("failed: {said}"), pod: None })
    }

    /// A quota may have room again, and whoever checks what is made may be back.
    fn refused(&self) -> Option<String> {
        let said = self.condition("ReplicaFailure").filter(|_| self.kind == Kind::Deployment)?;
        Some(format!("its pods are refused: {said}"))
    }

    /// What one that holds says.
    fn condition(&self, kind: &str) -> Option<&str> {
        let mut conditions = self.object["status"]["conditions"].as_array()?.iter();
        let found = conditions.find(|condition| condition["type"] == kind && condition["status"] == "True")?;
        Some(found["message"].as_str().unwrap_or_default())
    }
}

/// Pods of a StatefulSet that are not what it is to have, and not ready: its controller, which goes in order, waits for them.
/// None where it is at work on others.
pub(crate) fn stuck(workload: &Workload, pods: &[Value]) -> Vec<String> {
    let (spec, status) = (&workload.object["spec"], &workload.object["status"]);
    let seen = status["observedGeneration"].as_u64().is_none_or(|seen| seen >= workload.generation());
    let by_others = spec["podManagementPolicy"] == "Parallel" || spec["updateStrategy"]["type"] == "OnDelete";
    let Some(newest) = status["updateRevision"].as_str().filter(|_| seen && !by_others) else { return Vec::new() };
    let unready: Vec<&Value> = pods.iter().filter(|pod| !is_ready(pod)).collect();
    let is_stuck = |pod: &&Value| {
        let metadata = &pod["metadata"];
        metadata["deletionTimestamp"].is_null() && metadata["labels"]["controller-revision-hash"] != newest
    };
    if !unready.iter().all(is_stuck) {
        return Vec::new();
    }
    unready.iter().filter_map(|pod| pod["metadata"]["name"].as_str()).map(str::to_owned).collect()
}

fn broken_pod(pod: &Value) -> Option<Standing> {
    let why = waiting(pod).find_map(|(container, reason, message)| {
        let inside = container["name"].as_str().unwrap_or_default();
        let told = message.to_lowercase();
        match reason {
            "ImagePullBackOff" | "ErrImagePull" if NOT_THERE.iter().any(|part| told.contains(part)) => {
                Some(format!("can't get the image of `{inside}` ({reason}): {message}"))
            }
            "InvalidImageName" | "ErrImageNeverPull" => {
                Some(format!("can't get the image of `{inside}` ({reason}): {message}"))
            }
            "CrashLoopBackOff" if container["restartCount"].as_u64().unwrap_or(0) >= RESTARTS => {
                let code = container["lastState"]["terminated"]["exitCode"].as_i64();
                let code = code.map(|code| format!(", the last time with {code}")).unwrap_or_default();
                Some(format!("`{inside}` keeps ending{code}"))
            }
            _ => None,
        }
    })?;
    Some(Standing::Broken { why, pod: pod["metadata"]["name"].as_str().map(str::to_owned) })
}

/// By what its node tries again: a registry is back, and what a container wants is made a moment later.
fn hindered(pod: &Value) -> Option<String> {
    waiting(pod).find_map(|(container, reason, message)| {
        let inside = container["name"].as_str().unwrap_or_default();
        match reason {
            "ImagePullBackOff" | "ErrImagePull" => {
                Some(format!("the image of `{inside}` did not come yet ({reason}): {message}"))
            }
            "CreateContainerConfigError" | "CreateContainerError" | "RunContainerError" => {
                Some(format!("`{inside}` can't be made yet ({reason}): {message}"))
            }
            _ => None,
        }
    })
}

/// Containers of a pod that stays, with the reason for which they wait, and its words.
fn waiting(pod: &Value) -> impl Iterator<Item = (&Value, &str, &str)> {
    let goes = !pod["metadata"]["deletionTimestamp"].is_null();
    let lists = ["initContainerStatuses", "containerStatuses"];
    let containers = lists.into_iter().flat_map(move |list| pod["status"][list].as_array().into_iter().flatten());
    containers.filter(move |_| !goes).filter_map(|container| {
        let waiting = &container["state"]["waiting"];
        Some((container, waiting["reason"].as_str()?, waiting["message"].as_str().unwrap_or_default()))
    })
}

/// A node may still come, and a volume be made.
fn why_no_node(pod: &Value) -> Option<String> {
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return None;
    }
    let mut conditions = pod["status"]["conditions"].as_array()?.iter();
    let unscheduled = conditions.find(|c| c["type"] == "PodScheduled" && c["status"] == "False")?;
    let (name, why) = (pod["metadata"]["name"].as_str()?, unscheduled["message"].as_str().unwrap_or_default());
    Some(format!("no node takes the pod `{name}`: {why}"))
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
        assert!(matches!(deployment(spec.clone(), status(2, 2)).standing(&[]), Standing::Coming { .. }));
        assert!(matches!(deployment(spec, status(3, 3)).standing(&[]), Standing::Coming { .. }));
    }

    fn pod(waiting: Value, restarts: u64) -> Value {
        json!({ "metadata": { "name": "api-1" }, "status": { "containerStatuses": [
            { "name": "api", "state": { "waiting": waiting }, "restartCount": restarts, "lastState": { "terminated": { "exitCode": 3 } } }
        ] } })
    }

    fn coming(hindrance: Option<String>) -> Standing {
        Standing::Coming { what: "0 of 1 are ready, 0 are new".into(), hindrance }
    }

    #[test]
    fn a_pod_that_keeps_ending_or_has_no_image_breaks_it() {
        let api = deployment(json!({ "replicas": 1 }), json!({ "observedGeneration": 3 }));
        let broken = |why: &str| Standing::Broken { why: why.into(), pod: Some("api-1".into()) };
        let crash = json!({ "reason": "CrashLoopBackOff" });
        assert_eq!(api.standing(&[pod(crash.clone(), 2)]), broken("`api` keeps ending, the last time with 3"));
        assert_eq!(api.standing(&[pod(crash, 1)]), coming(None), "once may be chance");
        let pull = json!({ "reason": "ErrImagePull", "message": "not found" });
        assert_eq!(api.standing(&[pod(pull, 0)]), broken("can't get the image of `api` (ErrImagePull): not found"));
    }

    #[test]
    fn what_passes_by_itself_is_waited_for() {
        let api = deployment(json!({ "replicas": 1 }), json!({ "observedGeneration": 3 }));
        let hindrance =
            |reason: &str, message: &str| api.standing(&[pod(json!({ "reason": reason, "message": message }), 0)]);
        let limited = "the image of `api` did not come yet (ImagePullBackOff): toomanyrequests";
        assert_eq!(hindrance("ImagePullBackOff", "toomanyrequests"), coming(Some(limited.into())));
        let secret = "`api` can't be made yet (CreateContainerConfigError): secret \"db\" not found";
        assert_eq!(hindrance("CreateContainerConfigError", "secret \"db\" not found"), coming(Some(secret.into())));
        let refused = json!([{ "type": "ReplicaFailure", "status": "True", "message": "exceeded quota" }]);
        let api = deployment(json!({ "replicas": 1 }), json!({ "observedGeneration": 3, "conditions": refused }));
        assert_eq!(api.standing(&[]), coming(Some("its pods are refused: exceeded quota".into())));
    }

    #[test]
    fn a_pod_that_is_not_what_its_controller_waits_for_is_stuck() {
        let pod = |name: &str, hash: &str, ready: &str, deleted: Value| {
            let labels = json!({ "controller-revision-hash": hash });
            let conditions = json!([{ "type": "Ready", "status": ready }]);
            json!({ "metadata": { "name": name, "labels": labels, "deletionTimestamp": deleted }, "status": { "conditions": conditions } })
        };
        let of = |spec: Value, other: Value| {
            let status = json!({ "observedGeneration": 3, "updateRevision": "db-old" });
            let object = json!({ "metadata": { "name": "db", "generation": 3 }, "spec": spec, "status": status });
            let db = Workload { kind: Kind::StatefulSet, name: "db".into(), hook: false, object };
            stuck(&db, &[pod("db-0", "db-new", "False", Value::Null), other])
        };
        let ready = || pod("db-1", "db-new", "True", Value::Null);
        assert_eq!(of(json!({}), ready()), ["db-0"]);
        assert_eq!(of(json!({ "podManagementPolicy": "Parallel" }), ready()), [""; 0]);
        assert_eq!(of(json!({ "updateStrategy": { "type": "OnDelete" } }), ready()), [""; 0]);
        assert_eq!(of(json!({}), pod("db-1", "db-old", "False", Value::Null)), [""; 0], "one comes");
        assert_eq!(of(json!({}), pod("db-1", "db-new", "True", json!("2024-02-29T12:00:00Z"))), [""; 0], "one goes");
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
        for why in [
            "0/3 nodes are available: 3 Insufficient memory",
            "pod has unbound immediate PersistentVolumeClaims",
            "persistentvolumeclaim \"data-0\" not found",
        ] {
            let waits = api.standing(&[pod("api-1", json!({}), why)]);
            assert_eq!(waits, coming(Some(format!("no node takes the pod `api-1`: {why}"))));
        }
        let goes = pod("api-0", json!({ "deletionTimestamp": "2024-02-29T12:00:00Z" }), "0/3 nodes are available");
        assert_eq!(api.standing(&[goes]), coming(None));
    }
}
