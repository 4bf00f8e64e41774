//! Moves a tool's output into the vault: bytes of a tool that failed never become an artifact.

use super::child::Running;
use crate::activity::Activity;
use crate::model::VerbError;
use crate::vault::Vault;
use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

/// Progress is shown once in so many bytes.
const PROGRESS_BYTES: u64 = 4 << 20;
/// Of the pipe from the tool: fewer switches between the two.
const PIPE_BYTES: usize = 1 << 20;
pub const COPY_BYTES: usize = 1 << 20;

/// The artifact's key, once tool and vault are both done.
pub async fn save(
    mut running: Running, activity: &Activity, vault: &Vault, key: String, tasks: &TaskTracker,
    first: Option<FirstSeen>,
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
        first,
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

/// Feeds an artifact to a tool that reads it, and waits for the tool.
pub async fn feed(
    mut running: Running, activity: &Activity, vault: &Vault, key: &str, tasks: &TaskTracker,
) -> Result<(), VerbError> {
    let stdin = running.stdin().ok_or_else(|| VerbError::other("tool", "the tool has no standard input"))?;
    let stdin = stdin.into_owned_fd().map_err(|error| VerbError::other("tool", error.to_string()))?;
    let size = vault.find(key).map_err(|error| VerbError::NotFound(error.to_string()))?.size_bytes;
    let mut bytes = vault.open_artifact(key).map_err(|error| VerbError::other("vault", error.to_string()))?;
    let mut progress = Progress::new(activity, Some(size), "restored");
    let activity_of_it = activity.clone();
    let feeding = tasks.spawn_blocking(move || {
        let mut tool = File::from(stdin);
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            let count = bytes.read(&mut buffer)?;
            if count == 0 || activity_of_it.cancelled() {
                return Ok::<_, io::Error>(());
            }
            tool.write_all(&buffer[..count])?;
            progress.add(count as u64);
        }
    });
    let finished = running.finish(activity, false).await;
    let fed = feeding.await.map_err(|error| VerbError::other("vault", format!("reading broke: {error}")))?;
    finished?;
    if activity.cancelled() {
        return Err(VerbError::Cancelled);
    }
    fed.map_err(|error| VerbError::other("vault", format!("`{key}`: {error}")))
}

/// A part of an artifact's key.
pub fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' }).collect()
}

/// Tells once that some words came by; dropped at the stream's end, it tells too.
pub struct FirstSeen {
    words: &'static [u8],
    /// The end of what came by so far, where the words may have begun.
    before: Vec<u8>,
    _tell: oneshot::Sender<()>,
}

impl FirstSeen {
    /// The receiver ends when the words came by, or can't any more.
    pub fn new(words: &'static [u8]) -> (Self, oneshot::Receiver<()>) {
        let (tell, told) = oneshot::channel();
        (Self { words, before: Vec::new(), _tell: tell }, told)
    }

    fn look(&mut self, bytes: &[u8]) -> bool {
        self.before.extend_from_slice(bytes);
        let seen = self.before.windows(self.words.len()).any(|window| window == self.words);
        let kept = self.before.len().min(self.words.len() - 1);
        self.before.drain(..self.before.len() - kept);
        seen
    }
}

/// A tool's output that ends well only if the tool did.
struct Checked {
    bytes: File,
    exit: Option<mpsc::Receiver<bool>>,
    reached_end: Arc<AtomicBool>,
    progress: Progress,
    first: Option<FirstSeen>,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        if count > 0 {
            self.first.take_if(|first| first.look(&buffer[..count]));
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
            first: None,
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

    #[test]
    fn words_are_seen_across_two_reads() {
        let (mut first, mut told) = FirstSeen::new(b"-- Table");
        assert!(!first.look(b"-- MariaDB dump\n-- T"));
        assert_eq!(told.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        assert!(first.look(b"able structure"));
        drop(first);
        assert_eq!(told.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
}
