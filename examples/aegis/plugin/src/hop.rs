//! One step between two releases.

use crate::Settings;
use crate::index::Index;
use upgraded_sdk::prelude::*;
use upgraded_sdk::rules::Leg;
use upgraded_sdk::{IDLE_MS, Requirement};

/// "Version Compatibility": what 0.x runs with.
const MATRIX: [(&str, &str); 3] =
    [("temporal/temporal", ">=1.22, <1.24"), ("database/postgres", ">=15"), ("secrets/openbao", ">=2.0")];

const DATABASE: &str = "database";
const CORE: &str = "core";
const TEMPORAL: &str = "temporal";
const GATEWAY: &str = "seal-gateway";

/// "Rolling Upgrade (Preferred)" where the code alone changes: pod by pod. With a migration the gateway is the gate, the
/// database is backed up first, and the migration runs while the core starts. Where pod definitions change, "Full
/// Teardown": all pods are made anew, secrets are bootstrapped, and all of it is validated. Another PostgreSQL has the same
/// gate: what the backup holds is what it gets.
pub fn of(call: &Call<Settings>, index: &Index, leg: Leg) -> Result<Hop> {
    let (from, to) = (index.find(&leg.source)?, index.find(&leg.target)?);
    let service = |name: &str| call.service(name);
    let (migrates, teardown) = (from.db_migration != to.db_migration, index.pods_change(&leg));
    let database = from.postgres != to.postgres;
    let mut hop = Hop::new(&leg.source, &leg.target);
    (hop.breaking, hop.notes) = (leg.breaking, index.notes(&leg));
    hop.requires =
        MATRIX.map(|(component, range)| Requirement { component: component.into(), range: range.into() }).into();
    if !migrates && !teardown && !database {
        hop.expand_only = true;
        for name in [CORE, TEMPORAL, GATEWAY] {
            hop = hop.act(Wave { rolling: true, ..Wave::new([service(name)?]) });
        }
        return Ok(hop.undo(Undo::CodeOnly));
    }
    if teardown || database {
        // It is up for the backup before, and made anew after it.
        hop = hop.act(Wave { rolling: true, ..Wave::new([service(DATABASE)?]) });
    }
    if teardown {
        hop = hop.act(Once::new(service(CORE)?, ["bootstrap-secrets"]).repeatable());
    }
    let core = Wave::new([service(CORE)?]);
    hop = hop.act(if migrates { core.follow(migrations(service(CORE)?)) } else { core });
    hop = hop.act(Wave::new([service(TEMPORAL)?]));
    hop = hop.act(Once::new(service(CORE)?, ["validate"]).repeatable());
    let undo = if migrates { Undo::RestoreData } else { Undo::CodeOnly };
    Ok(hop.quiesce([service(TEMPORAL)?, service(CORE)?]).gate([service(GATEWAY)?]).undo(undo))
}

/// "Check migration status in logs".
fn migrations(service: ServiceRef) -> Watch {
    Watch {
        service,
        success: r"migrations complete".into(),
        failure: r"migrations failed".into(),
        progress: Some(r"migrating: (?<message>.+) \((?<done>\d+)/(?<total>\d+)\)".into()),
        idle_ms: IDLE_MS,
    }
}
