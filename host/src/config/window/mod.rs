//! When downtime may happen: `Sat 02:00-06:00 Europe/Berlin`.
//!
//! Parsing is here, the arithmetic in [`spans`]. Pure: the clock is an argument.

mod parse;
mod spans;

pub use parse::WindowError;
pub use spans::{Span, Windows};

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use std::fmt;

/// One weekly span in a time zone: it is open while the zone's wall clock reads a time in it. So a span that daylight
/// saving skips doesn't open that day, and one that it repeats opens twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    pub text: String,
    /// By days from Monday: the days on which it begins.
    days: [bool; 7],
    /// Minutes from midnight.
    start: u16,
    /// Minutes from midnight of the day on which it begins: more than `start`, and more than 24 h where it crosses
    /// midnight.
    end: u16,
    zone: TimeZone,
}

impl Window {
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    fn begins_on(&self, day: Weekday) -> bool {
        self.days[day.to_monday_zero_offset() as usize]
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
