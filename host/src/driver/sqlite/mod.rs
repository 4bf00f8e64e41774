//! Behind `sqlite`: databases saved through SQLite itself.
//!
//! A copy is one file without companions; what a restore sets aside keeps them (`-wal`, `-journal`, `-shm`) under its own
//! name, so that a log is never applied to another database. A flip lets go of the fence for its two renames and takes it
//! again on what came into place. Which frozen copy a `swap` keeps: see [`super::trees`].

mod connect;
mod copy;
mod fence;
mod manifest;
#[cfg(test)]
mod tests;

use super::beside::work::{self, At, Pulse};
use super::beside::{
    Copy, Place, State, artifact_key, check_is_of, ending, flip, look, put_file, remove, sync_folder, unfinished,
};
use super::trees::{copy::make_private_file, copy::share, manifest::difference, swap};
use crate::context::StepContext;
use crate::model::VerbError;
use crate::plan::event::{Effect, Verdict};
use crate::vault::{MANIFEST_SUFFIX, StreamCancelled, Vault};
use connect::{COMPANIONS, Of, copy_reader, make_single, reader};
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// Before what is wrong with references alone: many an application never enforces them.
const REFERENCE: &str = "reference: ";

pub struct Sqlite {
    /// By the name that the plugin uses; absolute.
    paths: BTreeMap<String, PathBuf>,
    vault: Vault,
}

/// A live database's copy on its way into the vault; removed by the next save, where a crash left it.
const ON_ITS_WAY: &str = ".upgraded-save";
const BLOCK: usize = 1 << 20;

impl Sqlite {
    pub fn new(paths: BTreeMap<String, PathBuf>, vault: Vault) -> Self {
        Self { paths, vault }
    }

    pub async fn list(&self, _cx: &StepContext) -> Result<Vec<String>, VerbError> {
        Ok(self.paths.keys().cloned().collect())
    }

    /// What `PRAGMA integrity_check` and `foreign_key_check` find; empty: nothing.
    pub async fn check(&self, cx: &StepContext, path: &str, step: Option<&str>) -> Result<Vec<String>, VerbError> {
        let (place, step) = (self.place(cx, path)?, step.map(str::to_owned));
        work::run(cx, ending(&place.live, "#read"), move |pulse| check(&place.settled()?, step.as_deref(), pulse)).await
    }

    /// Sorted lines: the schema's objects, and each table's rows.
    pub async fn manifest(&self, cx: &StepContext, path: &str, step: Option<&str>) -> Result<String, VerbError> {
        let (place, step) = (self.place(cx, path)?, step.map(str::to_owned));
        work::run(cx, ending(&place.live, "#read"), move |pulse| {
            let place = place.settled()?;
            match (existing(&place, step.as_deref())?, &step) {
                (None, _) => Ok(manifest::of_nothing()),
                (Some(copy), Some(_)) => manifest::manifest(&copy_reader(&copy, pulse)?, &copy, pulse),
                (Some(live), None) => manifest::manifest(&reader(&live, pulse)?, &live, pulse),
            }
        })
        .await
    }

    pub async fn mark(&self, cx: &StepContext, path: &str) -> Result<String, VerbError> {
        let place = self.place(cx, path)?;
        work::run(cx, ending(&place.live, "#mark"), move |pulse| {
            let place = place.settled()?;
            require(&place)?;
            fence::mark(&place.live, pulse)
        })
        .await
    }

    /// Locks everybody else's writing out until [`Sqlite::unfence`] or this process's end; repeated, it takes the lock again.
    /// Returns the mark.
    pub async fn fence(&self, cx: &StepContext, path: &str) -> Result<String, VerbError> {
        let place = self.place(cx, path)?;
        let handle = handle(&place);
        let work = work::run(cx, place.live.clone(), move |pulse| take_fence(&place.settled()?, pulse));
        cx.effects.perform("sqlite.fence", &json!([path]), &handle, true, work).await
    }

    pub async fn unfence(&self, cx: &StepContext, path: &str) -> Result<(), VerbError> {
        let place = self.place(cx, path)?;
        let handle = handle(&place);
        let work = work::run(cx, place.live.clone(), move |_| {
            fence::release(&place.settled()?.live);
            Ok(())
        });
        cx.effects.perform("sqlite.unfence", &json!([path]), &handle, true, work).await
    }

