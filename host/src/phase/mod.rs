//! What each step does: one small file for each phase, called by the pipeline's loop with the run so far. A phase calls
//! plugins and the host's hands; it journals nothing itself and decides nothing about what comes next.

mod back;
mod backup;
mod carry;
mod downtime;
mod drill;
pub mod hands;
pub mod hops;
pub mod rehearse;

pub use drill::{FINDINGS, same};

use crate::activity::Activity;
use crate::context::{Site, StepContext};
use crate::effect::{Effects, Ledger};
use crate::model::{Binding, Failure, Finding, Role, Severity};
use crate::plan::event::EffectResultOf;
use crate::plan::state::Progress;
use crate::plan::step::{Phase, Step};
use crate::plugin::roles::{Bound, Datastore, Platform};
use hands::Hands;
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// A run, as one step sees it.
pub struct RunContext<'a> {
    pub run: u64,
    pub progress: &'a Progress,
    pub bound: &'a Bound,
    pub hands: &'a dyn Hands,
    pub ledger: Arc<dyn Ledger>,
    pub activity: Activity,
}

/// Globally unique: what a plugin and a driver name things from.
pub fn global_step(run: u64, step: &str) -> String {
    format!("r{run}-{step}")
}

pub async fn perform(
    run: &RunContext<'_>, step: &Step, attempt: u32, prior: Vec<EffectResultOf>,
) -> Result<Value, Failure> {
    let binding = run.binding_of(step)?;
    let effects = if step.phase.only_reads() {
        Effects::reading()
    } else {
        Effects::new(run.ledger.clone(), &step.id, attempt, prior)
    };
    let cx = StepContext {
        deployment: run.progress.plan.deployment.clone(),
        binding,
        bindings: run.bound.bindings(),
        run: run.run.to_string(),
        step: global_step(run.run, &step.id),
        attempt,
        site: Site::Live,
        effects,
        activity: run.activity.clone(),
    };
    match step.phase {
        Phase::Stage => hops::stage(run, step, &cx).await,
        Phase::BackupAhead => backup::ahead(run, &cx).await,
        Phase::BackupFinal => backup::last(run, &cx).await,
        Phase::Drill | Phase::DrillFinal => drill::drill(run, step, cx).await,
        Phase::Rehearse => rehearse::rehearse(run, &cx).await,
        Phase::Recheck => {
            let findings = run.hands.recheck(&run.progress.plan, &run.activity).await?;
            without_blockers(findings)
        }
        Phase::Quiesce | Phase::Halt => downtime::quiesce(run, step, &cx).await,
        Phase::Fence => downtime::fence(run, &cx).await,
        Phase::FenceBack => downtime::fence_back(run, &cx).await,
        Phase::Freeze => downtime::freeze(run, &cx).await,
        Phase::Seal => downtime::seal(run, &cx).await,
        Phase::Unfence | Phase::UnfenceBack => downtime::unfence(run, &cx).await,
        Phase::Edits => hops::edits(run, step, &cx).await,
        Phase::Carry => carry::carry(run, &cx).await,
        Phase::Apply => hops::apply(run, step, &cx).await,
        Phase::VerifyWave | Phase::Verify => hops::verify(run, step, &cx).await,
        Phase::Admit | Phase::AdmitBack => downtime::admit(run, &cx).await,
        Phase::BackupLate => backup::late(run, &cx).await,
        // The outcome's record is the commit; what stands before it has all been done.
        Phase::Commit => carry::let_go(run, &cx).await,
        Phase::CarryBack => carry::back(run, &cx).await,
        Phase::Restore => back::restore(run, &cx).await,
        Phase::CompareBack => back::compare(run, &cx).await,
        Phase::FilesBack => back::files(run, &cx).await,
        Phase::Revert => back::revert(run, &cx).await,
        Phase::Rebuild => back::rebuild(run, step, &cx).await,
        Phase::VerifyBack => back::verify(run, &cx).await,
    }
}

impl RunContext<'_> {
    fn binding_of(&self, step: &Step) -> Result<Binding, Failure> {
        let Some(name) = &step.binding else { return Ok(self.bound.product.0.clone()) };
        self.bound
            .bindings()
            .into_iter()
            .find(|binding| binding.name == *name && Some(binding.role) == step.role)
            .ok_or_else(|| missing(step.phase.role(), name))
    }

    fn platform(&self, cx: &StepContext) -> Result<Arc<dyn Platform>, Failure> {
        let found = self.bound.platform(&cx.binding.name);
        found.map(|(_, platform)| platform.clone()).ok_or_else(|| missing(Role::Platform, &cx.binding.name))
    }

    fn datastore(&self, cx: &StepContext) -> Result<Arc<dyn Datastore>, Failure> {
        let found = self.bound.datastore(&cx.binding.name);
        found.map(|(_, datastore)| datastore.clone()).ok_or_else(|| missing(Role::Datastore, &cx.binding.name))
    }

    /// The token of the hop's stage; empty for a run that staged nothing.
    fn staged(&self, platform: &str, hop: usize) -> String {
        if let crate::plan::Kind::Rollback(way) = &self.progress.plan.kind {
            return way.staged.get(platform).cloned().unwrap_or_default();
        }
        let token = self.progress.steps.values().find_map(|state| match &state.status {
            crate::plan::state::Status::Succeeded(Value::String(token))
                if state.step.phase == Phase::Stage
                    && state.step.binding.as_deref() == Some(platform)
                    && state.step.hop == Some(hop) =>
            {
                Some(token.clone())
            }
            _ => None,
        });
        token.unwrap_or_default()
    }
}

fn missing(role: Role, name: &str) -> Failure {
    Failure { code: "missing".into(), message: format!("there is no {role} `{name}`"), retryable: false }
}

fn output(value: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(value).map_err(|e| Failure { code: "encode".into(), message: e.to_string(), retryable: false })
}

fn recorded<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, Failure> {
    serde_json::from_value(value.clone()).map_err(|e| Failure {
        code: "journal".into(),
        message: format!("a recorded output can't be read: {e}"),
        retryable: false,
    })
}

/// The findings as the step's output; a blocker fails the step, all of them named.
fn without_blockers(findings: Vec<Finding>) -> Result<Value, Failure> {
    let blockers: Vec<String> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Blocker)
        .map(|finding| match &finding.hint {
            Some(hint) => format!("{} ({hint})", finding.message),
            None => finding.message.clone(),
        })
        .collect();
    if blockers.is_empty() {
        return output(&findings);
    }
    Err(Failure { code: "blocker".into(), message: blockers.join("; "), retryable: false })
}

/// A failure of the host itself, not of a plugin.
pub fn host_failure(code: &str, message: impl Into<String>) -> Failure {
    Failure { code: code.into(), message: message.into(), retryable: false }
}
