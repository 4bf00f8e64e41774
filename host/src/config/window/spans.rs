//! When windows are open, as instants: across midnight, daylight saving and several windows.

use super::Window;
use jiff::civil::{Date, DateTime};
use jiff::{SignedDuration, Timestamp, ToSpan};
use std::time::Duration;

/// Long enough that a weekly window which daylight saving skips once or twice is still found.
const HORIZON_DAYS: i32 = 35;

/// A time without interruption in which downtime may happen; `end` is no part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub start: Timestamp,
    pub end: Timestamp,
}

impl Span {
    /// In real time, whatever the wall clock did.
    pub fn length(&self) -> Duration {
        Duration::try_from(self.end.duration_since(self.start)).unwrap_or_default()
    }
}

/// The windows of one policy together; none at all: at any time.
#[derive(Debug, Clone, Copy)]
pub struct Windows<'a>(pub &'a [Window]);

impl Windows<'_> {
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.open_until(now).is_some()
    }

    /// When the windows that are open now close: `None` where none is open, [`Timestamp::MAX`] where they never close.
    pub fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        if self.0.is_empty() {
            return Some(Timestamp::MAX);
        }
        self.from(now).into_iter().find(|span| span.start <= now).map(|span| span.end)
    }

    /// The first instant, now or later, at which one is open.
    pub fn next_opening(&self, now: Timestamp) -> Option<Timestamp> {
        if self.0.is_empty() {
            return Some(now);
        }
        self.from(now).first().map(|span| span.start.max(now))
    }

    /// Whether what takes `needed` is over before the windows that are open now close.
    pub fn fits(&self, now: Timestamp, needed: Duration) -> bool {
        self.open_until(now).is_some_and(|end| has_room(now, end, needed))
    }

    /// The first instant, now or later, from which [`Windows::fits`]; `None` where no window is long enough.
    pub fn next_fit(&self, now: Timestamp, needed: Duration) -> Option<Timestamp> {
        if self.0.is_empty() {
            return Some(now);
        }
        self.from(now)
            .into_iter()
            .map(|span| Span { start: span.start.max(now), end: span.end })
            .find(|span| has_room(span.start, span.end, needed))
            .map(|span| span.start)
    }

    /// Every span that ends after `now`, up to the horizon, joined and in order.
    fn from(&self, now: Timestamp) -> Vec<Span> {
        let horizon = now.saturating_add((i64::from(HORIZON_DAYS) * 24).hours()).unwrap_or(Timestamp::MAX);
        let mut spans: Vec<Span> = self.0.iter().flat_map(|window| spans(window, now, horizon)).collect();
        spans.sort_by_key(|span| span.start);
        let mut joined: Vec<Span> = Vec::new();
        for span in spans {
            match joined.last_mut() {
                Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
                _ => joined.push(span),
            }
        }
        joined.retain(|span| span.end > now);
        if let Some(last) = joined.last_mut()
            && last.start <= now
            && last.end >= horizon
        {
            last.end = Timestamp::MAX;
        }
        joined
    }
}

fn has_room(from: Timestamp, end: Timestamp, needed: Duration) -> bool {
    end == Timestamp::MAX || SignedDuration::try_from(needed).is_ok_and(|needed| end.duration_since(from) >= needed)
}

/// The instants within `from..horizon` at which the wall clock reads a time of the window. Between two transitions the
/// zone's offset is constant, so that there the span of the wall clock is a span of instants.
fn spans(window: &Window, from: Timestamp, horizon: Timestamp) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut piece_start =
        window.zone.preceding(from).next().map_or(Timestamp::MIN, |transition| transition.timestamp());
    let mut transitions = window.zone.following(from).map(|transition| transition.timestamp());
    let mut at = from;
    while piece_start < horizon {
        let piece_end = transitions.next().unwrap_or(Timestamp::MAX);
        let offset = window.zone.to_offset(at);
        let first = offset.to_datetime(at).date().saturating_sub(2.days());
        let last = offset.to_datetime(piece_end.min(horizon)).date();
        for day in days(first, last).filter(|day| window.begins_on(day.weekday())) {
            let instant = |minutes| offset.to_timestamp(wall_clock(day, minutes)).ok();
            let (Some(start), Some(end)) = (instant(window.start), instant(window.end)) else { continue };
            let span = Span { start: start.max(piece_start), end: end.min(piece_end) };
            // What begins past the horizon could follow a gap that another window fills there.
            if span.start < span.end && span.start < horizon {
                spans.push(span);
            }
        }
        (piece_start, at) = (piece_end, piece_end);
    }
    spans
}

fn days(first: Date, last: Date) -> impl Iterator<Item = Date> {
    std::iter::successors(Some(first), move |day| day.tomorrow().ok().filter(|next| *next <= last))
}

fn wall_clock(day: Date, minutes: u16) -> DateTime {
    day.to_datetime(jiff::civil::Time::midnight()).saturating_add(i64::from(minutes).minutes())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
