//! Behind `checkout`: releases from a git repository, or from archives, each in a folder of its own, a link naming the active one.
//!
//! A release is laid out and built under its final name, for what is built often has that name in it. While that goes
//! on, `.upgraded/preparing/<commit>` is there, and the release counts for nothing; a crash leaves the mark, and the
//! next attempt begins anew. Folders that the operator made have no mark and are whole.

mod archive;
#[cfg(test)]
mod archive_tests;
mod program;
mod revisions;
#[cfg(test)]
mod tests;

use super::durable;
use super::process::{Account, NamedCommand, Processes, io_error};
use super::project::{mask, remember};
use super::release::{Commit, Layout};
use crate::context::{Site, StepContext};
use crate::effect::Access;
use crate::model::*;
use crate::plan::event::{Effect, Verdict};
use program::Git;
use rustix::fs::syncfs;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub struct Checkout {
    deployment: String,
    source: Option<Source>,
    processes: Arc<Processes>,
    /// Without a word for so long, a `git` counts as lost.
    idle: Duration,
}

struct Source {
    layout: Layout,
    repository: String,
}

impl Checkout {
    /// Without a folder or a repository every verb is refused.
    pub fn new(
        deployment: &str, layout: Option<Layout>, repository: Option<String>, processes: Arc<Processes>, idle: Duration,
    ) -> Self {
        let source = layout.zip(repository).map(|(layout, repository)| Source { layout, repository });
        Self { deployment: deployment.to_owned(), source, processes, idle }
    }

    /// Tags, and the commit of each.
    pub async fn releases(&self, cx: &StepContext) -> Result<Vec<(String, String)>, VerbError> {
        let git = self.git(cx)?;
        cx.activity.watch(self.idle, git.tags()).await
    }

    /// Fills the mirror, which is no part of the site, and so is allowed in every phase.
    pub async fn fetch(&self, cx: &StepContext, revision: &str) -> Result<String, VerbError> {
        let git = self.git(cx)?;
        let fetch = cx.activity.watch(self.idle, async { Ok(git.resolve(revision).await?.as_str().to_owned()) });
        match cx.effects.access() {
            Access::Reading => fetch.await,
            Access::Changing => {
                let handle = git.layout.mirror().display().to_string();
                cx.effects.perform("checkout.fetch", &revision, &handle, true, fetch).await
            }
        }
    }

    /// A file of the commit, with placeholders for secrets.
    pub async fn read(&self, cx: &StepContext, commit: &str, path: &str) -> Result<Vec<u8>, VerbError> {
        let (git, parsed) = (self.git(cx)?, parse(commit)?);
        if !git.is_commit(&parsed).await? {
            self.fetch(cx, commit).await?;
        }
        let raw = cx.activity.watch(self.idle, git.file(&parsed, path)).await?;
        // A plan that puts the file into the project has its placeholders filled in again, by whatever daemon.
        remember(&git.layout.own(), path, &raw).map_err(io_error("keep what a file of the repository holds"))?;
        Ok(mask(path, &raw))
    }

    /// The commit's files beneath `under`, which is empty for all; links and submodules apart.
    pub async fn files(&self, cx: &StepContext, commit: &str, under: &str) -> Result<Vec<Tracked>, VerbError> {
        let (git, parsed) = (self.git(cx)?, parse(commit)?);
        if !git.is_commit(&parsed).await? {
            self.fetch(cx, commit).await?;
        }
        cx.activity.watch(self.idle, git.files(&parsed, under)).await
    }

    /// Lays the commit out and runs the command `build` in its folder; nothing where that is done.
    pub async fn prepare(&self, cx: &StepContext, commit: &str, build: Option<&str>) -> Result<(), VerbError> {
        let git = self.live(cx)?;
        let commit = parse(commit)?;
        cx.effects.may_change("checkout.prepare")?;
        let release = git.layout.release(&commit);
        if is_whole(git.layout, &commit) {
            return Ok(());
        }
        let handle = release.display().to_string();
        let owner = match build.and_then(|name| self.processes.config(name)).and_then(|config| config.user.as_deref()) {
            Some(user) => Some(Account::find(user).await?),
            None => None,
        };
        let lay_out = cx.activity.watch(self.idle, lay_out(&git, &commit, owner));
        cx.effects.perform("checkout.prepare", &commit.as_str(), &handle, true, lay_out).await?;
        if let Some(name) = build {
            self.build(cx, name, &release).await?;
        }
        let publish = async { publish(git.layout, &commit).map_err(io_error("make the release durable")) };
        cx.effects.perform("checkout.publish", &commit.as_str(), &handle, true, publish).await
    }