    /// Into the vault as the database file itself; the artifact's key, and the manifest of exactly that copy.
    pub async fn save(&self, cx: &StepContext, path: &str, step: Option<&str>) -> Result<(String, String), VerbError> {
        let place = self.place(cx, path)?;
        let (handle, arguments) = (handle(&place), json!([path, step]));
        let (vault, key, step) = (self.vault.clone(), artifact_key(cx, path), step.map(str::to_owned));
        let work = work::run(cx, ending(&place.live, "#save"), move |pulse| {
            let manifest = save(&place.settled()?, step.as_deref(), &vault, &key, pulse)?;
            Ok((key, manifest))
        });
        cx.effects.perform("sqlite.save", &arguments, &handle, true, work).await
    }

    pub async fn put_back(&self, cx: &StepContext, path: &str, artifact: &str) -> Result<(), VerbError> {
        check_is_of(artifact, path)?;
        let place = self.place(cx, path)?;
        let (handle, arguments) = (handle(&place), json!([path, artifact]));
        let (vault, key, step) = (self.vault.clone(), artifact.to_owned(), cx.step.clone());
        let work =
            work::run(cx, place.live.clone(), move |pulse| put_back(&place.settled()?, &vault, &key, &step, pulse));
        cx.effects.perform("sqlite.put-back", &arguments, &handle, true, work).await
    }

    pub async fn freeze(&self, cx: &StepContext, path: &str) -> Result<(), VerbError> {
        let place = self.place(cx, path)?;
        let (handle, step) = (handle(&place), cx.step.clone());
        let work = work::run(cx, place.live.clone(), move |pulse| freeze(&place.settled()?, &step, pulse));
        cx.effects.perform("sqlite.freeze", &json!([path]), &handle, true, work).await
    }

    pub async fn swap(&self, cx: &StepContext, path: &str, step: &str) -> Result<(), VerbError> {
        let place = self.place(cx, path)?;
        let (handle, arguments) = (handle(&place), json!([path, step]));
        let (from, step) = (step.to_owned(), cx.step.clone());
        let work = work::run(cx, place.live.clone(), move |pulse| put_frozen(&place.settled()?, &from, &step, pulse));
        cx.effects.perform("sqlite.swap", &arguments, &handle, true, work).await
    }

    pub async fn discard(&self, cx: &StepContext, path: &str, step: &str) -> Result<(), VerbError> {
        let place = self.place(cx, path)?;
        let (handle, arguments, step) = (handle(&place), json!([path, step]), step.to_owned());
        let work = work::run(cx, place.live.clone(), move |pulse| {
            flip::discard(&place.settled()?.frozen(&step)?, COMPANIONS, pulse)
        });
        cx.effects.perform("sqlite.discard", &arguments, &handle, true, work).await
    }

    /// Every verb converges: once nothing works on the database any more, it is done again.
    pub async fn fence_and_probe(&self, effect: &Effect) -> Verdict {
        for turn in ["", "#save"] {
            work::idle(PathBuf::from(format!("{}{turn}", effect.handle))).await;
        }
        Verdict::NotDone
    }

    fn place(&self, cx: &StepContext, path: &str) -> Result<Place, VerbError> {
        Place::of(cx, &self.paths, path)
    }
}

fn handle(place: &Place) -> String {
    place.live.to_string_lossy().into_owned()
}

fn require(place: &Place) -> Result<(), VerbError> {
    match look(&place.live)? {
        Some(metadata) if metadata.is_file() => Ok(()),
        Some(_) => Err(VerbError::Invalid(format!("`{}` is no file", place.live.display()))),
        None => Err(VerbError::NotFound(format!("there is no database `{}`", place.live.display()))),
    }
}

/// The live database, or the copy of `step`; none where there is, or was, nothing.
fn existing(place: &Place, step: Option<&str>) -> Result<Option<PathBuf>, VerbError> {
    let Some(step) = step else {
        if look(&place.live)?.is_none() {
            return Ok(None);
        }
        require(place)?;
        return Ok(Some(place.live.clone()));
    };
    let copy = place.frozen(step)?;
    match copy.state()? {
        State::Whole => Ok(Some(copy.path)),
        State::Nothing => Ok(None),
        State::Missing => Err(unfinished(&copy)?.unwrap_or_else(|| missing(place, step))),
    }
}

fn missing(place: &Place, step: &str) -> VerbError {
    VerbError::NotFound(format!("there is no copy of `{}` that `{step}` made", place.live.display()))
}

