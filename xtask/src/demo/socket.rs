//! The daemon's socket, as `curl --unix-socket` would use it.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub struct Socket {
    path: PathBuf,
}

impl Socket {
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }
    pub fn path(&self) -> &Path {
        &self.path
    }
    pub fn get(&self, path: &str) -> Result<Value> {
        self.ask("GET", path)
    }
    pub fn post(&self, path: &str) -> Result<Value> {
        self.ask("POST", path)
    }

    fn ask(&self, method: &str, path: &str) -> Result<Value> {
        let mut stream = self.send(method, path)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).with_context(|| format!("{method} {path}"))?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("the daemon's answer has no body")?;
        let value: Value = serde_json::from_slice(&answer[end + 4..]).with_context(|| format!("{method} {path}"))?;
        match value["error"]["message"].as_str() {
            Some(message) => bail!("{message}"),
            None => Ok(value),
        }
    }

    /// Each event's data, until the daemon ends.
    pub fn events(&self) -> Result<impl Iterator<Item = Value> + use<>> {
        let lines = BufReader::new(self.send("GET", "/v1/events")?).lines();
        Ok(lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?).ok()))
    }

    /// HTTP/1.0: the answer ends with the connection, and is not cut into chunks.
    fn send(&self, method: &str, path: &str) -> Result<UnixStream> {
        let mut stream =
            UnixStream::connect(&self.path).with_context(|| format!("the socket `{}`", self.path.display()))?;
        write!(stream, "{method} {path} HTTP/1.0\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n")?;
        Ok(stream)
    }
}
