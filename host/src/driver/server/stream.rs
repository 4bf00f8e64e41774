//! Moves a tool's output into the vault: bytes of a tool that failed never become an artifact.

use super::child::Running;
use crate::activity::Activity;
use crate::model::VerbError;
use crate::vault::Vault;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use tokio_util::task::TaskTracker;

/// Progress is shown once in so many bytes.
const PROGRESS_BYTES: u64 = 4 << 20;
/// Of the pipe from the tool: fewer switches between the two.
const PIPE_BYTES: usize = 1 << 20;
pub const COPY_BYTES: usize = 1 << 20;

/// The artifact's key, once tool and vault are both done.
pub async fn save(
    mut running: Running, activity: &Activity, vault: &Vault, key: String, tasks: &TaskTracker,
) -> Result<String, VerbError> {
    let stdout = running.stdout().ok_or_else(|| VerbError::other("tool", "the tool has no standard output"))?;
    let stdout = stdout.into_owned_fd().map_err(|error| VerbError::other("tool", error.to_string()))?;
    let _ = rustix::pipe::fcntl_setpipe_size(&stdout, PIPE_BYTES);
    let (tell, exit) = mpsc::channel();
    let reached_end = Arc::new(AtomicBool::new(false));
    let bytes = Checked {
        bytes: File::from(stdout),
        exit: Some(exit),
        reached_end: reached_end.clone(),
        progress: Progress::new(activity, None, "saved"),
    };
    let vault = vault.clone();
    let saving = tasks.spawn_blocking(move || vault.save(&key, bytes));
    let finished = running.finish(activity, false).await;
    // Nobody listens where the vault gave up first.
    let _ = tell.send(finished.is_ok());
    let saved = saving.await.map_err(|error| VerbError::other("vault", format!("saving broke: {error}")))?;
    match (finished, saved) {
        (Ok(()), Ok(artifact)) => Ok(artifact.key),
        (Err(tool), Err(_)) if reached_end.load(Ordering::Acquire) => Err(tool),
        (_, Err(vault)) => Err(VerbError::other("vault", vault.to_string())),
        (Err(tool), Ok(_)) => Err(tool),
    }
}

/// A part of an artifact's key.
pub fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}

/// A tool's output that ends well only if the tool did.
struct Checked {
    bytes: File,
    exit: Option<mpsc::Receiver<bool>>,
    reached_end: Arc<AtomicBool>,
    progress: Progress,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        if count > 0 {
            self.progress.add(count as u64);
            return Ok(count);
        }
        self.reached_end.store(true, Ordering::Release);
        match self.exit.take().map(|exit| exit.recv()) {
            None | Some(Ok(true)) => Ok(0),
            Some(Ok(false) | Err(_)) => {
                // A second read must not look like the end.
                let (_, never) = mpsc::channel();
                self.exit = Some(never);
                Err(io::Error::other("the tool that wrote these bytes failed"))
            }
        }
    }
}

pub struct Progress {
    activity: Activity,
    total: Option<u64>,
    message: &'static str,
    done: u64,
    shown: u64,
}

impl Progress {
    pub fn new(activity: &Activity, total: Option<u64>, message: &'static str) -> Self {
        Self { activity: activity.clone(), total, message, done: 0, shown: 0 }
    }

    pub fn add(&mut self, bytes: u64) {
        self.done += bytes;
        self.activity.touch();
        if self.done - self.shown >= PROGRESS_BYTES {
            self.shown = self.done;
            self.activity.progress(self.done, self.total, "bytes", self.message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn checked(exit: Option<bool>) -> Checked {
        let (tell, receiver) = mpsc::channel();
        if let Some(exit) = exit {
            tell.send(exit).expect("the receiver is there");
        }
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"bytes").expect("written");
        io::Seek::rewind(&mut file).expect("rewound");
        Checked {
            bytes: file,
            exit: Some(receiver),
            reached_end: Arc::default(),
            progress: Progress::new(&Activity::silent(), None, "saved"),
        }
    }

    #[test]
    fn bytes_of_a_failed_tool_never_end_well() {
        let mut text = String::new();
        assert!(checked(Some(true)).read_to_string(&mut text).is_ok());
        assert_eq!(text, "bytes");
        for exit in [Some(false), None] {
            let mut bytes = checked(exit);
            assert!(bytes.read_to_string(&mut String::new()).is_err());
            assert!(bytes.read(&mut [0]).is_err());
        }
    }
}
