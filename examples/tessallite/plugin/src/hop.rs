//! One step between two releases.

use crate::index::Index;
use crate::{GATEWAY, SERVICES, Settings};
use upgraded_sdk::IDLE_MS;
use upgraded_sdk::prelude::*;
use upgraded_sdk::rules::Leg;

/// Whoever starts a write is stopped before whoever carries it out.
const QUIESCED: [&str; 5] = ["scheduler", "optimizer", "model-service", "query-router", "frontend"];

/// On Docker Compose, which orders services by their dependencies, all change at once, and the gateway, which is the gate,
/// when it opens. On Cloud Run they change one by one in the published order, the gateway too: its revision is made before
/// the gate opens. A release on the same schema serves there beside the one before, and nobody is shut out.
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
        let wave = Wave::new(call.services(&SERVICES.map(String::from))?);
        hop = hop.act(wave.follow(migrations(call.service("model-service")?)));
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
