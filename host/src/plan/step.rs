//! The steps of a run: what a plan's phases come to, forward and back, in order.

use super::{Kind, Plan};
use crate::config::Drill;
use crate::model::{Act, Hop, Role, ServiceRef, Undo};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a step does. The order is a run's order: while the old version serves, downtime, after admission, the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    Stage,
    BackupAhead,
    Drill,
    /// The whole path on a throw-away double.
    Rehearse,
    /// Detect and preflight once more, in the window.
    Recheck,
    /// The whole path's; of a later hop, what the hop before it started.
    Quiesce,
    Fence,
    Freeze,
    BackupFinal,
    DrillFinal,
    /// The mark is read again: nobody wrote between fence and copy.
    Seal,
    Unfence,
    Edits,
    /// A server of another version takes the place of the old one, with its data.
    Carry,
    Apply,
    VerifyWave,
    Verify,
    Admit,
    BackupLate,
    Commit,
    Halt,
    /// The old server takes its place again, with its own data.
    CarryBack,
    FenceBack,
    Restore,
    UnfenceBack,
    /// What the restores brought back is counted.
    CompareBack,
    FilesBack,
    Revert,
    Rebuild,
    VerifyBack,
    AdmitBack,
}

impl Phase {
    pub fn name(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::BackupAhead => "backup-ahead",
            Self::Drill => "drill",
            Self::Rehearse => "rehearse",
            Self::Recheck => "recheck",
            Self::Quiesce => "quiesce",
            Self::Fence => "fence",
            Self::Freeze => "freeze",
            Self::BackupFinal => "backup-final",
            Self::DrillFinal => "drill-final",
            Self::Seal => "seal",
            Self::Unfence => "unfence",
            Self::Edits => "edits",
            Self::Carry => "carry",
            Self::Apply => "apply",
            Self::VerifyWave => "verify-wave",
            Self::Verify => "verify",
            Self::Admit => "admit",
            Self::BackupLate => "backup-late",
            Self::Commit => "commit",
            Self::Halt => "halt",
            Self::CarryBack => "carry-back",
            Self::FenceBack => "fence-back",
            Self::Restore => "restore",
            Self::UnfenceBack => "unfence-back",
            Self::CompareBack => "compare-back",
            Self::FilesBack => "files-back",
            Self::Revert => "revert",
            Self::Rebuild => "rebuild",
            Self::VerifyBack => "verify-back",
            Self::AdmitBack => "admit-back",
        }
    }

    /// Whom a step of this phase calls, where it calls a binding; verification also calls the product.
    pub fn role(self) -> Role {
        match self {
            Self::BackupAhead
            | Self::Drill
            | Self::Fence
            | Self::Freeze
            | Self::BackupFinal
            | Self::DrillFinal
            | Self::Seal
            | Self::Unfence
            | Self::Carry
            | Self::BackupLate
            | Self::CarryBack
            | Self::FenceBack
            | Self::Restore
            | Self::UnfenceBack
            | Self::CompareBack => Role::Datastore,
            Self::Stage
            | Self::Quiesce
            | Self::Apply
            | Self::VerifyWave
            | Self::Verify
            | Self::Admit
            | Self::Halt
            | Self::Revert
            | Self::Rebuild
            | Self::VerifyBack
            | Self::AdmitBack => Role::Platform,
            Self::Rehearse | Self::Recheck | Self::Edits | Self::Commit | Self::FilesBack => Role::Product,
        }
    }

    pub fn stretch(self) -> Stretch {
        if self < Self::Quiesce {
            Stretch::Serving
        } else if self < Self::Admit {
            Stretch::Downtime
        } else if self < Self::Halt {
            Stretch::Admitted
        } else {
            Stretch::Back
        }
    }

    /// Verify must not change the site; every other phase that is a step may.
    pub fn only_reads(self) -> bool {
        matches!(
            self,
            Self::Recheck | Self::Seal | Self::VerifyWave | Self::Verify | Self::CompareBack | Self::VerifyBack
        )
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The four stretches of a run; a failure means something else in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stretch {
    /// The old version serves: a failure refuses the run.
    Serving,
    /// A failure turns the run round.
    Downtime,
    /// Users are in: a failure is retried, and then waits for the operator.
    Admitted,
    /// The way back: a failure is retried, and then waits for the operator.
    Back,
}

/// One call of one binding in one phase: the unit of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Unique in the run: `h0-apply-main-1`.
    pub id: String,
    pub phase: Phase,
    /// None: the host itself.
    pub binding: Option<String>,
    /// The binding's; a platform and a datastore may have the same name.
    pub role: Option<Role>,
    pub hop: Option<usize>,
    pub act: Option<usize>,
    /// On the way back: which attempt at it.
    pub rung: Option<usize>,
}

