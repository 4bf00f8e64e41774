//! What a clock of the release has started: Jobs that go on when their CronJob is suspended.

use crate::cluster::Cluster;
use crate::error::Result;
use crate::workload::{Kind, Workload};
use serde_json::Value;

/// A Job that has not ended, or whose pods have not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    pub job: String,
    pub clock: String,
    /// That have not ended.
    pub pods: u64,
}

impl Cluster {
    /// By a CronJob of these.
    pub async fn started_by_clocks(&self, workloads: &[Workload]) -> Result<Vec<Started>> {
        let clocks: Vec<&Workload> = workloads.iter().filter(|workload| workload.kind == Kind::CronJob).collect();
        if clocks.is_empty() {
            return Ok(Vec::new());
        }
        let jobs = self.list(&self.path(Kind::Job.group(), Kind::Job.resource()), None).await?;
        Ok(jobs.iter().filter_map(|job| started(job, &clocks)).collect())
    }
}

fn started(job: &Value, clocks: &[&Workload]) -> Option<Started> {
    let status = &job["status"];
    let pods: u64 = ["active", "terminating"].iter().filter_map(|what| status[*what].as_u64()).sum();
    if pods == 0 && (has_ended(status) || job["spec"]["suspend"] == true) {
        return None;
    }
    let owners = job["metadata"]["ownerReferences"].as_array()?;
    let is_owner = |clock: &&&Workload| {
        let uid = &clock.object["metadata"]["uid"];
        owners.iter().any(|owner| owner["kind"] == "CronJob" && owner["uid"] == *uid)
    };
    let clock = clocks.iter().find(is_owner)?;
    Some(Started { job: job["metadata"]["name"].as_str()?.to_owned(), clock: clock.name.clone(), pods })
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
            started(&job, &[&clock]).map(|started| started.pods)
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
}