/// A live database without a log is not looked at before it is saved: a reading would keep its writers waiting.
fn check(place: &Place, step: Option<&str>, pulse: &Pulse) -> Result<Vec<String>, VerbError> {
    let (path, connection) = match step {
        None => {
            require(place)?;
            let live = reader(&place.live, pulse);
            match live.and_then(|live| connect::has_log(&live, &place.live, pulse).map(|has| (live, has))) {
                Ok((_, false)) => return Ok(Vec::new()),
                live => (place.live.clone(), live.map(|(live, _)| live)),
            }
        }
        Some(_) => match existing(place, step)? {
            None => return Ok(Vec::new()),
            Some(copy) => (copy.clone(), copy_reader(&copy, pulse)),
        },
    };
    match connection.and_then(|connection| problems(&connection, &path, pulse)) {
        Err(VerbError::Other(failure)) if failure.code == "damaged" => Ok(vec![failure.message]),
        result => result,
    }
}

fn problems(connection: &rusqlite::Connection, path: &Path, pulse: &Pulse) -> Result<Vec<String>, VerbError> {
    connect::begin_reading(connection, path, pulse)?;
    let mut found = Vec::new();
    let mut integrity = connection.prepare("PRAGMA integrity_check").of(path)?;
    for line in integrity.query_map([], |row| row.get::<_, String>(0)).of(path)? {
        found.push(line.of(path)?);
    }
    found.retain(|line| line != "ok");
    if !found.is_empty() {
        return Ok(found);
    }
    pulse.alive()?;
    // Where they are not enforced, keys may be such as can't even be checked.
    Ok(references(connection)
        .unwrap_or_else(|error| vec![format!("{REFERENCE}foreign keys can't be checked: {error}")]))
}

fn references(connection: &rusqlite::Connection) -> rusqlite::Result<Vec<String>> {
    let mut keys = connection.prepare("PRAGMA foreign_key_check")?;
    let rows = keys.query_map([], |row| {
        let (table, row_id, parent): (String, Option<i64>, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let row_id = row_id.map_or_else(|| "a row".into(), |id| format!("row {id}"));
        Ok(format!("{REFERENCE}{row_id} of `{table}` refers to a row of `{parent}` that is not there"))
    })?;
    rows.collect()
}

fn save(place: &Place, step: Option<&str>, vault: &Vault, key: &str, pulse: &Pulse) -> Result<String, VerbError> {
    let source = existing(place, step)?;
    let manifest = match (source, step) {
        (None, _) => {
            vault.save_bytes(key, b"")?;
            manifest::of_nothing()
        }
        (Some(copy), Some(_)) => save_copy(&copy, vault, key, pulse)?,
        (Some(live), None) => {
            let on_its_way = ending(&live, ON_ITS_WAY);
            remove(&on_its_way)?;
            let saved = copy::copy(&live, &on_its_way, pulse).and_then(|()| save_copy(&on_its_way, vault, key, pulse));
            remove(&on_its_way)?;
            saved?
        }
    };
    vault.save_bytes(&format!("{key}{MANIFEST_SUFFIX}"), manifest.as_bytes())?;
    Ok(manifest)
}

fn save_copy(copy: &Path, vault: &Vault, key: &str, pulse: &Pulse) -> Result<String, VerbError> {
    let manifest = manifest::manifest(&copy_reader(copy, pulse)?, copy, pulse)?;
    let file = File::open(copy).at("reading", copy)?;
    let size_bytes = file.metadata().at("reading", copy)?.len();
    vault.save(key, Shown { inner: file, pulse: pulse.clone(), done_bytes: 0, total_bytes: Some(size_bytes) })?;
    Ok(manifest)
}

/// A reader that shows progress and ends with its run.
struct Shown<R> {
    inner: R,
    pulse: Pulse,
    done_bytes: u64,
    total_bytes: Option<u64>,
}

impl<R: Read> Read for Shown<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.pulse.alive().is_err() {
            return Err(StreamCancelled::error());
        }
        let read = self.inner.read(buffer)?;
        self.done_bytes += read as u64;
        self.pulse.progress(self.done_bytes, self.total_bytes, "bytes", "moving the database");
        Ok(read)
    }
}

fn take_fence(place: &Place, pulse: &Pulse) -> Result<String, VerbError> {
    if flip::is_between(place)? {
        // A crash came between the two renames: what the repeated restore puts in place is locked then.
        fence::want(&place.live);
        return Ok("between two databases".to_owned());
    }
    let taken = require(place).and_then(|()| fence::take(&place.live, pulse));
    if let Err(error) = &taken
        && ["not-found", "invalid", "damaged"].contains(&error.code())
    {
        // What a restore puts in its place is locked.
        fence::want(&place.live);
    }
    taken?;
    fence::mark(&place.live, pulse)
}

