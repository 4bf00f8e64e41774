//! Long work on files, off the runtime: it shows progress, ends with its caller, and never meets a straggler of an earlier
//! attempt on the same data.

use crate::activity::Activity;
use crate::context::StepContext;
use crate::model::VerbError;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Signs of life more often than this only cost time.
const BETWEEN_SIGNS: Duration = Duration::from_millis(200);

/// What blocking work tells its run, and hears from it.
#[derive(Clone)]
pub struct Pulse {
    activity: Activity,
    token: CancellationToken,
    last: Arc<Mutex<Option<Instant>>>,
    #[cfg(test)]
    pub cuts: Arc<std::sync::atomic::AtomicU32>,
}

impl Pulse {
    pub fn new(activity: &Activity) -> Self {
        Self {
            activity: activity.clone(),
            token: activity.cancellation().child_token(),
            last: Arc::default(),
            #[cfg(test)]
            cuts: Arc::new(std::sync::atomic::AtomicU32::new(u32::MAX)),
        }
    }

    /// Called between any two changes of the disk: fails where the caller is gone.
    pub fn alive(&self) -> Result<(), VerbError> {
        self.cut()?;
        if self.token.is_cancelled() { Err(VerbError::Cancelled) } else { Ok(()) }
    }

    /// Where a cancellation must wait, but a test may cut as a crash would.
    pub fn cut(&self) -> Result<(), VerbError> {
        #[cfg(test)]
        {
            use std::sync::atomic::Ordering::SeqCst;
            let left = self.cuts.load(SeqCst);
            if left == 0 {
                return Err(VerbError::other("cut", "cut by the test"));
            }
            if left != u32::MAX {
                self.cuts.store(left - 1, SeqCst);
            }
        }
        Ok(())
    }

    /// The caller is gone, or its run cancelled.
    pub fn is_over(&self) -> bool {
        self.token.is_cancelled()
    }

    pub fn progress(&self, done: u64, total: Option<u64>, unit: &str, message: &str) {
        let mut last = lock(&self.last);
        if last.is_none_or(|last| last.elapsed() >= BETWEEN_SIGNS) {
            *last = Some(Instant::now());
            drop(last);
            self.activity.progress(done, total, unit, message);
        }
    }

    pub fn activity(&self) -> &Activity {
        &self.activity
    }
}

/// Runs `work` on a thread for blocking work. When the caller is dropped or its run cancelled, `work` ends at its next
/// [`Pulse::alive`]; until it has, nothing else begins on the same `turn`.
pub async fn run<T: Send + 'static>(
    cx: &StepContext, turn: PathBuf, work: impl FnOnce(&Pulse) -> Result<T, VerbError> + Send + 'static,
) -> Result<T, VerbError> {
    let pulse = Pulse::new(&cx.activity);
    let _ends_with_caller = pulse.token.clone().drop_guard();
    let task = tokio::task::spawn_blocking(move || {
        let turn = turn_of(&turn);
        let _mine = lock(&turn);
        pulse.alive()?;
        work(&pulse)
    });
    task.await.unwrap_or_else(|error| Err(VerbError::other("panic", format!("a part of the host broke: {error}"))))
}

/// Waits until nothing works on the turn any more.
pub async fn idle(turn: PathBuf) {
    // The wait has no result, and a panic of another's work is told there.
    let _ = tokio::task::spawn_blocking(move || drop(lock(&turn_of(&turn)))).await;
}

/// One lock for each path that was ever worked on: as many as there are granted paths.
fn turn_of(path: &Path) -> Arc<Mutex<()>> {
    static TURNS: LazyLock<Mutex<HashMap<PathBuf, Arc<Mutex<()>>>>> = LazyLock::new(Mutex::default);
    lock(&TURNS).entry(path.to_path_buf()).or_default().clone()
}

/// What these locks guard is the disk, which every work leaves in a state that the next one understands.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Says what was done to which path when the operating system refused.
pub trait At<T> {
    fn at(self, what: &str, path: &Path) -> Result<T, VerbError>;
}

impl<T, E: Into<io::Error>> At<T> for Result<T, E> {
    fn at(self, what: &str, path: &Path) -> Result<T, VerbError> {
        self.map_err(|error| {
            let error = error.into();
            let message = format!("{what} `{}`: {error}", super::escape_path(path));
            match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => VerbError::Unavailable(message),
                io::ErrorKind::NotFound => VerbError::NotFound(message),
                _ => VerbError::other("io", message),
            }
        })
    }
}
