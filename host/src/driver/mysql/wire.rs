//! Rows as the server sends them, on a connection that `mysql_async` has logged in on and set up.
//!
//! That connection goes through a relay of ours. Once nothing is under way on it the relay lets go, and the server's end is
//! read here, without a value of its own for each field: a row is one packet, in which a field is its length and bytes.

use super::failure;
use super::session::{Session, Way, socket};
use crate::config::ServerConfig;
use crate::model::VerbError;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

const BUFFER_BYTES: usize = 256 << 10;
/// A packet of this length goes on in the next one.
const MOST: usize = 0xFF_FFFF;

/// A session whose connection can be taken over.
pub struct Tapped {
    pub session: Session,
    stop: DropGuard,
    relay: JoinHandle<io::Result<OwnedFd>>,
    _folder: Option<TempDir>,
}

impl Tapped {
    pub async fn open(way: &Way) -> Result<Self, VerbError> {
        let broken = |error: io::Error| VerbError::Unavailable(format!("no relay to the server: {error}"));
        let token = CancellationToken::new();
        let stop = token.clone().drop_guard();
        let (server, folder, relay) = start(way, token).await.map_err(broken)?;
        let session = Session::open_through(way, server).await?;
        Ok(Self { session, stop, relay, _folder: folder })
    }

    /// The session ends the connection when it is dropped before [`Session::rest`].
    pub async fn take(mut self) -> Result<(Session, Wire), VerbError> {
        self.session.lend();
        drop(self.stop);
        let stream = self.relay.await.map_err(|error| VerbError::other("relay", error.to_string()))?;
        let stream = stream.map_err(|error| of_io(&error))?;
        Ok((self.session, Wire::new(stream.into())))
    }
}

type Started = (ServerConfig, Option<TempDir>, JoinHandle<io::Result<OwnedFd>>);

