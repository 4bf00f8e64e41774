//! Windows against the calendar: midnight, daylight saving, several at once.

use super::*;
use jiff::civil::datetime;
use jiff::tz::TimeZone;
use proptest::prelude::*;

fn windows(texts: &[&str]) -> Vec<Window> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

#[test]
fn none_is_any_time() {
    let now = at("2025-03-01T00:00:00Z");
    let any = Windows(&[]);
    assert!(any.is_open(now));
    assert_eq!(any.open_until(now), Some(Timestamp::MAX));
    assert_eq!(any.next_opening(now), Some(now));
    assert!(any.fits(now, hours(10_000)));
}

#[test]
fn a_weekly_window() {
    let list = windows(&["Sat 02:00-06:00 Europe/Berlin"]);
    let saturday = Windows(&list);
    let before = at("2025-01-17T12:00:00Z");
    let opens = at("2025-01-18T01:00:00Z");
    let closes = at("2025-01-18T05:00:00Z");
    assert_eq!(saturday.open_until(before), None);
    assert_eq!(saturday.next_opening(before), Some(opens));
    assert_eq!(saturday.open_until(opens), Some(closes));
    assert!(saturday.fits(opens, hours(4)));
    assert!(!saturday.fits(opens + 1.nanosecond(), hours(4)));
    assert!(!saturday.is_open(closes), "the end is no part of it");
    assert_eq!(saturday.next_opening(closes), Some(at("2025-01-25T01:00:00Z")));
    assert_eq!(saturday.next_fit(before, hours(4)), Some(opens));
    assert_eq!(saturday.next_fit(before, hours(5)), None);
}

#[test]
fn across_midnight() {
    let list = windows(&["Fri 22:00-04:00 UTC"]);
    let night = Windows(&list);
    assert_eq!(night.open_until(at("2025-01-17T23:00:00Z")), Some(at("2025-01-18T04:00:00Z")));
    assert_eq!(night.open_until(at("2025-01-18T03:59:59Z")), Some(at("2025-01-18T04:00:00Z")));
    assert_eq!(night.open_until(at("2025-01-17T03:00:00Z")), None, "Friday's early morning is Thursday's night");
}

#[test]
fn windows_that_touch_are_one() {
    let list = windows(&["Sat 20:00-24:00 UTC", "Sun 00:00-06:00 UTC"]);
    let both = Windows(&list);
    assert!(both.fits(at("2025-01-18T20:00:00Z"), hours(10)));
    let list = windows(&["daily 00:00-24:00 Europe/Berlin"]);
    assert_eq!(Windows(&list).open_until(at("2025-01-18T20:00:00Z")), Some(Timestamp::MAX));
    let list = windows(&["Mon 00:00-24:00 UTC", "Tue-Sun 00:00-24:00 UTC"]);
    assert!(Windows(&list).fits(at("2025-01-18T20:00:00Z"), hours(100_000)));
}

#[test]
fn a_night_in_spring_is_an_hour_shorter() {
    let list = windows(&["Sun 01:00-06:00 Europe/Berlin"]);
    let now = Windows(&list).next_opening(at("2025-03-29T12:00:00Z")).unwrap();
    assert!(Windows(&list).fits(now, hours(4)));
    assert!(!Windows(&list).fits(now, hours(4) + Duration::from_nanos(1)));
}

#[test]
fn a_night_in_autumn_is_an_hour_longer() {
    let list = windows(&["Sun 01:00-06:00 Europe/Berlin"]);
    let now = Windows(&list).next_opening(at("2025-10-25T12:00:00Z")).unwrap();
    assert!(Windows(&list).fits(now, hours(6)));
    assert!(!Windows(&list).fits(now, hours(6) + Duration::from_nanos(1)));
}

#[test]
fn a_start_in_the_gap_opens_with_the_next_hour() {
    let list = windows(&["Sun 02:30-06:00 Europe/Berlin"]);
    assert_eq!(Windows(&list).next_opening(at("2025-03-29T12:00:00Z")), Some(at("2025-03-30T01:00:00Z")));
}

#[test]
fn what_the_clock_skips_does_not_open() {
    let list = windows(&["Sun 02:10-02:50 Europe/Berlin"]);
    assert_eq!(Windows(&list).next_opening(at("2025-03-29T12:00:00Z")), Some(at("2025-04-06T00:10:00Z")));
}

#[test]
fn what_the_clock_repeats_opens_twice() {
    let list = windows(&["Sun 02:10-02:50 Europe/Berlin"]);
    let twice = Windows(&list);
    assert_eq!(twice.open_until(at("2025-10-26T00:10:00Z")), Some(at("2025-10-26T00:50:00Z")));
    assert_eq!(twice.next_opening(at("2025-10-26T00:50:00Z")), Some(at("2025-10-26T01:10:00Z")));
    assert_eq!(twice.open_until(at("2025-10-26T01:10:00Z")), Some(at("2025-10-26T01:50:00Z")));
}