impl Step {
    fn new(phase: Phase, binding: Option<&str>) -> Self {
        let id = match binding {
            Some(binding) => format!("{phase}-{binding}"),
            None => phase.name().to_owned(),
        };
        let role = binding.map(|_| phase.role());
        Self { id, phase, binding: binding.map(str::to_owned), role, hop: None, act: None, rung: None }
    }
    fn of(phase: Phase, binding: &str) -> Self {
        Self::new(phase, Some(binding))
    }
    /// The product's own verification, beside those of the platforms.
    fn of_product(phase: Phase, product: &str) -> Self {
        Self { binding: Some(product.to_owned()), role: Some(Role::Product), ..Self::new(phase, None) }
    }
    fn in_hop(mut self, hop: usize) -> Self {
        self.id = format!("h{hop}-{}", self.id);
        self.hop = Some(hop);
        self
    }
    fn of_act(mut self, act: usize) -> Self {
        self.id = format!("{}-{act}", self.id);
        self.act = Some(act);
        self
    }
    fn on_rung(mut self, rung: usize) -> Self {
        self.id = format!("b{rung}-{}", self.id);
        self.rung = Some(rung);
        self
    }
}

/// One way back, narrowest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rung {
    /// The data stays as it is.
    CodeOnly,
    /// The data stays, and this command of the old release rebuilds what is derived from it.
    Rebuild(crate::model::Once),
    /// The data of the quiesce goes back as a set.
    RestoreData,
}

impl Rung {
    pub fn name(&self) -> &'static str {
        match self {
            Self::CodeOnly => "code-only",
            Self::Rebuild(_) => "rebuild",
            Self::RestoreData => "restore-data",
        }
    }
}

impl Plan {
    fn names(&self, role: Role) -> Vec<&str> {
        self.bindings.iter().filter(|b| b.binding.role == role).map(|b| b.binding.name.as_str()).collect()
    }
    pub fn platforms(&self) -> Vec<&str> {
        self.names(Role::Platform)
    }
    pub fn datastores(&self) -> Vec<&str> {
        self.names(Role::Datastore)
    }
    pub fn product(&self) -> &str {
        self.names(Role::Product).first().copied().unwrap_or("product")
    }

    /// The whole path as one hop: what the first quiesce, admit and revert are handed.
    pub fn whole(&self) -> Hop {
        let mut hops = self.hops.iter();
        let mut whole = hops.next().cloned().expect("a plan has one hop at least");
        for hop in hops {
            whole.target.clone_from(&hop.target);
            whole.breaking |= hop.breaking;
            whole.expand_only &= hop.expand_only;
            whole.acts.extend(hop.acts.iter().cloned());
            extend_unique(&mut whole.quiesce, &hop.quiesce);
            extend_unique(&mut whole.gate, &hop.gate);
            whole.requires.extend(hop.requires.iter().cloned());
            whole.notes.extend(hop.notes.iter().cloned());
        }
        whole.undo = vec![Undo::RestoreData];
        whole
    }

    pub fn carries(&self, datastore: &str) -> bool {
        self.carries.iter().any(|carried| carried == datastore)
    }

    pub fn begins_with(&self, hop: &Hop) -> bool {
        self.hops.first().is_some_and(|first| first.target == hop.target)
    }

    /// Users write all the time: there is no instant of which the data could be kept, and every way back leaves it as it
    /// is.
    pub fn rolls(&self) -> bool {
        self.hops.iter().all(Hop::rolls)
    }

    /// The old version as a hop to itself: what verification on the way back and the rebuild are handed.
    pub fn standing_old(&self, acts: Vec<Act>) -> Hop {
        let whole = self.whole();
        Hop { target: whole.source.clone(), acts, ..whole }
    }

    /// Every step of the way forward, those that depend on a freeze twice: [`super::state::Progress::skips`] says which
    /// of the two is left out.
    pub fn forward(&self) -> Vec<Step> {
        match &self.kind {
            Kind::Upgrade => self.upgrade(),
            Kind::Rollback(_) => self.rollback(),
            Kind::Rehearsal => self.ahead(false, true),
        }
    }

    /// What is done while the old version serves.
    fn ahead(&self, drill: bool, rehearse: bool) -> Vec<Step> {
        let (platforms, datastores) = (self.platforms(), self.datastores());
        let mut steps = Vec::new();
        for hop in 0..self.hops.len() {
            steps.extend(platforms.iter().map(|p| Step::of(Phase::Stage, p).in_hop(hop)));
        }
        let rolls = self.rolls();
        for datastore in &datastores {
            // There will be no other backup of a run that rolls.
            let drill = drill && !self.undrilled(datastore);
            if drill || rehearse || rolls {
                steps.push(Step::of(Phase::BackupAhead, datastore));
            }
            if drill {
                steps.push(Step::of(Phase::Drill, datastore));
            }
        }
        if rehearse {
            steps.push(Step::new(Phase::Rehearse, None));
        }
        steps
    }

    fn undrilled(&self, datastore: &str) -> bool {
        self.policy.undrilled.iter().any(|name| name == datastore)
    }

