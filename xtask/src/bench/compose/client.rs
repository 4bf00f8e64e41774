//! A user outside: asks for something at the gate again and again, and counts what isn't answered.

use crate::http;
use anyhow::{Result, anyhow, bail};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(25);
const WITHIN: Duration = Duration::from_secs(2);

pub struct Client {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

/// What the user met.
#[derive(Default)]
pub struct Seen {
    pub asked: u64,
    pub failed: u64,
    /// The end of the last good answer before the first that failed, and the first good one after the last.
    last_good: Option<Instant>,
    first_bad: Option<Instant>,
    good_again: Option<Instant>,
}

impl Client {
    pub fn start(port: u16, path: &'static str) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let ended = ends.clone();
        let thread = thread::spawn(move || {
            let mut seen = Seen::default();
            while !ended.load(Ordering::Relaxed) {
                let is_good = http::get(port, path, WITHIN).is_ok_and(|answer| answer.status == 200);
                seen.add(is_good, Instant::now());
                thread::sleep(EVERY);
            }
            seen
        });
        Self { ends, thread }
    }

    pub fn stop(self) -> Result<Seen> {
        self.ends.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the client panicked"))
    }
}

impl Seen {
    fn add(&mut self, is_good: bool, now: Instant) {
        self.asked += 1;
        match (is_good, self.first_bad) {
            (true, None) => self.last_good = Some(now),
            (true, Some(_)) => _ = self.good_again.get_or_insert(now),
            (false, _) => {
                self.failed += 1;
                self.first_bad.get_or_insert(now);
                self.good_again = None;
            }
        }
    }

    /// From the last good answer before the first failure to the first good one after the last.
    pub fn downtime(&self) -> Result<Duration> {
        match (self.last_good, self.first_bad, self.good_again) {
            (Some(_), None, _) => Ok(Duration::ZERO),
            (Some(before), Some(_), Some(after)) => Ok(after - before),
            _ => bail!("of {} requests {} failed, and none was answered before or after", self.asked, self.failed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn downtime_is_from_good_to_good() {
        let (mut seen, start) = (Seen::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        seen.add(true, at(0));
        assert_eq!(seen.downtime().unwrap(), Duration::ZERO);
        for (second, is_good) in [(1, true), (2, false), (3, true), (4, false)] {
            seen.add(is_good, at(second));
        }
        assert!(seen.downtime().is_err());
        seen.add(true, at(9));
        seen.add(true, at(10));
        assert_eq!((seen.downtime().unwrap(), seen.asked, seen.failed), (Duration::from_secs(8), 7, 2));
    }
}
