//! What lines of a log mean: patterns that a plugin names, matched in linear time.

use crate::activity::{Activity, Level};
use crate::model::VerbError;
use regex::{Regex, RegexBuilder};

/// Patterns come from plugins: a large one must not fill the daemon's memory.
const COMPILED_BYTES: usize = 1 << 20;

pub fn compile(pattern: &str) -> Result<Regex, VerbError> {
    RegexBuilder::new(pattern)
        .size_limit(COMPILED_BYTES)
        .build()
        .map_err(|error| VerbError::Invalid(format!("the pattern `{pattern}` is wrong: {error}")))
}

/// An absent or empty pattern fits nothing.
pub fn compile_optional(pattern: Option<&str>) -> Result<Option<Regex>, VerbError> {
    pattern.filter(|pattern| !pattern.is_empty()).map(compile).transpose()
}

/// Shows the line, as progress too where `progress` fits with its groups `done`, `total` and `message`.
pub fn show(activity: &Activity, progress: Option<&Regex>, line: &str) {
    activity.line(Level::Info, line);
    let Some(found) = progress.and_then(|progress| progress.captures(line)) else { return };
    let group = |name| found.name(name).map(|text| text.as_str());
    let number = |name| group(name).and_then(|text| text.replace([',', '_'], "").parse().ok());
    activity.progress(number("done").unwrap_or(0), number("total"), "", group("message").unwrap_or(line));
}
