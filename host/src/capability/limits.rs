//! How much one call of a plugin may take. One struct, so that a test can lower a bound and see it hold.

use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Limits {
    /// Linear memory of all of a component's modules together. An interpreter of Python with its libraries takes 60 MiB
    /// before it does anything.
    pub memory_bytes: usize,
    /// Entries of one table. They hold functions; an interpreter has some ten thousand.
    pub table_elements: usize,
    /// Core modules instantiated, tables and memories: a component from Python has some 30 of each kind.
    pub instances: usize,
    pub tables: usize,
    pub memories: usize,
    /// Streams, pollables and sessions that live at once. A plugin needs a handful.
    pub handles: usize,
    /// Connections to a server that one call may hold open: the server's own limit is the operator's, not the plugin's.
    pub sessions: usize,
    /// CPU time of the guest in one call. What takes long is the host's work, which doesn't count.
    pub cpu: Duration,
    /// How long a call may be silent where neither the deployment's policy nor the pending verb says.
    pub idle: Duration,
    /// How long after a cancellation a plugin may still tidy up before its store is dropped.
    pub grace: Duration,
    /// How long after a cancellation a driver may still end what it started, before the verb answers without it. Shorter
    /// than `grace`, so that the plugin hears of it.
    pub verb_grace: Duration,
    /// Bytes that cross from the guest to the host in one call or verb. A manifest of 100 000 files has 15 MB.
    pub crossing_bytes: usize,
    /// One string of an answer, but a manifest.
    pub text_bytes: usize,
    pub manifest_bytes: usize,
    /// Entries of one list of an answer.
    pub list_items: usize,
    /// One proposed file.
    pub content_bytes: usize,
    /// Log lines: this many at once, then this many a second. A person reads them.
    pub burst_lines: u32,
    pub lines_per_second: u32,
    pub line_bytes: usize,
    /// A component's file. From Python it has 18 MB.
    pub component_bytes: u64,
    /// The schema of a plugin's settings, as text.
    pub schema_bytes: usize,
    /// A component, and with the last one the engine, leaves memory after this long without a call.
    pub keep_loaded: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            table_elements: 100_000,
            instances: 200,
            tables: 200,
            memories: 50,
            handles: 1_000,
            sessions: 8,
            cpu: Duration::from_secs(30),
            idle: Duration::from_secs(600),
            grace: Duration::from_secs(10),
            verb_grace: Duration::from_secs(5),
            crossing_bytes: 64 << 20,
            text_bytes: 1 << 20,
            manifest_bytes: 32 << 20,
            list_items: 10_000,
            content_bytes: 4 << 20,
            burst_lines: 1_000,
            lines_per_second: 100,
            line_bytes: 4 << 10,
            component_bytes: 64 << 20,
            schema_bytes: 256 << 10,
            keep_loaded: Duration::from_secs(60),
        }
    }
}
