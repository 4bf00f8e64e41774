//! `cargo xtask bench`: every figure as a ratio to a named baseline that is measured in the same run, turn by turn.
//! docs/BENCHMARKS.md says what each means; what came out goes to standard output, what happens meanwhile to the other.

mod compose;
mod database;
mod figure;
mod figures;
mod parts;
mod report;
mod rest;
mod runs;
mod site;
mod size;
mod wait;

pub use report::Form;
pub use size::megabytes_of;

use crate::demo::{Programs, build};
use crate::interrupt::Interrupt;
use crate::workspace::Workspace;
use crate::{check, components, engine, kubernetes, setup};
use anyhow::{Context, Result, bail};
use database::Server;
use figure::Samples;
use report::Machine;
use rest::Rest;
use runs::Runs;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

pub struct Options {
    pub megabytes: u64,
    pub rounds: usize,
    /// Of the groups, those whose name contains it.
    pub filter: Option<String>,
    pub form: Form,
    pub strict: bool,
    /// What the tests are built with: the numbers mean nothing then.
    pub dev: bool,
}

impl Options {
    fn profile(&self) -> &'static str {
        if self.dev { "dev" } else { "release" }
    }
    fn features(&self, workspace: &Workspace) -> &'static [&'static str] {
        if self.dev { check::features(workspace) } else { &[] }
    }

    /// What needs a Docker engine or a cluster only where it is named: `compose`, `compose/mysql`, `helm`.
    fn wants(&self, group: &str) -> bool {
        match (self.filter.as_deref(), group.split('/').next()) {
            (filter, Some("compose")) => {
                filter.is_some_and(|filter| filter.starts_with("compose") && group.starts_with(filter))
            }
            (filter, _) if group == HELM => filter == Some(HELM),
            (filter, _) => filter.is_none_or(|filter| group.contains(filter)),
        }
    }
}

/// The smaller of the two databases that downtime is measured with.
const SMALL_MEGABYTES: u64 = 100;
const EDITS: usize = 100;
/// Groups, and cargo's benches that measure them.
const CLOUD: &str = "cloud";
const HELM: &str = "helm";

pub fn run(options: &Options) -> Result<()> {
    setup::run()?;
    let workspace = Workspace::read()?;
    components::build(&workspace)?;
    let mut products = vec!["notes", "mix", "tessallite"];
    if options.wants(CLOUD) || options.wants(HELM) {
        // The stories that it is told with look for all of them.
        products.extend(["evose", "infrahub", "aegis"]);
    }
    let programs = build(&workspace, options.profile(), options.features(&workspace), &products)?;
    let folder = Folder::make()?;
    let interrupt = Interrupt::listen()?;
    let mut bench = Bench { options, workspace, programs, interrupt, folder: &folder.0, samples: Samples::default() };
    let servers = bench.measure()?;
    let mut figures = figures::of(&bench.samples, options.megabytes);
    figures.extend(compose::figures(&bench.samples, options.megabytes));
    if figures.is_empty() {
        bail!("no group is called so; there are {}", [figures::GROUPS, compose::GROUPS].concat().join(", "));
    }
    report::print(&figures, &Machine::look(servers, options.megabytes), options.form);
    let missed = figures.iter().filter(|figure| figure.reached() == Some(false)).count();
    if options.strict && missed > 0 { bail!("{missed} targets were not reached") } else { Ok(()) }
}

struct Bench<'a> {
    options: &'a Options,
    workspace: Workspace,
    programs: Programs,
    interrupt: Interrupt,
    folder: &'a Path,
    samples: Samples,
}

