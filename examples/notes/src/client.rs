//! A client from outside: one request, one connection, no more than the smoke check needs.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

pub fn get(address: SocketAddr, path: &str) -> Result<Answer> {
    send(address, "GET", path, &[])
}

pub fn get_json(address: SocketAddr, path: &str) -> Result<Value> {
    let answer = get(address, path)?;
    if answer.status != 200 {
        bail!("`{path}` answers {}: {}", answer.status, String::from_utf8_lossy(&answer.body).trim());
    }
    serde_json::from_slice(&answer.body).with_context(|| format!("`{path}` does not answer JSON"))
}

pub fn post_json(address: SocketAddr, path: &str, value: &Value) -> Result<Answer> {
    send(address, "POST", path, value.to_string().as_bytes())
}

fn send(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> Result<Answer> {
    let asked = || format!("{method} http://{address}{path}");
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).with_context(asked)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // HTTP/1.0: the answer ends with the connection, and is not cut into chunks.
    let head = format!(
        "{method} {path} HTTP/1.0\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).with_context(asked)?;
    stream.write_all(body).with_context(asked)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).with_context(asked)?;
    parse(&answer).with_context(asked)
}

fn parse(answer: &[u8]) -> Result<Answer> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("the answer has no end of its head")?;
    let head = String::from_utf8_lossy(&answer[..end]);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("the answer has no status")?;
    Ok(Answer { status, body: answer[end + 4..].to_vec() })
}
