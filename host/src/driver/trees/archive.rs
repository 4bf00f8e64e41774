//! A tree as one tar stream, and back. Everything lies beneath `tree` in it, so that `restic dump … | tar x` shows what
//! it is. Times to the nanosecond and extended attributes stand in records of our own (`UPGRADED.…`), which other tools
//! pass over; a file's holes are made again where it was zeros.

use super::copy::{
    Properties, make_private_file, make_private_folder, open_listed, properties, settle, settle_folders,
};
use super::manifest::Lines;
use super::walk::{Attributes, Entry, walk};
use crate::driver::beside::work::{At, Pulse};
use crate::driver::beside::{escape, look};
use crate::effect::hex;
use crate::model::VerbError;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tar::{Archive, Builder, EntryType, Header};

const ROOT: &[u8] = b"tree";
const TIME_RECORD: &str = "UPGRADED.mtime";
const ATTRIBUTE_RECORD: &str = "UPGRADED.xattr.";
/// What a header holds of a name; longer ones have an entry of their own before it.
const NAME_BYTES: usize = 100;
const BLOCK: usize = 1 << 20;
/// Runs of zeros as long as this become holes.
const HOLE: usize = 64 << 10;

/// Writes the tree at `root` and returns the manifest of exactly the bytes that were written.
pub fn pack(root: &Path, out: impl Write, pulse: &Pulse) -> Result<String, VerbError> {
    let mut packer = Packer { tar: Builder::new(out), lines: Lines::default(), linked: HashMap::new(), done_bytes: 0 };
    walk(root, pulse, &mut |entry| packer.add(&entry, pulse))?;
    packer.tar.into_inner().and_then(|mut out| out.flush()).at("saving", root)?;
    Ok(packer.lines.finish())
}

struct Packer<W: Write> {
    tar: Builder<W>,
    lines: Lines,
    /// By inode: where a file of several names was written, and what it held.
    linked: HashMap<u64, (Vec<u8>, u64, Sha256)>,
    done_bytes: u64,
}

impl<W: Write> Packer<W> {
    fn add(&mut self, entry: &Entry, pulse: &Pulse) -> Result<(), VerbError> {
        let name = name_of(&entry.relative);
        let properties = properties(entry)?;
        let mut header = header(&properties);
        let metadata = &entry.metadata;
        let (mut size_bytes, mut content) = (0, Sha256::new());
        if metadata.is_dir() {
            header.set_entry_type(EntryType::Directory);
            self.append(header, &name, &properties, None, io::empty()).at("saving", &entry.path)?;
        } else if metadata.is_symlink() {
            let target = fs::read_link(&entry.path).at("reading the link", &entry.path)?;
            header.set_entry_type(EntryType::Symlink);
            let target = target.as_os_str().as_bytes();
            self.append(header, &name, &properties, Some(target), io::empty()).at("saving", &entry.path)?;
        } else if let Some((first, size, digest)) = self.linked.get(&metadata.ino()).cloned() {
            (size_bytes, content) = (size, digest);
            header.set_entry_type(EntryType::Link);
            self.append(header, &name, &properties, Some(&first), io::empty()).at("saving", &entry.path)?;
        } else {
            let Some(file) = open_listed(&entry.path)? else { return Ok(()) };
            size_bytes = file.metadata().at("reading", &entry.path)?.len();
            header.set_entry_type(EntryType::Regular);
            header.set_size(size_bytes);
            let mut exact =
                Exact { file, left: size_bytes, content, done_bytes: &mut self.done_bytes, pulse, ended: None };
            let appended = append(&mut self.tar, header, &name, &properties, None, &mut exact);
            if let Some(ended) = exact.ended.take() {
                return Err(ended);
            }
            content = exact.content;
            appended.at("saving", &entry.path)?;
            if metadata.nlink() > 1 {
                self.linked.insert(metadata.ino(), (name, size_bytes, content.clone()));
            }
        }
        self.lines.add(entry, &properties.attributes, size_bytes, content)
    }

    fn append(
        &mut self, header: Header, name: &[u8], properties: &Properties, target: Option<&[u8]>, data: impl Read,
    ) -> io::Result<()> {
        append(&mut self.tar, header, name, properties, target, data)
    }
}

