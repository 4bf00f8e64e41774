//! Versions as vendors write them: `1.4.0`, `v1.4`, `2025.04.1`, `1.4.0-rc.2`, `16.2.0+ee`.

use semver::{BuildMetadata, Prerelease};
use std::cmp::Ordering;

/// Compared as semver compares, missing numbers being 0. Equal where nothing but spelling differs.
#[derive(Debug, Clone)]
pub struct Version {
    numbers: Vec<u64>,
    prerelease: Prerelease,
    build: BuildMetadata,
}

impl Version {
    /// None: no version, for example a commit.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
        let (text, build) = text.split_once('+').unwrap_or((text, ""));
        let (numbers, prerelease) = text.split_once('-').unwrap_or((text, ""));
        if !numbers.contains('.') {
            return None;
        }
        let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let numbers = numbers
            .split('.')
            .map(|part| all_digits(part).then(|| part.parse().ok()).flatten())
            .collect::<Option<Vec<u64>>>()?;
        let (prerelease, build) = (Prerelease::new(prerelease).ok()?, BuildMetadata::new(build).ok()?);
        Some(Self { numbers, prerelease, build })
    }

    pub fn major(&self) -> u64 {
        self.number(0)
    }
    /// Major and minor.
    pub fn minor(&self) -> (u64, u64) {
        (self.number(0), self.number(1))
    }
    pub fn is_prerelease(&self) -> bool {
        !self.prerelease.is_empty()
    }
    fn number(&self, index: usize) -> u64 {
        self.numbers.get(index).copied().unwrap_or_default()
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let longest = self.numbers.len().max(other.numbers.len());
        (0..longest)
            .map(|index| self.number(index).cmp(&other.number(index)))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| self.prerelease.cmp(&other.prerelease).then_with(|| self.build.cmp(&other.build)))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_order_that_people_expect() {
        let written =
            ["0.9", "1.0.0-alpha", "1.0.0-rc.2", "1.0.0-rc.11", "1.0", "1.0.1", "1.2.0", "1.10.0", "2025.04.1"];
        let versions: Vec<Version> = written.iter().map(|text| Version::parse(text).unwrap()).collect();
        assert!(versions.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(Version::parse("v1.4"), Version::parse("1.4.0"));
    }

    #[test]
    fn a_commit_or_a_word_is_no_version() {
        for text in
            ["", "main", "1a2b3c4", "1234567", "1..2", "1.x", "v", "1.2.", "-1.2", "1.2.99999999999999999999999"]
        {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
