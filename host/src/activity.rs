//! How a step shows that it lives: progress and log lines extend its idle deadline, and a cancellation ends it.

use crate::model::VerbError;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// One sign of life, as `watch` and `logs` show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Sign {
    Line { level: Level, message: String },
    Progress { done: u64, total: Option<u64>, unit: String, message: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// Receives signs; must not block.
pub type Sink = Arc<dyn Fn(Sign) + Send + Sync>;

/// Lines kept for the message of a failed step.
const TAIL_LINES: usize = 20;
/// How often what is known to live says so.
const BEAT: Duration = Duration::from_millis(500);

#[derive(Clone)]
pub struct Activity {
    shared: Arc<Shared>,
    cancellation: CancellationToken,
}

struct Shared {
    last: Mutex<Instant>,
    tail: Mutex<VecDeque<String>>,
    sink: Sink,
}

impl Activity {
    pub fn new(cancellation: CancellationToken, sink: Sink) -> Self {
        let shared = Shared { last: Mutex::new(Instant::now()), tail: Mutex::default(), sink };
        Self { shared: Arc::new(shared), cancellation }
    }

    /// The same, and whoever cancels does not end it.
    pub fn to_the_end(&self) -> Self {
        Self { shared: self.shared.clone(), cancellation: CancellationToken::new() }
    }

    /// Nobody listens and nothing cancels.
    pub fn silent() -> Self {
        Self::new(CancellationToken::new(), Arc::new(|_| {}))
    }

    /// Something was heard: the idle deadline starts anew.
    pub fn touch(&self) {
        *self.shared.last.lock().expect("no panic holds this lock") = Instant::now();
    }

    pub fn line(&self, level: Level, message: impl Into<String>) {
        self.touch();
        let message = message.into();
        {
            let mut tail = self.shared.tail.lock().expect("no panic holds this lock");
            if tail.len() == TAIL_LINES {
                tail.pop_front();
            }
            tail.push_back(message.clone());
        }
        (self.shared.sink)(Sign::Line { level, message });
    }

    pub fn progress(&self, done: u64, total: Option<u64>, unit: &str, message: &str) {
        self.touch();
        (self.shared.sink)(Sign::Progress { done, total, unit: unit.into(), message: message.into() });
    }

    /// The last lines, oldest first.
    pub fn tail(&self) -> Vec<String> {
        self.shared.tail.lock().expect("no panic holds this lock").iter().cloned().collect()
    }

    /// How long nothing was heard.
    pub fn quiet(&self) -> Duration {
        self.shared.last.lock().expect("no panic holds this lock").elapsed()
    }

    pub fn cancelled(&self) -> bool {
        self.cancellation.is_cancelled()
    }

    pub fn cancellation(&self) -> &CancellationToken {
        &self.cancellation
    }

    /// Drives `work` until it ends, is cancelled, or nothing was heard for `idle`. On the latter two `work` is dropped:
    /// whatever it started must end with it.
    pub async fn watch<T>(
        &self, idle: Duration, work: impl Future<Output = Result<T, VerbError>>,
    ) -> Result<T, VerbError> {
        self.touch();
        tokio::select! {
            biased;
            result = work => result,
            () = self.cancellation.cancelled() => Err(VerbError::Cancelled),
            () = self.silence(idle) => Err(VerbError::Timeout),
        }
    }

    /// Drives `work`, which is alive for so long also where nothing is heard of it.
    pub async fn alive_for<T>(&self, known: Duration, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let beat = async {
            while began.elapsed() < known {
                self.touch();
                tokio::time::sleep(BEAT).await;
            }
            std::future::pending().await
        };
        tokio::select! {
            biased;
            done = work => done,
            never = beat => never,
        }
    }

    async fn silence(&self, idle: Duration) {
        loop {
            let heard = *self.shared.last.lock().expect("no panic holds this lock");
            let quiet = heard.elapsed();
            if quiet >= idle {
                return;
            }
            tokio::time::sleep(idle - quiet).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_takes_long_by_right_is_no_silence_and_what_hangs_is() {
        let (activity, idle) = (Activity::silent(), Duration::from_secs(1));
        let slow = async {
            tokio::time::sleep(Duration::from_millis(1600)).await;
            Ok(())
        };
        activity.watch(idle, activity.alive_for(Duration::from_secs(30), slow)).await.unwrap();
        let hangs = std::future::pending::<Result<(), VerbError>>();
        let timeout = activity.watch(idle, activity.alive_for(Duration::from_millis(1), hangs)).await;
        assert!(matches!(timeout, Err(VerbError::Timeout)));
    }
}