    /// Flips the link.
    pub async fn activate(&self, cx: &StepContext, commit: &str) -> Result<(), VerbError> {
        let git = self.live(cx)?;
        let commit = parse(commit)?;
        cx.effects.may_change("checkout.activate")?;
        if !is_whole(git.layout, &commit) {
            let message = format!("the release `{}` is not prepared, so it can't be activated", commit.as_str());
            return Err(VerbError::NotFound(message));
        }
        let current = git.layout.current();
        if current.symlink_metadata().is_ok_and(|there| !there.is_symlink()) {
            return Err(VerbError::Conflict(format!(
                "`{}` is no link; it is to name the active release",
                current.display()
            )));
        }
        let handle = git.layout.release(&commit).display().to_string();
        let part = git.layout.own().join(format!("current.{}", cx.step));
        let flip = async { flip(git.layout, &commit, &part).map_err(io_error("flip the link `current`")) };
        cx.effects.perform("checkout.activate", &commit.as_str(), &handle, true, flip).await
    }

    /// The commit that the link names, and the tag that names it, where there is one.
    pub async fn active(&self, cx: &StepContext) -> Result<Option<(String, Option<String>)>, VerbError> {
        let git = self.git(cx)?;
        let active = git.layout.active().map_err(|error| VerbError::Invalid(error.to_string()))?;
        let Some(commit) = active else { return Ok(None) };
        let tag = git.tag_of(&commit).await?;
        Ok(Some((commit.as_str().to_owned(), tag)))
    }

    pub async fn fence_and_probe(&self, effect: &Effect) -> Verdict {
        let Some(source) = &self.source else { return Verdict::Unknown };
        self.processes.end_step(&self.deployment, &effect.step).await;
        let name = Path::new(&effect.handle).file_name().and_then(|name| name.to_str());
        let Some(commit) = name.and_then(Commit::parse) else { return Verdict::Unknown };
        let done = match effect.verb.as_str() {
            "checkout.activate" => matches!(source.layout.active(), Ok(Some(active)) if active == commit),
            "checkout.publish" => is_whole(&source.layout, &commit),
            _ => return Verdict::Unknown,
        };
        if done { Verdict::Done(serde_json::Value::Null) } else { Verdict::NotDone }
    }

    async fn build(&self, cx: &StepContext, name: &str, release: &Path) -> Result<(), VerbError> {
        let command = NamedCommand {
            name: name.to_owned(),
            args: Vec::new(),
            repeatable: true,
            success: None,
            progress: None,
            idle_ms: 0,
        };
        let exit = self.processes.run_in(cx, &command, release).await?;
        match exit.code {
            0 => Ok(()),
            code => Err(VerbError::other("build", format!("the command `{name}` ended with {code}:\n{}", exit.tail))),
        }
    }

    fn live<'a>(&'a self, cx: &'a StepContext) -> Result<Git<'a>, VerbError> {
        if cx.site != Site::Live {
            return Err(VerbError::Denied("releases lie on the live site, and this is a drill".into()));
        }
        self.git(cx)
    }

    fn git<'a>(&'a self, cx: &'a StepContext) -> Result<Git<'a>, VerbError> {
        let source = self.source.as_ref().ok_or_else(|| {
            VerbError::Denied("releases need a `directory` and a `repository` in the platform's table".into())
        })?;
        let mark = self.processes.mark(&cx.deployment, &cx.step);
        Ok(Git { layout: &source.layout, repository: &source.repository, activity: &cx.activity, mark })
    }
}

fn parse(commit: &str) -> Result<Commit, VerbError> {
    Commit::parse(commit)
        .ok_or_else(|| VerbError::Invalid(format!("`{commit}` is no full commit: 40 hexadecimal digits are")))
}

