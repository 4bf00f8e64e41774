//! A plugin's log lines and progress on their way to the activity: bounded in length and number, so that a flood neither
//! fills a disk nor hides what a person should read.

use super::limits::Limits;
use crate::activity::{Activity, Level};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Signs of progress a second; more say nothing to an eye.
const PROGRESS_PER_SECOND: u32 = 10;

#[derive(Clone)]
pub struct Voice {
    activity: Activity,
    shared: Arc<Mutex<Shared>>,
    line_bytes: usize,
}

struct Shared {
    lines: Bucket,
    progress: Bucket,
    dropped: u64,
}

impl Voice {
    pub fn new(activity: Activity, limits: &Limits) -> Self {
        let shared = Shared {
            lines: Bucket::new(limits.burst_lines, limits.lines_per_second),
            progress: Bucket::new(PROGRESS_PER_SECOND, PROGRESS_PER_SECOND),
            dropped: 0,
        };
        Self { activity, shared: Arc::new(Mutex::new(shared)), line_bytes: limits.line_bytes }
    }

    pub fn line(&self, level: Level, text: &str) {
        let dropped = {
            let mut shared = self.shared.lock().expect("no panic holds this lock");
            if !shared.lines.take(Instant::now()) {
                shared.dropped += 1;
                return;
            }
            std::mem::take(&mut shared.dropped)
        };
        self.tell_dropped(dropped);
        self.activity.line(level, shorten(text, self.line_bytes));
    }

    pub fn progress(&self, done: u64, total: Option<u64>, unit: &str, message: &str) {
        let through = {
            let mut shared = self.shared.lock().expect("no panic holds this lock");
            // The end is worth showing however fast it came.
            Some(done) == total || shared.progress.take(Instant::now())
        };
        if through {
            self.activity.progress(done, total, &shorten(unit, 64), &shorten(message, self.line_bytes));
        } else {
            self.activity.touch();
        }
    }

    /// Says what was held back, at the end of a call.
    pub fn finish(&self) {
        let dropped = std::mem::take(&mut self.shared.lock().expect("no panic holds this lock").dropped);
        self.tell_dropped(dropped);
    }

    fn tell_dropped(&self, dropped: u64) {
        if dropped > 0 {
            self.activity.line(Level::Warn, format!("{dropped} lines of the plugin came too fast and were dropped"));
        }
    }
}

/// One line, without control characters, `limit` bytes at most and a note where it was longer.
fn shorten(text: &str, limit: usize) -> String {
    let end = text.floor_char_boundary(limit);
    let mut line: String = text[..end].chars().map(|c| if c.is_control() && c != '\t' { ' ' } else { c }).collect();
    if end < text.len() {
        line.push_str(&format!(" … ({} bytes more)", text.len() - end));
    }
    line
}

/// So many at once, then so many a second.
struct Bucket {
    capacity: f64,
    per_second: f64,
    level: f64,
    filled: Instant,
}

impl Bucket {
    fn new(capacity: u32, per_second: u32) -> Self {
        let capacity = f64::from(capacity);
        Self { capacity, per_second: f64::from(per_second), level: capacity, filled: Instant::now() }
    }

    fn take(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.level = (self.level + passed * self.per_second).min(self.capacity);
        self.filled = now;
        if self.level < 1.0 {
            return false;
        }
        self.level -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bucket_lets_a_burst_through_and_refills() {
        let mut bucket = Bucket::new(3, 1);
        let now = bucket.filled;
        assert_eq!((0..5).filter(|_| bucket.take(now)).count(), 3);
        assert!(!bucket.take(now + Duration::from_millis(500)));
        assert!(bucket.take(now + Duration::from_millis(1500)));
        assert_eq!((0..9).filter(|_| bucket.take(now + Duration::from_secs(3600))).count(), 3);
    }

    #[test]
    fn a_line_is_cut_between_characters() {
        assert_eq!(shorten("short", 10), "short");
        assert_eq!(shorten("äöü", 3), "ä … (4 bytes more)");
        assert_eq!(shorten("a\nb\u{1b}[31m", 64), "a b [31m");
    }
}
