//! What a run that was given up has left held and fenced: no boot starts it, and no later run of the daemon's has to come.

use super::host::Host;
use crate::api::types::{Outcome, RunSummary};
use crate::driver::services::Hold;
use crate::journal::RunRow;
use crate::model::Role;
use crate::plan::state::{Progress, StepState};
use crate::plan::step::Phase;
use std::path::Path;

/// Each with what lets it go; nothing once a later run has touched something, which goes on from there.
pub fn left(host: &Host, run: &RunSummary) -> Vec<String> {
    if !matches!(run.outcome, Some(Outcome::Abandoned(_))) {
        return Vec::new();
    }
    let rows = host.journal.runs(Some(&run.deployment), u32::MAX).unwrap_or_default();
    if rows.iter().take_while(|row| row.run != run.id).any(RunRow::may_have_touched) {
        return Vec::new();
    }
    let held = Hold::all(&host.settings.state, &run.deployment).into_iter().map(|file| held_by(&file));
    let records = host.journal.records(run.id).unwrap_or_default();
    let progress = Progress::replay(records.iter().map(|record| &record.event)).ok();
    held.chain(progress.iter().flat_map(fences)).collect()
}

fn held_by(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let service = name.split_once('.').map_or(&*name, |(_, service)| service);
    match std::fs::read(file) {
        // Of containers it keeps what their restart policies were.
        Ok(text) if text.starts_with(b"{") => format!(
            "`{name}` is stopped, and no restart policy starts it until it is made anew (of Compose: `docker compose up -d \
             --force-recreate {service}`); then `rm {}`",
            file.display()
        ),
        _ => format!("`{name}` is held, and nothing starts it until `rm {}`", file.display()),
    }
}

fn fences(progress: &Progress) -> Vec<String> {
    let bindings = progress.plan.bindings.iter().map(|planned| &planned.binding);
    let fenced = bindings.filter(|binding| binding.role == Role::Datastore && progress.is_fenced(&binding.name));
    let told = fenced.filter_map(|binding| {
        Some(format!("the datastore `{}` {}", binding.name, lifted_by(progress.steps.values(), &binding.name)?))
    });
    told.collect()
}

/// By the verb that fenced, whatever the plugin is called; none of a fence that ends with the run.
fn lifted_by<'s>(steps: impl Iterator<Item = &'s StepState>, datastore: &str) -> Option<&'static str> {
    let fences = |state: &&StepState| {
        matches!(state.step.phase, Phase::Fence | Phase::FenceBack) && state.step.binding.as_deref() == Some(datastore)
    };
    let mut effects = steps.filter(fences).flat_map(|state| &state.effects);
    effects.find_map(|state| match state.effect.verb.as_str() {
        "postgres.execute" => Some("refuses connections until `ALTER DATABASE … ALLOW_CONNECTIONS true`"),
        "mysql.fence" => {
            Some("has locked accounts until `ALTER USER … ACCOUNT UNLOCK` for each of `…_up_fence.accounts`")
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::event::Effect;
    use crate::plan::state::{EffectState, Status};
    use crate::plan::step::Step;

    fn did(phase: Phase, verb: &str) -> StepState {
        let (step, binding) = (format!("{phase}-shop"), Some("shop".into()));
        let (verb, arguments, handle) = (verb.into(), String::new(), String::new());
        let effect = Effect { step: step.clone(), attempt: 1, number: 0, verb, arguments, handle, repeatable: true };
        StepState {
            step: Step { id: step, phase, binding, role: Some(Role::Datastore), hop: None, act: None, rung: None },
            attempts: 1,
            failures: 0,
            waits: 0,
            status: Status::Running,
            effects: vec![EffectState { effect, result: None }],
            first_output: None,
            settled_at: 0,
            interrupted: 0,
        }
    }

    #[test]
    fn a_fence_is_told_by_what_was_done() {
        let told = |steps: &[StepState], datastore: &str| lifted_by(steps.iter(), datastore);
        let steps = [did(Phase::Recheck, "postgres.execute"), did(Phase::Fence, "mysql.fence")];
        assert!(told(&steps, "shop").is_some_and(|told| told.contains("ACCOUNT UNLOCK")));
        assert_eq!(told(&steps, "other"), None);
        assert_eq!(told(&[did(Phase::Fence, "trees.fence")], "shop"), None);
        let back = [did(Phase::FenceBack, "postgres.execute")];
        assert!(told(&back, "shop").is_some_and(|told| told.contains("ALLOW_CONNECTIONS")));
    }
}
