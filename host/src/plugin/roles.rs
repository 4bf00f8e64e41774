//! The three roles as the pipeline sees them: a seam, behind which stand components ([`super::v0_1`]) or the simulator.

use crate::context::StepContext;
use crate::model::*;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why a call of a plugin gave no answer. Every message names the plugin and the function.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// The plugin answered with an error of its own.
    #[error("`{plugin}` in `{function}`: {error}")]
    Refused { plugin: String, function: &'static str, error: VerbError },
    /// It trapped, ran out of a limit, or answered nonsense. `code`: `trap`, `memory`, `cpu`, `idle`, `nonsense`, …
    #[error("`{plugin}` in `{function}`: {message}")]
    Broken { plugin: String, function: &'static str, code: String, message: String, last_lines: Vec<String> },
}

impl CallError {
    /// The plugin says that what it was asked about is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { error: VerbError::NotFound(_), .. })
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let message = error.to_string();
        match error {
            CallError::Refused { error, .. } => Failure { message, ..Failure::from(error) },
            CallError::Broken { code, last_lines, .. } => {
                let lines = last_lines.join("\n");
                let message = if lines.is_empty() { message } else { format!("{message}\n{lines}") };
                Failure { code, message, retryable: false }
            }
        }
    }
}

pub type Answer<T> = Result<T, CallError>;

#[async_trait]
pub trait Product: Send + Sync {
    async fn releases(&self, cx: &StepContext) -> Answer<Vec<Release>>;
    async fn detect(&self, cx: &StepContext) -> Answer<Installed>;
    async fn path(&self, cx: &StepContext, installed: &Installed, wanted: &str) -> Answer<Vec<Hop>>;
    async fn preflight(&self, cx: &StepContext, hop: &Hop) -> Answer<Vec<Finding>>;
    async fn edits(&self, cx: &StepContext, hop: &Hop) -> Answer<Vec<Edit>>;
    async fn verify(&self, cx: &StepContext, release: &str) -> Answer<Vec<Finding>>;
}

#[async_trait]
pub trait Platform: Send + Sync {
    async fn components(&self, cx: &StepContext) -> Answer<Vec<Component>>;
    async fn preflight(&self, cx: &StepContext, hop: &Hop) -> Answer<Vec<Finding>>;
    async fn stage(&self, cx: &StepContext, hop: &Hop) -> Answer<String>;
    async fn edits(&self, cx: &StepContext, hop: &Hop) -> Answer<Vec<Edit>>;
    async fn quiesce(&self, cx: &StepContext, hop: &Hop) -> Answer<()>;
    async fn apply(&self, cx: &StepContext, hop: &Hop, staged: &str, act: u32) -> Answer<()>;
    async fn verify(&self, cx: &StepContext, hop: &Hop, act: Option<u32>) -> Answer<Vec<Finding>>;
    async fn admit(&self, cx: &StepContext, hop: &Hop) -> Answer<()>;
    async fn revert(&self, cx: &StepContext, hop: &Hop, staged: &str) -> Answer<()>;
}

#[async_trait]
pub trait Datastore: Send + Sync {
    async fn preflight(&self, cx: &StepContext, hop: &Hop) -> Answer<Vec<Finding>>;
    async fn fence(&self, cx: &StepContext) -> Answer<String>;
    async fn mark(&self, cx: &StepContext) -> Answer<String>;
    async fn unfence(&self, cx: &StepContext) -> Answer<()>;
    async fn freeze(&self, cx: &StepContext) -> Answer<bool>;
    async fn backup(&self, cx: &StepContext, frozen: Option<&str>) -> Answer<BackupRef>;
    async fn manifest(&self, cx: &StepContext, frozen: Option<&str>) -> Answer<String>;
    async fn restore(&self, cx: &StepContext, origin: &Origin) -> Answer<()>;
    async fn discard(&self, cx: &StepContext, frozen: &str) -> Answer<()>;
}

/// The plugins of one deployment, as one run began with them.
#[derive(Clone)]
pub struct Bound {
    pub product: (Binding, Arc<dyn Product>),
    /// In the file's order.
    pub platforms: Vec<(Binding, Arc<dyn Platform>)>,
    /// In the file's order; restored in reverse.
    pub datastores: Vec<(Binding, Arc<dyn Datastore>)>,
    /// SHA-256 of each binding's component, by role and name: see [`Bound::digest`].
    pub digests: BTreeMap<(Role, String), String>,
}

impl Bound {
    pub fn platform(&self, name: &str) -> Option<&(Binding, Arc<dyn Platform>)> {
        self.platforms.iter().find(|(binding, _)| binding.name == name)
    }
    pub fn datastore(&self, name: &str) -> Option<&(Binding, Arc<dyn Datastore>)> {
        self.datastores.iter().find(|(binding, _)| binding.name == name)
    }
    /// SHA-256 of the binding's component. A platform and a datastore may have the same name.
    pub fn digest(&self, binding: &Binding) -> Option<&str> {
        self.digests.get(&(binding.role, binding.name.clone())).map(String::as_str)
    }
    pub fn bindings(&self) -> Vec<Binding> {
        let mut all = vec![self.product.0.clone()];
        all.extend(self.platforms.iter().map(|(b, _)| b.clone()));
        all.extend(self.datastores.iter().map(|(b, _)| b.clone()));
        all
    }
}
