//! Whether a unit that systemd starts again whenever it ends is worth waiting for, and whether it stands. Pure.

use std::time::Duration;

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
}

impl Restarts {
    /// `restarts`: how often it was started again, as it is known now.
    pub fn keep_coming(&mut self, restarts: u32) -> bool {
        let fewest = self.fewest.map_or(restarts, |fewest| fewest.min(restarts));
        self.fewest = Some(fewest);
        restarts - fewest >= STARTS
    }
}

/// Whether one that runs is up, and not between two of its ends; `active_for`: none where systemd doesn't say.
pub fn stands(restarts: u32, active_for: Option<Duration>) -> bool {
    let enough = if restarts > 0 { STANDS_AGAIN_AFTER } else { STANDS_AFTER };
    active_for.is_none_or(|active| active >= enough)
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
    fn what_has_run_for_a_moment_is_up() {
        let stands = |restarts, ms| stands(restarts, Some(Duration::from_millis(ms)));
        assert!(!stands(0, 250) && stands(0, 500));
        assert!(!stands(1, 4900) && stands(1, 5000), "it has ended before");
    }
}
