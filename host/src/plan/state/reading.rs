//! What a run so far says, to those who only read it: `next`, the phases, the socket.

use super::{Progress, Status, StepState};
use crate::model::{Act, Failure, Once, Undo};
use crate::plan::event::EffectResult;
use crate::plan::step::{Phase, Rung, Stage, Step, Stretch};
use crate::plan::{FileBack, Kind};
use serde_json::Value;

impl Progress {
    pub fn is_upgrade(&self) -> bool {
        self.plan.kind == Kind::Upgrade
    }

    /// The step that has started and not ended.
    pub fn in_doubt(&self) -> Option<&StepState> {
        self.steps.values().find(|state| state.status == Status::Running)
    }

    /// The step failed since something does not answer, and its last attempt left nothing that must not be done twice.
    pub fn can_be_waited_out(&self, id: &str, failure: &Failure) -> bool {
        let harmless = |state: &StepState| {
            let mut last = state.effects.iter().filter(|of| of.effect.attempt == state.attempts);
            last.all(|of| of.effect.repeatable || matches!(of.result, Some(EffectResult::Done(_))))
        };
        failure.retryable && self.steps.get(id).is_some_and(harmless)
    }

    /// The datastore's last fence was not lifted.
    pub fn is_fenced(&self, datastore: &str) -> bool {
        let steps = &self.steps;
        let of = move |phase: Phase| {
            let begun = move |state: &&StepState| {
                state.step.phase == phase && state.step.binding.as_deref() == Some(datastore) && state.attempts > 0
            };
            steps.values().filter(begun)
        };
        let is_lifted = |state: &StepState| matches!(state.status, Status::Succeeded(_));
        let lifted = of(Phase::Unfence).chain(of(Phase::UnfenceBack)).any(is_lifted);
        let lifted_at = |rung| of(Phase::UnfenceBack).any(|state| state.step.rung == rung && is_lifted(state));
        of(Phase::FenceBack).any(|state| !lifted_at(state.step.rung)) || of(Phase::Fence).next().is_some() && !lifted
    }

    pub fn started_any(&self, phase: Phase) -> bool {
        self.steps.values().any(|state| state.step.phase == phase && state.attempts > 0)
    }

    pub fn output(&self, phase: Phase, binding: &str) -> Option<&Value> {
        self.steps.values().find_map(|state| match &state.status {
            Status::Succeeded(value) if state.step.phase == phase && state.step.binding.as_deref() == Some(binding) => {
                Some(value)
            }
            _ => None,
        })
    }

    pub fn stretch(&self) -> Stretch {
        if self.turned.is_some() {
            return Stretch::Back;
        }
        self.steps
            .values()
            .filter(|state| state.attempts > 0)
            .map(|state| state.step.phase.stretch())
            .max()
            .unwrap_or(Stretch::Serving)
    }

    /// Users are shut out, or are about to be.
    pub fn shuts_out(&self) -> bool {
        let leaves = |state: &StepState| match state.status {
            Status::Running => true,
            Status::Succeeded(_) => !self.stale(state),
            Status::Probed | Status::Failed(_) | Status::Due => false,
        };
        match self.stretch() {
            Stretch::Serving => self.steps.values().any(|state| state.step.phase == Phase::Recheck && leaves(state)),
            Stretch::Downtime | Stretch::Back => true,
            Stretch::Admitted => false,
        }
    }

    /// The freeze of this datastore made a copy.
    pub fn frozen(&self, datastore: &str) -> bool {
        self.output(Phase::Freeze, datastore).and_then(|output| output.get("frozen")).and_then(Value::as_bool)
            == Some(true)
    }

    /// Of the two final backups that the plan lists, the one that the freeze has made needless. A frozen copy goes with the
    /// server that holds it.
    pub fn skips(&self, step: &Step) -> bool {
        let Some(datastore) = step.binding.as_deref() else { return false };
        let early = self.plan.policy.drill == crate::config::Drill::Final || self.plan.carries(datastore);
        let before_edits = early || !self.frozen(datastore);
        match step.phase {
            Phase::BackupFinal => !before_edits,
            Phase::BackupLate => before_edits,
            _ => false,
        }
    }

