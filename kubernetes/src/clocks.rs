//! What goes on by itself: Jobs of a CronJob that is suspended, and hooks whose `helm` is gone.

use crate::cluster::Cluster;
use crate::error::Result;
use crate::workload::{Kind, Workload};
use serde_json::Value;

/// A Job that has not ended, or whose pods have not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    pub job: String,
    /// The CronJob that started it; none: it is a hook.
    pub clock: Option<String>,
    /// That have not ended.
    pub pods: u64,
}

impl Cluster {
    /// By a CronJob of these, or as a hook among them.
    pub async fn started_jobs(&self, workloads: &[Workload]) -> Result<Vec<Started>> {
        let starts = |w: &&Workload| w.kind == Kind::CronJob || w.hook && w.kind == Kind::Job;
        let starters: Vec<&Workload> = workloads.iter().filter(starts).collect();
        if starters.is_empty() {
            return Ok(Vec::new());
        }
        let jobs = self.list(&self.path(Kind::Job.group(), Kind::Job.resource()), None).await?;
        Ok(jobs.iter().filter_map(|job| started(job, &starters)).collect())
    }
}

fn started(job: &Value, starters: &[&Workload]) -> Option<Started> {
    let status = &job["status"];
    let pods: u64 = ["active", "terminating"].iter().filter_map(|what| status[*what].as_u64()).sum();
    if pods == 0 && (has_ended(status) || job["spec"]["suspend"] == true) {
        return None;
    }
    let name = job["metadata"]["name"].as_str()?;
    if starters.iter().any(|own| own.kind == Kind::Job && own.name == name) {
        return Some(Started { job: name.to_owned(), clock: None, pods });
    }
    let owners = job["metadata"]["ownerReferences"].as_array()?;
    let is_owner = |clock: &&&Workload| {
        let uid = &clock.object["metadata"]["uid"];
        owners.iter().any(|owner| owner["kind"] == "CronJob" && owner["uid"] == *uid)
    };
    let clock = starters.iter().find(is_owner)?;
    Some(Started { job: name.to_owned(), clock: Some(clock.name.clone()), pods })
}

/// One whose pods all failed is tried again until it is given up.
fn has_ended(status: &Value) -> bool {
    let mut conditions = status["conditions"].as_array().into_iter().flatten();
    conditions.any(|c| c["status"] == "True" && matches!(c["type"].as_str(), Some("Complete" | "Failed")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_job_counts_until_it_and_its_pods_have_ended() {
        let object = json!({ "metadata": { "uid": "1" } });
        let clock = Workload { kind: Kind::CronJob, name: "shop-nightly".into(), hook: false, object };
        let of = |kind: &str, uid: &str, spec: Value, status: Value| {
            let metadata = json!({ "name": "shop-nightly-2890", "ownerReferences": [{ "kind": kind, "uid": uid }] });
            let job = json!({ "metadata": metadata, "spec": spec, "status": status });
            let started = started(&job, &[&clock])?;
            assert_eq!(started.clock.as_deref(), Some("shop-nightly"));
            Some(started.pods)
        };
        let own = |status: Value| of("CronJob", "1", json!({}), status);
        let ended = |what: &str| json!([{ "type": what, "status": "True" }]);
        assert_eq!(own(json!({ "active": 2 })), Some(2));
        assert_eq!(own(json!({})), Some(0), "its controller has not seen it yet");
        assert_eq!(own(json!({ "failed": 1 })), Some(0), "it is tried again");
        assert_eq!(own(json!({ "conditions": ended("Complete") })), None);
        assert_eq!(own(json!({ "conditions": ended("Failed") })), None);
        assert_eq!(own(json!({ "conditions": ended("Failed"), "terminating": 1 })), Some(1));
        assert_eq!(of("CronJob", "1", json!({ "suspend": true }), json!({ "conditions": ended("Suspended") })), None);
        assert_eq!(of("CronJob", "2", json!({}), json!({ "active": 1 })), None, "of another release");
        assert_eq!(of("Workflow", "1", json!({}), json!({ "active": 1 })), None);
    }

    #[test]
    fn a_hook_counts_between_its_tries_too() {
        let hook = Workload { kind: Kind::Job, name: "shop-migrate".into(), hook: true, object: json!({}) };
        let of = |name: &str, status: Value| {
            let job = json!({ "metadata": { "name": name }, "spec": {}, "status": status });
            started(&job, &[&hook]).map(|started| (started.clock, started.pods))
        };
        assert_eq!(of("shop-migrate", json!({ "active": 1 })), Some((None, 1)));
        assert_eq!(of("shop-migrate", json!({ "failed": 1 })), Some((None, 0)));
        assert_eq!(of("shop-migrate", json!({ "conditions": [{ "type": "Failed", "status": "True" }] })), None);
        assert_eq!(of("somebodys", json!({ "active": 1 })), None);
    }
}
