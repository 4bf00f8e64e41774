//! The double of a server in a pod, for a drill: a container like the pod's, in no pod and in no network.

use super::{Pods, look};
use crate::context::StepContext;
use crate::driver::compose::double::DRILL_LABEL;
use crate::driver::engine::{Alone, Container, Mount, Seen};
use crate::effect::hex;
use crate::model::VerbError;
use serde_json::json;
use sha2::{Digest, Sha256};

/// Of a digest: enough to tell the steps of all deployments apart.
const LETTERS: usize = 12;

impl Pods {
    /// Like the container `live` of a service; its ID.
    pub async fn start_alone(&self, cx: &StepContext, service: &str, live: &Container) -> Result<String, VerbError> {
        let declaration = self.declaration(false).await?;
        let (_, _, declared) = declaration.container(self, service)?;
        let is_settings = |mount: &&Mount| !mount.writable || look::is_settings(declared, mount);
        let (settings, data): (Vec<_>, Vec<_>) = live.mounts.iter().partition(is_settings);
        let seen = |mount: &Mount| Seen {
            volume: mount.volume.clone(),
            source: mount.source.clone(),
            target: mount.target.clone(),
        };
        let alone = Alone {
            name: self.double_name(&cx.step),
            labels: json!({ DRILL_LABEL: self.deployment }),
            settings: settings.into_iter().map(seen).collect(),
            empty: data.into_iter().map(|mount| mount.target.clone()).collect(),
        };
        self.engine.start_alone(&live.id, &alone).await
    }

    /// The container of a drill's double; an error for any other.
    pub async fn double_of(&self, id: &str) -> Result<Option<Container>, VerbError> {
        match self.engine.container(id).await? {
            Some(container) if !container.labels.contains_key(DRILL_LABEL) => {
                Err(VerbError::Denied(format!("the container `{}` is no double of a drill", container.name)))
            }
            found => Ok(found),
        }
    }

    /// Nothing of it is left. Converges.
    pub async fn discard_alone(&self, step: &str) -> Result<(), VerbError> {
        self.engine.remove(&self.double_name(step)).await
    }

    fn double_name(&self, step: &str) -> String {
        let of = format!("{}\0{}\0{}\0{step}", self.machine.state.display(), self.deployment, self.platform);
        format!("upgraded-drill-{}", &hex(&Sha256::digest(of))[..LETTERS])
    }
}
