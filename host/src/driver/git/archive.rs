//! Releases that come as archives or single files: each becomes a commit of the mirror, and what follows can't tell.
//!
//! The same bytes come to the same commit. What an archive holds beneath one common folder, as forges make them, counts
//! from that folder.

use super::program::{Git, Lock};
use crate::config::ARCHIVE_TAG;
use crate::driver::http;
use crate::driver::process::io_error;
use crate::model::VerbError;
use flate2::read::GzDecoder;
use futures::StreamExt;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Component, Path, PathBuf};
use tar::{Archive, Entry, EntryType};

const ARCHIVE_BYTES: u64 = 256 << 20;
const UNPACKED_BYTES: u64 = 1 << 30;
/// By which a page is known.
const PAGE_BYTES: u64 = 512;

impl Git<'_> {
    /// Brings the archive of a tag and commits what is in it, under that tag.
    pub async fn import(&self, lock: &Lock, tag: &str) -> Result<(), VerbError> {
        let address = self.repository.replace(ARCHIVE_TAG, tag);
        let own = self.layout.own();
        let (archive, commands) = (own.join("archive.part"), own.join("archive.commands"));
        let brought = match Path::new(&address).is_absolute() {
            true => fs::copy(without_name(&address), &archive).map(|_| ()).map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => VerbError::NotFound(format!("there is no `{address}`")),
                _ => io_error("read an archive")(error),
            }),
            false => self.download(&address, &archive).await,
        };
        let commit = async {
            brought?;
            let (archive, commands, tag) = (archive.clone(), commands.clone(), tag.to_owned());
            let described = tokio::task::spawn_blocking(move || describe(&archive, &commands, &address, &tag));
            let commands = described.await.map_err(|error| VerbError::other("io", error.to_string()))??;
            let output = self.feed(commands, &["fast-import", "--quiet", "--force", "--date-format=raw"]).await?;
            match output.success() {
                true => Ok(()),
                false => Err(VerbError::Invalid(format!("the archive can't be kept: {}", output.complaint))),
            }
        };
        let committed = commit.await;
        for left in [archive, commands] {
            let _ = fs::remove_file(left);
        }
        let _held = lock;
        committed
    }

    async fn download(&self, address: &str, into: &Path) -> Result<(), VerbError> {
        let unavailable = |error: reqwest::Error| VerbError::Unavailable(format!("`{address}`: {}", http::why(error)));
        let answer = http::downloads()?.get(address).send().await.map_err(unavailable)?;
        match answer.status().as_u16() {
            200 => {}
            404 | 410 => return Err(VerbError::NotFound(format!("there is no `{address}`"))),
            status => return Err(VerbError::Unavailable(format!("`{address}` is answered with the status {status}"))),
        }
        let total = answer.content_length();
        let mut file = File::create(into).map_err(io_error("keep an archive"))?;
        let (mut done, mut body) = (0, answer.bytes_stream());
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(unavailable)?;
            done += bytes.len() as u64;
            if done > ARCHIVE_BYTES {
                return Err(VerbError::Invalid(format!("`{address}` has more than {ARCHIVE_BYTES} bytes")));
            }
            file.write_all(&bytes).map_err(io_error("keep an archive"))?;
            self.activity.progress(done, total, "bytes", "Downloading the release");
        }
        match total {
            Some(total) if total != done => {
                Err(VerbError::Unavailable(format!("`{address}` ended after {done} of {total} bytes")))
            }
            _ => Ok(()),
        }
    }
}

/// What `git fast-import` is to do.
fn describe(archive: &Path, commands: &Path, address: &str, tag: &str) -> Result<File, VerbError> {
    let file = File::options().create(true).truncate(true).write(true).read(true).open(commands);
    let mut commands = BufWriter::new(file.map_err(io_error("keep an archive"))?);
    let wrong = |error: io::Error| VerbError::Invalid(format!("`{address}`: {error}"));
    write!(commands, "commit refs/tags/{tag}\ncommitter upgraded <> 0 +0000\ndata 0\n").map_err(wrong)?;
    let mut reader = open(archive).map_err(wrong)?;
    let mut start = [0; 512];
    let is_archive =
        filled(&mut reader, &mut start).map_err(wrong)? == start.len() && start[257..].starts_with(b"ustar");
    match is_archive {
        true => describe_archive(archive, &mut commands).map_err(wrong)?,
        false => {
            let name = name_of(address)?;
            let mut file = File::open(archive).map_err(wrong)?;
            let size = file.metadata().map_err(wrong)?.len();
            let mut head = Vec::new();
            (&mut file).take(PAGE_BYTES).read_to_end(&mut head).map_err(wrong)?;
            can_be_single(address, &name, &head)?;
            file.rewind().map_err(wrong)?;
            write_file(&mut commands, "100644", Path::new(&name), size, &mut file).map_err(wrong)?;
        }
    }
    let mut file = commands.into_inner().map_err(|error| wrong(error.into_error()))?;
    file.rewind().map_err(wrong)?;
    Ok(file)
}

