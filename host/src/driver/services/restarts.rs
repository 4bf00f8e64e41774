//! Whether a unit that systemd starts again whenever it ends is worth waiting for, and since when it runs. Pure.

use std::time::Duration;
use tokio::time::Instant;

/// What has ended so often while somebody waited for it keeps ending.
const STARTS: u32 = 3;
/// So long one without a health check runs before it counts as up; longer where it has ended before.
const STANDS_AFTER: Duration = Duration::from_millis(500);
const STANDS_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What was seen of one unit's restarts by whoever waits for it.
#[derive(Debug, Default)]
pub struct Restarts {
    /// The fewest: somebody's start begins the count anew.
    fewest: Option<u32>,
    /// How many there were when it was first seen running, and when that was.
    running: Option<(u32, Instant)>,
}

impl Restarts {
    /// `restarts`: how often it was started again, as it is known now.
    pub fn keep_coming(&mut self, restarts: u32) -> bool {
        let fewest = self.fewest.map_or(restarts, |fewest| fewest.min(restarts));
        self.fewest = Some(fewest);
        restarts - fewest >= STARTS
    }

    /// It runs now.
    pub fn are_over(&mut self, restarts: u32, now: Instant) -> bool {
        let enough = if restarts > 0 { STANDS_AGAIN_AFTER } else { STANDS_AFTER };
        match self.running {
            Some((then, since)) if then == restarts => now.duration_since(since) >= enough,
            _ => {
                self.running = Some((restarts, now));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ended_three_times_while_it_was_waited_for_keeps_ending() {
        let seen = |counts: &[u32]| {
            let mut restarts = Restarts::default();
            counts.iter().map(|count| restarts.keep_coming(*count)).collect::<Vec<_>>()
        };
        assert_eq!(seen(&[0, 1, 2, 3]), [false, false, false, true]);
        assert_eq!(seen(&[7, 7, 9]), [false; 3], "it had ended before anybody waited");
        assert_eq!(seen(&[7, 0, 2, 3]), [false, false, false, true], "somebody's start begins the count anew");
    }

    #[test]
    fn what_runs_for_a_moment_is_up() {
        let (mut restarts, began) = (Restarts::default(), Instant::now());
        let mut are_over = |count, ms| restarts.are_over(count, began + Duration::from_millis(ms));
        assert!(!are_over(0, 0) && !are_over(0, 250));
        assert!(!are_over(1, 600), "it ended in between");
        assert!(!are_over(1, 5000) && are_over(1, 5600));
    }
}
