//! Acts and ways back, from the settings' words to the contract's.

use crate::settings::{ActEntry, Settings, UndoEntry};
use upgraded_sdk::prelude::*;
use upgraded_sdk::{Act, IDLE_MS};

/// A migration whose log was silent for so long is taken for stuck.
const FOLLOW_IDLE_MS: u64 = 600_000;

/// The acts of a hop to `target`; `own`: what its release says instead of the usual ones.
pub fn acts(call: &Call<Settings>, own: Option<&[ActEntry]>, target: &str) -> Result<Vec<Act>> {
    match own.unwrap_or(&call.settings.acts) {
        [] => {
            let wave = behind_the_gate(call)?;
            if wave.is_empty() {
                return Err(Error::invalid("neither `services` nor `acts` say what a change of release consists of"));
            }
            Ok(vec![Wave::new(wave).into()])
        }
        entries => entries.iter().map(|entry| act(call, entry, target)).collect(),
    }
}

/// Every service but the gate: they write.
pub fn behind_the_gate(call: &Call<Settings>) -> Result<Vec<ServiceRef>> {
    let gate = call.services(&call.settings.gate)?;
    let mut services = call.services(&call.settings.services)?;
    services.retain(|service| !gate.contains(service));
    Ok(services)
}

pub fn undo(call: &Call<Settings>, entry: &UndoEntry) -> Result<Undo> {
    Ok(match entry {
        UndoEntry::CodeOnly => Undo::CodeOnly,
        UndoEntry::RestoreData => Undo::RestoreData,
        UndoEntry::Rebuild(command) => Undo::Rebuild(Once::new(owner(call, None)?, [command.clone()]).repeatable()),
    })
}

fn act(call: &Call<Settings>, entry: &ActEntry, target: &str) -> Result<Act> {
    let idle = |seconds: Option<u64>, usual: u64| seconds.map_or(usual, |seconds| seconds.saturating_mul(1000));
    match (&entry.command, &entry.wave) {
        (Some(command), None) => {
            let args = entry.args.iter().map(|arg| arg.replace("{version}", target));
            Ok(Act::Command(Once {
                service: owner(call, entry.service.as_deref())?,
                argv: std::iter::once(command.clone()).chain(args).collect(),
                success: entry.success.clone(),
                repeatable: entry.repeatable,
                idle_ms: idle(entry.idle_seconds, IDLE_MS),
            }))
        }
        (None, Some(services)) => {
            let follow = entry.follow.iter().map(|follow| {
                Ok(Watch {
                    service: call.service(&follow.service)?,
                    success: follow.success.clone(),
                    failure: follow.failure.clone(),
                    progress: follow.progress.clone(),
                    idle_ms: idle(follow.idle_seconds.or(entry.idle_seconds), FOLLOW_IDLE_MS),
                })
            });
            let follow = follow.collect::<Result<_>>()?;
            Ok(Act::Wave(Wave { services: call.services(services)?, rolling: entry.rolling, follow }))
        }
        _ => Err(Error::invalid("an act is either a `command` or a `wave`")),
    }
}

/// The service that a command belongs to.
fn owner(call: &Call<Settings>, named: Option<&str>) -> Result<ServiceRef> {
    match named.or(call.settings.services.first().map(String::as_str)) {
        Some(name) => call.service(name),
        // A command without a service still has a platform to run on.
        None => Ok(ServiceRef::new(call.platform()?, "")),
    }
}