fn freeze(place: &Place, step: &str, pulse: &Pulse) -> Result<(), VerbError> {
    place.make_folder()?;
    let copy = place.frozen(step)?;
    if copy.state()? != State::Missing {
        return Ok(());
    }
    if look(&place.live)?.is_none() {
        return publish_nothing(&copy);
    }
    require(place)?;
    remove(&copy.part())?;
    copy::copy(&place.live, &copy.part(), pulse)?;
    flip::publish(&copy.part(), &copy.path, pulse)
}

fn put_back(place: &Place, vault: &Vault, key: &str, step: &str, pulse: &Pulse) -> Result<(), VerbError> {
    place.make_folder()?;
    let aside = place.frozen(step)?;
    if flip::progress(&aside)? == flip::Progress::NotBegun {
        let expected = vault.read_bytes(&format!("{key}{MANIFEST_SUFFIX}"))?;
        if expected == manifest::of_nothing().as_bytes() {
            publish_nothing(&aside.new())?;
        } else {
            build(place, &aside, vault, key, &expected, pulse)?;
        }
    }
    flip_over(place, &aside, pulse)
}

fn build(
    place: &Place, aside: &Copy, vault: &Vault, key: &str, expected: &[u8], pulse: &Pulse,
) -> Result<(), VerbError> {
    let part = aside.new().part();
    remove(&part)?;
    let artifact = vault.find(key)?;
    let inner = vault.open_artifact(key)?;
    let mut from = Shown { inner, pulse: pulse.clone(), done_bytes: 0, total_bytes: Some(artifact.size_bytes) };
    let mut file = make_private_file(&part)?;
    let mut block = vec![0; BLOCK];
    loop {
        let read = match from.read(&mut block) {
            Err(_) if pulse.is_over() => return Err(VerbError::Cancelled),
            read => read.at("reading the backup for", &part)?,
        };
        if read == 0 {
            break;
        }
        file.write_all(&block[..read]).at("writing", &part)?;
    }
    file.sync_all().at("syncing", &part)?;
    drop(file);
    let found = manifest::manifest(&copy_reader(&part, pulse)?, &part, pulse)?;
    if found.as_bytes() != expected {
        let difference = difference(&String::from_utf8_lossy(expected), &found);
        return Err(VerbError::other(
            "manifest-differs",
            format!("what was built from `{key}` is not what was saved: {difference}"),
        ));
    }
    copy::keep_owner(&place.live, &part)?;
    flip::publish(&part, &aside.new().path, pulse)
}

fn put_frozen(place: &Place, from: &str, step: &str, pulse: &Pulse) -> Result<(), VerbError> {
    let (source, aside) = (place.frozen(from)?, place.frozen(step)?);
    if from == step {
        return Err(VerbError::Invalid(format!("`{step}` can't put its own copy in place")));
    }
    if flip::progress(&aside)? == flip::Progress::NotBegun {
        match source.state()? {
            State::Whole => bring(&source, &aside, step, pulse)?,
            State::Nothing => publish_nothing(&aside.new())?,
            State::Missing => {
                let mut mark = || fence::mark(&place.live, pulse);
                if swap::is_live(place, &source, from, &mut mark)? {
                    return fence::resume(&place.live, pulse);
                }
                return Err(missing(place, from));
            }
        }
    }
    flip_over(place, &aside, pulse)
}

fn bring(source: &Copy, aside: &Copy, step: &str, pulse: &Pulse) -> Result<(), VerbError> {
    make_single(&source.path, pulse)?;
    let part = aside.new().part();
    remove(&part)?;
    let file = make_private_file(&part)?;
    let from = File::open(&source.path).at("reading", &source.path)?;
    if share(&file, &from) {
        copy::keep_owner(&source.path, &part)?;
        file.sync_all().at("syncing", &part)?;
        return flip::publish(&part, &aside.new().path, pulse);
    }
    remove(&part)?;
    swap::move_whole(source, aside, step, fence::mark(&source.path, pulse)?, pulse)
}

/// Our own lock is on the file that goes, so that it is let go of first.
fn flip_over(place: &Place, aside: &Copy, pulse: &Pulse) -> Result<(), VerbError> {
    if flip::progress(aside)? == flip::Progress::Ready {
        fence::pause(&place.live);
    }
    flip::finish(place, aside, COMPANIONS, pulse)?;
    fence::resume(&place.live, pulse)
}

/// A copy of nothing.
fn publish_nothing(copy: &Copy) -> Result<(), VerbError> {
    put_file(&copy.none(), b"")?;
    sync_folder(copy.path.parent().unwrap_or(Path::new("/")))
}