    /// The files that this run replaced or may have replaced, each with its oldest bytes. `key` names the old bytes in
    /// the vault: of a hop's number and an edit's.
    pub fn files(&self, key: impl Fn(usize, usize) -> String) -> Vec<FileBack> {
        if let Kind::Rollback(way) = &self.plan.kind {
            return way.files.clone();
        }
        let begun = |hop: usize| {
            self.steps.values().any(|s| s.step.phase == Phase::Edits && s.step.hop == Some(hop) && s.attempts > 0)
        };
        let mut files: Vec<FileBack> = Vec::new();
        for (hop, edits) in self.plan.edits.iter().enumerate().filter(|(hop, _)| begun(*hop)) {
            for (number, edit) in edits.iter().enumerate() {
                let after = edit.after.as_ref().map(|after| after.digest.clone());
                match files.iter_mut().find(|file| file.platform == edit.platform && file.path == edit.path) {
                    Some(file) => file.afters.extend(after),
                    None => files.push(FileBack {
                        platform: edit.platform.clone(),
                        path: edit.path.clone(),
                        before: edit.before.clone().map(|old| (old, key(hop, number))),
                        afters: after.into_iter().collect(),
                    }),
                }
            }
        }
        files
    }

    fn hops_touched(&self) -> Vec<usize> {
        let applied = |hop: &usize| {
            self.steps.values().any(|s| s.step.phase == Phase::Apply && s.step.hop == Some(*hop) && s.attempts > 0)
        };
        (0..self.plan.hops.len()).filter(applied).collect()
    }

    /// Every datastore's bytes of the quiesce are held: frozen, or in the vault.
    pub fn data_held(&self) -> bool {
        self.plan
            .datastores()
            .iter()
            .all(|datastore| self.frozen(datastore) || self.output(Phase::BackupFinal, datastore).is_some())
    }

    /// The ways back that the touched hops allow, narrowest first. A set of hops is as wide as its widest; the restore
    /// stands last wherever anything was applied but by rolling.
    pub fn rungs(&self) -> Vec<Rung> {
        if self.plan.rolls() {
            return vec![Rung::CodeOnly];
        }
        if !self.is_upgrade() {
            return vec![Rung::RestoreData];
        }
        let touched = self.hops_touched();
        if touched.is_empty() {
            return vec![Rung::CodeOnly];
        }
        let undos: Vec<&[Undo]> = touched.iter().map(|hop| self.plan.hops[*hop].undo.as_slice()).collect();
        rungs_of(&undos)
    }

    /// The steps of the present attempt at the way back; those of the last one when all have failed.
    pub fn back(&self) -> Vec<Step> {
        let rungs = self.rungs();
        let number = self.rung.min(rungs.len() - 1);
        let stage = Stage {
            fenced: self.started_any(Phase::Fence),
            edited: self.started_any(Phase::Edits),
            carried: self.started_any(Phase::Carry),
        };
        let mut steps = self.plan.back(&rungs[number], number, stage);
        if rungs[number] == Rung::RestoreData && !self.data_held() {
            steps.retain(|step| !matches!(step.phase, Phase::FenceBack | Phase::Restore | Phase::CompareBack));
        }
        steps
    }

    /// A step that keeps something running or stopped, done before a daemon took the run up again, and still needed: a
    /// reboot may have undone it, so it is stated once more.
    pub fn stale(&self, state: &StepState) -> bool {
        if state.settled_at == self.resumes || !matches!(state.status, Status::Succeeded(_)) {
            return false;
        }
        let step = &state.step;
        let begun = |phase: Phase, binding: Option<&str>| {
            self.steps.values().any(|s| {
                s.step.phase == phase
                    && s.step.rung == step.rung
                    && s.attempts > 0
                    && (binding.is_none() || s.step.binding.as_deref() == binding)
            })
        };
        let binding = step.binding.as_deref();
        match step.phase {
            Phase::Recheck => !self.started_any(Phase::Quiesce) && !self.started_any(Phase::Halt),
            // A hop of commands alone begins no wave, and who is in is not shut out again.
            Phase::Quiesce => !self.wave_begun_since(step.hop) && !begun(Phase::Admit, None),
            Phase::Fence => !begun(Phase::Unfence, binding),
            Phase::Apply => {
                let wave = step
                    .hop
                    .zip(step.act)
                    .is_some_and(|(hop, act)| matches!(self.plan.hops[hop].acts.get(act), Some(Act::Wave(_))));
                let last = || self.hops_quieted().chain(self.hops_touched()).max();
                wave && !begun(Phase::Admit, None) && step.hop == last()
            }
            Phase::Halt => !begun(Phase::Revert, None),
            Phase::FenceBack => !begun(Phase::UnfenceBack, binding),
            Phase::Revert => !begun(Phase::AdmitBack, None),
            _ => false,
        }
    }

