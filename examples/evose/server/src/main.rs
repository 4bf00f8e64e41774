//! `evose`: each service of the product is a subcommand. Which release it is, `EVOSE_RELEASE` of its image says.

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use evose::database::said;
use evose::release::{Catalogue, Release};
use evose::settings::Settings;
use evose::{api, index, init, probe, worker};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(name = "evose", about = "The services of Evose")]
struct Arguments {
    #[command(subcommand)]
    service: Service,
}

#[derive(Subcommand)]
enum Service {
    /// Migrate both databases, and end
    Init,
    /// Serve the API
    Api {
        #[arg(long, default_value = "0.0.0.0:8000")]
        listen: String,
    },
    /// Work queued runs off
    Worker,
    /// Ask an address for its health; ends with 0 where it is healthy
    Health { url: String },
    /// Serve the vendor's index of releases
    Releases {
        #[arg(long, default_value = "127.0.0.1:8090")]
        listen: String,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let service = Arguments::parse().service;
    let name = match &service {
        Service::Init => "init",
        Service::Api { .. } => "api",
        Service::Worker => "worker",
        Service::Health { .. } => "health",
        Service::Releases { .. } => "releases",
    };
    match until_told_to_end(service).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = said(&error);
            let said = if text.starts_with("migration failed") { text } else { format!("error: {text}") };
            println!("[{name}] {said}");
            ExitCode::FAILURE
        }
    }
}

async fn run(service: Service) -> Result<()> {
    match service {
        Service::Health { url } => return probe::run(&url).await,
        Service::Releases { listen } => return index::serve(&listen).await,
        Service::Init | Service::Api { .. } | Service::Worker => {}
    }
    let release = release()?;
    let settings = Settings::read(&release)?;
    match service {
        Service::Init => init::run(&settings, &release).await,
        Service::Api { listen } => api::run(settings, release, &listen).await,
        Service::Worker => worker::run(&settings, &release).await,
        Service::Health { .. } | Service::Releases { .. } => Ok(()),
    }
}

fn release() -> Result<Release> {
    let version = std::env::var("EVOSE_RELEASE").context("`EVOSE_RELEASE` is not set; the image has it")?;
    Ok(Catalogue::read()?.find(&version)?.clone())
}

/// The first process of a container ends by a signal only where it asks for it.
async fn until_told_to_end(service: Service) -> Result<()> {
    let is_init = matches!(service, Service::Init);
    let mut end = signal(SignalKind::terminate())?;
    tokio::select! {
        done = run(service) => return done,
        _ = end.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    if is_init { bail!("told to end before the migrations were complete") } else { Ok(()) }
}
