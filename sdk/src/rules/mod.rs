//! Which releases a path goes through, and which it refuses. Pure: a plugin hands in what it knows of the releases.
//!
//! ```
//! use upgraded_sdk::rules::{Known, Rules};
//!
//! let known = ["1.2.0", "1.3.0", "1.4.0", "1.4.1"].map(Known::new);
//! let legs = Rules::default().minors_one_at_a_time().path(&known, "1.2.0", "1.4.1").unwrap();
//! assert_eq!(legs.iter().map(|leg| leg.target.as_str()).collect::<Vec<_>>(), ["1.3.0", "1.4.1"]);
//!
//! let refusal = Rules::default().path(&known, "1.4.0", "1.3.0").unwrap_err();
//! assert!(refusal.text().contains("downgrade"), "{}", refusal.text());
//! ```

mod version;

pub use version::Version;

use crate::{Error, Release, Result, nearest};

/// A release as the rules see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub version: String,
    /// Every path from below to above it stops here.
    pub stop: bool,
    /// A hop to it is breaking, and ends at it.
    pub breaking: bool,
}

impl Known {
    pub fn new(version: impl Into<String>) -> Self {
        Self { version: version.into(), stop: false, breaking: false }
    }
    pub fn stop(mut self) -> Self {
        self.stop = true;
        self
    }
    pub fn breaking(mut self) -> Self {
        self.breaking = true;
        self
    }
}

impl From<&Release> for Known {
    fn from(release: &Release) -> Self {
        Self { version: release.version.clone(), stop: false, breaking: release.breaking }
    }
}

/// What a path may skip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Minors {
    /// Straight to the wanted one.
    #[default]
    Direct,
    /// Through the newest known release of every minor in between; one that is missing is a gap.
    OneAtATime,
    /// Through every known release in between.
    EveryRelease,
}

/// Whether a path may cross into another major version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Majors {
    /// Only where the operator said so.
    #[default]
    Refuse,
    /// As a breaking hop.
    Breaking,
    /// Like any other.
    Direct,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rules {
    pub minors: Minors,
    pub majors: Majors,
}

/// One hop of a path: from one release to another, and every known release that comes with it, the target included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leg {
    pub source: String,
    pub target: String,
    pub breaking: bool,
    pub passes: Vec<String>,
}

impl Rules {
    pub fn minors_one_at_a_time(self) -> Self {
        Self { minors: Minors::OneAtATime, ..self }
    }
    /// With `allowed`, a new major version is a breaking hop; without, it is refused.
    pub fn majors(self, allowed: bool) -> Self {
        Self { majors: if allowed { Majors::Breaking } else { Majors::Refuse }, ..self }
    }

    /// The hops from what is installed to what is wanted; none where they are the same. A refusal is `invalid` and names
    /// the rule and the way out.
    pub fn path(&self, known: &[Known], installed: &str, wanted: &str) -> Result<Vec<Leg>> {
        if installed == wanted {
            return Ok(Vec::new());
        }
        let ladder = Ladder::new(known)?;
        let to = ladder.find(wanted).ok_or_else(|| ladder.unknown(wanted))?;
        let from = Version::parse(installed).ok_or_else(|| ladder.unplaced(installed))?;
        if to.version < from {
            return Err(downgrade(installed, wanted));
        }
        if ladder.find(installed).is_none() {
            return Err(ladder.unplaced(installed));
        }
        if self.majors == Majors::Refuse && to.version.major() != from.major() {
            return Err(Error::invalid(format!(
                "`{wanted}` is another major version than `{installed}`, and that is refused unless the deployment's \
                 settings allow it"
            )));
        }
        let between: Vec<&Rung> = ladder.0.iter().filter(|r| r.version > from && r.version < to.version).collect();
        let stops = self.stops(&between, &from, to)?;
        Ok(self.legs(&between, installed, &from, &stops, to))
    }

