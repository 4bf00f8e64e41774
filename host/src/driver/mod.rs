//! What does the work behind the contract's interfaces. One module for each; every method takes the [`StepContext`], every
//! changing one goes through `cx.effects.perform`. A driver never calls a plugin and never decides what comes next.

pub mod beside;
pub mod compose;
mod drill;
pub mod durable;
pub mod engine;
pub mod git;
pub mod google;
mod hook;
pub mod http;
pub mod kubernetes;
pub mod mysql;
pub mod pods;
pub mod postgres;
pub mod process;
pub mod project;
mod rehearsable;
pub mod release;
mod renew;
pub mod server;
pub mod services;
pub mod sqlite;
pub mod trees;

#[cfg(test)]
mod testing;

use crate::config::{BindingConfig, Deployment, EngineConfig, Grants};
use crate::model::Role;
use crate::plan::event::{Effect, Verdict};
use crate::vault::Vault;
use compose::Compose;
use compose::double::Double;
use engine::Engine;
use engine::images::Images;
use git::Checkout;
use http::Http;
use kubernetes::Kubernetes;
use mysql::Mysql;
use pods::Pods;
use postgres::Postgres;
use process::Processes;
use project::Project;
use release::Layout;
use server::{Around, Server};
use services::{Orchestrator, Services};
use sqlite::Sqlite;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use trees::{Store, Trees};

/// In the daemon's state folder: what a step alone has.
pub const SCRATCH: &str = "scratch";

/// What the drivers of the host's own processes need of the machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The daemon's state folder.
    pub state: PathBuf,
    /// The binary whose `job` subcommand calls [`process::run_job`].
    pub job_program: PathBuf,
    pub systemd: services::Systemd,
    /// Cancelled when the daemon goes while work is under way: jobs are left running, and found again.
    pub leaving: CancellationToken,
}

impl Machine {
    /// The folder of a step's drill.
    pub fn scratch(&self, deployment: &str, step: &str) -> PathBuf {
        self.state.join(SCRATCH).join(deployment).join(step)
    }
}

/// What drivers are built with, beside a deployment's file.
#[derive(Clone)]
pub struct Environment {
    pub machine: Machine,
    pub vault: Vault,
    /// They are a rehearsal's.
    pub double: Option<Arc<Double>>,
    pub engines: Engines,
}

/// One for all bindings that have the same: what it is, is asked once.
#[derive(Clone, Default)]
pub struct Engines(Arc<Mutex<Vec<Arc<Engine>>>>);

impl Engines {
    fn of(&self, config: &EngineConfig) -> Arc<Engine> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = all.iter().find(|engine| engine.config() == config) {
            return engine.clone();
        }
        let engine = Arc::new(Engine::new(config.clone()));
        all.push(engine.clone());
        engine
    }
}

/// The drivers of one binding, built from its grants.
pub struct Drivers {
    pub project: Arc<Project>,
    pub services: Services,
    /// Of the binding's platform, where it has a container engine.
    pub compose: Option<Arc<Compose>>,
    /// Of the binding's platform, where it has a release of Helm.
    pub kubernetes: Option<Arc<Kubernetes>>,
    /// Of the binding's platform, where it has pods.
    pub pods: Option<Arc<Pods>>,
    pub images: Images,
    /// Of the binding's platform, where it is on Cloud Run.
    pub cloud_run: Option<Arc<google::Region>>,
    pub cloud_sql: Option<google::Store>,
    pub process: Arc<Processes>,
    pub git: Checkout,
    pub trees: Trees,
    pub sqlite: Sqlite,
    pub postgres: Postgres,
    pub mysql: Mysql,
    pub http: Http,
    /// The daemon's state folder.
    state: PathBuf,
    /// How long a verb may be silent.
    idle: Duration,
}

pub use drill::Doubled;
pub use rehearsable::Rehearsable;
pub use renew::{Toward, version};
pub use server::names::scratch_name;

