//! Composes everything: settings, journal, plugins, vault, watcher, socket, and one task for each deployment. Nothing
//! calls it but `main`.

mod abandoned;
mod actor;
mod checks;
mod clock;
mod drills;
mod facade;
mod hands;
mod host;
mod lines;
mod listener;
mod looks;
mod outlook;
mod paths;
mod patience;
mod planning;
mod recheck;
mod rehearsal;
mod releases;
mod requirements;
mod retention;
mod rolling;
mod servers;
mod views;

use crate::api::{Server, ServerOptions};
use crate::config::Settings;
use crate::trigger;
use host::Host;
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the state folder `{folder}` can't be used: {source}")]
    State { folder: String, source: std::io::Error },
    #[error("another daemon uses the state folder `{folder}`; one folder serves one daemon")]
    Taken { folder: String },
    #[error(transparent)]
    Journal(#[from] crate::journal::JournalError),
    #[error(transparent)]
    Vault(#[from] crate::vault::VaultError),
    #[error(transparent)]
    Socket(#[from] crate::api::ServerError),
}

/// Runs until `stop`; then lets every run stop between two steps or end its step, so that the next daemon goes on.
pub async fn run(settings: Settings, stop: CancellationToken) -> Result<(), StartError> {
    let _lock = lock(&settings.state)?;
    let made_key = host::prepare_vault_key(&settings)?;
    if made_key {
        tracing::warn!(
            key = %settings.vault_key.display(),
            "made the vault's key; keep a copy of it elsewhere: without it no backup can be read"
        );
    }
    let server = Server::open(ServerOptions::new(&settings.socket, settings.socket_group.clone()))?;
    let host = Arc::new(Host::open(settings, stop.clone())?);
    // What a crash left open goes on before anything new is looked at: its fences stand again first.
    host.take_up_open_runs()?;
    let (watcher, mut changes) = trigger::watch((&host.settings).into());
    let serving = host.tasks.spawn(server.serve(Arc::new(facade::Door(host.clone())), stop.clone()));
    let keeping = host.tasks.spawn(retention::keep_house(host.clone()));
    tracing::info!(socket = %host.settings.socket.display(), "upgraded {} is ready", env!("CARGO_PKG_VERSION"));
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            batch = changes.recv() => match batch {
                Some(batch) => batch.into_iter().for_each(|change| host.changed(change)),
                None => break,
            },
        }
    }
    tracing::info!("stopping");
    watcher.shutdown().await;
    host.tasks.close();
    host.tasks.wait().await;
    drop((serving, keeping));
    Ok(())
}

fn lock(state: &Path) -> Result<File, StartError> {
    let folder = state.display().to_string();
    let error = |source| StartError::State { folder: folder.clone(), source };
    std::fs::create_dir_all(state).map_err(error)?;
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(state, permissions).map_err(error)?;
    let file = File::options().create(true).append(true).open(state.join("lock")).map_err(error)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(StartError::Taken { folder }),
        Err(errno) => Err(error(errno.into())),
    }
}