    /// Whose predecessor was stopped for it.
    fn hops_quieted(&self) -> impl Iterator<Item = usize> {
        let quiesces = self.steps.values().filter(|s| s.step.phase == Phase::Quiesce && s.attempts > 0);
        quiesces.filter_map(|s| s.step.hop)
    }

    fn wave_begun_since(&self, hop: Option<usize>) -> bool {
        self.steps.values().any(|state| {
            state.attempts > 0
                && state.step.phase == Phase::Apply
                && state.step.hop >= hop
                && state
                    .step
                    .hop
                    .zip(state.step.act)
                    .is_some_and(|(hop, act)| matches!(self.plan.hops[hop].acts.get(act), Some(Act::Wave(_))))
        })
    }
}

fn rungs_of(hops: &[&[Undo]]) -> Vec<Rung> {
    let width = |undo: &Undo| match undo {
        Undo::CodeOnly => 0,
        Undo::Rebuild(_) => 1,
        Undo::RestoreData => 2,
    };
    let narrowest_of = |undos: &[Undo]| undos.iter().map(width).min().unwrap_or(2);
    let narrowest = hops.iter().map(|hop| narrowest_of(hop)).max().unwrap_or(2);
    let mut rungs = Vec::new();
    if narrowest == 0 {
        rungs.push(Rung::CodeOnly);
    }
    // One command: where hops need different ones, the data goes back.
    let rebuilds: Vec<&Once> =
        hops.iter().filter(|hop| narrowest_of(hop) == narrowest).filter_map(|hop| rebuild_of(hop)).collect();
    if narrowest <= 1
        && let [once, others @ ..] = rebuilds.as_slice()
        && others.iter().all(|other| other == once)
    {
        rungs.push(Rung::Rebuild((*once).clone()));
    }
    rungs.push(Rung::RestoreData);
    rungs
}

fn rebuild_of(undos: &[Undo]) -> Option<&Once> {
    undos.iter().find_map(|undo| match undo {
        Undo::Rebuild(once) => Some(once),
        Undo::CodeOnly | Undo::RestoreData => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ServiceRef;

    #[test]
    fn one_command_is_a_rung_where_it_does_for_every_hop_that_needs_one() {
        let once = |what: &str| {
            let service = ServiceRef { platform: "main".into(), name: "web".into() };
            Once { service, argv: vec![what.into()], success: None, repeatable: true, idle_ms: 1 }
        };
        let rebuild = |what: &str| Undo::Rebuild(once(what));
        let (search, reports) = ([rebuild("search")], [rebuild("reports")]);
        let nothing_or = [Undo::CodeOnly, rebuild("search")];
        let (code_only, data) = ([Undo::CodeOnly], [Undo::RestoreData]);
        let of = |what: &str| vec![Rung::Rebuild(once(what)), Rung::RestoreData];
        assert_eq!(rungs_of(&[&search]), of("search"));
        assert_eq!(rungs_of(&[&search, &code_only, &search]), of("search"));
        assert_eq!(rungs_of(&[&search, &reports]), [Rung::RestoreData]);
        assert_eq!(rungs_of(&[&nothing_or, &reports]), of("reports"));
        assert_eq!(rungs_of(&[&nothing_or]), [vec![Rung::CodeOnly], of("search")].concat());
        assert_eq!(rungs_of(&[&code_only, &data]), [Rung::RestoreData]);
        assert_eq!(rungs_of(&[&[]]), [Rung::RestoreData]);
    }
}
