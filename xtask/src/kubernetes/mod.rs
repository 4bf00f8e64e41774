//! A real Kubernetes for the tests, of one node, with real pods and Helm: one that the environment names, or our own in a
//! folder outside the checkout. `cargo xtask kubernetes` and `test` call this; the tests find it by what [`environment`]
//! says. Images come out of the tests' registry, so that the Docker engine is up with it.

use crate::{engine, setup};
use anyhow::{Context, Result, bail};
use scratch_docker::{Engine, ImageConfig, NO_FILES, registry_has};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A kubeconfig that is handed over; its cluster must reach the registry of the tests by the name that the tests use.
const GIVEN: &str = "UPGRADED_TEST_KUBECONFIG";
const HELM: &str = "UPGRADED_TEST_HELM";
const HELM3: &str = "UPGRADED_TEST_HELM3";

const SCRIPT: &str = include_str!("cluster.sh");
const SOURCES: [(&str, &str); 5] = [
    ("main.go", include_str!("kbox/main.go")),
    ("dns.go", include_str!("kbox/dns.go")),
    ("relay.go", include_str!("kbox/relay.go")),
    ("go.mod", include_str!("kbox/go.mod")),
    ("go.sum", include_str!("kbox/go.sum")),
];
/// What holds a pod's namespaces: it ends when it is told to.
const PAUSE: &str = "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done";

/// Whether the cluster ends with this program.
static OURS: AtomicBool = AtomicBool::new(false);

#[derive(clap::Subcommand)]
pub enum Action {
    /// Start it with the Docker engine whose registry it pulls from, and build what is missing: minutes, once
    Up,
    /// Stop it and forget its state; its programs stay
    Down,
    /// What a shell needs to use it: `eval "$(cargo xtask kubernetes env)"`
    Env,
}

pub fn run(action: &Action) -> Result<()> {
    match action {
        Action::Up => {
            let began = Instant::now();
            // One that is up may be in use, and is not made anew under whoever uses it.
            if !engine::is_up()? {
                engine::run(&engine::Action::Up)?;
            }
            up()?;
            eprintln!("Kubernetes is ready after {:.1} s", began.elapsed().as_secs_f64());
            Ok(())
        }
        Action::Down => down(),
        Action::Env => {
            let path = folder()?.join("bin").display().to_string();
            let variables = environment()?.into_iter().map(|(name, value)| format!("{name}='{value}'"));
            let kubeconfig = kubeconfig()?.display().to_string();
            println!(
                "export {} KUBECONFIG='{kubeconfig}' PATH='{path}':\"$PATH\"",
                variables.collect::<Vec<_>>().join(" ")
            );
            Ok(())
        }
    }
}

/// The cluster, for the time of the tests that use it: what was up before stays up.
pub struct Lease(());

impl Lease {
    pub fn begin() -> Result<Self> {
        if given().is_none() {
            OURS.store(!is_up()?, Ordering::Relaxed);
            up()?;
        }
        Ok(Self(()))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Err(error) = end() {
            eprintln!("error: {error:#}");
        }
    }
}

pub fn end() -> Result<()> {
    if OURS.swap(false, Ordering::Relaxed) { down() } else { Ok(()) }
}

/// What the tests find it by.
pub fn environment() -> Result<Vec<(&'static str, String)>> {
    if let Some(file) = given() {
        return Ok(vec![(GIVEN, file)]);
    }
    let program = |name: &str| Ok::<_, anyhow::Error>(folder()?.join("bin").join(name).display().to_string());
    Ok(vec![(GIVEN, kubeconfig()?.display().to_string()), (HELM, program("helm4")?), (HELM3, program("helm3")?)])
}

fn given() -> Option<String> {
    let own = kubeconfig().ok().map(|file| file.display().to_string());
    std::env::var(GIVEN).ok().filter(|value| !value.is_empty() && Some(value) != own.as_ref())
}

fn up() -> Result<()> {
    if given().is_some() {
        return Ok(());
    }
    let engine = Engine::shared();
    pause_image(engine)?;
    script("up", engine.registry())
}

fn down() -> Result<()> {
    if given().is_some() {
        eprintln!("the cluster is a given one: it stays");
        return Ok(());
    }
    script("down", "")
}

fn is_up() -> Result<bool> {
    Ok(folder()?.join("state/ready").is_file())
}

fn script(verb: &str, registry: &str) -> Result<()> {
    if !setup::is_root() {
        bail!("a cluster of our own needs root; `{GIVEN}=/path/of/a/kubeconfig` names one to use instead");
    }
    let folder = folder()?;
    let sources = folder.join("sources");
    fs::create_dir_all(&sources).with_context(|| format!("`{}`", sources.display()))?;
    for (name, text) in SOURCES {
        fs::write(sources.join(name), text).with_context(|| format!("`{name}`"))?;
    }
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", SCRIPT, "cluster.sh", verb]);
    bash.env("KEEP", &folder).env("SOURCES", &sources).env("REGISTRY", registry).env_remove("KUBECONFIG");
    let ended = bash.stdin(Stdio::null()).stdout(Stdio::null()).status().context("`bash`")?;
    if ended.success() { Ok(()) } else { bail!("the cluster: `{verb}` ended with {ended}") }
}

/// The one image that every pod has.
fn pause_image(engine: &Engine) -> Result<()> {
    if registry_has(engine.registry(), "base/pause", "1") {
        return Ok(());
    }
    let entrypoint = ["/bin/sh", "-c", PAUSE].map(str::to_owned).to_vec();
    let config = ImageConfig { entrypoint, ..ImageConfig::default() };
    let made = engine.try_image(&engine.base("pause:1"), Some(&engine.base("busybox:1")), NO_FILES, &config);
    made.map_err(|why| anyhow::anyhow!(why))
}

fn kubeconfig() -> Result<PathBuf> {
    Ok(folder()?.join("state/admin.conf"))
}

fn folder() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("UPGRADED_KUBERNETES_DIR").filter(|folder| !folder.is_empty()) {
        return Ok(folder.into());
    }
    let home =
        std::env::var_os("HOME").context("`HOME` is not set: `UPGRADED_KUBERNETES_DIR` names a folder instead")?;
    Ok(PathBuf::from(home).join(".cache/upgraded/kubernetes"))
}
