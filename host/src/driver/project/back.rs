//! What a run does beside putting edits: proposals laid over each other while it is planned, and files put back.

use super::{Project, Rights, blocking, fill, mask, read, relative};
use crate::context::StepContext;
use crate::model::{ModeAndOwner, VerbError};
use crate::plan::Replaced;
use std::collections::BTreeMap;

impl Project {
    /// From now on [`Project::read`] answers with this.
    pub fn lay_over(&self, path: &str, bytes: Option<&[u8]>) {
        self.overlay.lock().expect("no panic holds this lock").insert(path.to_owned(), bytes.map(<[u8]>::to_vec));
    }

    /// What is laid over, by path; with placeholders for secrets.
    pub fn overlaid(&self) -> BTreeMap<String, Option<Vec<u8>>> {
        self.overlay.lock().expect("no panic holds this lock").clone()
    }

    pub fn clear_overlay(&self) {
        self.overlay.lock().expect("no panic holds this lock").clear();
    }

    /// The bytes themselves, secrets and all: for the vault, and for a platform that hands them on. None where there is no
    /// file.
    pub async fn raw(&self, _cx: &StepContext, path: &str) -> Result<Option<Vec<u8>>, VerbError> {
        let (dir, relative, path) = (self.open()?, relative(path)?, path.to_owned());
        blocking(move || read(&dir, &relative, &path)).await
    }

    /// The same, as the edits of the plan will leave it.
    pub async fn planned(&self, cx: &StepContext, path: &str) -> Result<Option<Vec<u8>>, VerbError> {
        let now = self.raw(cx, path).await?;
        match self.overlaid().remove(path) {
            None => Ok(now),
            Some(None) => Ok(None),
            Some(Some(text)) => fill(path, &text, now.as_deref(), &self.known()?).map(Some),
        }
    }

    /// Whether what is there is what an edit was to replace, with its mode and owner.
    pub async fn is_still(&self, cx: &StepContext, path: &str, old: &Replaced) -> Result<bool, VerbError> {
        let Some(there) = self.raw(cx, path).await? else { return Ok(false) };
        let same = [Self::digest(&there), Self::digest(&mask(path, &there))].contains(&old.digest);
        Ok(same && self.mode_and_owner(path).await? == Some(old.owned))
    }

    /// Puts the old bytes back, with their mode and owner (none: removes the file). What is there and is neither of the run's `afters` nor the old
    /// bytes was somebody else's change: it is kept beside, under the name that is returned. Converges.
    pub async fn put_back(
        &self, cx: &StepContext, path: &str, afters: &[String], old: Option<(&[u8], ModeAndOwner)>,
    ) -> Result<Option<String>, VerbError> {
        let there = self.raw(cx, path).await?;
        let (bytes, rights) = match old {
            Some((bytes, rights)) => (Some(bytes), Rights::Exactly(rights)),
            None => (None, Rights::AsBefore),
        };
        if there.as_deref() == bytes && self.mode_and_owner(path).await? == old.map(|(_, rights)| rights) {
            return Ok(None);
        }
        let digest = there.as_deref().map(Self::digest);
        let masked = match &there {
            Some(_) => Some(Self::digest(&self.read(cx, path).await?)),
            None => None,
        };
        let ours = |digest: &Option<String>| digest.as_ref().is_some_and(|digest| afters.contains(digest));
        let mut kept = None;
        let is_old = there.as_deref() == bytes;
        if let Some(theirs) = there.as_deref().filter(|_| !is_old && !ours(&digest) && !ours(&masked)) {
            let beside = format!("{path}.changed-during-{}", cx.run);
            if self.raw(cx, &beside).await?.as_deref() != Some(theirs) {
                self.put(cx, &beside, None, Some(theirs), Rights::AsBefore).await?;
            }
            kept = Some(beside);
        }
        self.put(cx, path, digest.as_deref(), bytes, rights).await?;
        Ok(kept)
    }
}
