//! One step between two releases.

use crate::index::Index;
use crate::{GATEWAY, SERVICES, Settings};
use upgraded_sdk::IDLE_MS;
use upgraded_sdk::prelude::*;
use upgraded_sdk::rules::Leg;

/// Whoever starts a write is stopped before whoever carries it out.
const QUIESCED: [&str; 5] = ["scheduler", "optimizer", "model-service", "query-router", "frontend"];

/// What the files of the Compose edition make each other wait for; the gateway, which is the gate, starts with the release
/// when it opens.
const BY_DEPENDENCY: [&[&str]; 3] = [&["model-service"], &["query-router", "optimizer", "scheduler"], &["frontend"]];

/// On Docker Compose services change in the order of their dependencies; on Cloud Run one by one in the published order, the
/// gateway too: its revision is made before the gate opens. A release on the same schema serves there beside the one before,
/// and nobody is shut out.
pub fn of(call: &Call<Settings>, index: &Index, leg: Leg) -> Result<Hop> {
    let (from, to) = (index.find(&leg.source)?, index.find(&leg.target)?);
    let same_schema = from.db_migration == to.db_migration;
    let on_cloud_run = crate::on_cloud_run(call);
    let rolls = on_cloud_run && same_schema;
    let mut hop = Hop { breaking: leg.breaking, expand_only: rolls, ..Hop::new(leg.source, leg.target) };
    if on_cloud_run {
        for service in SERVICES.into_iter().chain([GATEWAY]) {
            hop = hop.act(Wave { rolling: rolls, ..Wave::new([call.service(service)?]) });
        }
    } else {
        for services in BY_DEPENDENCY {
            let mut wave = Wave::new(call.services(&services.iter().map(ToString::to_string).collect::<Vec<_>>())?);
            // On Cloud Run a revision is ready once its migrations have ended.
            if services.contains(&"model-service") {
                wave = wave.follow(migrations(call.service("model-service")?));
            }
            hop = hop.act(wave);
        }
    }
    for version in leg.passes.iter().rev() {
        let lines = index.find(version)?.notes.iter();
        hop.notes
            .extend(lines.map(|line| if leg.passes.len() > 1 { format!("{version}: {line}") } else { line.clone() }));
    }
    let hop = hop.undo(if same_schema { Undo::CodeOnly } else { Undo::RestoreData });
    if rolls {
        return Ok(hop);
    }
    Ok(hop.quiesce(call.services(&QUIESCED.map(String::from))?).gate([call.service(GATEWAY)?]))
}

/// The model service migrates when it starts.
fn migrations(service: ServiceRef) -> Watch {
    Watch {
        service,
        success: r"\[migrate\] complete".into(),
        failure: r"\[migrate\] failed".into(),
        progress: Some(r"\[migrate\] (?<message>.+) \((?<done>\d+)/(?<total>\d+)\)".into()),
        idle_ms: IDLE_MS,
    }
}
