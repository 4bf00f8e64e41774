//! One step between two releases.

use crate::index::Index;
use crate::{GATEWAY, SERVICES, Settings};
use upgraded_sdk::IDLE_MS;
use upgraded_sdk::prelude::*;
use upgraded_sdk::rules::Leg;

/// Whoever starts a write is stopped before whoever carries it out.
const QUIESCED: [&str; 5] = ["scheduler", "optimizer", "model-service", "query-router", "frontend"];

/// A wave for each service; the gateway, which is the gate, starts with the release when it opens.
pub fn of(call: &Call<Settings>, index: &Index, leg: Leg) -> Result<Hop> {
    let (from, to) = (index.find(&leg.source)?, index.find(&leg.target)?);
    let mut hop = Hop { breaking: leg.breaking, ..Hop::new(leg.source, leg.target) };
    for service in SERVICES {
        let mut wave = Wave::new([call.service(service)?]);
        if service == "model-service" {
            wave = wave.follow(migrations(call.service(service)?));
        }
        hop = hop.act(wave);
    }
    for version in leg.passes.iter().rev() {
        let lines = index.find(version)?.notes.iter();
        hop.notes
            .extend(lines.map(|line| if leg.passes.len() > 1 { format!("{version}: {line}") } else { line.clone() }));
    }
    let undo = if from.db_migration == to.db_migration { Undo::CodeOnly } else { Undo::RestoreData };
    Ok(hop.quiesce(call.services(&QUIESCED.map(String::from))?).gate([call.service(GATEWAY)?]).undo(undo))
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