fn is_whole(layout: &Layout, commit: &Commit) -> bool {
    layout.release(commit).is_dir() && !layout.preparing(commit).exists()
}

async fn lay_out(git: &Git<'_>, commit: &Commit, owner: Option<Account>) -> Result<(), VerbError> {
    let layout = git.layout;
    if matches!(layout.active(), Ok(Some(active)) if active == *commit) {
        let message = format!("the release `{}` is active, and yet it is marked as half prepared", commit.as_str());
        return Err(VerbError::Conflict(message));
    }
    if !git.is_commit(commit).await? {
        return Err(VerbError::NotFound(format!("the commit `{}` was not fetched", commit.as_str())));
    }
    let listed = git.run(None, &["ls-tree", "-r", "-z", "--full-tree", commit.as_str()]).await?;
    if let Some(module) = listed.split('\0').find(|entry| entry.starts_with("160000 ")) {
        let path = module.split_once('\t').map_or("", |(_, path)| path);
        return Err(VerbError::Invalid(format!(
            "`{path}` is a submodule, and releases with submodules can't be laid out"
        )));
    }
    let release = layout.release(commit);
    let begin = || -> io::Result<()> {
        durable::make_folder(&layout.own().join("preparing"))?;
        durable::write(&layout.preparing(commit), git.mark.as_bytes())?;
        if release.exists() {
            fs::remove_dir_all(&release)?;
        }
        fs::create_dir_all(&release)?;
        open_to_all(&layout.releases())?;
        open_to_all(&release)
    };
    begin().map_err(io_error("make the release's folder"))?;
    let index = layout.own().join(format!("{}.index", commit.as_str()));
    for left in [&index, &index.with_extension("index.lock")] {
        durable::remove(left).map_err(io_error("remove an index"))?;
    }
    let places = [("GIT_INDEX_FILE", index.as_path()), ("GIT_WORK_TREE", release.as_path())];
    // Of files that Git LFS keeps, the repository has notes alone of where they are.
    let elsewhere = ["ls-files", "-z", ":(top,attr:filter=lfs)"];
    for arguments in [&["read-tree", commit.as_str()][..], &elsewhere, &["checkout-index", "--all", "--force"]] {
        let output = git.try_run(None, arguments, &places).await?;
        if !output.success() {
            return Err(VerbError::other("git", format!("`git {}` failed: {}", arguments[0], output.complaint)));
        }
        let said = output.text();
        if let Some(path) = said.split('\0').find(|path| arguments[0] == elsewhere[0] && !path.is_empty()) {
            let message = format!("`{path}` is kept by Git LFS, and releases with such files can't be laid out");
            return Err(VerbError::Invalid(message));
        }
    }
    durable::remove(&index).map_err(io_error("remove an index"))?;
    match owner {
        Some(owner) => tokio::task::spawn_blocking(move || give(&release, &owner))
            .await
            .map_err(|error| VerbError::other("io", error.to_string()))?
            .map_err(io_error("give the release to the account that builds it")),
        None => Ok(()),
    }
}

/// Services of other accounts read it, whatever the daemon's mask is.
fn open_to_all(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o755))
}

fn give(path: &Path, owner: &Account) -> io::Result<()> {
    std::os::unix::fs::lchown(path, Some(owner.uid), Some(owner.gid))?;
    if path.symlink_metadata()?.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), owner)?;
        }
    }
    Ok(())
}

fn publish(layout: &Layout, commit: &Commit) -> io::Result<()> {
    syncfs(File::open(layout.releases())?)?;
    durable::sync_folder(&layout.directory)?;
    durable::remove(&layout.preparing(commit))
}

fn flip(layout: &Layout, commit: &Commit, part: &Path) -> io::Result<()> {
    durable::make_folder(&layout.own())?;
    durable::remove(part)?;
    std::os::unix::fs::symlink(Path::new("releases").join(commit.as_str()), part)?;
    fs::rename(part, layout.current())?;
    durable::sync_folder(&layout.own())?;
    durable::sync_folder(&layout.directory)
}
