//! A daemon in memory behind a real socket, and a terminal whose every circumstance is fixed.

use crate::memory::Memory;
use jiff::tz::TimeZone;
use std::ffi::OsString;
use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use upgraded::api::{Server, ServerOptions};
use upgraded::cli::{self, Exit, Terminal};

/// A daemon on a thread of its own; it ends when this is dropped.
pub struct Daemon {
    pub memory: Arc<Memory>,
    pub folder: TempDir,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Daemon {
    pub fn start() -> Self {
        Self::with(Memory::new(), |_| {})
    }

    pub fn with(memory: Memory, change: impl FnOnce(&mut ServerOptions)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = ServerOptions::new(folder.path().join("run/upgraded.sock"), None);
        options.grace = Duration::from_millis(200);
        change(&mut options);
        let (memory, stop) = (Arc::new(memory), CancellationToken::new());
        let (ready, started) = std::sync::mpsc::channel();
        let thread = std::thread::spawn({
            let (memory, stop) = (Arc::clone(&memory), stop.clone());
            move || {
                let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
                runtime.expect("a runtime").block_on(async {
                    let server = Server::open(options).expect("a socket");
                    ready.send(()).expect("somebody waits");
                    server.serve(memory, stop).await;
                });
            }
        });
        started.recv().expect("the daemon starts");
        Self { memory, folder, stop, thread: Some(thread) }
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("run/upgraded.sock")
    }

    /// Anybody may connect; who may ask is then the daemon's own decision.
    pub fn open_to_all(&self) {
        let socket = self.socket();
        for (path, mode) in [(self.folder.path(), 0o755), (socket.parent().expect("a folder"), 0o755), (&socket, 0o666)]
        {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
        }
    }

    pub fn stop(mut self) -> (Arc<Memory>, TempDir) {
        self.end();
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().expect("a folder"));
        (Arc::clone(&self.memory), folder)
    }

    fn end(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the daemon ends without a panic");
        }
    }

    /// As `upgradectl` is typed at a terminal of 100 columns: what was printed, and the exit code.
    pub fn human(&self, arguments: &str) -> String {
        Screen::new(&self.socket()).run(arguments)
    }

    pub fn json(&self, arguments: &str) -> serde_json::Value {
        let said = Screen::new(&self.socket()).quiet().run(&format!("{arguments} --json"));
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error} in: {said}"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.end();
    }
}

/// Everything that a command sees of the world.
pub struct Screen {
    pub socket: PathBuf,
    pub width: Option<usize>,
    pub colour: bool,
    pub input: Option<&'static str>,
    /// Only what the command prints.
    pub quiet: bool,
}

impl Screen {
    pub fn new(socket: &Path) -> Self {
        Self { socket: socket.into(), width: Some(100), colour: false, input: None, quiet: false }
    }

    fn quiet(self) -> Self {
        Self { quiet: true, ..self }
    }

    pub fn run(&self, arguments: &str) -> String {
        let (text, exit) = self.exit(arguments);
        let text = text.replace(&*self.socket.to_string_lossy(), "SOCKET").replace('\x1b', "␛");
        let code = exit.code();
        if self.quiet { text } else { format!("$ upgradectl {arguments}\n{text}[{code}]\n") }
    }

    pub fn exit(&self, arguments: &str) -> (String, Exit) {
        let shown = Shown::default();
        let mut terminal = Terminal {
            out: Box::new(shown.clone()),
            err: Box::new(shown.clone()),
            input: Box::new(Cursor::new(self.input.unwrap_or_default())),
            width: self.width,
            colour: self.colour,
            live: false,
            asks: self.input.is_some(),
            now: Box::new(|| crate::samples::at("10:15:00")),
            zone: TimeZone::get("Europe/Berlin").expect("a zone"),
        };
        let mut words: Vec<OsString> = vec!["upgradectl".into(), "--socket".into(), self.socket.clone().into()];
        words.extend(shell_words(arguments));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let exit = runtime.block_on(cli::run(words, &mut terminal));
        (shown.text(), exit)
    }
}

/// Split at spaces, but not within single quotes.
fn shell_words(text: &str) -> Vec<OsString> {
    let mut words = Vec::new();
    for (number, part) in text.split('\'').enumerate() {
        if number % 2 == 1 {
            words.push(part.into());
        } else {
            words.extend(part.split_whitespace().map(OsString::from));
        }
    }
    words
}

#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Vec<u8>>>);

impl Shown {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("text")
    }
}

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
