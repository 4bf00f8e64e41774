//! Putting a frozen copy in place; `sqlite` does it the same way.

use super::copy::{Means, copy_tree};
use super::{COMPANIONS, missing, publish_nothing};
use crate::driver::beside::work::Pulse;
use crate::driver::beside::{Copy, Place, State, flip, put_file, remove};
use crate::model::VerbError;
use serde::{Deserialize, Serialize};

/// Who put a copy in place that could not be kept, and the mark of what it was.
#[derive(Serialize, Deserialize)]
pub struct Taken {
    pub by: String,
    pub mark: String,
}

pub fn swap(place: &Place, from: &str, step: &str, pulse: &Pulse) -> Result<(), VerbError> {
    let (source, aside) = (place.frozen(from)?, place.frozen(step)?);
    if from == step {
        return Err(VerbError::Invalid(format!("`{step}` can't put its own copy in place")));
    }
    if flip::progress(&aside)? == flip::Progress::NotBegun {
        match source.state()? {
            State::Whole => bring(&source, &aside, step, pulse)?,
            State::Nothing => publish_nothing(&aside.new())?,
            State::Missing if is_live(place, &source, from, &mut || super::manifest::mark(&place.live, pulse))? => {
                return Ok(());
            }
            State::Missing => return Err(missing(place, from)),
        }
    }
    flip::finish(place, &aside, COMPANIONS, pulse)
}

fn bring(source: &Copy, aside: &Copy, step: &str, pulse: &Pulse) -> Result<(), VerbError> {
    let part = aside.new().part();
    remove(&part)?;
    if copy_tree(&source.path, &part, Means::Sharing, pulse)? {
        return flip::publish(&part, &aside.new().path, pulse);
    }
    move_whole(source, aside, step, super::manifest::mark(&source.path, pulse)?, pulse)
}

/// Notes who takes the copy, then moves it.
pub fn move_whole(source: &Copy, aside: &Copy, step: &str, mark: String, pulse: &Pulse) -> Result<(), VerbError> {
    let note = Taken { by: step.into(), mark };
    let note = serde_json::to_vec(&note).map_err(|error| VerbError::other("io", error.to_string()))?;
    pulse.alive()?;
    put_file(&source.taken(), &note)?;
    flip::publish(&source.path, &aside.new().path, pulse)
}

/// Whether the copy went live through another step and nothing was written since. Where something was, only the vault has
/// the bytes any more.
pub fn is_live(
    place: &Place, source: &Copy, from: &str, mark: &mut dyn FnMut() -> Result<String, VerbError>,
) -> Result<bool, VerbError> {
    let Ok(note) = std::fs::read(source.taken()) else { return Ok(false) };
    let Ok(taken) = serde_json::from_slice::<Taken>(&note) else { return Ok(false) };
    if mark()? == taken.mark {
        return Ok(true);
    }
    Err(VerbError::NotFound(format!(
        "the copy of `{}` that `{from}` made was put in place by `{}`, and written to since: restore the backup",
        place.live.display(),
        taken.by
    )))
}