fn describe_archive(archive: &Path, commands: &mut impl Write) -> io::Result<()> {
    let mut folders = Vec::new();
    let mut total = 0;
    for entry in Archive::new(open(archive)?).entries()? {
        let entry = entry?;
        total += entry.size();
        if total > UNPACKED_BYTES {
            return Err(io::Error::other(format!("it holds more than {UNPACKED_BYTES} bytes")));
        }
        if let Some((path, _)) = tracked(&entry)? {
            folders.push((path.components().count() > 1).then(|| path.iter().next().map(PathBuf::from)).flatten());
        }
    }
    let common = folders.first().cloned().flatten().filter(|first| folders.iter().all(|f| f.as_ref() == Some(first)));
    for entry in Archive::new(open(archive)?).entries()? {
        let mut entry = entry?;
        let Some((path, mode)) = tracked(&entry)? else { continue };
        let path = common.as_ref().and_then(|common| path.strip_prefix(common).ok()).unwrap_or(&path).to_owned();
        let target = entry.link_name()?.map(|target| target.as_os_str().as_encoded_bytes().to_vec());
        match target {
            Some(target) => write_file(commands, mode, &path, target.len() as u64, &mut target.as_slice())?,
            None => write_file(commands, mode, &path, entry.size(), &mut entry)?,
        }
    }
    Ok(())
}

/// The path and git's mode of what is kept: files and symbolic links.
fn tracked<R: Read>(entry: &Entry<'_, R>) -> io::Result<Option<(PathBuf, &'static str)>> {
    let mode = match entry.header().entry_type() {
        EntryType::Regular | EntryType::Continuous if entry.header().mode()? & 0o111 != 0 => "100755",
        EntryType::Regular | EntryType::Continuous => "100644",
        EntryType::Symlink => "120000",
        EntryType::Directory | EntryType::XGlobalHeader => return Ok(None),
        other => {
            let path = entry.path()?.display().to_string();
            return Err(io::Error::other(format!(
                "`{path}` is {other:?}, and a release holds files and symbolic links"
            )));
        }
    };
    let named = entry.path()?;
    let path: PathBuf = named.components().filter(|part| *part != Component::CurDir).collect();
    let is_beneath =
        |part: Component<'_>| matches!(part, Component::Normal(name) if !name.eq_ignore_ascii_case(".git"));
    match path != Path::new("") && path.components().all(is_beneath) {
        true => Ok(Some((path, mode))),
        false => Err(io::Error::other(format!("`{}` leads out of the release, or into `.git`", named.display()))),
    }
}

/// As large as a file may be, it passes through, and is never in memory.
fn write_file(
    commands: &mut impl Write, mode: &str, path: &Path, size: u64, content: &mut impl Read,
) -> io::Result<()> {
    let mut quoted = Vec::new();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'\n' => quoted.extend(b"\\n"),
            b'"' | b'\\' => quoted.extend([b'\\', *byte]),
            byte => quoted.push(*byte),
        }
    }
    write!(commands, "M {mode} inline \"")?;
    commands.write_all(&quoted)?;
    write!(commands, "\"\ndata {size}\n")?;
    let copied = io::copy(&mut content.by_ref().take(size), commands)?;
    if copied != size {
        let message = format!("`{}` ends after {copied} of {size} bytes", path.display());
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
    }
    commands.write_all(b"\n")
}

/// Unpacked where it is gzip's or Zstandard's.
fn open(archive: &Path) -> io::Result<Box<dyn Read>> {
    let mut file = BufReader::new(File::open(archive)?);
    let mut magic = [0; 4];
    let count = filled(&mut file, &mut magic)?;
    file.rewind()?;
    Ok(match &magic[..count] {
        [0x1f, 0x8b, ..] => Box::new(GzDecoder::new(file)),
        [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::Decoder::with_buffer(file)?),
        _ => Box::new(file),
    })
}

fn filled(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match reader.read(&mut buffer[count..])? {
            0 => break,
            more => count += more,
        }
    }
    Ok(count)
}

/// The name of a release that is a single file: what stands behind `#`, or the last part of the address.
fn name_of(address: &str) -> Result<String, VerbError> {
    let name = match address.split_once('#') {
        Some((_, name)) => name,
        None => address.split('?').next().and_then(|path| path.rsplit('/').next()).unwrap_or_default(),
    };
    match name.is_empty() || name.contains(['/', '\\', '\n']) || name.starts_with('.') {
        true => Err(VerbError::Invalid(format!("`{address}` names no file: end it with `#compose.yaml`, for example"))),
        false => Ok(name.to_owned()),
    }
}

/// What is kept once is never fetched again: what a proxy answers in the place of a release must not be.
pub(super) fn can_be_single(address: &str, name: &str, head: &[u8]) -> Result<(), VerbError> {
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.to_lowercase().ends_with(ending));
    let text = String::from_utf8_lossy(head).to_lowercase();
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let is_page = ["<!", "<html", "<head", "<?xml"].iter().any(|tag| text.starts_with(tag));
    if is_page && !ends(&[".html", ".htm", ".xml", ".svg"]) {
        return Err(VerbError::Unavailable(format!("`{address}` is answered with a page, and not with a release")));
    }
    match ends(&[".tar", ".tgz", ".gz", ".tzst", ".zst", ".bz2", ".xz", ".zip", ".7z"]) {
        true => Err(VerbError::Invalid(format!(
            "`{address}` is no archive that is known: `.tar`, `.tar.gz` or `.tar.zst` would be right"
        ))),
        false => Ok(()),
    }
}

fn without_name(address: &str) -> &str {
    address.split_once('#').map_or(address, |(path, _)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_passes_through_as_long_as_it_says() {
        let mut commands = Vec::new();
        write_file(&mut commands, "100644", Path::new("a"), 3, &mut &b"abcd"[..]).unwrap();
        assert_eq!(commands, b"M 100644 inline \"a\"\ndata 3\nabc\n");
        let short = write_file(&mut commands, "100644", Path::new("a"), 5, &mut &b"abcd"[..]).unwrap_err();
        assert_eq!(short.to_string(), "`a` ends after 4 of 5 bytes");
    }
}
