//! The smoke check that every operator of this product runs after an upgrade: reads everything as a client would, and
//! compares it with the digests that were taken when it was written. Changes nothing.

use crate::{client, data};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::net::SocketAddr;

/// Prints what it found; an error names the first things that are wrong.
pub fn run(address: SocketAddr) -> Result<()> {
    let wrong = check(address)?;
    if wrong.is_empty() {
        println!("smoke: everything is there and reads as it was written");
        return Ok(());
    }
    for line in wrong.iter().take(3) {
        println!("smoke: {line}");
    }
    bail!("{} things are wrong, the first: {}", wrong.len(), wrong[0])
}

fn check(address: SocketAddr) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let answer = client::get_json(address, "/notes")?;
    let notes = answer["notes"].as_array().context("`/notes` lists no notes")?;
    let written = answer["written"].as_u64().unwrap_or_default();
    if written != notes.len() as u64 {
        wrong.push(format!("{written} notes were written, {} are there", notes.len()));
    }
    for note in notes {
        if data::digest(text(note, "body").as_bytes()) != text(note, "digest") {
            wrong.push(format!("the note `{}` does not read as it was written", text(note, "title")));
        }
    }
    let answer = client::get_json(address, "/uploads")?;
    for upload in answer["uploads"].as_array().context("`/uploads` lists no uploads")? {
        let name = text(upload, "name");
        let got = client::get(address, &format!("/uploads/{name}"))?;
        if got.status != 200 || data::digest(&got.body) != text(upload, "digest") {
            wrong.push(format!("the upload `{name}` is not what was uploaded ({} bytes)", got.body.len()));
        }
    }
    Ok(wrong)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}
