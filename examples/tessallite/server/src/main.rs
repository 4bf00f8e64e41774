//! `tessallite`: every service of the product, and the index of releases that its vendor publishes.

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use tessallite::release::Release;
use tessallite::service::{Running, Service};
use tessallite::settings::Settings;
use tessallite::{frontend, gateway, http, model_service, query_router, vendor, worker};

/// How long requests may take to end when the process is told to.
const FAREWELL: Duration = Duration::from_millis(500);

#[derive(Parser)]
#[command(name = "tessallite", about = "Every service of Tessallite")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Bring the database to the release's schema, then keep models
    ModelService,
    /// Answer queries of models
    QueryRouter,
    /// Compute statistics of models, job after job
    Optimizer,
    /// Queue jobs, and a heartbeat
    Scheduler,
    /// What users talk to, behind the gateway
    Frontend,
    /// Where users come in
    Gateway,
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
        Task::ModelService => Service::ModelService,
        Task::QueryRouter => Service::QueryRouter,
        Task::Optimizer => Service::Optimizer,
        Task::Scheduler => Service::Scheduler,
        Task::Frontend => Service::Frontend,
        Task::Gateway => Service::Gateway,
    };
    let running = Running::start(service, Settings::read()?, Release::baked()?).await?;
    match service {
        Service::ModelService => model_service::run(running).await,
        Service::QueryRouter => query_router::run(running).await,
        Service::Optimizer | Service::Scheduler => worker::run(running).await,
        Service::Frontend => frontend::run(running).await,
        Service::Gateway => gateway::run(running).await,
    }
}
