//! Variables: what the next revisions have otherwise than those that serve, and what can't be. Names alone are said; the
//! plan's edits show what the files say.

use std::collections::BTreeMap;
use upgraded_sdk::prelude::*;
use upgraded_sdk::{CloudVariable, Difference};

#[derive(Default)]
pub struct Variables {
    /// Services by what is said of them.
    changed: BTreeMap<String, Vec<String>>,
    blockers: Vec<Finding>,
}

impl Variables {
    /// Whether the service may have what the files name.
    pub fn look(&mut self, host: &PlatformHost, service: &str) -> Result<bool> {
        let all = match host.cloud_run().variables(service) {
            Ok(all) => all,
            Err(Error::Invalid(why) | Error::Conflict(why)) => {
                self.blockers.push(Finding::blocker("variables", why));
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let (bound, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| one.difference == Difference::Bound);
        for CloudVariable { name, .. } in &bound {
            let message =
                format!("`{name}` of `{service}` has its value from Secret Manager, and a file names it as well");
            let hint = format!(
                "remove its line from `.env` or `{service}.env`, or `gcloud run services update {service} --remove-secrets {name}`"
            );
            self.blockers.push(Finding::blocker(format!("secret-{service}"), message).hint(hint));
        }
        if !others.is_empty() {
            let said: Vec<String> = others.iter().map(said).collect();
            self.changed.entry(said.join(", ")).or_default().push(format!("`{service}`"));
        }
        Ok(bound.is_empty())
    }

    pub fn findings(self) -> Vec<Finding> {
        let changed = self.changed.into_iter().map(|(said, services)| {
            let revisions = if services.len() > 1 { "revisions of" } else { "revision of" };
            let (verb, services) = (if services.len() > 1 { "have" } else { "has" }, services.join(", "));
            let message = format!("the next {revisions} {services} {verb} other variables: {said}");
            let hint = "`.env` and `SERVICE.env` in `directory` name them; all others stay as they are at Google's";
            Finding::info("variables", message).hint(hint)
        });
        self.blockers.into_iter().chain(changed).collect()
    }
}

fn said(variable: &CloudVariable) -> String {
    let name = &variable.name;
    match variable.difference {
        Difference::New => format!("`{name}` is new"),
        Difference::Other | Difference::Bound => format!("`{name}` has another value"),
        Difference::Gone => format!("`{name}` is gone"),
    }
}
