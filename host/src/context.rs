//! What every call of a plugin and every verb of a driver is handed: who calls, for which site, what it may do, and how
//! it shows that it lives.

use crate::activity::Activity;
use crate::effect::Effects;
use crate::model::Binding;
use std::path::PathBuf;

pub struct StepContext {
    pub deployment: String,
    pub binding: Binding,
    /// Every binding of the deployment.
    pub bindings: Vec<Binding>,
    /// The run's number as text; empty before there is a run.
    pub run: String,
    /// Globally unique: `r<run>-<step>`; a name for whatever the step makes. Before there is a run: `look-<n>`.
    pub step: String,
    pub attempt: u32,
    pub site: Site,
    pub effects: Effects,
    pub activity: Activity,
}

impl StepContext {
    /// The same call at another site, where it only reads.
    pub fn reading_at(&self, site: Site) -> Self {
        Self {
            deployment: self.deployment.clone(),
            binding: self.binding.clone(),
            bindings: self.bindings.clone(),
            run: self.run.clone(),
            step: self.step.clone(),
            attempt: self.attempt,
            site,
            effects: Effects::reading(),
            activity: self.activity.clone(),
        }
    }
}

/// Where a plugin's verbs go; the plugin can't tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Site {
    Live,
    /// A throw-away double: every path lies beneath `root`, every name on a server is `name`. `server`: the container of
    /// the server's own double, in which `name` is that of what is live; none for a name on the live server.
    Drill {
        root: PathBuf,
        name: String,
        server: Option<String>,
    },
}
