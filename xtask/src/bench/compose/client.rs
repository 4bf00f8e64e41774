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
    last_good: Option<Instant>,
    /// The last good answer before those that fail now.
    out_since: Option<Instant>,
    out: Duration,
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
        if is_good {
            self.out += self.out_since.take().map_or(Duration::ZERO, |since| now - since);
            self.last_good = Some(now);
        } else {
            self.failed += 1;
            self.out_since = self.out_since.or(self.last_good);
        }
    }

    /// From each last good answer before a failure to the next good one.
    pub fn downtime(&self) -> Result<Duration> {
        match (self.last_good, self.out_since) {
            (Some(_), None) => Ok(self.out),
            _ => bail!("of {} requests {} failed, the last among them", self.asked, self.failed),
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
        for (second, is_good) in [(1, true), (2, false), (3, true), (5, true), (6, false)] {
            seen.add(is_good, at(second));
        }
        assert!(seen.downtime().is_err());
        seen.add(true, at(9));
        seen.add(true, at(10));
        assert_eq!((seen.downtime().unwrap(), seen.asked, seen.failed), (Duration::from_secs(2 + 4), 8, 2));
    }
}
