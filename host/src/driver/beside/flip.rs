//! Putting new data in the place of the live data, so that a crash at any instant leaves a state that the next attempt of
//! the same step recognises.
//!
//! With A for `<live>.upgraded-<step>` and N for `A.new`:
//!
//! 1. N is published whole, by a rename, after everything in it is on the disk;
//! 2. the live data's companions, then the live path itself, are renamed to A (nothing there: `A.none` is made);
//! 3. N is renamed to the live path (`N.none`: it is removed, and the live path stays empty).
//!
//! N without A: begin with 2. N and A: go on with 3. A without N: done. Neither: not begun. The folder is synced after each.

use super::work::{At, Pulse};
use super::{Copy, Place, State, ending, look, remove, sync_folder};
use crate::model::VerbError;
use std::fs;
use std::path::Path;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    NotBegun,
    /// What comes into place is whole; [`finish`] does the rest.
    Ready,
    Done,
}

pub fn progress(aside: &Copy) -> Result<Progress, VerbError> {
    Ok(match (aside.new().state()?, aside.state()?) {
        (State::Missing, State::Missing) => Progress::NotBegun,
        (State::Missing, _) => Progress::Done,
        _ => Progress::Ready,
    })
}

/// Whether a crash left the live path between steps 2 and 3 of some restore.
pub fn is_between(place: &Place) -> Result<bool, VerbError> {
    let Some(name) = place.live.file_name() else { return Ok(false) };
    if look(&place.live)?.is_some() || look(place.folder())?.is_none() {
        return Ok(false);
    }
    let prefix = [name.as_encoded_bytes(), b".upgraded-"].concat();
    for entry in fs::read_dir(place.folder()).at("reading", place.folder())? {
        let name = entry.at("reading", place.folder())?.file_name();
        let name = name.as_encoded_bytes();
        if name.starts_with(&prefix) && (name.ends_with(b".new") || name.ends_with(b".new.none")) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Step 1, for what lies at `from`, whole and synced.
pub fn publish(from: &Path, to: &Path, pulse: &Pulse) -> Result<(), VerbError> {
    pulse.alive()?;
    fs::rename(from, to).at("publishing", to)?;
    sync_folder(to.parent().unwrap_or(Path::new("/")))
}

/// Steps 2 and 3; once begun, a cancellation waits for their end. `companions`: endings of files that belong to the live one and mean nothing without it, for example a
/// write-ahead log.
pub fn finish(place: &Place, aside: &Copy, companions: &[&str], pulse: &Pulse) -> Result<(), VerbError> {
    if progress(aside)? != Progress::Ready {
        return Ok(());
    }
    if aside.state()? == State::Missing {
        pulse.alive()?;
        set_aside(place, aside, companions, pulse)?;
    }
    put_in_place(place, aside, companions, pulse)
}

fn set_aside(place: &Place, aside: &Copy, companions: &[&str], pulse: &Pulse) -> Result<(), VerbError> {
    move_companions(place, aside, companions, pulse)?;
    pulse.cut()?;
    if look(&place.live)?.is_some() {
        fs::rename(&place.live, &aside.path).at("setting aside", &place.live)?;
    } else {
        fs::write(aside.none(), b"").at("writing", &aside.none())?;
    }
    sync_folder(place.folder())
}

fn put_in_place(place: &Place, aside: &Copy, companions: &[&str], pulse: &Pulse) -> Result<(), VerbError> {
    if look(&place.live)?.is_some() {
        return Err(VerbError::Conflict(format!(
            "`{}` was made by somebody else while data was being put back; move it away",
            place.live.display()
        )));
    }
    // A stray log must not be applied to what comes.
    move_companions(place, aside, companions, pulse)?;
    pulse.cut()?;
    let new = aside.new();
    match new.state()? {
        State::Whole => fs::rename(&new.path, &place.live).at("putting in place", &place.live)?,
        State::Nothing => remove(&new.none())?,
        State::Missing => {}
    }
    sync_folder(place.folder())
}

fn move_companions(place: &Place, aside: &Copy, companions: &[&str], pulse: &Pulse) -> Result<(), VerbError> {
    for companion in companions {
        let (from, to) = (ending(&place.live, companion), ending(&aside.path, companion));
        if look(&from)?.is_none() {
            continue;
        }
        pulse.cut()?;
        if look(&to)?.is_some() {
            return Err(VerbError::Conflict(format!(
                "`{}` was made by somebody else while data was being put back; move it away",
                from.display()
            )));
        }
        fs::rename(&from, &to).at("setting aside", &from)?;
        sync_folder(place.folder())?;
    }
    Ok(())
}

/// Drops the copy that a step made. Renamed first: half a copy must not be taken for a whole one.
pub fn discard(copy: &Copy, companions: &[&str], pulse: &Pulse) -> Result<(), VerbError> {
    let folder = copy.path.parent().unwrap_or(Path::new("/"));
    if look(folder)?.is_none() {
        return Ok(());
    }
    if progress(copy)? == Progress::Ready && copy.state()? != State::Missing {
        let path = copy.path.display();
        return Err(VerbError::Conflict(format!(
            "`{path}` is what a restore set aside that is not finished; repeat the restore"
        )));
    }
    if look(&copy.path)?.is_some() {
        remove(&copy.part())?;
        pulse.alive()?;
        fs::rename(&copy.path, copy.part()).at("discarding", &copy.path)?;
        sync_folder(folder)?;
    }
    let new = copy.new();
    for path in [copy.part(), copy.none(), copy.taken(), new.part(), new.none(), new.path] {
        pulse.alive()?;
        remove(&path)?;
    }
    for companion in companions {
        remove(&ending(&copy.path, companion))?;
    }
    sync_folder(folder)
}
