//! The part of WASI that plugins get: clocks, random, streams, and an empty command line. No sockets, no folders. What a
//! plugin prints goes to the step's log, line by line.

use super::guest::Guest;
use super::voice::Voice;
use crate::activity::Level;
use bytes::Bytes;
use std::sync::{Arc, Mutex};
use tokio::io::AsyncWrite;
use wasmtime::component::Linker;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream, WasiCli, WasiCliView};
use wasmtime_wasi::p2::bindings::{cli, random};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult, add_to_linker_proxy_interfaces_async};
use wasmtime_wasi::random::WasiRandom;
use wasmtime_wasi::{WasiCtx, WasiView, async_trait};

/// What [`link`] links, without versions: every release of 0.2 fits.
pub const OFFERED: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

pub fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    // Clocks, io, random and the standard streams.
    add_to_linker_proxy_interfaces_async(linker)?;
    random::insecure::add_to_linker::<Guest, WasiRandom>(linker, |guest| guest.ctx().ctx.random())?;
    random::insecure_seed::add_to_linker::<Guest, WasiRandom>(linker, |guest| guest.ctx().ctx.random())?;
    cli::environment::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::exit::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_input::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_output::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_stdin::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_stdout::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)?;
    cli::terminal_stderr::add_to_linker::<Guest, WasiCli>(linker, Guest::cli)
}

/// Empty arguments, environment and input; both outputs speak with the guest's voice.
pub fn context(voice: &Voice) -> WasiCtx {
    WasiCtx::builder()
        .stdout(Printed::new(voice.clone(), Level::Info))
        .stderr(Printed::new(voice.clone(), Level::Warn))
        .max_random_size(MOST_RANDOM_BYTES)
        .build()
}

/// At once; a plugin needs a seed.
const MOST_RANDOM_BYTES: u64 = 64 << 10;
/// A line that grows longer than this is passed on in pieces; the voice shortens them further.
const LINE_BUFFER_BYTES: usize = 64 << 10;

/// Standard output or error, cut into lines.
#[derive(Clone)]
struct Printed {
    voice: Voice,
    level: Level,
    unfinished: Arc<Mutex<Vec<u8>>>,
}

impl Printed {
    fn new(voice: Voice, level: Level) -> Self {
        Self { voice, level, unfinished: Arc::default() }
    }

    fn take(&self, bytes: &[u8]) {
        let mut unfinished = self.unfinished.lock().expect("no panic holds this lock");
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_BUFFER_BYTES.saturating_sub(unfinished.len());
            unfinished.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") || unfinished.len() >= LINE_BUFFER_BYTES {
                self.say(&mut unfinished);
            }
        }
    }

    fn say(&self, unfinished: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(unfinished);
        if !text.trim_end().is_empty() {
            self.voice.line(self.level, text.trim_end());
        }
        unfinished.clear();
    }
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        // Only WASI 0.3 asks for it, which is not linked.
        Box::new(tokio::io::sink())
    }
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Printed {
    async fn ready(&mut self) {}
}

impl OutputStream for Printed {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }
    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }
    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LINE_BUFFER_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::{Activity, Sign};
    use crate::capability::Limits;
    use tokio_util::sync::CancellationToken;

    #[test]
    fn print_is_cut_into_lines() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let heard = lines.clone();
        let sink = Arc::new(move |sign| {
            if let Sign::Line { message, .. } = sign {
                heard.lock().unwrap().push(message);
            }
        });
        let voice = Voice::new(Activity::new(CancellationToken::new(), sink), &Limits::default());
        let printed = Printed::new(voice, Level::Info);
        for piece in ["one\ntw", "o\n\nthree", "\n", "unfinished"] {
            printed.take(piece.as_bytes());
        }
        assert_eq!(*lines.lock().unwrap(), ["one", "two", "three"]);
    }
}
