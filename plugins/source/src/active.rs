//! Which release is active, and making another one so.

use crate::{Settings, revision};
use upgraded_sdk::HopServices;
use upgraded_sdk::prelude::*;

/// Makes a version's code the active one. What runs the other code and does not roll is stopped first: a service that
/// is started later would otherwise be found running, and go on with what it has loaded.
pub fn ensure(call: &Call<Settings>, host: &PlatformHost, hop: &Hop, staged: &str, version: &str) -> Result<()> {
    let commit = revision::Staged::read(staged)?.commit(call, host, version)?;
    let active = host.checkout().active()?;
    if active.is_some_and(|(active, _)| active == commit) {
        return Ok(());
    }
    // It is there already, unless somebody tidied up: then it is laid out while the other code still serves.
    host.checkout().prepare(&commit, call.settings.build.as_deref())?;
    host.stop(&HopServices::of(&call.binding, hop).stopped_for_the_change())?;
    host.checkout().activate(&commit)
}

/// Whether the hop's target is active.
pub fn findings(call: &Call<Settings>, host: &PlatformHost, hop: &Hop) -> Result<Vec<Finding>> {
    let wanted = revision::commit(&call.settings, host, &hop.target)?;
    let message = match host.checkout().active()? {
        Some((active, _)) if active == wanted => return Ok(Vec::new()),
        Some((active, tag)) => {
            let version = revision::version_of(&call.settings.tag, &active, tag.as_deref());
            format!("the active release is `{version}` and not `{}`", hop.target)
        }
        None => format!("no release is active, and `{}` should be", hop.target),
    };
    Ok(vec![Finding::blocker("active", message).hint("the link `current` was changed by somebody else")])
}

/// Whether the hop begins where the link points. One that begins later is no mistake: it may be a later hop of the path.
pub fn begins(call: &Call<Settings>, host: &PlatformHost, hop: &Hop, source: &str) -> Result<Vec<Finding>> {
    let Some((active, tag)) = host.checkout().active()? else {
        let finding = Finding::blocker("active", "no release is active: the link `current` names none");
        return Ok(vec![finding.hint("lay the installed release out and point `current` at it first")]);
    };
    let version = revision::version_of(&call.settings.tag, &active, tag.as_deref());
    let later = match (rules::Version::parse(&hop.source), rules::Version::parse(&version)) {
        (Some(source), Some(active)) => source > active,
        _ => false,
    };
    if active == source || later {
        return Ok(Vec::new());
    }
    let message = format!("the active release is `{version}`, and the hop begins at `{}`", hop.source);
    Ok(vec![Finding::blocker("active", message).hint(format!("make `{}` active again, or deploy it anew", hop.source))])
}
