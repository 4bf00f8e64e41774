//! Behind `trees`: folders and files that the operator named.
//!
//! A frozen copy that a `swap` puts in place is kept where the file system shares blocks. Where it can't, the copy itself
//! moves, so that the way back needs neither time nor space; `.taken` then says which step took it, and the vault's backup
//! has the same bytes for whoever asks again after they changed. What is live is never changed but by the two renames of
//! [`super::beside::flip`].

mod archive;
pub mod copy;
pub mod manifest;
pub mod swap;
#[cfg(test)]
mod tests;
mod walk;

use super::beside::work::{self, At, Pulse};
use super::beside::{Copy, Place, State, artifact_key, check_is_of, flip, remove, sync_folder, unfinished};
use crate::context::{Site, StepContext};
use crate::driver::engine::Engine;
use crate::driver::kubernetes::Kubernetes;
use crate::model::{ServiceRef, VerbError};
use crate::plan::event::{Effect, Verdict};
use crate::vault::{MANIFEST_SUFFIX, Pipe, StreamCancelled, Vault};
use copy::{Means, copy_tree};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{self, BufWriter, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

pub struct Trees {
    /// By the name that the plugin uses; absolute.
    paths: BTreeMap<String, PathBuf>,
    /// The same.
    stores: BTreeMap<String, Store>,
    vault: Vault,
}

/// A folder that goes by a name where containers run; none: no platform is of that kind.
#[derive(Clone)]
pub enum Store {
    /// A named volume of a container engine.
    Volume(String, Option<Arc<Engine>>),
    /// A claim in the namespace of a release.
    Claim(String, Option<Arc<Kubernetes>>),
}

/// Nothing belongs to a tree that does not lie in it.
const COMPANIONS: &[&str] = &[];

impl Trees {
    pub fn new(paths: BTreeMap<String, PathBuf>, stores: BTreeMap<String, Store>, vault: Vault) -> Self {
        Self { paths, stores, vault }
    }

    pub async fn list(&self, _cx: &StepContext) -> Result<Vec<String>, VerbError> {
        Ok(self.paths.keys().chain(self.stores.keys()).cloned().collect())
    }

    /// Where everything lies on the machine.
    pub async fn places(&self) -> Result<Vec<PathBuf>, VerbError> {
        let mut places: Vec<PathBuf> = self.paths.values().cloned().collect();
        for store in self.stores.values() {
            places.push(store.found().await?);
        }
        Ok(places)
    }

    /// Claims that are mounted by pods of other services than these, with the pods.
    pub async fn mounted_elsewhere(&self, services: &[&ServiceRef]) -> Result<Vec<(String, Vec<String>)>, VerbError> {
        let mut found = Vec::new();
        for store in self.stores.values() {
            if let Store::Claim(name, Some(release)) = store {
                let others = release.others_with(name, services).await?;
                found.extend((!others.is_empty()).then(|| (name.clone(), others)));
            }
        }
        Ok(found)
    }

    /// Sorted lines, one for each entry (more than 10,000: one for each folder); `step`: of the frozen copy.
    pub async fn manifest(&self, cx: &StepContext, path: &str, step: Option<&str>) -> Result<String, VerbError> {
        let (place, step) = (self.place(cx, path).await?, step.map(str::to_owned));
        work::run(cx, beside(&place, "#read"), move |pulse| {
            let place = place.settled()?;
            let Some(root) = existing(&place, step.as_deref())? else { return Ok(manifest::of_nothing()) };
            manifest::manifest(&root, pulse)
        })
        .await
    }

    pub async fn mark(&self, cx: &StepContext, path: &str) -> Result<String, VerbError> {
        let place = self.place(cx, path).await?;
        work::run(cx, beside(&place, "#mark"), move |pulse| {
            let live = place.settled()?.live;
            if !manifest::exists(&live)? {
                return Err(VerbError::NotFound(format!("there is nothing at `{}`", live.display())));
            }
            manifest::mark(&live, pulse)
        })
        .await
    }

    /// Into the vault, with the manifest of exactly these bytes beside it; the artifact's key.
    pub async fn save(&self, cx: &StepContext, path: &str, step: Option<&str>) -> Result<String, VerbError> {
        let place = self.place(cx, path).await?;
        let (handle, arguments) = (handle(&place), json!([path, step]));
        let (vault, key, step) = (self.vault.clone(), artifact_key(cx, path), step.map(str::to_owned));
        let work = work::run(cx, beside(&place, "#save"), move |pulse| {
            let place = place.settled()?;
            let root = existing(&place, step.as_deref())?;
            save(root, &vault, &key, pulse)?;
            Ok(key)
        });
        cx.effects.perform("trees.save", &arguments, &handle, true, work).await
    }

    pub async fn put_back(&self, cx: &StepContext, path: &str, artifact: &str) -> Result<(), VerbError> {
        check_is_of(artifact, path)?;
        let place = self.place_to_fill(cx, path).await?;
        let (handle, arguments) = (handle(&place), json!([path, artifact]));
        let (vault, key, step) = (self.vault.clone(), artifact.to_owned(), cx.step.clone());
        let work =
            work::run(cx, place.live.clone(), move |pulse| put_back(place.settled()?, &vault, &key, &step, pulse));
        cx.effects.perform("trees.put-back", &arguments, &handle, true, work).await
    }

    pub async fn freeze(&self, cx: &StepContext, path: &str) -> Result<(), VerbError> {
        let place = self.place(cx, path).await?;
        let (handle, step) = (handle(&place), cx.step.clone());
        let work = work::run(cx, place.live.clone(), move |pulse| freeze(place.settled()?, &step, pulse));
        cx.effects.perform("trees.freeze", &json!([path]), &handle, true, work).await
    }

    pub async fn swap(&self, cx: &StepContext, path: &str, step: &str) -> Result<(), VerbError> {
        let place = self.place_to_fill(cx, path).await?;
        let (handle, arguments) = (handle(&place), json!([path, step]));
        let (from, step) = (step.to_owned(), cx.step.clone());
        let work = work::run(cx, place.live.clone(), move |pulse| swap::swap(&place.settled()?, &from, &step, pulse));
        cx.effects.perform("trees.swap", &arguments, &handle, true, work).await
    }

    pub async fn discard(&self, cx: &StepContext, path: &str, step: &str) -> Result<(), VerbError> {
        let place = self.place(cx, path).await?;
        let (handle, arguments, step) = (handle(&place), json!([path, step]), step.to_owned());
        let work = work::run(cx, place.live.clone(), move |pulse| {
            flip::discard(&place.settled()?.frozen(&step)?, COMPANIONS, pulse)
        });
        cx.effects.perform("trees.discard", &arguments, &handle, true, work).await
    }

    /// Every verb converges: once nothing works on the path any more, it is done again.
    pub async fn fence_and_probe(&self, effect: &Effect) -> Verdict {
        for turn in ["", "#save"] {
            work::idle(PathBuf::from(format!("{}{turn}", effect.handle))).await;
        }
        Verdict::NotDone
    }

    async fn place(&self, cx: &StepContext, path: &str) -> Result<Place, VerbError> {
        match self.stores.get(path) {
            Some(store) => Place::of(cx, &BTreeMap::from([(path.to_owned(), store.folder().await?)]), path),
            None => Place::of(cx, &self.paths, path),
        }
    }

    /// One whose content may be replaced.
    async fn place_to_fill(&self, cx: &StepContext, path: &str) -> Result<Place, VerbError> {
        if let (Site::Live, Some(Store::Claim(name, Some(release)))) = (&cx.site, self.stores.get(path)) {
            release.is_unused(name).await?;
        }
        self.place(cx, path).await
    }
}

impl Store {
    async fn folder(&self) -> Result<PathBuf, VerbError> {
        match self {
            Self::Volume(name, Some(engine)) => engine.folder_of_volume(name).await,
            Self::Volume(name, None) => {
                Err(VerbError::Invalid(format!("`volume:{name}` needs a platform with an `engine`")))
            }
            Self::Claim(name, Some(release)) => release.folder_of_claim(name).await,
            Self::Claim(name, None) => {
                Err(VerbError::Invalid(format!("`claim:{name}` needs a platform with `kubernetes`")))
            }
        }
    }

    /// A node that is itself a container has folders that are not this machine's.
    async fn found(&self) -> Result<PathBuf, VerbError> {
        let folder = self.folder().await?;
        match self {
            Self::Claim(name, _) if !folder.is_dir() => Err(VerbError::NotFound(format!(
                "the claim `{name}` lies in `{}`, which is no folder here: does its node, or this daemon, run in a container \
                 without it?",
                folder.display()
            ))),
            _ => Ok(folder),
        }
    }
}

fn handle(place: &Place) -> String {
    place.live.to_string_lossy().into_owned()
}

/// Reading waits for nothing that changes, and the other way round.
fn beside(place: &Place, what: &str) -> PathBuf {
    super::beside::ending(&place.live, what)
}

/// What lies at the live path, or in the copy of `step`; none where there is, or was, nothing.
fn existing(place: &Place, step: Option<&str>) -> Result<Option<PathBuf>, VerbError> {
    let Some(step) = step else { return Ok(Some(place.live.clone())) };
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

fn save(root: Option<PathBuf>, vault: &Vault, key: &str, pulse: &Pulse) -> Result<(), VerbError> {
    let outcome = Arc::new(Mutex::new(None));
    let (told, pulse) = (outcome.clone(), pulse.clone());
    let pipe = Pipe::run(move |end| {
        let packed = match &root {
            Some(root) => archive::pack(root, BufWriter::with_capacity(256 << 10, end), &pulse),
            None => Ok(manifest::of_nothing()),
        };
        let ended = if packed.is_ok() { Ok(()) } else { Err(StreamCancelled::error()) };
        *told.lock().expect("no panic holds this lock") = Some(packed);
        ended
    })
    .at("saving", &PathBuf::from(key))?;
    let saved = vault.save(key, pipe);
    let packed = outcome.lock().expect("no panic holds this lock").take();
    let manifest = match (saved, packed) {
        (Ok(_), Some(Ok(manifest))) => manifest,
        // What stopped the stream says more than that it stopped.
        (Err(error), Some(Err(cause))) if error.is_stream() => return Err(cause),
        (Err(error), _) => return Err(error.into()),
        (Ok(_), _) => return Err(VerbError::other("stream", format!("`{key}` was saved without its end"))),
    };
    vault.save_bytes(&format!("{key}{MANIFEST_SUFFIX}"), manifest.as_bytes())?;
    Ok(())
}

fn put_back(place: Place, vault: &Vault, key: &str, step: &str, pulse: &Pulse) -> Result<(), VerbError> {
    place.make_folder()?;
    let aside = place.frozen(step)?;
    if flip::progress(&aside)? == flip::Progress::NotBegun {
        let expected = String::from_utf8(vault.read_bytes(&format!("{key}{MANIFEST_SUFFIX}"))?)
            .map_err(|_| VerbError::other("damaged", format!("the manifest of `{key}` is no text")))?;
        if manifest::is_of_nothing(&expected) {
            publish_nothing(&aside.new())?;
        } else {
            build(&place, &aside, vault, key, &expected, pulse)?;
        }
    }
    flip::finish(&place, &aside, COMPANIONS, pulse)
}

fn build(
    place: &Place, aside: &Copy, vault: &Vault, key: &str, expected: &str, pulse: &Pulse,
) -> Result<(), VerbError> {
    let (new, part) = (aside.new(), aside.new().part());
    remove(&part)?;
    archive::unpack(Until { inner: vault.open_artifact(key)?, pulse }, &part, pulse)?;
    copy::label_like(&place.live, &part, pulse)?;
    pulse.alive()?;
    copy::sync_all(&part, pulse)?;
    let found = manifest::manifest(&part, pulse)?;
    if found != expected {
        let difference = manifest::difference(expected, &found);
        return Err(VerbError::other(
            "manifest-differs",
            format!("what was built from `{key}` is not what was saved: {difference}"),
        ));
    }
    flip::publish(&part, &new.path, pulse)
}

/// A read that ends with its run.
struct Until<'a> {
    inner: Box<dyn Read + Send>,
    pulse: &'a Pulse,
}

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.pulse.alive().is_err() { Err(StreamCancelled::error()) } else { self.inner.read(buffer) }
    }
}

fn freeze(place: Place, step: &str, pulse: &Pulse) -> Result<(), VerbError> {
    place.make_folder()?;
    let copy = place.frozen(step)?;
    if copy.state()? != State::Missing {
        return Ok(());
    }
    if !manifest::exists(&place.live)? {
        return publish_nothing(&copy);
    }
    let part = copy.part();
    remove(&part)?;
    copy_tree(&place.live, &part, Means::Any, pulse)?;
    flip::publish(&part, &copy.path, pulse)
}

/// A copy of nothing.
fn publish_nothing(copy: &Copy) -> Result<(), VerbError> {
    std::fs::write(copy.none(), b"").at("writing", &copy.none())?;
    sync_folder(copy.path.parent().unwrap_or(std::path::Path::new("/")))
}
