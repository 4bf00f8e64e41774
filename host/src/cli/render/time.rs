//! Times in the reader's zone, and how long ago; durations as one says them.

use crate::cli::Terminal;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The reader's clock.
pub struct Clock {
    pub now: Timestamp,
    pub zone: TimeZone,
}

impl From<&Terminal> for Clock {
    fn from(terminal: &Terminal) -> Self {
        Self { now: terminal.now(), zone: terminal.zone.clone() }
    }
}

impl Clock {
    /// `2026-11-21 10:12 (3 min ago)`
    pub fn moment(&self, at: Timestamp) -> String {
        format!("{} ({})", self.date(at), self.relative(at))
    }

    /// `2026-11-21 10:12`, in the reader's zone.
    pub fn date(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// `10:12:07`, in the reader's zone.
    pub fn time_of_day(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%H:%M:%S").to_string()
    }

    /// `3 min ago`, `in 2 h`
    pub fn relative(&self, at: Timestamp) -> String {
        let seconds = self.now.as_second() - at.as_second();
        match seconds {
            -4..=4 => "now".into(),
            5.. => format!("{} ago", roughly(seconds.unsigned_abs())),
            _ => format!("in {}", roughly(seconds.unsigned_abs())),
        }
    }
}

/// One unit is enough to place it.
fn roughly(seconds: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match seconds {
        0..MINUTE => format!("{seconds} s"),
        MINUTE..HOUR => format!("{} min", seconds / MINUTE),
        HOUR..DAY => format!("{} h", seconds / HOUR),
        _ => format!("{} d", seconds / DAY),
    }
}

/// `0.4 s`, `45 s`, `3 min 20 s`, `2 h 05 min`, `3 d 4 h`
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "?".into();
    }
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => match (whole / 60, whole % 60) {
            (minutes, 0) => format!("{minutes} min"),
            (minutes, seconds) => format!("{minutes} min {seconds} s"),
        },
        3600..86400 => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86400, whole % 86400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_one_says_them() {
        let said: Vec<_> = [0.0, 0.44, 9.94, 9.96, 59.4, 59.6, 200.0, 3600.0, 7500.0, 273_600.0].map(duration).into();
        let wanted =
            ["0.0 s", "0.4 s", "9.9 s", "10 s", "59 s", "1 min", "3 min 20 s", "1 h 00 min", "2 h 05 min", "3 d 4 h"];
        assert_eq!(said, wanted);
        assert_eq!(duration(f64::NAN), "?");
    }

    #[test]
    fn moments_are_local_and_relative() {
        let clock = Clock {
            now: "2026-11-21T10:15:00Z".parse().expect("a time"),
            zone: TimeZone::get("Europe/Berlin").expect("a zone"),
        };
        let moment = |text: &str| clock.moment(text.parse().expect("a time"));
        assert_eq!(moment("2026-11-21T10:12:00Z"), "2026-11-21 11:12 (3 min ago)");
        assert_eq!(moment("2026-11-21T10:15:02Z"), "2026-11-21 11:15 (now)");
        assert_eq!(moment("2026-11-22T01:00:00Z"), "2026-11-22 02:00 (in 14 h)");
    }
}