impl Bench<'_> {
    /// The versions of the servers.
    fn measure(&mut self) -> Result<String> {
        if compose::GROUPS.iter().any(|group| self.wants(group)) {
            return self.compose();
        }
        if self.wants("call") {
            let components = self.programs.components.clone();
            let rounds = (self.options.rounds * 3).to_string();
            let arguments = ["call", "--components"].map(OsStr::new);
            let more = [components.as_os_str(), OsStr::new("--rounds"), OsStr::new(&rounds)];
            self.parts(&[&arguments[..], &more].concat(), &[])?;
        }
        let rest = Rest { programs: &self.programs, interrupt: &self.interrupt };
        if self.wants("latency") {
            eprintln!("latency");
            let edits = if self.options.dev { EDITS / 10 } else { EDITS };
            rest.latency(edits, &mut self.samples)?;
        }
        if self.wants("rest") {
            eprintln!("rest");
            rest.weigh(self.options.rounds, &mut self.samples)?;
        }
        if self.wants(CLOUD) {
            eprintln!("cloud");
            let rounds = self.options.rounds.to_string();
            self.bench(CLOUD, &["--rounds", &rounds].map(OsStr::new), &[])?;
        }
        if self.wants(HELM) {
            return self.helm();
        }
        if ["database", "downtime", "run"].iter().any(|group| self.wants(group)) {
            return self.with_server();
        }
        Ok("no server".into())
    }

    fn helm(&mut self) -> Result<String> {
        let lease = engine::Lease::keeping_images();
        let measured = lease.begin().and_then(|_| {
            let _cluster = kubernetes::Lease::begin()?;
            eprintln!("helm");
            let rounds = self.options.rounds.to_string();
            let environment = [lease.environment()?, kubernetes::environment()?].concat();
            self.bench(HELM, &["--rounds", &rounds].map(OsStr::new), &environment)?;
            Ok("Kubernetes 1.35, Helm 4.3".to_owned())
        });
        let ended = lease.end();
        measured.and_then(|versions| ended.map(|()| versions))
    }

    fn with_server(&mut self) -> Result<String> {
        eprintln!("filling");
        let server = Server::start(&self.programs.mix, self.folder)?;
        let small = server.fill(SMALL_MEGABYTES)?;
        let large = if self.wants("database") || self.wants("downtime") {
            server.fill(self.options.megabytes)?
        } else {
            small.clone()
        };
        if self.wants("database") {
            eprintln!("database");
            self.database(&server, &large)?;
        }
        let runs = Runs { server: &server, programs: &self.programs, interrupt: &self.interrupt, folder: self.folder };
        let rounds = if self.wants("downtime") { self.options.rounds } else { 0 };
        for _ in 0..rounds {
            eprintln!("downtime");
            runs.by_daemon(&small, "small", &mut self.samples)?;
            runs.by_daemon(&large, "large", &mut self.samples)?;
        }
        let rounds = if self.wants("run") { self.options.rounds } else { 0 };
        for _ in 0..rounds {
            eprintln!("run");
            runs.by_daemon(&small, "whole", &mut self.samples)?;
            runs.by_hand(&small, "whole", &mut self.samples)?;
        }
        Ok(format!("PostgreSQL {}", server.sql("postgres", "SHOW server_version")?))
    }

    fn database(&mut self, server: &Server, name: &str) -> Result<()> {
        let components = self.programs.components.clone();
        let (port, rounds) = (server.cluster.port().to_string(), self.options.rounds.to_string());
        let arguments: [&OsStr; 15] = [
            "database".as_ref(),
            "--components".as_ref(),
            components.as_ref(),
            "--folder".as_ref(),
            self.folder.as_ref(),
            "--programs".as_ref(),
            server.cluster.programs().as_ref(),
            "--host".as_ref(),
            server.cluster.folder().as_ref(),
            "--port".as_ref(),
            port.as_ref(),
            "--database".as_ref(),
            name.as_ref(),
            "--rounds".as_ref(),
            rounds.as_ref(),
        ];
        self.parts(&arguments, &[])
    }

    fn parts(&mut self, arguments: &[&OsStr], environment: &[(&str, String)]) -> Result<()> {
        self.bench("parts", arguments, environment)
    }

    fn bench(&mut self, name: &str, arguments: &[&OsStr], environment: &[(&str, String)]) -> Result<()> {
        let (profile, features) = (self.options.profile(), self.options.features(&self.workspace));
        parts::run(&self.workspace, profile, features, name, arguments, environment, &mut self.samples)
    }

    fn wants(&self, group: &str) -> bool {
        self.options.wants(group)
    }
}

/// Removed at the end, whatever it was.
struct Folder(PathBuf);

impl Folder {
    /// Short, because a socket's path may not be long.
    fn make() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("upgraded-bench-{}", std::process::id()));
        std::fs::create_dir(&folder).with_context(|| format!("`{}`", folder.display()))?;
        Ok(Self(folder.canonicalize()?))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