#[test]
fn a_day_that_a_zone_left_out() {
    // Samoa went from Thursday the 29th to Saturday the 31st.
    let list = windows(&["Fri 00:00-24:00 Pacific/Apia", "Thu 23:00-01:00 Pacific/Apia"]);
    let now = at("2011-12-29T12:00:00Z");
    assert_eq!(Windows(&list).next_opening(now), Some(at("2011-12-30T09:00:00Z")));
    // Its second half, Friday's first hour, is not there; a week later both are.
    assert_eq!(Windows(&list).open_until(at("2011-12-30T09:00:00Z")), Some(at("2011-12-30T10:00:00Z")));
    assert_eq!(Windows(&list).next_opening(at("2011-12-30T10:00:00Z")), Some(at("2012-01-05T09:00:00Z")));
}

const ZONES: [&str; 12] = [
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",
    "America/Santiago",
    "Asia/Beirut",
    "Africa/Casablanca",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Pacific/Chatham",
    "Asia/Kathmandu",
    "Antarctica/Troll",
    "UTC",
];
const NAMES: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// The window's meaning, said a second way: read the wall clock.
fn wall_clock_says_open(window: &Window, now: Timestamp) -> bool {
    let wall = window.zone.to_datetime(now);
    let second = i64::from(wall.hour()) * 3600 + i64::from(wall.minute()) * 60 + i64::from(wall.second());
    let (start, end) = (i64::from(window.start) * 60, i64::from(window.end) * 60);
    let yesterday = wall.date().yesterday().unwrap();
    (window.begins_on(wall.date().weekday()) && (start..end).contains(&second))
        || (window.begins_on(yesterday.weekday()) && (start..end).contains(&(second + 86_400)))
}

prop_compose! {
    fn any_window()(
        day in 0..7usize, last in 0..7usize, start in 0..1440u16, length in 1..1440u16, zone in 0..ZONES.len()
    ) -> Window {
        let end = (start + length) % 1440;
        let text = format!(
            "{}-{} {:02}:{:02}-{:02}:{:02} {}",
            NAMES[day], NAMES[last], start / 60, start % 60, end / 60, end % 60, ZONES[zone]
        );
        text.parse().unwrap()
    }
}

/// Instants near a change of the zone's clock, where the mistakes are, and anywhere else.
fn any_instant(zone: &TimeZone, seed: i64, near: bool, shift_s: i64) -> Timestamp {
    let anywhere = datetime(2024, 1, 1, 0, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp() + seed.seconds();
    match zone.following(anywhere).next() {
        Some(transition) if near => transition.timestamp() + shift_s.seconds(),
        _ => anywhere,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_instant_agrees_with_the_wall_clock(
        list in prop::collection::vec(any_window(), 1..4), seed in 0..300_000_000i64, near: bool, shift in -200_000..200_000i64
    ) {
        let now = any_instant(list[0].zone(), seed, near, shift);
        let windows = Windows(&list);
        let open_by_clock = |at: Timestamp| list.iter().any(|window| wall_clock_says_open(window, at));
        prop_assert_eq!(windows.is_open(now), open_by_clock(now));
        match windows.open_until(now) {
            Some(end) if end == Timestamp::MAX => prop_assert_eq!(windows.next_opening(now), Some(now)),
            Some(end) => {
                prop_assert_eq!(windows.next_opening(now), Some(now));
                prop_assert!(!open_by_clock(end), "closed at the end");
                prop_assert!(!windows.is_open(end));
                prop_assert!(open_by_clock(end - 1.second()));
                prop_assert_eq!(windows.open_until(end - 1.second()), Some(end), "the end stays the end");
                // No interruption between now and the end, at each minute and each transition.
                let mut instant = now;
                while instant < end && instant < now + 48.hours() {
                    prop_assert!(open_by_clock(instant));
                    instant += 7.minutes();
                }
                let room = Duration::try_from(end.duration_since(now)).unwrap();
                prop_assert!(windows.fits(now, room));
                prop_assert!(!windows.fits(now, room + Duration::from_nanos(1)));
            }
            None => {
                let next = windows.next_opening(now).unwrap();
                prop_assert!(next > now);
                prop_assert!(open_by_clock(next) && windows.is_open(next));
                prop_assert!(!open_by_clock(next - 1.second()));
                prop_assert_eq!(windows.next_opening(next), Some(next));
                let mut instant = now;
                while instant < next && instant < now + 48.hours() {
                    prop_assert!(!open_by_clock(instant));
                    prop_assert_eq!(windows.next_opening(instant), Some(next));
                    instant += 97.minutes();
                }
            }
        }
    }

    #[test]
    fn a_span_has_its_real_length(window in any_window(), seed in 0..300_000_000i64, shift in -200_000..200_000i64) {
        let now = any_instant(window.zone(), seed, true, shift);
        let list = [window];
        for span in Windows(&list).from(now).into_iter().take(4).filter(|span| span.end < Timestamp::MAX) {
            prop_assert!(wall_clock_says_open(&list[0], span.start) || span.start <= now);
            prop_assert!(!wall_clock_says_open(&list[0], span.end));
            prop_assert_eq!(SignedDuration::try_from(span.length()).unwrap(), span.end.duration_since(span.start));
            prop_assert!(span.length() > Duration::ZERO);
        }
    }
}
