//! Waiting for what goes on at Google's.

use std::time::{Duration, Instant};

/// Told of each change of state, and of each look at what goes on: who waits knows that something happens.
pub type Heard<'a> = &'a (dyn Fn(&str) + Send + Sync);

const FIRST: Duration = Duration::from_millis(50);
const MOST: Duration = Duration::from_secs(3);
/// What Google says goes on, and nothing else, is a sign of life for so long.
const ALIVE: Duration = Duration::from_secs(24 * 60 * 60);

/// Pauses that grow, and begin anew with each sign of life. It has no end of its own: the caller's idle deadline is one.
pub(crate) struct Pauses<'a> {
    next: Duration,
    last: String,
    /// When `last` was first seen.
    since: Instant,
    heard: Heard<'a>,
}

impl<'a> Pauses<'a> {
    pub(crate) fn new(heard: Heard<'a>) -> Self {
        Self { next: FIRST, last: String::new(), since: Instant::now(), heard }
    }

    /// `state`: what is seen now.
    pub(crate) async fn pause(&mut self, state: &str) {
        if self.last != state {
            (self.heard)(state);
            state.clone_into(&mut self.last);
            self.since = Instant::now();
            self.next = FIRST;
        }
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 3 / 2).min(MOST);
    }

    /// The same for what Google says goes on: each look is a sign of life.
    pub(crate) async fn alive(&mut self, state: &str) {
        if self.last == state && self.since.elapsed() < ALIVE {
            (self.heard)(state);
        }
        self.pause(state).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[tokio::test]
    async fn what_goes_on_is_heard_at_each_look() {
        let times = AtomicU32::new(0);
        let heard = |_: &str| {
            times.fetch_add(1, Ordering::Relaxed);
        };
        let mut pauses = Pauses::new(&heard);
        for _ in 0..2 {
            pauses.pause("it waits").await;
        }
        assert_eq!(times.load(Ordering::Relaxed), 1);
        for _ in 0..2 {
            pauses.alive("it runs").await;
        }
        assert_eq!(times.load(Ordering::Relaxed), 3);
    }
}
