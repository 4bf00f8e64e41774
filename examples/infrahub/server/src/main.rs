//! `infrahub`: each service of the product is a subcommand. Which release it is, `INFRAHUB_RELEASE` of its image says.

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use infrahub::client::Client;
use infrahub::release::{Catalogue, Release};
use infrahub::settings::Settings;
use infrahub::{api, cache, database, http, index, upgrade, worker};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "infrahub", about = "The services of Infrahub")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Keep the graph
    Database {
        #[arg(long, default_value = "/data")]
        folder: PathBuf,
        #[arg(long, default_value = "0.0.0.0:7474")]
        listen: String,
    },
    /// Keep what may be forgotten
    Cache {
        #[arg(long, default_value = "0.0.0.0:6379")]
        listen: String,
    },
    /// Serve the API
    Server {
        #[arg(long, default_value = "0.0.0.0:8000")]
        listen: String,
    },
    /// Work jobs off
    TaskWorker,
    /// Migrate the graph to this release, and end
    Upgrade,
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
    match run(Arguments::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Database { folder, listen } => database::run(&folder, &listen).await,
        Command::Cache { listen } => cache::run(&listen).await,
        Command::Server { listen } => {
            let (release, settings) = installed()?;
            api::run(settings, release, &listen).await
        }
        Command::TaskWorker => {
            let (release, settings) = installed()?;
            worker::run(&settings, &release).await
        }
        Command::Upgrade => {
            let (release, settings) = installed()?;
            let client = Client::new(&settings);
            tokio::select! {
                done = upgrade::run(&client, &release) => done,
                () = http::told_to_end() => bail!("told to end before the migration was completed"),
            }
        }
        Command::Health { url } => http::probe(&url).await,
        Command::Releases { listen } => index::serve(&listen).await,
    }
}

fn installed() -> Result<(Release, Settings)> {
    let version = std::env::var("INFRAHUB_RELEASE").context("`INFRAHUB_RELEASE` is not set; the image has it")?;
    let release = Catalogue::read()?.find(&version)?.clone();
    let settings = Settings::read(&release)?;
    Ok((release, settings))
}
