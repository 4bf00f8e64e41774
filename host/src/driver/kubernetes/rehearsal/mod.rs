//! The double of a release for a rehearsal: the same release, in a namespace that the operator names for that and nothing
//! else. What its charts render to is made the double's before `helm` sees it.

mod addresses;
mod documents;

use super::Kubernetes;
use super::errors::verb_error;
use super::held::{DEPLOYED, label};
use crate::activity::Level;
use crate::context::StepContext;
use crate::driver::compose::double::{Double, left};
use crate::model::{ServiceRef, VerbError};
use addresses::Live;
pub(super) use documents::beside;
use reqwest::Url;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use upgraded_kubernetes::manifest::{self, Holds};
use upgraded_kubernetes::{Beside, Cluster, Kind, Mark, Published, Target, needed_for_rehearsal};

/// Nothing of the double runs before it has its data.
struct Everything;

impl Holds for Everything {
    fn holds(&self, _: Kind, _: &str) -> bool {
        true
    }
    fn live(&self, _: Kind, _: &str) -> Option<u32> {
        None
    }
    fn was_stated(&self, _: Kind, _: &str) -> bool {
        false
    }
    fn is_suspended(&self, _: &str) -> bool {
        false
    }
}

/// Where an address that users know leads in the double.
pub struct Behind {
    pub address: SocketAddr,
    /// Whoever speaks TLS to users is not in between.
    pub plain: bool,
}

impl Kubernetes {
    /// The release as it runs, with all that it needs of its namespace, and nothing started.
    pub async fn lay_out(&self, cx: &StepContext) -> Result<(), VerbError> {
        self.changeable(cx, "helm.lay-out")?;
        let double = self.own_double()?;
        let cluster = self.cluster().await?;
        cx.effects.perform("helm.shut-in", &(), "", true, self.shut_in(cluster, double)).await?;
        let mut documents = self.of_live(cx).await?;
        self.bring(cx, &documents).await?;
        manifest::hold(&mut documents, &Everything);
        let helm = self.helm()?;
        let argv = |chart: &Path| helm.install(chart, &label(&cx.step), &double.project);
        self.own_chart(cx, "helm.install", &documents, argv, 0).await?;
        cx.effects.perform("helm.bind", &self.claims, "", true, self.bind_claims(cluster, double)).await
    }

    /// All of it, as the chart has it; its services.
    pub async fn start_all(&self, cx: &StepContext) -> Result<Vec<ServiceRef>, VerbError> {
        let cluster = self.cluster().await?;
        let documents = self.of_live(cx).await?;
        let force = self.must_force(&cluster.newest().await.map_err(verb_error)?).await?;
        let mark = Mark { step: label(&cx.step), held: None };
        self.held(cx, "helm.start", documents, &[], &mark, (false, force), 0).await?;
        let workloads = cluster.workloads().await.map_err(verb_error)?;
        let runs = workloads.iter().filter(|workload| workload.kind.scales() || workload.kind == Kind::DaemonSet);
        Ok(runs.map(|w| ServiceRef { platform: self.platform.clone(), name: w.name.clone() }).collect())
    }

    /// Nothing of a rehearsal is left. Converges. Of the driver of what is live.
    pub async fn discard(&self, double: &Double) -> Result<(), VerbError> {
        self.place_of_rehearsals().await?.discard_rehearsal(&double.project).await.map_err(verb_error)
    }

    /// Where doubles of this release are made; an error where they can't be. Of the driver of what is live.
    pub async fn place_of_rehearsals(&self) -> Result<Cluster, VerbError> {
        let cluster = self.connect_to(self.rehearsal_target()?).await?;
        let missing = cluster.missing(&needed_for_rehearsal()).await.map_err(verb_error)?;
        let (namespace, release) = (cluster.namespace(), cluster.release());
        if !missing.is_empty() {
            let rules: Vec<String> = missing.iter().map(ToString::to_string).collect();
            let rules = rules.join("\n  - ");
            return Err(VerbError::Denied(format!(
                "a rehearsal in the namespace `{namespace}` takes a Role there with these rules:\n  - {rules}"
            )));
        }
        if cluster.has_a_strangers_release().await.map_err(verb_error)? {
            return Err(VerbError::Conflict(format!(
                "the namespace `{namespace}` has a release `{release}` that no rehearsal made, and is no place for one; \
                 `rehearsal-namespace` in `[platform.kubernetes]` names another"
            )));
        }
        Ok(cluster)
    }

