//! From names to commits. A tag is resolved once: the commit that it named then is kept under `refs/pinned/`, and a tag
//! that is moved upstream changes nothing.

use super::program::{Git, Lock};
use crate::activity::Level;
use crate::config::is_archive;
use crate::driver::durable;
use crate::driver::process::io_error;
use crate::driver::release::Commit;
use crate::model::{Tracked, VerbError};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// As much as of the project's own files.
const FILE_BYTES: u64 = 8 << 20;

impl Git<'_> {
    /// The commit of a tag or of a full or short SHA, fetched where it is not here yet.
    pub async fn resolve(&self, revision: &str) -> Result<Commit, VerbError> {
        let lock = self.lock().await?;
        self.make_mirror(&lock).await?;
        if !self.is_name(revision).await? {
            return Err(VerbError::Invalid(format!("`{revision}` is neither a tag nor a commit")));
        }
        if let Some(commit) = self.here(&lock, revision).await? {
            return Ok(commit);
        }
        match is_archive(self.repository) {
            true if Commit::parse(revision).is_some() => {}
            true => self.import(&lock, revision).await?,
            false => self.update(&lock).await?,
        }
        if let Some(commit) = self.here(&lock, revision).await? {
            return Ok(commit);
        }
        if let Some(commit) = Commit::parse(revision).filter(|_| !is_archive(self.repository)) {
            // It may lie on no branch any more.
            let fetched = self
                .try_run(
                    Some(&lock),
                    &["fetch", "--no-tags", "--no-write-fetch-head", "--", self.repository, revision],
                    &[],
                )
                .await?;
            if fetched.success() && self.is_commit(&commit).await? {
                self.pin(&lock, &format!("refs/pinned/commits/{revision}"), &commit).await?;
                return Ok(commit);
            }
        }
        Err(VerbError::NotFound(format!("`{revision}` is neither a tag nor a commit of the repository")))
    }

    /// Each tag and its commit; where the repository can't be reached, as it was known last. Of archives, those that were
    /// fetched.
    pub async fn tags(&self) -> Result<Vec<(String, String)>, VerbError> {
        if is_archive(self.repository) {
            return Ok(self.known("refs/pinned/tags/").await?.into_iter().collect());
        }
        let listed = self.try_run(None, &["ls-remote", "--tags", "--", self.repository], &[]).await?;
        let mut tags = if listed.success() {
            peeled(&listed.text())
        } else {
            let known = self.known("refs/tags/").await?;
            if known.is_empty() {
                return Err(VerbError::Unavailable(format!("the repository can't be reached: {}", listed.complaint)));
            }
            let message =
                format!("the repository can't be reached, so its tags are those known last: {}", listed.complaint);
            self.activity.line(Level::Warn, message);
            known
        };
        for (tag, pinned) in self.known("refs/pinned/tags/").await? {
            if let Some(commit) = tags.get(&tag).filter(|commit| **commit != pinned) {
                self.activity.line(
                    Level::Warn,
                    format!("the tag `{tag}` was moved from `{pinned}` to `{commit}`; it stays where it was"),
                );
                tags.insert(tag, pinned);
            }
        }
        Ok(tags.into_iter().collect())
    }

    /// A tag that names the commit: one that was resolved, before any other.
    pub async fn tag_of(&self, commit: &Commit) -> Result<Option<String>, VerbError> {
        for prefix in ["refs/pinned/tags/", "refs/tags/"] {
            let known = self.known(prefix).await?;
            let tags = known.into_iter().filter(|(_, known)| known == commit.as_str()).map(|(tag, _)| tag);
            if let Some(tag) = tags.max_by(|one, other| release_like(one, other)) {
                return Ok(Some(tag));
            }
        }
        // Nothing was fetched yet, or not since the tag was made.
        let tags = self.tags().await.unwrap_or_default();
        let tags = tags.into_iter().filter(|(_, tagged)| tagged == commit.as_str()).map(|(tag, _)| tag);
        Ok(tags.max_by(|one, other| release_like(one, other)))
    }

    pub async fn is_commit(&self, commit: &Commit) -> Result<bool, VerbError> {
        if !self.layout.mirror().exists() {
            return Ok(false);
        }
        let object = format!("{}^{{commit}}", commit.as_str());
        Ok(self.try_run(None, &["cat-file", "-e", &object], &[]).await?.success())
    }

    pub async fn file(&self, commit: &Commit, path: &str) -> Result<Vec<u8>, VerbError> {
        let object = format!("{}:{path}", commit.as_str());
        let size = self.try_run(None, &["cat-file", "-s", &object], &[]).await?;
        let Ok(bytes) = size.text().trim().parse::<u64>() else {
            return Err(VerbError::NotFound(format!("the commit `{}` has no file `{path}`", commit.as_str())));
        };
        if bytes > FILE_BYTES {
            return Err(VerbError::Invalid(format!("`{path}` has {bytes} bytes; {FILE_BYTES} can be read")));
        }
        let output = self.try_run(None, &["cat-file", "blob", &object], &[]).await?;
        match output.success() {
            true => Ok(output.stdout),
            false => Err(VerbError::Invalid(format!("`{path}` can't be read: {}", output.complaint))),
        }
    }

    pub async fn files(&self, commit: &Commit, under: &str) -> Result<Vec<Tracked>, VerbError> {
        let mut arguments = vec!["ls-tree", "-r", "-z", "--full-tree", commit.as_str()];
        let under = under.trim_matches('/');
        if !under.is_empty() {
            arguments.extend(["--", under]);
        }
        let output = self.try_run(None, &arguments, &[]).await?;
        if !output.success() {
            return Err(VerbError::Invalid(format!("the files of `{under}` can't be listed: {}", output.complaint)));
        }
        let text = output.text();
        let files = text.split('\0').filter(|entry| entry.starts_with("100"));
        let tracked = |entry: &str| {
            let (about, path) = entry.split_once('\t')?;
            Some(Tracked { path: path.to_owned(), executable: about.starts_with("100755") })
        };
        Ok(files.filter_map(tracked).collect())
    }

    async fn make_mirror(&self, lock: &Lock) -> Result<(), VerbError> {
        let mirror = self.layout.mirror();
        // `HEAD` is the last that `init` needs; a half-made one is made again, which changes nothing that is there.
        if mirror.join("upgraded").exists() {
            return Ok(());
        }
        self.run(Some(lock), &["init", "--bare", "--quiet", "--template="]).await?;
        durable::write(&mirror.join("upgraded"), b"").map_err(io_error("make the mirror"))
    }

    async fn update(&self, lock: &Lock) -> Result<(), VerbError> {
        self.run(
            Some(lock),
            &[
                "fetch",
                "--progress",
                "--force",
                "--no-tags",
                "--prune",
                "--no-write-fetch-head",
                "--",
                self.repository,
                "+refs/heads/*:refs/heads/*",
                "+refs/tags/*:refs/tags/*",
            ],
        )
        .await
        .map(|_| ())
    }

    async fn is_name(&self, revision: &str) -> Result<bool, VerbError> {
        let name = format!("refs/tags/{revision}");
        Ok(!revision.starts_with('-') && self.try_run(None, &["check-ref-format", &name], &[]).await?.success())
    }

    async fn here(&self, lock: &Lock, revision: &str) -> Result<Option<Commit>, VerbError> {
        let pinned = format!("refs/pinned/tags/{revision}");
        if let Some(commit) = self.peel(&pinned).await? {
            return Ok(Some(commit));
        }
        if let Some(commit) = self.peel(&format!("refs/tags/{revision}")).await? {
            self.pin(lock, &pinned, &commit).await?;
            return Ok(Some(commit));
        }
        let digits = revision.len() >= 4 && revision.len() <= 40 && revision.bytes().all(|b| b.is_ascii_hexdigit());
        if !digits {
            return Ok(None);
        }
        let found = self.run(None, &["rev-parse", &format!("--disambiguate={}", revision.to_lowercase())]).await?;
        let mut commits = Vec::new();
        for candidate in found.lines().filter_map(Commit::parse) {
            if self.run(None, &["cat-file", "-t", candidate.as_str()]).await?.trim() == "commit" {
                commits.push(candidate);
            }
        }
        match commits.len() {
            0 => Ok(None),
            1 => Ok(commits.pop()),
            several => Err(VerbError::Invalid(format!(
                "`{revision}` is the beginning of {several} commits; more digits would tell which"
            ))),
        }
    }

    async fn peel(&self, reference: &str) -> Result<Option<Commit>, VerbError> {
        let object = format!("{reference}^{{commit}}");
        let output =
            self.try_run(None, &["rev-parse", "--verify", "--quiet", "--end-of-options", &object], &[]).await?;
        Ok(output.success().then(|| output.text()).and_then(|text| Commit::parse(text.trim())))
    }

    async fn pin(&self, lock: &Lock, reference: &str, commit: &Commit) -> Result<(), VerbError> {
        self.run(Some(lock), &["update-ref", "--end-of-options", reference, commit.as_str()]).await.map(|_| ())
    }

    async fn known(&self, prefix: &str) -> Result<BTreeMap<String, String>, VerbError> {
        if !self.layout.mirror().exists() {
            return Ok(BTreeMap::new());
        }
        let format = "--format=%(objectname) %(*objectname) %(refname)";
        let listed = self.run(None, &["for-each-ref", format, prefix]).await?;
        let tag = |line: &str| {
            let mut fields = line.splitn(3, ' ');
            let (object, peeled, name) = (fields.next()?, fields.next()?, fields.next()?);
            let commit = if peeled.is_empty() { object } else { peeled };
            Some((name.strip_prefix(prefix)?.to_owned(), commit.to_owned()))
        };
        Ok(listed.lines().filter_map(tag).collect())
    }
}