impl Drivers {
    /// For `binding`, one of the deployment's. The product and the datastores have the first platform's folder, commands
    /// and releases; every binding sees all services, and a platform may change its own.
    pub fn build(deployment: &Deployment, binding: &BindingConfig, environment: &Environment) -> Self {
        let (machine, vault) = (&environment.machine, &environment.vault);
        let grants = &binding.grants;
        let platform = match binding.role() {
            Role::Platform => Some(binding),
            Role::Product | Role::Datastore => deployment.platforms.first(),
        };
        let place = platform.map(|platform| &platform.grants);
        let own = (binding.role() == Role::Platform).then_some(binding.binding.name.as_str());
        let directory = place.and_then(|place| place.directory.clone());
        let layout = directory.as_deref().map(Layout::new);
        let idle = deployment.policy.idle;
        let commands = place.map(|place| place.commands.clone()).unwrap_or_default();
        let processes = Processes::new(commands, layout.clone(), idle, machine.clone());
        let processes = Arc::new(processes.of_a_rehearsal(environment.double.is_some()));
        let repository = place.and_then(|place| place.repository.clone());
        let project = Arc::new(Project::new(directory));
        let projects = projects(deployment, &project, &processes, environment);
        let compose = platform.and_then(|platform| projects.get(&platform.binding.name)).cloned();
        let releases = releases(deployment, &project, &processes, environment);
        let kubernetes = platform.and_then(|platform| releases.get(&platform.binding.name)).cloned();
        let all_pods = all_pods(deployment, &project, environment);
        let pods = platform.and_then(|platform| all_pods.get(&platform.binding.name)).cloned();
        let server = |mysql: bool| {
            let server = grants.server.clone().filter(|_| grants.mysql == mysql);
            server.map(|server| Server::of(server, &projects, &releases, &all_pods))
        };
        let regions = regions(deployment, &project, environment);
        let cloud_run = platform.and_then(|platform| regions.get(&platform.binding.name)).cloned();
        let store = grants.google.clone().filter(|_| binding.role() == Role::Datastore);
        let engine = compose.as_ref().map(|compose| compose.engine().clone());
        let engine = engine.or_else(|| pods.as_ref().map(|pods| pods.engine().clone()));
        Self {
            services: Services::new(
                deployment,
                own,
                orchestrators(&projects, &releases, &regions, &all_pods),
                machine.clone(),
            ),
            compose,
            kubernetes,
            cloud_run,
            cloud_sql: store.map(|google| google::Store::new(google, vault.clone(), machine.clone(), idle)),
            pods,
            images: Images::new(engine, &machine.state, &deployment.name, idle),
            project,
            git: Checkout::new(&deployment.name, layout, repository, processes.clone(), idle),
            process: processes,
            trees: Trees::new(grants.paths.clone(), stores(grants, &projects, &releases, &all_pods), vault.clone()),
            sqlite: Sqlite::new(grants.paths.clone(), vault.clone()),
            postgres: Postgres::new(server(false), vault.clone(), machine.state.join(SCRATCH), idle),
            mysql: Mysql::new(server(true), vault.clone(), idle),
            http: Http::new(grants.http.clone(), grants.secrets.clone())
                .instead(environment.double.as_ref().map(|_| rehearsables(&projects, &releases, &all_pods))),
            state: machine.state.clone(),
            idle,
        }
    }

    /// What the binding's platform runs containers in.
    pub fn around(&self) -> Option<Around> {
        let project = self.compose.clone().map(Around::Compose);
        project.or_else(|| self.pods.clone().map(Around::Pods))
    }

    /// What of the binding's platform a rehearsal has a double of.
    pub fn rehearsable(&self) -> Option<Rehearsable> {
        let containers = self.around().map(Rehearsable::Containers);
        containers.or_else(|| self.kubernetes.clone().map(Rehearsable::Release))
    }

