//! `upgraded`: the daemon. What it does stands in `upgraded::daemon`; here are its command line and its signals.

use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio_util::sync::CancellationToken;
use upgraded::config::Settings;

/// Keeps self-hosted products at the version that their operator wrote down.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// The daemon's settings; where none are named those of `$UPGRADED_CONFIG`, else `/etc/upgraded/upgraded.toml`
    #[arg(long)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Supervises one command; started by the daemon.
    #[command(hide = true)]
    Job { folder: PathBuf },
}

/// The vault's library tells of every step of its own.
const LOGGED: &str = "info,rustic_core=warn";
/// What blocks are dumps, restores and looks of a few runs at once, and they don't wait for one another.
const BLOCKING_THREADS: usize = 64;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Command::Job { folder }) = arguments.command {
        return ExitCode::from(u8::try_from(upgraded::driver::process::run_job(&folder)).unwrap_or(1));
    }
    have_a_home();
    upgraded::memory::prepare();
    let log = tracing_subscriber::EnvFilter::try_from_env("UPGRADED_LOG").unwrap_or_else(|_| LOGGED.into());
    let seen = std::io::IsTerminal::is_terminal(&std::io::stderr());
    tracing_subscriber::fmt().with_env_filter(log).with_writer(std::io::stderr).with_ansi(seen).init();
    let named = arguments.config.or_else(|| std::env::var_os("UPGRADED_CONFIG").map(PathBuf::from));
    let settings = match Settings::load(named.as_deref().unwrap_or(Path::new(Settings::PATH))) {
        Ok(settings) => settings,
        Err(diagnostics) => {
            eprint!("{}", diagnostics.render(seen));
            return ExitCode::from(2);
        }
    };
    // Several TLS providers may be linked in; one is chosen here.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::warn!("a TLS provider was chosen already");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(serve(settings)),
        Err(error) => Err(anyhow::Error::from(error)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("upgraded: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A unit of systemd without `User=` is given none, and that is where clients left their logins: those that are read here,
/// and those of the programs that are run.
fn have_a_home() {
    if std::env::var_os("HOME").is_none()
        && let Some(home) = std::env::home_dir()
    {
        // SAFETY: no other thread runs yet.
        unsafe { std::env::set_var("HOME", home) };
    }
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = CancellationToken::new();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let daemon = upgraded::daemon::run(settings, stop.clone());
    tokio::pin!(daemon);
    tokio::select! {
        ended = &mut daemon => return Ok(ended?),
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    stop.cancel();
    Ok(daemon.await?)
}
