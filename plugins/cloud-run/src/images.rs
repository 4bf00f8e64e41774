//! Which image a release is of each service, and which revisions serve.

use crate::Settings;
use upgraded_sdk::CloudService;

/// By tag.
pub fn named(settings: &Settings, service: &str, version: &str) -> String {
    let pattern = settings.image_of.get(service).unwrap_or(&settings.image);
    pattern.replace("{service}", service).replace("{version}", version)
}

/// Revisions with their percent.
pub fn serving(service: &CloudService) -> Vec<(String, u32)> {
    let name = |revision: &Option<String>| revision.clone().unwrap_or_else(|| service.latest_ready.clone());
    service.shares.iter().map(|share| (name(&share.revision), share.percent)).collect()
}