    /// For an effect that a crash left without an end: finds what still runs under its handle, waits for it or ends it,
    /// and says what became of the effect. Idempotent.
    pub async fn fence_and_probe(&self, effect: &Effect) -> Verdict {
        match effect.verb.split_once('.').map(|(interface, _)| interface) {
            Some(drill::INTERFACE) => self.probe_drill(effect).await,
            Some("compose") => match &self.compose {
                Some(compose) => compose.fence_and_probe(effect).await,
                None => Verdict::Unknown,
            },
            Some("helm") => match &self.kubernetes {
                Some(kubernetes) => kubernetes.fence_and_probe(effect).await,
                None => Verdict::Unknown,
            },
            Some("cloud-run") => match &self.cloud_run {
                Some(region) => region.fence_and_probe(effect).await,
                None => Verdict::Unknown,
            },
            Some("cloud-sql") => match &self.cloud_sql {
                Some(store) => store.fence_and_probe(effect).await,
                None => Verdict::Unknown,
            },
            Some("pods") => match &self.pods {
                Some(pods) => pods.fence_and_probe(effect).await,
                None => Verdict::Unknown,
            },
            Some("images") => self.images.fence_and_probe(effect).await,
            Some("process" | "hook") => self.process.fence_and_probe(effect).await,
            Some("control") => self.services.fence_and_probe(effect).await,
            Some("project") => self.project.fence_and_probe(effect).await,
            Some("checkout") => self.git.fence_and_probe(effect).await,
            Some("trees") => self.trees.fence_and_probe(effect).await,
            Some("sqlite") => self.sqlite.fence_and_probe(effect).await,
            Some("mysql") => self.mysql.fence_and_probe(effect).await,
            Some("postgres") => self.postgres.fence_and_probe(effect).await,
            _ => Verdict::Unknown,
        }
    }
}

/// Volumes of the first platform that has an engine, claims of the first that has a release.
fn stores(
    grants: &Grants, projects: &BTreeMap<String, Arc<Compose>>, releases: &BTreeMap<String, Arc<Kubernetes>>,
    pods: &BTreeMap<String, Arc<Pods>>,
) -> BTreeMap<String, Store> {
    let engine = projects.values().next().map(|project| project.engine().clone());
    let engine = engine.or_else(|| pods.values().next().map(|pods| pods.engine().clone()));
    let release = releases.values().next();
    let volume = |(name, volume): (&String, &String)| (name.clone(), Store::Volume(volume.clone(), engine.clone()));
    let claim = |(name, claim): (&String, &String)| (name.clone(), Store::Claim(claim.clone(), release.cloned()));
    grants.volumes.iter().map(volume).chain(grants.claims.iter().map(claim)).collect()
}

/// The doubles of the deployment's platforms.
fn rehearsables(
    projects: &BTreeMap<String, Arc<Compose>>, releases: &BTreeMap<String, Arc<Kubernetes>>,
    pods: &BTreeMap<String, Arc<Pods>>,
) -> Vec<Rehearsable> {
    let containers = projects.values().cloned().map(Around::Compose).chain(pods.values().cloned().map(Around::Pods));
    let releases = releases.values().cloned().map(Rehearsable::Release);
    containers.map(Rehearsable::Containers).chain(releases).collect()
}

/// A platform's own files; of the binding's platform those that planned edits are laid over.
fn files_of(grants: &Grants, project: &Arc<Project>) -> Arc<Project> {
    match grants.directory == project.folder {
        true => project.clone(),
        false => Arc::new(Project::new(grants.directory.clone())),
    }
}

/// What runs the services of each platform that leaves it to another than the host.
fn orchestrators(
    projects: &BTreeMap<String, Arc<Compose>>, releases: &BTreeMap<String, Arc<Kubernetes>>,
    regions: &BTreeMap<String, Arc<google::Region>>, pods: &BTreeMap<String, Arc<Pods>>,
) -> BTreeMap<String, Arc<dyn Orchestrator>> {
    let region = |(platform, region): (&String, &Arc<google::Region>)| {
        (platform.clone(), region.clone() as Arc<dyn Orchestrator>)
    };
    let project =
        |(platform, project): (&String, &Arc<Compose>)| (platform.clone(), project.clone() as Arc<dyn Orchestrator>);
    let release =
        |(platform, release): (&String, &Arc<Kubernetes>)| (platform.clone(), release.clone() as Arc<dyn Orchestrator>);
    let pods = pods.iter().map(|(platform, pods)| (platform.clone(), pods.clone() as Arc<dyn Orchestrator>));
    projects
        .iter()
        .map(project)
        .chain(releases.iter().map(release))
        .chain(regions.iter().map(region))
        .chain(pods)
        .collect()
}

