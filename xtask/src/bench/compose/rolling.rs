//! An API of two replicas behind a proxy, exchanged one by one by the daemon, and by `docker compose up`: who is turned
//! away meanwhile.

use super::client::Client;
use super::downtime::tell;
use crate::bench::database::run;
use crate::bench::figure::Samples;
use crate::bench::wait;
use crate::demo::{Composed, Daemon, Machine, Programs, Socket};
use crate::interrupt::Interrupt;
use anyhow::{Result, anyhow};
use scratch_docker::products::free_port;
use scratch_docker::products::replicas::{API, Installed};
use scratch_docker::{Engine, ImageConfig};
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

const FIRST: &str = "1.4.0";
const NEXT: &str = "1.5.0";
/// The client goes on so long beyond the end.
const AFTER: Duration = Duration::from_millis(500);

pub struct Replicas<'a> {
    composed: Composed,
    programs: &'a Programs,
    engine: &'a Engine,
    port: u16,
}

impl<'a> Replicas<'a> {
    /// The first release runs.
    pub fn make(programs: &'a Programs, engine: &'a Engine) -> Result<Self> {
        let composed = Composed::new(Machine::make("rolling", programs)?, &programs.tessallite, engine)?;
        let replicas = Self { composed, programs, engine, port: free_port() };
        for version in [FIRST, NEXT] {
            let config = ImageConfig {
                entrypoint: vec!["tessallite".into(), "gateway".into()],
                env: vec![("TESSALLITE_RELEASE".into(), version.into())],
                ..ImageConfig::default()
            };
            let published = replicas.composed.shelf.publish(&format!("{API}:{version}"), &config);
            published.map_err(|why| anyhow!(why))?;
        }
        replicas.lay_out()?;
        replicas.composed.compose(&["up", "--detach", "--wait", "--quiet-pull"])?;
        Ok(replicas)
    }

    fn lay_out(&self) -> Result<()> {
        let Composed { machine, project, shelf, .. } = &self.composed;
        let (home, port) = (machine.home(), self.port);
        let (project, registry, front) = (project.name(), shelf.registry(), self.engine.base("nginx:1"));
        let installed = Installed { project, registry, front: &front, version: FIRST, port };
        installed.lay_out(&home).map_err(|why| anyhow!(why))?;
        let deployment = format!(
            "product = \"generic\"\nversion = \"{FIRST}\"\n\n[settings]\nservices = [\"api\"]\n\
             acts = [{{ wave = [\"api\"], rolling = true }}]\nundo = [\"code-only\"]\n\
             version-url = \"{url}/healthz\"\nversion-field = \"version\"\nhttp = [\"{url}\"]\n\
             releases = [{{ version = \"{FIRST}\", expand-only = true }}, \
             {{ version = \"{NEXT}\", expand-only = true }}]\n\n\
             [platform]\nplugin = \"compose\"\ndirectory = \"{home}\"\nengine = \"unix://{socket}\"\n\
             version-key = \"VERSION\"\n\n[policy]\ndrill = \"off\"\n",
            url = format_args!("http://127.0.0.1:{port}"),
            home = home.display(),
            socket = self.engine.socket().display(),
        );
        Ok(fs::write(machine.deployment_file(), deployment)?)
    }

    /// Ends with the next release in place.
    pub fn by_daemon(&self, interrupt: &Interrupt, samples: &mut Samples) -> Result<()> {
        let machine = &self.composed.machine;
        let mut daemon = Daemon::start_with(self.programs, machine, &self.engine.environment())?;
        let socket = Socket::new(machine.socket());
        daemon.wait_until_it_answers(&socket, interrupt)?;
        wait::until(&mut daemon, &socket, interrupt, "/v1/deployments/rolling", wait::is_settled)?;
        self.seen("ours", samples, || {
            machine.edit_version_quietly(NEXT)?;
            wait::committed(&mut daemon, &socket, interrupt, machine.name(), NEXT).map(drop)
        })?;
        daemon.stop()
    }

    /// Ends with the next release in place.
    pub fn by_hand(&self, samples: &mut Samples) -> Result<()> {
        let mut shell = Command::new("bash");
        shell.args(["-c", include_str!("by-hand-rolling.sh")]).current_dir(self.composed.machine.home());
        shell.envs(self.engine.environment()).env("TO", NEXT);
        self.seen("script", samples, || run(&mut shell).map(drop))
    }

    /// By a client outside that asks throughout.
    fn seen(&self, name: &str, samples: &mut Samples, during: impl FnOnce() -> Result<()>) -> Result<()> {
        let (client, began) = (Client::start(self.port, "/healthz"), Instant::now());
        let done = during();
        let took = began.elapsed();
        std::thread::sleep(AFTER);
        let seen = client.stop()?;
        done?;
        tell(&format!("rolling/{name}"), took.as_secs_f64(), samples);
        for (what, requests) in [("asked", seen.asked), ("failed", seen.failed)] {
            eprintln!("  rolling/{what}/{name}: {requests}");
            samples.add(&format!("rolling/{what}/{name}"), requests as f64);
        }
        Ok(())
    }
}

impl Drop for Replicas<'_> {
    /// Whatever happened; there is nobody left to tell.
    fn drop(&mut self) {
        let _ = self.composed.end();
        let _ = self.composed.machine.remove();
    }
}