    /// The releases in between that the path goes through, in order.
    fn stops<'a>(&self, between: &[&'a Rung], from: &Version, to: &Rung) -> Result<Vec<&'a Rung>> {
        let minors = self.minors_between(between, from, to)?;
        Ok(between
            .iter()
            .filter(|rung| {
                let regular = !rung.version.is_prerelease();
                rung.known.stop
                    || rung.known.breaking
                    || (self.minors == Minors::EveryRelease && regular)
                    || minors.iter().any(|minor| std::ptr::eq(*minor, **rung))
            })
            .copied()
            .collect())
    }

    fn minors_between<'a>(&self, between: &[&'a Rung], from: &Version, to: &Rung) -> Result<Vec<&'a Rung>> {
        if self.minors != Minors::OneAtATime {
            return Ok(Vec::new());
        }
        let mut newest: Vec<&Rung> = Vec::new();
        for rung in between.iter().filter(|rung| !rung.version.is_prerelease()) {
            let minor = rung.version.minor();
            if minor == from.minor() || minor == to.version.minor() {
                continue;
            }
            match newest.last_mut() {
                Some(last) if last.version.minor() == minor => *last = rung,
                _ => newest.push(rung),
            }
        }
        let mut before = from.minor();
        for next in newest.iter().map(|rung| rung.version.minor()).chain([to.version.minor()]) {
            let follows = next == before || next == (before.0, before.1 + 1) || next == (before.0 + 1, 0);
            if !follows {
                return Err(Error::invalid(format!(
                    "minor versions are taken one at a time, and between `{}.{}` and `{}.{}` the releases have a gap: \
                     the one in between is not known",
                    before.0, before.1, next.0, next.1
                )));
            }
            before = next;
        }
        Ok(newest)
    }

    fn legs(&self, between: &[&Rung], installed: &str, from: &Version, stops: &[&Rung], to: &Rung) -> Vec<Leg> {
        let mut legs = Vec::new();
        let (mut source, mut lower) = (installed, from);
        for stop in stops.iter().copied().chain([to]) {
            let passes = between.iter().copied().chain([to]);
            let passes = passes.filter(|rung| rung.version > *lower && rung.version <= stop.version);
            let major = self.majors == Majors::Breaking && stop.version.major() != lower.major();
            legs.push(Leg {
                source: source.into(),
                target: stop.known.version.clone(),
                breaking: stop.known.breaking || major,
                passes: passes.map(|rung| rung.known.version.clone()).collect(),
            });
            (source, lower) = (&stop.known.version, &stop.version);
        }
        legs
    }
}

struct Rung {
    version: Version,
    known: Known,
}

/// The known releases, oldest first.
struct Ladder(Vec<Rung>);

impl Ladder {
    fn new(known: &[Known]) -> Result<Self> {
        let parse = |known: &Known| {
            let version = Version::parse(&known.version).ok_or_else(|| {
                Error::invalid(format!("`{}` among the known releases is no version like `1.4.0`", known.version))
            })?;
            Ok(Rung { version, known: known.clone() })
        };
        let mut rungs = known.iter().map(parse).collect::<Result<Vec<_>>>()?;
        rungs.sort_by(|a, b| a.version.cmp(&b.version));
        if let Some(twice) = rungs.windows(2).find(|pair| pair[0].version == pair[1].version) {
            let (a, b) = (&twice[0].known.version, &twice[1].known.version);
            return Err(Error::invalid(format!("`{a}` and `{b}` among the known releases are the same version")));
        }
        Ok(Self(rungs))
    }

    fn find(&self, version: &str) -> Option<&Rung> {
        self.0.iter().find(|rung| rung.known.version == version)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|rung| rung.known.version.as_str())
    }

    fn unknown(&self, wanted: &str) -> Error {
        let newest = self.0.last().map(|rung| rung.known.version.as_str());
        Error::invalid(match (nearest(wanted, self.names()), newest) {
            (Some(near), Some(newest)) if near != newest => {
                format!("there is no release `{wanted}`; the nearest is `{near}`, the newest `{newest}`")
            }
            (Some(near), _) => format!("there is no release `{wanted}`; the nearest is `{near}`"),
            (None, Some(newest)) => format!("there is no release `{wanted}`; the newest is `{newest}`"),
            (None, None) => format!("there is no release `{wanted}`: no release is known at all"),
        })
    }

    /// Without its place among the releases nothing says what lies between.
    fn unplaced(&self, installed: &str) -> Error {
        let oldest = self.names().next().map(|oldest| format!(", which begin with `{oldest}`")).unwrap_or_default();
        Error::invalid(format!(
            "`{installed}` is installed and not among the known releases{oldest}: the gap may hide a required stop; add \
             `{installed}` to them"
        ))
    }
}

fn downgrade(installed: &str, wanted: &str) -> Error {
    Error::invalid(format!(
        "`{wanted}` is older than `{installed}`, which is installed: a downgrade is refused, since the old release can't \
         read what the new one wrote; `upgradectl rollback` goes back with the data of before the upgrade"
    ))
}

#[cfg(test)]
mod tests;
