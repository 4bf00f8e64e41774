//! The `generic` product: for a product whose vendor ships no plugin. All that it knows stands in the deployment's file,
//! in an index of releases, and in the repository's tags.

mod acts;
mod detect;
mod field;
mod path;
mod releases;
mod settings;
mod smoke;

pub use settings::Settings;

use upgraded_sdk::prelude::*;

pub struct Generic;

impl Product for Generic {
    type Settings = Settings;
    const NAME: &'static str = "generic";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    fn releases(call: &Call<Settings>, host: &ProductHost) -> Result<Vec<Release>> {
        releases::listed(call, host)
    }

    fn detect(call: &Call<Settings>, host: &ProductHost) -> Result<Installed> {
        detect::installed(call, host)
    }

    fn path(call: &Call<Settings>, host: &ProductHost, installed: &Installed, wanted: &str) -> Result<Vec<Hop>> {
        path::hops(call, host, &installed.version, wanted)
    }

    fn preflight(call: &Call<Settings>, host: &ProductHost, _: &Hop) -> Result<Vec<Finding>> {
        let mut findings = smoke::mistakes(&call.settings);
        findings.extend(detect::disagreement(&call.settings, host)?);
        Ok(findings)
    }

    fn verify(call: &Call<Settings>, host: &ProductHost, release: &str) -> Result<Vec<Finding>> {
        smoke::verify(&call.settings, host, release)
    }
}

#[cfg(test)]
mod tests;

upgraded_sdk::export!(product Generic);
