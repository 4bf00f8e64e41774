//! `aegis`: every service of the product, what stands for Temporal and OpenBao, and the vendor's index of releases.

use aegis::release::Release;
use aegis::service::{Running, Service};
use aegis::settings::Settings;
use aegis::{gateway, http, runtime, third_party, vendor, worker};
use anyhow::Result;
use clap::{Parser, Subcommand};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

/// How long requests may take to end when the process is told to.
const FAREWELL: Duration = Duration::from_millis(300);

#[derive(Parser)]
#[command(name = "aegis", about = "Every service of AEGIS")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Bring the database to the release's schema, then keep agents
    Runtime,
    /// Execute what agents are told, beat after beat
    TemporalWorker,
    /// Where users come in
    SealGateway,
    /// What the worker needs of Temporal
    Temporal,
    /// What the runtime needs of OpenBao
    Openbao,
    /// Ask an address for its health: for health checks of containers
    Health { url: String },
    /// Serve the vendor's index of releases as `/releases.json`
    Releases {
        #[arg(long)]
        listen: SocketAddr,
    },
}

fn main() -> ExitCode {
    let task = Arguments::parse().task;
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let ended = runtime.block_on(async {
        tokio::select! {
            ended = run(task) => ended,
            () = told_to_end() => Ok(()),
        }
    });
    // A look-up of a name that is nowhere would be waited for.
    runtime.shutdown_background();
    ended.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

/// The first process of a container is ended by no signal that it doesn't handle.
async fn told_to_end() {
    http::terminated().await;
    tokio::time::sleep(FAREWELL).await;
}

async fn run(task: Task) -> Result<()> {
    let service = match task {
        Task::Health { url } => return http::healthy(&url).await,
        Task::Releases { listen } => return vendor::run(listen).await,
        Task::Temporal => return third_party::run("temporal", 7233).await,
        Task::Openbao => return third_party::run("openbao", 8200).await,
        Task::Runtime => Service::Runtime,
        Task::TemporalWorker => Service::TemporalWorker,
        Task::SealGateway => Service::SealGateway,
    };
    let running = Running::start(service, Settings::read()?, Release::baked()?)?;
    match service {
        Service::Runtime => runtime::run(running).await,
        Service::TemporalWorker => worker::run(running).await,
        Service::SealGateway => gateway::run(running).await,
    }
}