fn header(properties: &Properties) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(properties.mode);
    header.set_uid(properties.owner.0.into());
    header.set_gid(properties.owner.1.into());
    header.set_mtime(u64::try_from(properties.modified.0).unwrap_or(0));
    header.set_size(0);
    header
}

/// Names go in as bytes: the tar crate's own way normalises them, and refuses some that a file system allows.
fn append<W: Write>(
    tar: &mut Builder<W>, mut header: Header, name: &[u8], properties: &Properties, target: Option<&[u8]>,
    data: impl Read,
) -> io::Result<()> {
    let time = format!("{},{}", properties.modified.0, properties.modified.1);
    let mut records = vec![(TIME_RECORD.to_owned(), time)];
    for (name, value) in &properties.attributes {
        records.push((format!("{ATTRIBUTE_RECORD}{}", hex(name)), hex(value)));
    }
    tar.append_pax_extensions(records.iter().map(|(key, value)| (key.as_str(), value.as_bytes())))?;
    if let Some(target) = target {
        append_long(tar, EntryType::GNULongLink, target)?;
        header.set_link_name_literal(&target[..target.len().min(NAME_BYTES)])?;
    }
    append_long(tar, EntryType::GNULongName, name)?;
    let short = &name[..name.len().min(NAME_BYTES)];
    header.as_mut_bytes()[..short.len()].copy_from_slice(short);
    header.set_cksum();
    tar.append(&header, data)
}

fn append_long<W: Write>(tar: &mut Builder<W>, kind: EntryType, name: &[u8]) -> io::Result<()> {
    if name.len() <= NAME_BYTES {
        return Ok(());
    }
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_path("././@LongLink")?;
    header.set_mode(0o644);
    header.set_size(name.len() as u64 + 1);
    header.set_cksum();
    tar.append(&header, name.chain(&b"\0"[..]))
}

/// As many bytes as were announced, whatever becomes of the file meanwhile.
struct Exact<'a> {
    file: File,
    left: u64,
    content: Sha256,
    done_bytes: &'a mut u64,
    pulse: &'a Pulse,
    ended: Option<VerbError>,
}

impl Read for Exact<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Err(error) = self.pulse.alive() {
            self.ended = Some(error);
            return Err(io::Error::other("ended"));
        }
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let mut read = self.file.read(&mut buffer[..wanted])?;
        if read == 0 && wanted > 0 {
            buffer[..wanted].fill(0);
            read = wanted;
        }
        self.content.update(&buffer[..read]);
        self.left -= read as u64;
        *self.done_bytes += read as u64;
        self.pulse.progress(*self.done_bytes, None, "bytes", "saving the tree");
        Ok(read)
    }
}

/// Builds the stream's tree at `to`, where nothing may be; nothing is made outside of it, whatever the stream says.
pub fn unpack(from: impl Read, to: &Path, pulse: &Pulse) -> Result<(), VerbError> {
    let mut unpacker = Unpacker { to, folders: Vec::new(), done_bytes: 0, pulse };
    let mut archive = Archive::new(from);
    for entry in archive.entries().at("reading the archive for", to)? {
        pulse.alive()?;
        unpacker.add(entry.at("reading the archive for", to)?)?;
    }
    let rest = &mut archive.into_inner();
    // To its end, where its digest is compared.
    io::copy(rest, &mut io::sink()).at("reading the archive for", to)?;
    settle_folders(&unpacker.folders)
}

struct Unpacker<'a> {
    to: &'a Path,
    folders: Vec<(PathBuf, Properties)>,
    done_bytes: u64,
    pulse: &'a Pulse,
}

