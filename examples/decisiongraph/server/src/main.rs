//! `mix`: the tasks that the guide names, run in the folder `beam` of a release.

use anyhow::Result;
use clap::{Parser, Subcommand};
use decisiongraph::release::Release;
use decisiongraph::service::{self, Service};
use decisiongraph::settings::Settings;
use decisiongraph::{gate, log, migrate, projections, repository, serve};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "mix", about = "Tasks of DecisionGraph")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Fetch what the release depends on
    #[command(name = "deps.get")]
    DepsGet,
    /// Compile the release in its folder
    #[command(name = "compile")]
    Compile,
    /// Bring the database to the release's schema, a transaction for each migration
    #[command(name = "ecto.migrate")]
    Migrate,
    /// Serve on `PORT` of `DG_ADDRESS` until told to end
    #[command(name = "phx.server")]
    Server {
        #[arg(long)]
        detached: bool,
    },
    /// Make every projection anew from the event log
    #[command(name = "dg.projections.rebuild")]
    Rebuild,
    /// Append events that are the same every time
    #[command(name = "dg.seed")]
    Seed {
        #[arg(default_value_t = 500)]
        events: u32,
    },
    /// What lets users in: passes `GATE_PORT` on to `PORT`
    #[command(name = "dg.gate")]
    Gate {
        #[arg(long)]
        detached: bool,
    },
    /// Start, stop or look at what runs in the background
    #[command(name = "dg.service")]
    Service { action: service::Action, service: Service },
    /// Make the git repository with all releases
    #[command(name = "dg.repository")]
    Repository { folder: PathBuf },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("** (mix) {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Repository { folder } => repository::make(&folder)?,
        Task::DepsGet => println!("All dependencies are up to date"),
        Task::Compile => Release::here()?.compile()?,
        Task::Migrate => until_done(migrate::run(&Settings::read()?, &Release::here()?))?,
        Task::Rebuild => until_done(projections::rebuild_all(&Settings::read()?, &Release::here()?))?,
        Task::Seed { events } => until_done(log::seed(&Settings::read()?, events))?,
        Task::Server { detached } => {
            let settings = Settings::read()?;
            let _running = service::claim(&settings, Service::Runtime, detached)?;
            until_done(serve::run(&settings, &Release::here()?))?;
        }
        Task::Gate { detached } => {
            let settings = Settings::read()?;
            let _running = service::claim(&settings, Service::Gate, detached)?;
            until_done(gate::run(&settings))?;
        }
        Task::Service { action, service } => return service::act(&Settings::read()?, action, service),
    }
    Ok(ExitCode::SUCCESS)
}

fn until_done(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(work)
}
