//! The hops from what is installed to what is wanted.

use crate::settings::{Majors, ReleaseEntry, Settings, Through, UndoEntry};
use crate::{acts, releases};
use upgraded_sdk::prelude::*;
use upgraded_sdk::rules::{self, Known, Leg, Minors, Rules, Version};
use upgraded_sdk::{Act, Requirement};

/// Of a commit's name by SHA-1 and SHA-256.
const FULL_DIGITS: [usize; 2] = [40, 64];

pub fn hops(call: &Call<Settings>, host: &ProductHost, installed: &str, wanted: &str) -> Result<Vec<Hop>> {
    let mut entries = releases::entries(&call.settings, host)?;
    if releases::are_nowhere(&call.settings, host) {
        let named = |version: &str| ReleaseEntry { version: version.into(), ..ReleaseEntry::default() };
        entries = if installed == wanted { vec![named(wanted)] } else { vec![named(installed), named(wanted)] };
    }
    let unplaced = [installed, wanted]
        .into_iter()
        .find(|version| is_commit(version) && !entries.iter().any(|entry| entry.version == **version));
    match unplaced {
        Some(_) if installed == wanted => Ok(Vec::new()),
        Some(commit) => {
            in_full(host, installed, wanted)?;
            unordered(call, installed, wanted, commit)
        }
        None => {
            let known: Vec<Known> = entries.iter().map(ReleaseEntry::known).collect();
            let legs = rules(&call.settings).path(&known, installed, wanted)?;
            legs.iter().map(|leg| hop(call, leg, &entries)).collect()
        }
    }
}

/// What is found afterwards has all its digits, and would never be what the file says.
fn in_full(host: &ProductHost, installed: &str, wanted: &str) -> Result<()> {
    if !is_commit(wanted) || FULL_DIGITS.contains(&wanted.len()) {
        return Ok(());
    }
    let commit = match installed.starts_with(wanted) {
        true => installed.to_owned(),
        false => match host.checkout().fetch(wanted) {
            Err(error @ (Error::Unavailable(_) | Error::Timeout | Error::Cancelled)) => return Err(error),
            // Without a repository nobody knows more digits.
            Err(_) => return Ok(()),
            Ok(commit) => commit,
        },
    };
    let is_tag = !commit.starts_with(wanted);
    match is_tag || commit == wanted {
        true => Ok(()),
        false => Err(Error::invalid(format!("`{wanted}` may name another commit one day: write `{commit}`"))),
    }
}

fn rules(settings: &Settings) -> Rules {
    Rules {
        minors: match settings.through {
            Through::Stops => Minors::Direct,
            Through::Minors => Minors::OneAtATime,
            Through::EveryRelease => Minors::EveryRelease,
        },
        majors: match settings.majors {
            Majors::Breaking => rules::Majors::Breaking,
            Majors::Direct => rules::Majors::Direct,
            Majors::Refuse => rules::Majors::Refuse,
        },
    }
}

/// A hop whose direction nobody knows: it may be a step back, so only a restore of the data undoes it.
fn unordered(call: &Call<Settings>, installed: &str, wanted: &str, commit: &str) -> Result<Vec<Hop>> {
    if !call.settings.allow_unordered {
        return Err(Error::invalid(format!(
            "`{commit}` is a commit, and nothing says whether it is older or newer than the other end of the path: name \
             a release, or say `allow-unordered = true` under `[settings]`"
        )));
    }
    let note = format!("`{commit}` is a commit whose place among the releases is unknown: the way back is a restore");
    let bare = Hop::new(installed, wanted).undo(Undo::RestoreData).note(note);
    Ok(vec![with_acts(call, bare, None)?])
}

fn hop(call: &Call<Settings>, leg: &Leg, entries: &[ReleaseEntry]) -> Result<Hop> {
    let passed: Vec<&ReleaseEntry> =
        leg.passes.iter().filter_map(|version| entries.iter().find(|entry| entry.version == *version)).collect();
    let target = passed.last().ok_or_else(|| Error::invalid(format!("there is no release `{}`", leg.target)))?;
    let bare = Hop {
        breaking: leg.breaking,
        undo: undo(call, &passed)?,
        expand_only: passed.iter().all(|entry| entry.expand_only),
        rest: target.rest,
        requires: requires(&passed),
        expected_seconds: target.expected_seconds,
        notes: notes(&passed),
        ..Hop::new(&leg.source, &leg.target)
    };
    with_acts(call, bare, target.acts.as_deref())
}

/// Where everything rolls, nobody is stopped and the gate stays open.
fn with_acts(call: &Call<Settings>, hop: Hop, own: Option<&[crate::settings::ActEntry]>) -> Result<Hop> {
    let acts = acts::acts(call, own, &hop.target)?;
    let rolls = |act: &Act| matches!(act, Act::Wave(wave) if wave.rolling);
    if acts.iter().any(rolls) && acts.iter().all(|act| rolls(act) || matches!(act, Act::Command(_))) {
        return Ok(Hop { acts, ..hop });
    }
    let (quiesce, gate) = (acts::behind_the_gate(call)?, call.services(&call.settings.gate)?);
    Ok(Hop { acts, ..hop }.quiesce(quiesce).gate(gate))
}

/// The ways back that every release of the hop allows, in the order of the last one.
fn undo(call: &Call<Settings>, passed: &[&ReleaseEntry]) -> Result<Vec<Undo>> {
    let of = |entry: &ReleaseEntry| -> Vec<UndoEntry> {
        let named = entry.undo.clone().unwrap_or_else(|| call.settings.undo.clone());
        if named.is_empty() { vec![UndoEntry::RestoreData] } else { named }
    };
    let last = passed.last().map(|entry| of(entry)).unwrap_or_default();
    let allowed = last.iter().filter(|undo| passed.iter().all(|entry| of(entry).contains(undo)));
    let allowed = allowed.map(|entry| acts::undo(call, entry)).collect::<Result<Vec<_>>>()?;
    Ok(if allowed.is_empty() { vec![Undo::RestoreData] } else { allowed })
}

fn requires(passed: &[&ReleaseEntry]) -> Vec<Requirement> {
    let mut all: Vec<Requirement> = Vec::new();
    for (component, range) in passed.iter().flat_map(|entry| &entry.requires) {
        let requirement = Requirement { component: component.clone(), range: range.clone() };
        if !all.contains(&requirement) {
            all.push(requirement);
        }
    }
    all
}

/// A line each, those of breaking releases first; with the release's name where there are several.
fn notes(passed: &[&ReleaseEntry]) -> Vec<String> {
    let lines = |entry: &ReleaseEntry| -> Vec<String> {
        let lines = entry.notes.iter().flat_map(|note| note.lines()).map(str::trim_end).filter(|line| !line.is_empty());
        lines
            .map(|line| if passed.len() > 1 { format!("{}: {line}", entry.version) } else { line.to_owned() })
            .collect()
    };
    let of = |breaking: bool| passed.iter().filter(move |entry| entry.breaking == breaking);
    of(true).chain(of(false)).flat_map(|entry| lines(entry)).collect()
}

/// A full or short SHA, and no version.
pub fn is_commit(text: &str) -> bool {
    (7..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        && Version::parse(text).is_none()
}
