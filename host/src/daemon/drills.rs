//! That nothing of a drill is left, also of one that a crash cut off and that no step takes up again.

use super::host::{Entry, Host};
use super::looks::{Ready, failure};
use crate::activity::Activity;
use crate::config::SecretCheck;
use crate::context::{Site, StepContext};
use crate::driver::Drivers;
use crate::effect::Effects;
use crate::model::Failure;
use std::path::Path;
use std::sync::Arc;

/// Leaves nothing of the drill of `cx`, whose site is on the server as it is. Converges.
pub async fn clear(drivers: &Drivers, cx: &StepContext) -> Result<(), Failure> {
    let Site::Drill { root, .. } = &cx.site else { return Ok(()) };
    drivers.clear_drill(cx).await?;
    match tokio::fs::remove_dir_all(root).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failure("drill", &error)),
        _ => Ok(()),
    }
}

/// Of a deployment without an open run, whatever its drills left. A drill has its folder for as long as there is
/// anything of it.
pub async fn sweep(host: &Arc<Host>, entry: &Entry) {
    let folder = host.machine().scratch(&entry.name, "");
    let left = steps(&folder);
    if left.is_empty() {
        return;
    }
    if let Err(why) = clear_all(host, entry, &left).await {
        tracing::warn!(deployment = entry.name, "what a drill left in `{}` stays: {why}", folder.display());
    }
}

/// `r<run>-drill-…`
fn steps(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let of_a_drill = |name: &String| {
        let step = name.strip_prefix('r').and_then(|rest| rest.split_once('-'));
        step.is_some_and(|(run, step)| run.parse::<u64>().is_ok() && step.starts_with("drill-"))
    };
    names.filter(of_a_drill).collect()
}

async fn clear_all(host: &Arc<Host>, entry: &Entry, steps: &[String]) -> Result<(), String> {
    let text = tokio::fs::read_to_string(&entry.file).await.map_err(|error| error.to_string())?;
    let deployment = host.parse(&entry.name, text, SecretCheck::NameOnly).await.map_err(|error| error.to_string())?;
    let ready: Ready = host.ready(deployment).await.map_err(|failure| failure.message)?;
    for step in steps {
        let what = step.split_once('-').map_or("", |(_, what)| what);
        let of = |name: &str| what == format!("drill-{name}") || what == format!("drill-final-{name}");
        for (binding, _) in ready.bound.datastores.iter().filter(|(binding, _)| of(&binding.name)) {
            let Some(drivers) = ready.drivers.get(&(binding.role, binding.name.clone())) else { continue };
            let mut cx = ready.context(binding, &Activity::silent());
            cx.step.clone_from(step);
            cx.site = host.drill_site(&entry.name, step);
            cx.effects = Effects::unjournaled(step);
            clear(drivers, &cx).await.map_err(|failure| failure.message)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::steps;

    #[test]
    fn drills_are_told_from_what_else_lies_there() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["r12-drill-main", "r3-drill-final-main", "look-4-compose", "r5-h0-apply", "rx-drill-a"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let mut found = steps(folder.path());
        found.sort();
        assert_eq!(found, ["r12-drill-main", "r3-drill-final-main"]);
        assert!(steps(&folder.path().join("nothing")).is_empty());
    }
}
