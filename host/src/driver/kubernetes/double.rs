//! The double of a server for a drill: a pod of its own beside the release.

use super::errors::verb_error;
use super::{Kubernetes, POLL};
use crate::context::StepContext;
use crate::effect::hex;
use crate::model::VerbError;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use upgraded_kubernetes::{Come, Said, needed_for_double};

/// Of the names of doubles.
const BEGINNING: &str = "upgraded-drill-";
/// Of a digest: enough to tell the steps of all deployments apart.
const LETTERS: usize = 12;

impl Kubernetes {
    /// The pod, when it listens.
    pub async fn start_double(&self, cx: &StepContext, workload: &str, port: u16) -> Result<String, VerbError> {
        let (cluster, name) = (self.cluster().await?, self.double_name(&cx.step));
        self.may_have_double().await?;
        cluster.start_double(workload, port, &name).await.map_err(verb_error)?;
        let mut heard = String::new();
        loop {
            match cluster.double_came(&name, port).await.map_err(verb_error)? {
                Come::Listens => return Ok(name),
                Come::Never(why) => return Err(VerbError::other("server", format!("the new server {why}"))),
                Come::NotYet(said) if said != heard => {
                    heard = said;
                    cx.activity.touch();
                }
                Come::NotYet(_) => {}
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// By asking.
    pub(super) async fn may_have_double(&self) -> Result<(), VerbError> {
        let missing = self.cluster().await?.missing(&needed_for_double()).await.map_err(verb_error)?;
        if missing.is_empty() {
            return Ok(());
        }
        let rules: Vec<String> = missing.iter().map(ToString::to_string).collect();
        Err(VerbError::Denied(format!("a Role with the rules {} would be right", rules.join(", "))))
    }

    pub async fn forward_to_double(&self, pod: &str, port: u16) -> Result<SocketAddr, VerbError> {
        if !pod.starts_with(BEGINNING) {
            return Err(VerbError::Denied(format!("the pod `{pod}` is no double of a drill")));
        }
        let mut forwards = self.forwards.lock().await;
        let key = (pod.to_owned(), port);
        if let Some(forward) = forwards.get(&key) {
            return Ok(forward.address);
        }
        let forward = self.cluster().await?.forward_to_pod(pod, port).await.map_err(verb_error)?;
        Ok(forwards.entry(key).or_insert(forward).address)
    }

    /// In the shell of the server that serves `port` in a pod.
    pub async fn tell(&self, pod: &str, port: u16, script: &str, input: &str) -> Result<Said, VerbError> {
        self.cluster().await?.tell(pod, port, script, input.as_bytes()).await.map_err(verb_error)
    }

    /// Nothing is left of the step's double. Converges.
    pub async fn discard_double(&self, step: &str) -> Result<(), VerbError> {
        let name = self.double_name(step);
        self.forwards.lock().await.retain(|(of, _), _| *of != name);
        self.cluster().await?.discard_double(&name).await.map_err(verb_error)
    }

    pub(super) fn double_name(&self, step: &str) -> String {
        let of = format!("{}/{}/{}/{step}", self.machine.state.display(), self.deployment, self.platform);
        format!("{BEGINNING}{}", &hex(&Sha256::digest(of))[..LETTERS])
    }
}
