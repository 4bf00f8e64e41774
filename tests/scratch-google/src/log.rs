//! What was asked and answered, and whether it was what the documents allow.

use serde_json::Value;
use std::sync::Mutex;
use std::time::Instant;

/// One request and its answer.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The id in the discovery document.
    pub method: String,
    pub path: String,
    /// Enums by name.
    pub request: Value,
    pub status: u16,
    /// Whether the answer reached the client, as far as the double let it.
    pub answered: bool,
    pub caller: String,
    pub asked: Instant,
}

#[derive(Default)]
pub(crate) struct Log {
    exchanges: Mutex<Vec<Exchange>>,
    violations: Mutex<Vec<String>>,
    bugs: Mutex<Vec<String>>,
}

const WHOLE: &str = "nothing panics while it holds the lock";

impl Log {
    pub(crate) fn exchange(&self, exchange: Exchange) {
        self.exchanges.lock().expect(WHOLE).push(exchange);
    }

    /// A request that no document allows.
    pub(crate) fn violation(&self, what: String) {
        self.violations.lock().expect(WHOLE).push(what);
    }

    /// An answer that no document allows.
    pub(crate) fn bug(&self, what: String) {
        self.bugs.lock().expect(WHOLE).push(what);
    }

    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        self.exchanges.lock().expect(WHOLE).clone()
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        self.violations.lock().expect(WHOLE).clone()
    }

    pub(crate) fn bugs(&self) -> Vec<String> {
        self.bugs.lock().expect(WHOLE).clone()
    }
}
