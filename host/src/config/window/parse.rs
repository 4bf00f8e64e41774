//! A window as people write it: days, times, zone.

use super::Window;
use crate::config::diagnostic::nearest;
use jiff::tz::TimeZone;
use std::str::FromStr;

const DAY_MINUTES: u16 = 24 * 60;
const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowError {
    #[error("a window is days, times and a time zone, for example `Sat 02:00-06:00 Europe/Berlin`")]
    Form,
    #[error(
        "`{0}` is no day; there are `Mon`, `Tue`, `Wed`, `Thu`, `Fri`, `Sat`, `Sun`, `Mon-Fri`, `Sat,Sun` and `daily`"
    )]
    Day(String),
    #[error("`{0}` is no span of time; write it like `22:00-04:00`")]
    Times(String),
    #[error("`{0}` is empty; the whole day is `00:00-24:00`")]
    Empty(String),
    #[error("`{zone}` is no time zone{}", .nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    Zone { zone: String, nearest: Option<String> },
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let [days @ .., times, zone] = words.as_slice() else { return Err(WindowError::Form) };
        if days.is_empty() {
            return Err(WindowError::Form);
        }
        // `Sat, Sun 02:00-06:00 UTC` is days in two words.
        let days = parse_days(&days.concat())?;
        let (start, end) = parse_times(times)?;
        Ok(Self { text: words.join(" "), days, start, end, zone: parse_zone(zone)? })
    }
}

fn parse_days(text: &str) -> Result<[bool; 7], WindowError> {
    let mut days = [false; 7];
    if text.eq_ignore_ascii_case("daily") {
        return Ok([true; 7]);
    }
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let day_of = |text| parse_day(text).ok_or_else(|| WindowError::Day(part.to_owned()));
        let (mut day, last) = (day_of(first)?, day_of(last)?);
        days[day] = true;
        while day != last {
            day = (day + 1) % 7;
            days[day] = true;
        }
    }
    Ok(days)
}

fn parse_day(text: &str) -> Option<usize> {
    let lower = text.to_ascii_lowercase();
    DAYS.iter().position(|day| *day == lower || day[..3] == lower)
}

/// Minutes from midnight; the end is past the start.
fn parse_times(text: &str) -> Result<(u16, u16), WindowError> {
    let malformed = || WindowError::Times(text.to_owned());
    let (start, end) = text.split_once('-').ok_or_else(malformed)?;
    let start = parse_time(start).filter(|start| *start < DAY_MINUTES).ok_or_else(malformed)?;
    let end = parse_time(end).ok_or_else(malformed)?;
    match start {
        _ if start == end => Err(WindowError::Empty(text.to_owned())),
        _ if end < start => Ok((start, end + DAY_MINUTES)),
        _ => Ok((start, end)),
    }
}

fn parse_time(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u16>().ok())?;
    if hours.is_empty() || hours.len() > 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (minutes < 60 && (hours < 24 || (hours == 24 && minutes == 0))).then_some(hours * 60 + minutes)
}

fn parse_zone(text: &str) -> Result<TimeZone, WindowError> {
    TimeZone::get(text).map_err(|_| {
        let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        let by_city =
            || names.iter().find(|name| name.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(text)));
        let nearest = nearest(text, names.iter().map(String::as_str)).or_else(|| by_city().map(String::as_str));
        WindowError::Zone { zone: text.to_owned(), nearest: nearest.map(str::to_owned) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(text: &str) -> String {
        let window: Window = text.parse().unwrap();
        DAYS.iter().zip(window.days).filter(|(_, on)| *on).map(|(day, _)| format!("{} ", &day[..2])).collect()
    }

    #[test]
    fn days_as_people_write_them() {
        assert_eq!(days("Sat 02:00-06:00 Europe/Berlin"), "sa ");
        assert_eq!(days("Mon-Fri 22:00-04:00 UTC"), "mo tu we th fr ");
        assert_eq!(days("fri-mon 22:00-04:00 UTC"), "mo fr sa su ");
        assert_eq!(days("Sat,Sun 22:00-04:00 UTC"), "sa su ");
        assert_eq!(days("Saturday, Sunday 22:00-04:00 UTC"), "sa su ");
        assert_eq!(days("daily 1:00-3:00 America/New_York"), "mo tu we th fr sa su ");
    }

    #[test]
    fn times() {
        assert_eq!(parse_times("02:00-06:00"), Ok((120, 360)));
        assert_eq!(parse_times("22:00-04:00"), Ok((1320, 1680)));
        assert_eq!(parse_times("00:00-24:00"), Ok((0, 1440)));
        for text in ["2-6", "02:00", "24:00-06:00", "02:60-03:00", "25:00-26:00", "02:0-03:00", "+2:00-03:00", "-"] {
            assert_eq!(parse_times(text), Err(WindowError::Times(text.into())), "{text}");
        }
        assert_eq!(parse_times("02:00-02:00"), Err(WindowError::Empty("02:00-02:00".into())));
    }

    #[test]
    fn what_does_not_parse_says_why() {
        let mistakes = [
            "",
            "Sat",
            "Sat 02:00-06:00",
            "02:00-06:00 UTC",
            "Sab 02:00-06:00 UTC",
            "Sat 2am-6am UTC",
            "Sat 02:00-02:00 UTC",
            "Sat 02:00-06:00 Europe/Berln",
            "Sat 02:00-06:00 berlin",
            "Sat 02:00-06:00 CETX",
            "Mon- 02:00-06:00 UTC",
        ];
        let said = mistakes.map(|text| format!("{text:?}: {}", text.parse::<Window>().unwrap_err()));
        insta::assert_snapshot!(said.join("\n"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[A-Za-z0-9:, /-]{0,40}") {
            let _ = text.parse::<Window>();
        }
    }
}
