//! A figure: what was measured, what it is held against, what was to be reached, and what came out. Pure.

use std::collections::BTreeMap;

/// Seconds, MiB or requests of every repetition, by the part that was measured.
#[derive(Default)]
pub struct Samples(BTreeMap<String, Vec<f64>>);

impl Samples {
    pub fn add(&mut self, part: &str, value: f64) {
        self.0.entry(part.to_owned()).or_default().push(value);
    }
    pub fn of(&self, part: &str) -> &[f64] {
        self.0.get(part).map(Vec::as_slice).unwrap_or_default()
    }
    /// None where nothing was measured.
    pub fn median(&self, part: &str) -> Option<f64> {
        quantile(self.of(part), 0.5)
    }
}

/// The smallest value that is not exceeded by that share of all.
pub fn quantile(values: &[f64], share: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[derive(Clone, Copy, PartialEq)]
pub enum Unit {
    Seconds,
    Mebibytes,
    Requests,
}

/// What the ratio of ours to the baseline is to be.
#[derive(Clone, Copy)]
pub enum Target {
    /// Ours is at most so many times the baseline.
    AtMost(f64),
    /// Ours is so many times as fast as the baseline, or faster.
    Faster(f64),
    /// Shown for what it is.
    Shown,
}

pub struct Figure {
    pub group: &'static str,
    pub what: String,
    pub ours: f64,
    /// Its name, and what it came to.
    pub baseline: (String, f64),
    pub unit: Unit,
    pub target: Target,
    /// How often each of the two was measured.
    pub times: usize,
}

impl Figure {
    /// Read as the target says it: how many times the baseline, or how many times as fast.
    pub fn ratio(&self) -> f64 {
        match self.target {
            Target::Faster(_) => self.baseline.1 / self.ours,
            Target::AtMost(_) | Target::Shown => self.ours / self.baseline.1,
        }
    }

    /// None where there was nothing to reach.
    pub fn reached(&self) -> Option<bool> {
        match self.target {
            Target::AtMost(most) => Some(self.ratio() <= most),
            Target::Faster(least) => Some(self.ratio() >= least),
            Target::Shown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(ours: f64, baseline: f64, target: Target) -> Figure {
        let baseline = ("b".to_owned(), baseline);
        Figure { group: "g", what: "w".into(), ours, baseline, unit: Unit::Seconds, target, times: 1 }
    }

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!((quantile(&hundred, 0.5), quantile(&hundred, 0.99)), (Some(50.0), Some(99.0)));
        assert_eq!((quantile(&[3.0], 0.99), quantile(&[], 0.5)), (Some(3.0), None));
        let mut samples = Samples::default();
        [9.0, 1.0, 2.0].iter().for_each(|value| samples.add("a", *value));
        assert_eq!((samples.median("a"), samples.median("b")), (Some(2.0), None));
    }

    #[test]
    fn a_ratio_is_read_as_its_target_says_it() {
        let slower = figure(3.0, 2.0, Target::AtMost(1.5));
        assert_eq!((slower.ratio(), slower.reached()), (1.5, Some(true)));
        let faster = figure(2.0, 5.0, Target::Faster(3.0));
        assert_eq!((faster.ratio(), faster.reached()), (2.5, Some(false)));
        assert_eq!(figure(2.0, 1.0, Target::Shown).reached(), None);
    }
}