/// Of two tags of one commit, the one that more looks like a release comes last: `v1.4.0` after `v1.4.0-rc2`, and both after
/// `stable`.
fn release_like(one: &str, other: &str) -> Ordering {
    let rank = |tag: &str| match tag.find(|c: char| c.is_ascii_digit()) {
        None => 0,
        Some(at) if tag[at..].contains('-') => 1,
        Some(_) => 2,
    };
    rank(one).cmp(&rank(other)).then_with(|| one.cmp(other))
}

/// `ls-remote` says an annotated tag twice: the tag's own object, and with `^{}` what it names.
fn peeled(listed: &str) -> BTreeMap<String, String> {
    let mut tags = BTreeMap::new();
    for (object, name) in listed.lines().filter_map(|line| line.split_once('\t')) {
        let Some(tag) = name.strip_prefix("refs/tags/") else { continue };
        match tag.strip_suffix("^{}") {
            Some(tag) => {
                tags.insert(tag.to_owned(), object.to_owned());
            }
            None => {
                tags.entry(tag.to_owned()).or_insert_with(|| object.to_owned());
            }
        }
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_named_by_what_looks_like_one() {
        let best = |tags: &[&'static str]| *tags.iter().max_by(|one, other| release_like(one, other)).unwrap();
        assert_eq!(best(&["stable", "v1.4.0-rc2", "v1.4.0", "latest"]), "v1.4.0");
        assert_eq!(best(&["stable", "1.5.0-beta"]), "1.5.0-beta");
        assert_eq!(best(&["v1.4.0", "web-1.4.0"]), "web-1.4.0");
    }

    #[test]
    fn annotated_tags_are_peeled() {
        let listed = "aaa\trefs/tags/v1\nbbb\trefs/tags/v2\nccc\trefs/tags/v2^{}\n";
        let expected = [("v1".to_owned(), "aaa".to_owned()), ("v2".to_owned(), "ccc".to_owned())];
        assert_eq!(peeled(listed), BTreeMap::from(expected));
    }
}
