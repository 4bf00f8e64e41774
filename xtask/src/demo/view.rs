//! The live view: what the daemon tells everybody who watches, a line for each step, on a thread of its own.

use super::paint;
use super::socket::Socket;
use anyhow::Result;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

pub struct View {
    thread: JoinHandle<()>,
    /// The last that was printed of how the deployment stands.
    state: Arc<Mutex<String>>,
}

impl View {
    pub fn open(socket: &Socket) -> Result<Self> {
        let (events, state) = (socket.events()?, Arc::new(Mutex::new(String::new())));
        let mut lines = Lines { began: BTreeMap::new(), state: state.clone() };
        let thread = std::thread::spawn(move || events.for_each(|event| lines.print(&event)));
        Ok(Self { thread, state })
    }

    /// Whether a person has read this of how the deployment stands.
    pub fn has_shown(&self, state: &str) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).starts_with(state)
    }

    /// The stream ends with the daemon.
    pub fn close(self) {
        // What it printed is printed; a panic there is no reason to fail here.
        let _ = self.thread.join();
    }
}

/// A log without numbers is shown as its lines.
fn counts(progress: &Value) -> bool {
    progress["done"] != 0 || !progress["total"].is_null()
}

struct Lines {
    began: BTreeMap<String, Instant>,
    state: Arc<Mutex<String>>,
}

impl Lines {
    fn print(&mut self, event: &Value) {
        let text = |key: &str| event[key].as_str().unwrap_or_default();
        match text("kind") {
            "step" => self.step(text("step"), text("title"), event),
            // Copies and backups count bytes by the hundred; the product's own progress is what a person waits for.
            "progress" if text("phase") == "apply" && counts(&event["progress"]) => {
                let progress = &event["progress"];
                let total = progress["total"].as_u64().map(|total| format!("/{total}")).unwrap_or_default();
                let message = progress["message"].as_str().unwrap_or_default();
                paint::news("·", "2", &format!("{}{total} {message}", progress["done"]));
            }
            "line" if matches!(text("level"), "warn" | "error") => paint::news("!", "33", text("message")),
            // Of what `docker compose` says of each container the step's title is enough.
            "line" if text("step").contains("-apply") && !text("message").starts_with("Container ") => {
                paint::news("·", "2", text("message"))
            }
            "changed" => self.changed(&event["now"]),
            "finished" => match event["outcome"]["outcome"].as_str() {
                Some("committed") => paint::news("●", "1;32", "committed"),
                Some(outcome) => {
                    // All of it was told with the step that failed.
                    let why = event["outcome"]["why"].as_str().and_then(|why| why.lines().next()).unwrap_or_default();
                    paint::news("●", "1;35", &format!("{outcome}: {why}"));
                }
                None => {}
            },
            _ => {}
        }
    }

    fn step(&mut self, step: &str, title: &str, event: &Value) {
        match event["state"].as_str() {
            Some("running") => _ = self.began.insert(step.to_owned(), Instant::now()),
            Some("succeeded") => {
                let took = self.began.remove(step).map(|began| began.elapsed().as_secs_f64()).unwrap_or_default();
                paint::news("✓", "32", &format!("{title} ({took:.1} s)"));
            }
            Some("failed") => {
                let why = event["failure"]["message"].as_str().unwrap_or_default();
                paint::news("✗", "31", &format!("{title}: {why}"));
            }
            _ => {}
        }
    }

    fn changed(&mut self, now: &Value) {
        let now = &now["state"];
        let line = match now["kind"].as_str() {
            Some("error") => format!("refused: {}", now["message"].as_str().unwrap_or_default()),
            Some("quarantined") => format!("{} is quarantined", now["version"].as_str().unwrap_or_default()),
            Some("waiting") => format!("waiting: {}", now["message"].as_str().unwrap_or_default()),
            Some("stuck") => format!("stuck: {}", now["what"].as_str().unwrap_or_default()),
            _ => String::new(),
        };
        // Between two looks that end the same there is one that isn't over.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !line.is_empty() && line != *state {
            paint::news("■", "1;35", &line);
            *state = line;
        }
    }
}
