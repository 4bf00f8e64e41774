//! What would go wrong later, found while the old version serves. Nothing is changed.

use crate::names::meant;
use crate::{Settings, upgrading_act};
use upgraded_sdk::prelude::*;
use upgraded_sdk::{HopServices, Reconciler, Workload, nearest};

/// Of the manifests' diff, as the plan shows it.
const SHOWN_LINES: usize = 400;

pub fn look(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<Vec<Finding>> {
    let rights = host.helm().missing_rights()?;
    if !rights.is_empty() {
        return Ok(rights.iter().enumerate().map(|(number, rule)| missing(number, rule)).collect());
    }
    let mut findings = status(host)?;
    findings.extend(reconcilers(host)?);
    let version = call.settings.chart_of(&hop.target);
    let outlook = match host.helm().look_ahead(&version) {
        Ok(outlook) => outlook,
        Err(Error::NotFound(why)) => {
            let hint = "look at the version, and at `chart` and `repository` in `[platform.kubernetes]`";
            findings.push(Finding::blocker("chart", why).hint(hint));
            return Ok(findings);
        }
        Err(Error::Invalid(why)) => {
            let hint = "the chart refuses these values: its notes say what the new version wants";
            findings.push(Finding::blocker("values", why).hint(hint));
            return Ok(findings);
        }
        Err(Error::Denied(why)) => {
            let hint = "add it to its Role in the release's namespace (a ClusterRole where it is not of a namespace)";
            findings.push(Finding::blocker("rights", why).hint(hint));
            return Ok(findings);
        }
        Err(error) => return Err(error),
    };
    findings.extend(outlook.removed_definitions.iter().map(|name| {
        let message = format!("the upgrade removes the definition `{name}`, and every object that is made of it");
        let hint = "keep it with the annotation `helm.sh/resource-policy: keep`, or ask the vendor";
        Finding::blocker(format!("definition-{name}"), message).hint(hint)
    }));
    let now = host.helm().workloads()?;
    findings.extend(named_services(call, hop, &now, &outlook.workloads));
    findings.extend(unheld(call, hop, &outlook.workloads));
    findings.extend(drift(host)?);
    if !outlook.diff.is_empty() {
        let lines: Vec<&str> = outlook.diff.lines().collect();
        let more = lines.len().saturating_sub(SHOWN_LINES);
        let more = if more == 0 { String::new() } else { format!("\n… and {more} lines more") };
        let shown = lines[..lines.len().min(SHOWN_LINES)].join("\n");
        findings.push(Finding::info("manifests", format!("what changes in the cluster:\n{shown}{more}")));
    }
    Ok(findings)
}

fn missing(number: usize, rule: &str) -> Finding {
    let message = format!("the account of the daemon may not do what the release needs: {rule}");
    let hint = "add this rule to its Role in the release's namespace (a ClusterRole where it is not of a namespace)";
    Finding::blocker(format!("right-{number}"), message).hint(hint)
}

/// Of the newest revision.
fn status(host: &PlatformHost) -> Result<Vec<Finding>> {
    let Some(newest) = host.helm().history()?.pop() else { return Ok(Vec::new()) };
    let number = newest.number;
    if newest.status.starts_with("pending-") {
        let message = format!(
            "revision {number} of the release is `{}`: somebody's `helm` is at work, or was ended",
            newest.status
        );
        let hint =
            format!("wait for it; if nobody's is, `helm rollback` to revision {} ends that", number.saturating_sub(1));
        return Ok(vec![Finding::blocker("pending", message).hint(hint)]);
    }
    if newest.status != "deployed" {
        let message =
            format!("revision {number} of the release is `{}`, and would be what a way back leads to", newest.status);
        return Ok(vec![Finding::blocker("status", message).hint("`helm rollback` to the last one that was deployed")]);
    }
    if newest.held {
        let message =
            format!("revision {number} of the release holds workloads at zero, left by an upgrade that was abandoned");
        return Ok(vec![
            Finding::blocker("held", message).hint("`helm upgrade` with the chart and the values makes it whole"),
        ]);
    }
    Ok(Vec::new())
}

/// What would make the release what it was, in the middle of an upgrade.
fn reconcilers(host: &PlatformHost) -> Result<Vec<Finding>> {
    let all = host.helm().reconcilers()?;
    let finding = |(number, reconciler): (usize, &Reconciler)| {
        let Reconciler { name, suspended, hint } = reconciler;
        let message = match suspended {
            Some(true) => return None,
            Some(false) => format!("{name} would undo the upgrade"),
            None => format!("{name} may undo the upgrade: the account may not look whether it is suspended"),
        };
        Some(Finding::blocker(format!("reconciler-{number}"), message).hint(hint))
    };
    Ok(all.iter().enumerate().filter_map(finding).collect())
}

/// What the hop names is in the release, now or then.
fn named_services(call: &Call<Settings>, hop: &Hop, now: &[Workload], then: &[Workload]) -> Vec<Finding> {
    let known: Vec<&str> = now.iter().chain(then).map(|workload| workload.name.as_str()).collect();
    let release = &call.settings.kubernetes.release;
    let fits = |name: &str| [now, then].iter().any(|all| !meant(all, release, name).is_empty());
    let mut findings = Vec::new();
    for service in hop.services().into_iter().filter(|service| service.platform == call.binding) {
        if fits(&service.name) {
            continue;
        }
        let finding = Finding::blocker(
            format!("service-{}", service.name),
            format!("the release has no workload `{}`", service.name),
        );
        findings.push(match nearest(&service.name, known.iter().copied()) {
            Some(near) => finding.hint(format!("the nearest is `{near}`")),
            None => finding.hint("`kubectl get deployments,statefulsets,jobs` lists those that there are"),
        });
    }
    if upgrading_act(call, hop, |_| false).is_none() {
        let message = "no wave of the hop has a workload of the release, and its upgrade is part of the first that has";
        findings
            .push(Finding::blocker("no-wave", message).hint("ask the vendor for a plugin that knows this platform"));
    }
    findings
}

/// What has to be stopped and can't be.
fn unheld(call: &Call<Settings>, hop: &Hop, then: &[Workload]) -> Vec<Finding> {
    let named = HopServices::of(&call.binding, hop);
    let stopped: Vec<ServiceRef> = named.gate.iter().cloned().chain(named.stopped_for_the_change()).collect();
    let release = &call.settings.kubernetes.release;
    let meant = stopped.iter().flat_map(|service| meant(then, release, &service.name));
    let daemons = meant.filter(|workload| workload.kind == "DaemonSet");
    let blocker = |workload: &Workload| {
        let message = format!("the DaemonSet `{}` has to be stopped, and can't be scaled to zero", workload.name);
        Finding::blocker(format!("daemon-{}", workload.name), message).hint("a Deployment would be right")
    };
    daemons.map(blocker).collect()
}

/// What somebody changed beside the release: an upgrade would undo it, and a way back too.
pub fn drift(host: &PlatformHost) -> Result<Vec<Finding>> {
    let drifted = host.helm().drift()?;
    let finding = |(number, what): (usize, &String)| {
        let hint = "put it into the values, or take it back: `helm upgrade` would undo it";
        Finding::blocker(format!("drift-{number}"), what.clone()).hint(hint)
    };
    Ok(drifted.iter().enumerate().map(finding).collect())
}
