//! What can be had, and how the deployment would get there.

use super::host::{Entry, Host};
use super::looks::Ready;
use super::planning::Refused;
use crate::api::types::{HopSummary, Reach, ReachableRelease, Releases};
use crate::model::Release;
use std::sync::Arc;

pub async fn releases(host: &Arc<Host>, entry: &Arc<Entry>, ready: &Ready) -> Result<Releases, Refused> {
    let activity = host.activity(entry);
    let installed = host.detect(ready, &activity).await?;
    let (binding, product) = &ready.bound.product;
    let found = product.releases(&ready.context(binding, &activity)).await;
    let found: Vec<Release> = found.map_err(|error| Refused {
        from: Some(installed.version.clone()),
        why: error.to_string(),
        retryable: true,
    })?;
    // The product's own order stands where a version is none of semver's.
    let mut found = found;
    if found.iter().all(|release| semver::Version::parse(&release.version).is_ok()) {
        found.sort_by_key(|release| std::cmp::Reverse(semver::Version::parse(&release.version).ok()));
    }
    let quarantine = host.journal.quarantined(&entry.name).ok().flatten();
    let mut releases = Vec::new();
    for release in found {
        let failed = quarantine.as_ref().filter(|entry| entry.version == release.version);
        let reach = if release.version == installed.version {
            Reach::Installed
        } else if let Some(failed) = failed {
            Reach::Quarantined { run: failed.run }
        } else {
            match host.path(ready, &installed, &release.version, &activity).await {
                Ok(hops) => Reach::Path {
                    hops: hops
                        .into_iter()
                        .map(|hop| HopSummary {
                            from: hop.source,
                            to: hop.target,
                            breaking: hop.breaking,
                            rest: hop.rest,
                        })
                        .collect(),
                },
                Err(refused) => Reach::Refused { rule: refused.why },
            }
        };
        releases.push(ReachableRelease { release, reach });
    }
    Ok(Releases {
        deployment: entry.name.clone(),
        installed: installed.version,
        wanted: Some(ready.deployment.version.clone()),
        releases,
    })
}