/// The releases of the deployment's platforms that have one, by platform.
fn releases(
    deployment: &Deployment, project: &Arc<Project>, processes: &Arc<Processes>, environment: &Environment,
) -> BTreeMap<String, Arc<Kubernetes>> {
    let claims = deployment.datastores.iter().flat_map(|datastore| datastore.grants.claims.values().cloned());
    let claims: Vec<String> = claims.collect();
    let of = |platform: &BindingConfig| {
        let (name, grants) = (platform.binding.name.clone(), &platform.grants);
        let release = Kubernetes::new(kubernetes::Parts {
            platform: name.clone(),
            deployment: deployment.name.clone(),
            config: grants.kubernetes.clone()?,
            directory: grants.directory.clone().unwrap_or_else(|| PathBuf::from("/")),
            project: files_of(grants, project),
            processes: processes.clone(),
            machine: environment.machine.clone(),
            idle: deployment.policy.idle,
            chart_version: platform.settings["chart-version"].as_str().unwrap_or("{version}").to_owned(),
            claims: claims.clone(),
            double: environment.double.clone(),
        });
        Some((name, Arc::new(release)))
    };
    deployment.platforms.iter().filter_map(of).collect()
}

/// The deployment's platforms on Cloud Run.
fn regions(
    deployment: &Deployment, project: &Arc<Project>, environment: &Environment,
) -> BTreeMap<String, Arc<google::Region>> {
    let of = |platform: &BindingConfig| {
        let (name, google) = (&platform.binding.name, platform.grants.google.clone()?);
        let files = files_of(&platform.grants, project);
        let region = google::Region::new(name, google, files, environment.machine.clone(), deployment.policy.idle);
        Some((name.clone(), Arc::new(region)))
    };
    deployment.platforms.iter().filter_map(of).collect()
}

/// The Compose projects of the deployment's platforms that have an engine, by platform.
fn projects(
    deployment: &Deployment, project: &Arc<Project>, processes: &Arc<Processes>, environment: &Environment,
) -> BTreeMap<String, Arc<Compose>> {
    let of = |platform: &BindingConfig| {
        let (name, grants) = (platform.binding.name.clone(), &platform.grants);
        if !grants.pods.files.is_empty() {
            return None;
        }
        let compose = Compose::new(compose::Parts {
            platform: name.clone(),
            deployment: deployment.name.clone(),
            engine: environment.engines.of(grants.engine.as_ref()?),
            directory: grants.directory.clone()?,
            config: grants.compose.clone(),
            project: files_of(grants, project),
            processes: processes.clone(),
            machine: environment.machine.clone(),
            idle: deployment.policy.idle,
            double: environment.double.clone(),
        });
        Some((name, Arc::new(compose)))
    };
    deployment.platforms.iter().filter_map(of).collect()
}

/// The pods of the deployment's platforms that have some, by platform.
fn all_pods(deployment: &Deployment, project: &Arc<Project>, environment: &Environment) -> BTreeMap<String, Arc<Pods>> {
    let of = |platform: &BindingConfig| {
        let (name, grants) = (platform.binding.name.clone(), &platform.grants);
        if grants.pods.files.is_empty() {
            return None;
        }
        let pods = Pods::new(pods::Parts {
            platform: name.clone(),
            deployment: deployment.name.clone(),
            engine: environment.engines.of(grants.engine.as_ref()?),
            directory: grants.directory.clone()?,
            config: grants.pods.clone(),
            project: files_of(grants, project),
            machine: environment.machine.clone(),
            idle: deployment.policy.idle,
            double: environment.double.clone(),
        });
        Some((name, Arc::new(pods)))
    };
    deployment.platforms.iter().filter_map(of).collect()
}
