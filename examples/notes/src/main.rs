//! `notes`: the program of the product. One for all releases; what differs lies in the release's folder.

use anyhow::Result;
use clap::{Parser, Subcommand};
use notes::release::Release;
use notes::service::{self, Service};
use notes::settings::Settings;
use notes::{checksum, data, front, migrate, repository, serve, smoke};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "notes", about = "Notes and uploads behind HTTP: a small product to upgrade")]
struct Arguments {
    /// The operator's settings
    #[arg(long, global = true, default_value = "notes.toml")]
    config: PathBuf,
    /// The folder of the release; `current` beside the settings where none is named
    #[arg(long, global = true)]
    release: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The product, on its private address, until it is told to end
    Serve {
        #[arg(long)]
        detached: bool,
    },
    /// The gate: passes the public address on to the private one
    Front {
        #[arg(long)]
        detached: bool,
    },
    /// Bring the database to the release's schema; goes on where it was cut off
    Migrate,
    /// Start a service and leave it behind
    Start { service: Service },
    /// Stop a service
    Stop { service: Service },
    /// Exit with 0 while a service runs
    Status { service: Service },
    /// Read everything as a client would, and compare it with what was written
    Smoke {
        /// The address to ask; the private one where none is named
        #[arg(long)]
        address: Option<SocketAddr>,
    },
    /// Digests of every row and every upload
    Checksum,
    /// Write notes and uploads that are the same every time
    Fill {
        #[arg(long, default_value_t = 200)]
        notes: u32,
        #[arg(long, default_value_t = 8)]
        uploads: u32,
        #[arg(long, default_value_t = 65536)]
        upload_bytes: usize,
    },
    /// Make the git repository with all releases
    MakeRepository { folder: PathBuf },
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode> {
    if let Command::MakeRepository { folder } = &arguments.command {
        repository::make(folder)?;
        return Ok(ExitCode::SUCCESS);
    }
    let settings = Settings::read(&arguments.config)?;
    let release = || {
        let current = settings.home().join("current");
        Release::read(arguments.release.as_deref().unwrap_or(&current))
    };
    match &arguments.command {
        Command::Serve { detached } => {
            let _running = service::claim(&settings, Service::Web, *detached)?;
            let release = release()?;
            until_done(serve::run(&settings, &release))?;
        }
        Command::Front { detached } => {
            let _running = service::claim(&settings, Service::Front, *detached)?;
            until_done(front::run(&settings))?;
        }
        Command::Migrate => migrate::run(&settings, &release()?)?,
        Command::Start { service } => service::start(&settings, &arguments.config, *service)?,
        Command::Stop { service } => service::stop(&settings, *service)?,
        Command::Status { service } => {
            let is_running = service::is_running(&settings, *service)?;
            println!("{} {}", service.name(), if is_running { "runs" } else { "does not run" });
            // 3 is what init scripts say.
            return Ok(if is_running { ExitCode::SUCCESS } else { ExitCode::from(3) });
        }
        Command::Smoke { address } => smoke::run(address.unwrap_or(settings.web.listen))?,
        Command::Checksum => checksum::lines(&settings)?.iter().for_each(|line| println!("{line}")),
        Command::Fill { notes, uploads, upload_bytes } => data::fill(&settings, *notes, *uploads, *upload_bytes)?,
        Command::MakeRepository { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn until_done(work: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(work)
}