    /// None: no service of the release is published there.
    pub async fn behind(&self, url: &Url) -> Result<Option<Behind>, VerbError> {
        let published = self.published.get_or_try_init(|| async {
            let live = self.live().await?;
            live.published().await.map_err(verb_error)
        });
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(0));
        let fits = published.await?.iter().filter(|published| published.leads(host, port, url.path()));
        let Some(Published { service, to, routed, .. }) = fits.max_by_key(|published| published.path.len()) else {
            return Ok(None);
        };
        let mut forwards = self.forwards.lock().await;
        let key = (format!("service/{service}/{to}"), port);
        let address = match forwards.get(&key) {
            Some(forward) => forward.address,
            None => {
                let forward = self.cluster().await?.forward_to_service(service, to).await.map_err(verb_error)?;
                forwards.entry(key).or_insert(forward).address
            }
        };
        Ok(Some(Behind { address, plain: *routed }))
    }

    /// Folders of the node that its pods write to.
    pub async fn written_paths(&self) -> Result<Vec<PathBuf>, VerbError> {
        let writable = self.cluster().await?.writable(&[]).await.map_err(verb_error)?;
        Ok(writable.into_iter().filter(|volume| volume.claim.is_none()).filter_map(|volume| volume.path).collect())
    }

    /// What a chart renders to, as it may be applied.
    pub(super) fn made_double(&self, documents: Vec<Value>) -> Result<Vec<Value>, VerbError> {
        match &self.double {
            None => Ok(documents),
            Some(double) => Ok(double.of_release(&documents, &self.config.namespace)?.documents),
        }
    }

    /// A double has none of what others made beside the release: what the documents name is copied from what is live.
    pub(super) async fn bring(&self, cx: &StepContext, documents: &[Value]) -> Result<(), VerbError> {
        let Some(double) = &self.double else { return Ok(()) };
        let (named, names) = (beside(documents), Live::new(&self.config.namespace, documents));
        let work = async {
            let (live, cluster) = (self.live().await?, self.cluster().await?);
            for (kind, name) in &named {
                cx.activity.touch();
                let check = |copy: &Value| is_cut_off(&names, copy);
                cluster.bring(live, *kind, name, &double.project, check).await.map_err(verb_error)?;
            }
            Ok(())
        };
        let brought: Vec<&String> = named.iter().map(|(_, name)| name).collect();
        cx.effects.perform("helm.bring", &brought, "", true, work).await
    }

    pub(super) fn rehearsal_target(&self) -> Result<Target, VerbError> {
        let named = self.config.rehearsal_namespace.clone();
        let namespace =
            named.ok_or_else(|| VerbError::Invalid("no `rehearsal-namespace` is named for a double".into()))?;
        Ok(Target { namespace, ..self.live_target() })
    }

    async fn shut_in(&self, cluster: &Cluster, double: &Double) -> Result<(), VerbError> {
        cluster.shut_in(&double.project).await.map_err(verb_error)
    }

    /// Claims that are data have their volumes before anything runs, since that is when they are filled.
    async fn bind_claims(&self, cluster: &Cluster, double: &Double) -> Result<(), VerbError> {
        let live = self.live().await?;
        for claim in &self.claims {
            let brought = cluster.bring(live, Beside::Claim, claim, &double.project, |_| Ok(())).await;
            if brought.map_err(verb_error)? {
                cluster.bind(claim).await.map_err(verb_error)?;
            }
        }
        Ok(())
    }

    /// The documents of what runs; jobs of an installation are done, and what they made is in the data.
    async fn of_live(&self, cx: &StepContext) -> Result<Vec<Value>, VerbError> {
        let double = self.own_double()?;
        let newest = self.live().await?.newest().await.map_err(verb_error)?;
        if newest.status != DEPLOYED || newest.held.is_some() {
            let (release, number, status) = (&self.config.release, newest.number, &newest.status);
            let why =
                format!("revision {number} of `{release}` is `{status}`, or holds something: there is no double of it");
            return Err(VerbError::Conflict(why));
        }
        let mut documents = manifest::read(&newest.manifest).map_err(verb_error)?;
        documents.retain(|document| manifest::head(document).0 != "Job");
        let doubled = double.of_release(&documents, &self.config.namespace)?;
        if !doubled.left_out.is_empty() {
            let what = doubled.left_out.join(", ");
            cx.activity.line(Level::Info, format!("the double does without {what}"));
        }
        Ok(doubled.documents)
    }

    async fn live(&self) -> Result<&Cluster, VerbError> {
        self.live.get_or_try_init(|| self.connect_to(self.live_target())).await
    }

    fn own_double(&self) -> Result<&Arc<Double>, VerbError> {
        let none = || VerbError::Denied("a release that is live is not laid out anew".into());
        self.double.as_ref().ok_or_else(none)
    }
}

fn is_cut_off(names: &Live<'_>, copy: &Value) -> upgraded_kubernetes::Result<()> {
    let Some(address) = names.named_in(copy) else { return Ok(()) };
    let name = copy["metadata"]["name"].as_str().unwrap_or_default();
    let why = left(&format!("`{name}`, which the release reads, names `{address}`")).to_string();
    Err(upgraded_kubernetes::Error::Invalid(why))
}
