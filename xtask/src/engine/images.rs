//! The base images: made once out of Debian's packages, kept in the registry and in the engine.

use super::own::BASE_SUITE;
use super::scripts::{FETCH, IMAGE, succeed};
use anyhow::{Context, Result, bail};
use scratch_docker::{Engine, Own, registry_has};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::thread;

struct Base {
    /// Where its packages come from.
    suite: &'static str,
    kind: &'static str,
    /// As [`Engine::base`] takes it.
    name: &'static str,
    /// Text of the entry script.
    entry: &'static str,
}

/// Those that take long first, each with one that doesn't.
const BASES: [Base; 7] = [
    // No stable suite has MySQL itself.
    Base { suite: "sid", kind: "mysql", name: "mysql:9", entry: include_str!("entry-mysql.sh") },
    Base { suite: BASE_SUITE, kind: "mariadb", name: "mariadb:10.11", entry: include_str!("entry-mariadb.sh") },
    Base { suite: BASE_SUITE, kind: "postgres", name: "postgres:15", entry: include_str!("entry-postgres.sh") },
    // What databases are carried into.
    Base { suite: "trixie", kind: "mariadb11", name: "mariadb:11.8", entry: include_str!("entry-mariadb.sh") },
    Base { suite: "trixie", kind: "postgres17", name: "postgres:17", entry: include_str!("entry-postgres.sh") },
    Base { suite: BASE_SUITE, kind: "nginx", name: "nginx:1", entry: "" },
    Base { suite: BASE_SUITE, kind: "busybox", name: "busybox:1", entry: "" },
];

/// How many are made at a time.
const AT_A_TIME: usize = 2;

/// Of all base images: another one where any of them would come out otherwise.
pub fn recipe() -> String {
    IMAGE.recipe(&BASES.each_ref().map(|base| base.entry))
}

/// Fetches the packages of all of them.
pub fn fetch(own: &Own) -> Result<()> {
    let suites: BTreeSet<&str> = BASES.iter().map(|base| base.suite).collect();
    for suite in suites {
        let kinds = BASES.iter().filter(|base| base.suite == suite).map(|base| base.kind);
        succeed(FETCH.command(own).arg(suite).args(kinds), &format!("the packages of base images out of `{suite}`"))?;
    }
    Ok(())
}

/// Whether the registry and the engine have all of them, whoever made them.
pub fn are_there(engine: &Engine) -> bool {
    BASES
        .iter()
        .all(|base| registry_has(engine.registry(), &base.repository(), base.tag()) && label(engine, base).is_some())
}

/// Makes those that are missing, or that would come out otherwise by now; after [`fetch`], or with it.
pub fn converge(engine: &Engine, own: &Own, is_fetched: bool) -> Result<()> {
    let mut missing = Vec::new();
    for base in &BASES {
        if label(engine, base).as_deref() != Some(&base.recipe()) {
            missing.push(base);
        } else if !registry_has(engine.registry(), &base.repository(), base.tag()) {
            push(engine, base)?;
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    if !is_fetched {
        super::own::unpack_base(own)?;
        fetch(own)?;
    }
    let next = Mutex::new(missing.into_iter());
    let work = || -> Result<()> {
        loop {
            let base = next.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some(base) = base else { return Ok(()) };
            make(engine, own, base)?;
        }
    };
    thread::scope(|scope| {
        let workers: [_; AT_A_TIME] = std::array::from_fn(|_| scope.spawn(work));
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker doesn't panic"))
    })
}

fn make(engine: &Engine, own: &Own, base: &Base) -> Result<()> {
    let reference = engine.base(base.name);
    eprintln!("making the image {reference}");
    let mut script = IMAGE.command(own);
    script.args([base.suite, base.kind, &reference, &base.recipe()]).env("ENTRY", base.entry);
    succeed(script.envs(engine.environment()), &format!("the image {reference}"))?;
    push(engine, base)
}

fn push(engine: &Engine, base: &Base) -> Result<()> {
    let reference = engine.base(base.name);
    succeed(engine.docker().args(["push", "--quiet", &reference]), &format!("the push of {reference}"))
}

impl Base {
    fn recipe(&self) -> String {
        IMAGE.recipe(&[self.kind, self.entry])
    }
    fn repository(&self) -> String {
        format!("base/{}", self.name.split_once(':').map_or(self.name, |(name, _)| name))
    }
    fn tag(&self) -> &str {
        self.name.split_once(':').map_or("latest", |(_, tag)| tag)
    }
}

/// The recipe of the engine's image; pulled where only the registry has it.
fn label(engine: &Engine, base: &Base) -> Option<String> {
    let reference = engine.base(base.name);
    let read = || {
        let format = r#"{{index .Config.Labels "upgraded.recipe"}}"#;
        let output = engine.docker().args(["image", "inspect", "--format", format, &reference]).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    read().or_else(|| {
        let pulled = engine.docker().args(["pull", "--quiet", &reference]).output().ok()?.status.success();
        if pulled { read() } else { None }
    })
}

/// Everything but them goes: containers, networks, volumes, images. What the registry holds besides is left to
/// [`super::own`], which has its files.
pub fn empty(engine: &Engine) -> Result<()> {
    let containers = listed(engine, &["container", "ls", "--all", "--quiet"])?;
    remove(engine, &["container", "rm", "--force", "--volumes"], &containers)?;
    succeed(engine.docker().args(["network", "prune", "--force"]), "the networks")?;
    succeed(engine.docker().args(["volume", "prune", "--all", "--force"]), "the volumes")?;
    let base = engine.base("");
    let images = listed(engine, &["image", "ls", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"])?;
    let named = images.iter().filter_map(|line| line.split_once(' ')).filter(|(name, _)| !name.starts_with(&base));
    let images: Vec<String> =
        named.map(|(name, id)| if name.contains("<none>") { id } else { name }.to_owned()).collect();
    remove(engine, &["image", "rm", "--force"], &images)?;
    succeed(engine.docker().args(["builder", "prune", "--all", "--force"]), "the builder's cache")
}

pub fn kill_containers(engine: &Engine) -> Result<()> {
    remove(engine, &["container", "kill"], &listed(engine, &["container", "ls", "--quiet"])?)
}

fn listed(engine: &Engine, arguments: &[&str]) -> Result<Vec<String>> {
    let output = engine.docker().args(arguments).output().context("`docker`")?;
    if !output.status.success() {
        bail!("`docker {}`: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

fn remove(engine: &Engine, how: &[&str], what: &[String]) -> Result<()> {
    if what.is_empty() {
        return Ok(());
    }
    succeed(engine.docker().args(how).args(what), &format!("`docker {}`", how.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_base_image_has_a_repository_a_tag_and_a_recipe() {
        for base in &BASES {
            assert_eq!(format!("{}:{}", base.repository(), base.tag()), format!("base/{}", base.name));
            let other = Base { entry: "#!/bin/false", ..*base };
            assert_ne!(base.recipe(), other.recipe(), "another entry script is another image");
        }
    }
}
