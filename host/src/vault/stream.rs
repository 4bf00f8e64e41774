//! Bytes on their way into a snapshot and out of one.

use rustic_core::repofile::{Metadata, Node, NodeType};
use rustic_core::{ReadSource, ReadSourceEntry, RusticResult};
use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};
use std::iter::{Once, once};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What went through a stream, and how it ended.
#[derive(Default)]
pub(super) struct Tally {
    pub hasher: Sha256,
    pub size_bytes: u64,
    pub ended: bool,
    pub failed: Option<io::Error>,
}

/// A snapshot of one file whose bytes come from a reader. Asked for its entries once.
pub(super) struct Source {
    pub path: PathBuf,
    pub reader: Mutex<Option<Counted>>,
}

impl ReadSource for Source {
    type Open = Counted;
    type Iter = Once<RusticResult<ReadSourceEntry<Counted>>>;

    fn size(&self) -> RusticResult<Option<u64>> {
        Ok(None)
    }

    fn entries(&self) -> Self::Iter {
        let metadata = Metadata { mode: Some(0o600), links: 1, ..Metadata::default() };
        let name = self.path.file_name().unwrap_or_default();
        let node = Node::new_node(name, NodeType::File, metadata);
        let open = self.reader.lock().expect("no panic holds this lock").take();
        once(Ok(ReadSourceEntry { path: self.path.clone(), node, open }))
    }
}

/// Hashes and counts what rustic reads, and remembers how it ended: rustic only logs a stream that fails.
pub(super) struct Counted {
    pub inner: Box<dyn Read + Send>,
    pub tally: Arc<Mutex<Tally>>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.inner.read(buffer);
        let mut tally = self.tally.lock().expect("no panic holds this lock");
        match &result {
            Ok(0) if !buffer.is_empty() => tally.ended = true,
            Ok(read) => {
                tally.hasher.update(&buffer[..*read]);
                tally.size_bytes += *read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => tally.failed = Some(clone_error(error)),
        }
        result
    }
}

/// Keeps a cancellation recognisable.
fn clone_error(error: &io::Error) -> io::Error {
    if error.get_ref().is_some_and(|inner| inner.is::<super::StreamCancelled>()) {
        return super::StreamCancelled::error();
    }
    io::Error::new(error.kind(), error.to_string())
}

/// Blocks that wait between the thread that reads the repository and the one that uses them.
const BLOCKS: usize = 4;

/// What a thread writes, as a reader; an empty block is its end. Dropped early, the thread's next write fails and ends it.
pub struct Pipe {
    blocks: Option<Receiver<io::Result<Vec<u8>>>>,
    block: io::Cursor<Vec<u8>>,
    thread: Option<JoinHandle<()>>,
}

impl Pipe {
    pub fn run(work: impl FnOnce(&mut PipeEnd) -> io::Result<()> + Send + 'static) -> io::Result<Self> {
        let (sender, blocks) = sync_channel(BLOCKS);
        let thread = std::thread::Builder::new().name("vault-read".into()).spawn(move || {
            let mut end = PipeEnd(sender);
            let last = work(&mut end).map(|()| Vec::new());
            // Nobody listens any more when this fails.
            let _ = end.0.send(last);
        })?;
        Ok(Self { blocks: Some(blocks), block: io::Cursor::default(), thread: Some(thread) })
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.block.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let Some(blocks) = &self.blocks else { return Ok(0) };
            // A thread that ends without an end has panicked: its bytes are not all.
            let block = blocks.recv().unwrap_or_else(|_| Err(io::Error::other("the stream broke off")))?;
            if block.is_empty() {
                self.blocks = None;
            }
            self.block = io::Cursor::new(block);
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        drop(self.blocks.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub struct PipeEnd(SyncSender<io::Result<Vec<u8>>>);

impl Write for PipeEnd {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        self.0.send(Ok(bytes.to_vec())).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Ends with an error where the bytes are not those that were saved.
pub(super) struct Checked {
    pub inner: Pipe,
    pub hasher: Sha256,
    pub read_bytes: u64,
    pub size_bytes: u64,
    pub digest: String,
}

impl Read for Checked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        self.read_bytes += read as u64;
        if read == 0 && !buffer.is_empty() {
            let wrong = |why: String| Err(io::Error::new(io::ErrorKind::InvalidData, why));
            if self.read_bytes != self.size_bytes {
                return wrong(format!("{} bytes were saved, {} came back", self.size_bytes, self.read_bytes));
            }
            let digest = crate::effect::hex(&self.hasher.clone().finalize());
            if digest != self.digest {
                return wrong(format!("the digest was {}, and is {digest}", self.digest));
            }
        }
        Ok(read)
    }
}
