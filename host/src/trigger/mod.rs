//! Says *look again at these deployments* when their files change, and carries no data: who is told reads the file.
//!
//! It never depends on an event being right: an event only says that the folder is worth a look, the folder's contents
//! are compared with what was reported last, and a slow poll makes good what got lost. It doesn't parse. Called by the
//! daemon.

mod eyes;
mod folder;
mod settle;
#[cfg(test)]
mod tests;

pub use folder::{Content, Folder, Snapshot};
pub use settle::{Change, Kind};

use crate::config::Settings;
use eyes::Eyes;
use settle::Settle;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

/// Batches that nobody took yet; further changes wait in the folder.
const BATCHES: usize = 4;

#[derive(Debug, Clone)]
pub struct WatchSettings {
    /// The folder of the deployments' files.
    pub folder: PathBuf,
    /// How long a file must be quiet before it is reported.
    pub debounce: Duration,
    /// How often the folder is looked at without an event.
    pub poll: Duration,
}

impl From<&Settings> for WatchSettings {
    fn from(settings: &Settings) -> Self {
        Self { folder: settings.deployments.clone(), debounce: settings.debounce, poll: settings.poll }
    }
}

/// The task that watches. Ends when it is shut down, dropped, or nobody receives any more.
pub struct Watcher {
    task: Option<JoinHandle<()>>,
    stop: CancellationToken,
    again: Arc<Notify>,
}

/// Starts to watch. The first batch, at once, is every file that is there; a batch is never empty and names each
/// deployment once. Needs a runtime.
pub fn watch(settings: WatchSettings) -> (Watcher, mpsc::Receiver<Vec<Change>>) {
    start(settings, true)
}

fn start(settings: WatchSettings, with_events: bool) -> (Watcher, mpsc::Receiver<Vec<Change>>) {
    let (sender, receiver) = mpsc::channel(BATCHES);
    let (stop, again) = (CancellationToken::new(), Arc::new(Notify::new()));
    let eyes = Eyes::new(&settings.folder, again.clone(), with_events);
    let work = run(settings, eyes, sender, stop.clone(), again.clone());
    (Watcher { task: Some(tokio::spawn(work)), stop, again }, receiver)
}

impl Watcher {
    /// As if there had been an event.
    pub fn look_again(&self) {
        self.again.notify_one();
    }

    /// Ends the task and waits until it has ended.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take()
            && let Err(error) = task.await
            && error.is_panic()
        {
            tracing::error!("the watcher of the deployments' folder broke: {error}");
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn run(
    settings: WatchSettings, mut eyes: Eyes, sender: mpsc::Sender<Vec<Change>>, stop: CancellationToken,
    again: Arc<Notify>,
) {
    let mut settle = Settle::new(settings.debounce);
    let mut poll = tokio::time::interval(settings.poll);
    poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut complaint = None;
    loop {
        let due = settle.due().unwrap_or_else(|| Instant::now() + settings.poll);
        tokio::select! {
            () = stop.cancelled() => return,
            () = sender.closed() => return,
            () = again.notified() => {
                settle.noticed(Instant::now());
                continue;
            }
            _ = poll.tick() => {}
            () = tokio::time::sleep_until(due), if settle.due().is_some() => {}
        }
        let looked = tokio::task::spawn_blocking(move || {
            let found = eyes.look();
            (eyes, found)
        });
        // A panic of the scan ends the task; the daemon sees the channel closed.
        let Ok((back, found)) = looked.await else { return };
        eyes = back;
        let said = found.as_ref().err().map(ToString::to_string);
        if said != complaint {
            match &said {
                Some(error) => tracing::warn!("the folder `{}` can't be read: {error}", settings.folder.display()),
                None => tracing::info!("the folder `{}` can be read again", settings.folder.display()),
            }
            complaint = said;
        }
        // A folder that can't be read says nothing of its files: they are not gone.
        let Ok(found) = found else {
            settle.put_off(Instant::now());
            continue;
        };
        let changes = settle.look(Instant::now(), found, &eyes.being_written());
        if !changes.is_empty() {
            tokio::select! {
                () = stop.cancelled() => return,
                sent = sender.send(changes) => if sent.is_err() { return },
            }
        }
    }
}