impl Unpacker<'_> {
    fn add(&mut self, mut entry: tar::Entry<'_, impl Read>) -> Result<(), VerbError> {
        let name = entry.path_bytes().into_owned();
        let path = self.place(&name)?;
        let properties = read_properties(&mut entry).at("reading the archive for", &path)?;
        match entry.header().entry_type() {
            EntryType::Directory => {
                make_private_folder(&path)?;
                self.folders.push((path, properties));
                Ok(())
            }
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                std::os::unix::fs::symlink(OsStr::from_bytes(&target), &path).at("making", &path)?;
                settle(&path, &properties, true)
            }
            EntryType::Link => {
                let first = self.place(&entry.link_name_bytes().unwrap_or_default())?;
                if !look(&first)?.is_some_and(|metadata| metadata.is_file()) {
                    return Err(hostile(&name, "is a link to no file before it"));
                }
                fs::hard_link(&first, &path).at("making", &path)
            }
            EntryType::Regular => {
                let mut file = make_private_file(&path)?;
                self.write(&mut entry, &mut file, &path)?;
                drop(file);
                settle(&path, &properties, false)
            }
            other => Err(hostile(&name, &format!("is of kind {:?}", other.as_byte() as char))),
        }
    }

    /// Where an entry goes: beneath `tree`, through folders that this archive made, and where nothing is yet.
    fn place(&self, name: &[u8]) -> Result<PathBuf, VerbError> {
        let mut parts = name.strip_suffix(b"/").unwrap_or(name).split(|byte| *byte == b'/');
        if parts.next() != Some(ROOT) {
            return Err(hostile(name, "lies outside of the tree"));
        }
        let mut path = self.to.to_path_buf();
        for part in parts {
            if part.is_empty() || part == b"." || part == b".." || part.contains(&0) {
                return Err(hostile(name, "lies outside of the tree"));
            }
            if !look(&path)?.is_some_and(|metadata| metadata.is_dir()) {
                return Err(hostile(name, "does not lie in a folder"));
            }
            path.push(OsStr::from_bytes(part));
        }
        Ok(path)
    }

    fn write(&mut self, entry: &mut impl Read, file: &mut File, path: &Path) -> Result<(), VerbError> {
        let mut block = vec![0; BLOCK];
        let mut size_bytes = 0;
        loop {
            self.pulse.alive()?;
            let read = fill(entry, &mut block).at("reading the archive for", path)?;
            if read == 0 {
                break;
            }
            for piece in block[..read].chunks(HOLE) {
                let zeros = piece.len() == HOLE && piece.iter().all(|byte| *byte == 0);
                let written =
                    if zeros { file.seek(SeekFrom::Current(HOLE as i64)).map(|_| ()) } else { file.write_all(piece) };
                written.at("writing", path)?;
            }
            size_bytes += read as u64;
            self.done_bytes += read as u64;
            self.pulse.progress(self.done_bytes, None, "bytes", "building the tree");
        }
        file.set_len(size_bytes).at("writing", path)
    }
}

fn fill(from: &mut impl Read, block: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < block.len() {
        match from.read(&mut block[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn read_properties(entry: &mut tar::Entry<'_, impl Read>) -> io::Result<Properties> {
    let header = entry.header();
    let owner = |number: u64| u32::try_from(number).map_err(io::Error::other);
    let mut properties = Properties {
        mode: header.mode()? & 0o7777,
        owner: (owner(header.uid()?)?, owner(header.gid()?)?),
        modified: (i64::try_from(header.mtime()?).map_err(io::Error::other)?, 0),
        attributes: Attributes::new(),
        label: None,
    };
    for record in entry.pax_extensions()?.into_iter().flatten() {
        let record = record?;
        let (Ok(key), Ok(value)) = (record.key(), record.value()) else { continue };
        if key == TIME_RECORD {
            let time = value.split_once(',').and_then(|(s, n)| Some((s.parse().ok()?, n.parse().ok()?)));
            properties.modified = time.ok_or_else(|| io::Error::other(format!("`{value}` is no time")))?;
        } else if let Some(name) = key.strip_prefix(ATTRIBUTE_RECORD) {
            let both = unhex(name).zip(unhex(value));
            let (name, value) = both.ok_or_else(|| io::Error::other(format!("`{key}` is no attribute")))?;
            properties.attributes.insert(name, value);
        }
    }
    Ok(properties)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    if text.len().is_multiple_of(2) { digits.collect() } else { None }
}

fn name_of(relative: &Path) -> Vec<u8> {
    let mut name = ROOT.to_vec();
    if !relative.as_os_str().is_empty() {
        name.push(b'/');
        name.extend_from_slice(relative.as_os_str().as_bytes());
    }
    name
}

fn hostile(name: &[u8], why: &str) -> VerbError {
    VerbError::Invalid(format!("the archive's entry `{}` {why}", escape(name)))
}