    fn upgrade(&self) -> Vec<Step> {
        let (platforms, datastores) = (self.platforms(), self.datastores());
        let rolls = self.rolls();
        let mut steps = self.ahead(self.policy.drill != Drill::Off, self.policy.rehearse);
        steps.push(Step::new(Phase::Recheck, None));
        steps.extend(platforms.iter().map(|p| Step::of(Phase::Quiesce, p)));
        let mut phases = vec![Phase::Fence, Phase::Freeze, Phase::BackupFinal];
        if self.policy.drill == Drill::Final {
            phases.push(Phase::DrillFinal);
        }
        phases.extend([Phase::Seal, Phase::Unfence]);
        if rolls {
            phases.clear();
        }
        for phase in phases {
            let of = datastores.iter().filter(|d| phase != Phase::DrillFinal || !self.undrilled(d));
            steps.extend(of.map(|d| Step::of(phase, d)));
        }
        for (number, hop) in self.hops.iter().enumerate() {
            if number > 0 && !hop.rolls() {
                steps.extend(platforms.iter().map(|p| Step::of(Phase::Quiesce, p).in_hop(number)));
            }
            if self.edits.get(number).is_some_and(|edits| !edits.is_empty()) {
                steps.push(Step::new(Phase::Edits, None).in_hop(number));
            }
            if number == 0 {
                steps.extend(self.carries.iter().map(|d| Step::of(Phase::Carry, d).in_hop(number)));
            }
            for (act_number, act) in hop.acts.iter().enumerate() {
                let Some(platform) = act.platform() else { continue };
                steps.push(Step::of(Phase::Apply, platform).in_hop(number).of_act(act_number));
                if matches!(act, Act::Wave(_)) {
                    steps.push(Step::of(Phase::VerifyWave, platform).in_hop(number).of_act(act_number));
                }
            }
            steps.extend(platforms.iter().map(|p| Step::of(Phase::Verify, p).in_hop(number)));
            steps.push(Step::of_product(Phase::Verify, self.product()).in_hop(number));
        }
        steps.extend(platforms.iter().map(|p| Step::of(Phase::Admit, p)));
        if !rolls {
            steps.extend(datastores.iter().map(|d| Step::of(Phase::BackupLate, d)));
        }
        steps.push(Step::new(Phase::Commit, None));
        steps
    }

    /// By hand after commit: the way back with the data of an earlier run's quiesce, or of one that rolled with the data
    /// as it is.
    fn rollback(&self) -> Vec<Step> {
        let mut steps = vec![Step::new(Phase::Recheck, None)];
        steps.extend(match self.rolls() {
            true => self.back(&Rung::CodeOnly, 0, Stage { fenced: false, edited: true, carried: false }),
            false => {
                let carried = !self.carries.is_empty();
                self.back(&Rung::RestoreData, 0, Stage { fenced: true, edited: true, carried })
            }
        });
        steps.push(Step::new(Phase::Commit, None));
        steps
    }

    /// One attempt at the way back; `stage` says what there is to take back.
    pub fn back(&self, rung: &Rung, number: usize, stage: Stage) -> Vec<Step> {
        let (platforms, datastores) = (self.platforms(), self.datastores());
        let mut steps: Vec<Step> = Vec::new();
        steps.extend(platforms.iter().rev().map(|p| Step::of(Phase::Halt, p)));
        let files_back = || stage.edited.then(|| Step::new(Phase::FilesBack, None));
        if stage.carried {
            // The old files name the old server.
            steps.extend(files_back());
            steps.extend(self.carries.iter().rev().map(|d| Step::of(Phase::CarryBack, d)));
        }
        if *rung == Rung::RestoreData {
            steps.extend(datastores.iter().map(|d| Step::of(Phase::FenceBack, d)));
            steps.extend(datastores.iter().rev().map(|d| Step::of(Phase::Restore, d)));
        }
        if *rung == Rung::RestoreData || stage.fenced {
            steps.extend(datastores.iter().map(|d| Step::of(Phase::UnfenceBack, d)));
        }
        if *rung == Rung::RestoreData {
            steps.extend(datastores.iter().map(|d| Step::of(Phase::CompareBack, d)));
        }
        if !stage.carried {
            steps.extend(files_back());
        }
        steps.extend(platforms.iter().map(|p| Step::of(Phase::Revert, p)));
        if let Rung::Rebuild(once) = rung {
            steps.push(Step::of(Phase::Rebuild, &once.service.platform));
        }
        steps.extend(platforms.iter().map(|p| Step::of(Phase::VerifyBack, p)));
        steps.push(Step::of_product(Phase::VerifyBack, self.product()));
        steps.extend(platforms.iter().map(|p| Step::of(Phase::AdmitBack, p)));
        steps.into_iter().map(|step| step.on_rung(number)).collect()
    }
}

/// How far a run had come when it turned round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// A fence stood or may stand.
    pub fenced: bool,
    /// Files were replaced, or may have been.
    pub edited: bool,
    /// A server was replaced, or may have been.
    pub carried: bool,
}

fn extend_unique(list: &mut Vec<ServiceRef>, more: &[ServiceRef]) {
    for service in more {
        if !list.contains(service) {
            list.push(service.clone());
        }
    }
}