/// Of the same kind as the way to the server is, by which it decides how a password is sent.
async fn start(way: &Way, token: CancellationToken) -> io::Result<Started> {
    let server = way.server.clone();
    if let Some(path) = socket(&server).map(PathBuf::from) {
        let folder = TempDir::new()?;
        let door = folder.path().join("relay.sock");
        let listener = UnixListener::bind(&door)?;
        let relay = way.tasks.spawn(async move {
            let Some(client) = token.run_until_cancelled(listener.accept()).await else { return Err(unused()) };
            let mut server = UnixStream::connect(path).await?;
            pass(client?.0, &mut server, &token).await?;
            let server = server.into_std()?;
            server.set_nonblocking(false)?;
            Ok(server.into())
        });
        return Ok((ServerConfig { host: door.display().to_string(), ..server }, Some(folder), relay));
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let address = (server.host.clone(), server.port);
    let relay = way.tasks.spawn(async move {
        let Some(client) = token.run_until_cancelled(listener.accept()).await else { return Err(unused()) };
        let mut server = TcpStream::connect(address).await?;
        pass(client?.0, &mut server, &token).await?;
        let server = server.into_std()?;
        server.set_nonblocking(false)?;
        Ok(server.into())
    });
    Ok((ServerConfig { host: Ipv4Addr::LOCALHOST.to_string(), port, ..server }, None, relay))
}

async fn pass(
    mut client: impl AsyncRead + AsyncWrite + Unpin, server: &mut (impl AsyncRead + AsyncWrite + Unpin),
    token: &CancellationToken,
) -> io::Result<()> {
    match token.run_until_cancelled(copy_bidirectional(&mut client, server)).await {
        None => Ok(()),
        Some(ended) => ended.and(Err(io::ErrorKind::UnexpectedEof.into())),
    }
}

fn unused() -> io::Error {
    io::Error::other("nobody came")
}

/// Blocking.
pub struct Wire {
    stream: File,
    buffer: Vec<u8>,
    /// What of the buffer is read and not looked at yet.
    ready: Range<usize>,
    /// The packet: in the buffer, or of several.
    at: Range<usize>,
    long: Vec<u8>,
    is_long: bool,
    is_first: bool,
}

impl Wire {
    fn new(stream: File) -> Self {
        let (buffer, long) = (vec![0; BUFFER_BYTES], Vec::new());
        Self { stream, buffer, ready: 0..0, at: 0..0, long, is_long: false, is_first: false }
    }

    /// Begins a question; all its rows are then asked for by [`Wire::row`].
    pub fn query(&mut self, sql: &str) -> Result<(), VerbError> {
        const QUERY: u8 = 3;
        let length = u32::try_from(sql.len() + 1).map_err(|error| VerbError::Invalid(error.to_string()))?;
        let mut packet = length.to_le_bytes().to_vec();
        packet[3] = 0;
        packet.push(QUERY);
        packet.extend_from_slice(sql.as_bytes());
        self.stream.write_all(&packet).map_err(|error| of_io(&error))?;
        self.packet()?;
        let columns = match *self.bytes() {
            [0xFC, low, high, ..] => u16::from_le_bytes([low, high]),
            [count, ..] => count.into(),
            [] => 0,
        };
        for _ in 0..columns {
            self.packet()?;
        }
        self.is_first = true;
        Ok(())
    }

    /// The next row's packet; none after the last.
    pub fn row(&mut self) -> Result<Option<&[u8]>, VerbError> {
        self.packet()?;
        // An older server ends the names of the columns, too.
        if std::mem::take(&mut self.is_first) && self.bytes().first() == Some(&0xFE) && self.bytes().len() == 5 {
            self.packet()?;
        }
        let row = self.bytes();
        let is_end = row.first() == Some(&0xFE) && row.len() < MOST;
        Ok((!is_end).then_some(row))
    }

    fn bytes(&self) -> &[u8] {
        if self.is_long { &self.long } else { &self.buffer[self.at.clone()] }
    }

    /// The server's error is an error.
    fn packet(&mut self) -> Result<(), VerbError> {
        self.receive().map_err(|error| of_io(&error))?;
        match self.bytes() {
            [0xFF, low, high, message @ ..] => {
                let message =
                    if message.first() == Some(&b'#') { message.get(6..).unwrap_or_default() } else { message };
                Err(failure::of_code(u16::from_le_bytes([*low, *high]), &String::from_utf8_lossy(message)))
            }
            _ => Ok(()),
        }
    }

    fn receive(&mut self) -> io::Result<()> {
        let mut length = self.length()?;
        self.is_long = length == MOST;
        if !self.is_long {
            self.at = self.take(length)?;
            return Ok(());
        }
        self.long.clear();
        loop {
            let part = self.take(length)?;
            self.long.extend_from_slice(&self.buffer[part]);
            if length < MOST {
                return Ok(());
            }
            length = self.length()?;
        }
    }

    fn length(&mut self) -> io::Result<usize> {
        let head = self.take(4)?;
        let head = &self.buffer[head];
        Ok(usize::from(head[0]) | usize::from(head[1]) << 8 | usize::from(head[2]) << 16)
    }

    fn take(&mut self, count: usize) -> io::Result<Range<usize>> {
        while self.ready.len() < count {
            if self.buffer.len() - self.ready.start < count {
                self.buffer.copy_within(self.ready.clone(), 0);
                self.ready = 0..self.ready.len();
                self.buffer.resize(self.buffer.len().max(count), 0);
            }
            match self.stream.read(&mut self.buffer[self.ready.end..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.ready.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let taken = self.ready.start..self.ready.start + count;
        self.ready.start += count;
        Ok(taken)
    }
}

fn of_io(error: &io::Error) -> VerbError {
    VerbError::Unavailable(format!("the connection to the server broke: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    fn packet(bytes: &[u8]) -> Vec<u8> {
        let mut packet = u32::try_from(bytes.len()).expect("it fits").to_le_bytes().to_vec();
        packet.extend_from_slice(bytes);
        packet
    }

    #[test]
    fn rows_are_told_from_what_stands_around_them() {
        let long = vec![7; MOST];
        let end_of_names = packet(&[0xFE, 0, 0, 2, 0]);
        let rows = [packet(&[1, b'a', 0xFB]), packet(&[]), [packet(&long), packet(&[8])].concat()].concat();
        let end = packet(&[0xFE, 0, 0, 2, 0, 0, 0]);
        let names = [packet(&[2]), packet(b"one"), packet(b"two")].concat();
        for answer in [[&names[..], &end_of_names, &rows, &end].concat(), [&names[..], &rows, &end].concat()] {
            let (ours, mut server) = UnixStream::pair().expect("a pair");
            let serving = std::thread::spawn(move || {
                let mut question = [0; 13];
                server.read_exact(&mut question).expect("a question");
                assert_eq!(&question, b"\x09\0\0\0\x03SELECT 1");
                server.write_all(&answer).expect("written");
                server.write_all(&packet(b"\xFF\x48\x04#42000no database")).expect("written");
            });
            let mut wire = Wire::new(OwnedFd::from(ours).into());
            wire.query("SELECT 1").expect("asked");
            assert_eq!(wire.row(), Ok(Some(&[1, b'a', 0xFB][..])));
            assert_eq!(wire.row(), Ok(Some(&[][..])));
            assert_eq!(wire.row().expect("a row").map(|row| (row.len(), row[MOST])), Some((MOST + 1, 8)));
            assert_eq!(wire.row(), Ok(None));
            assert!(wire.row().is_err_and(|error| error.to_string().contains("no database")));
            serving.join().expect("no panic");
        }
    }
}
