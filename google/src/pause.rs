//! Waiting for what goes on at Google's.

use std::time::Duration;

/// Told of each change of state: who waits knows that something happens.
pub type Heard<'a> = &'a (dyn Fn(&str) + Send + Sync);

const FIRST: Duration = Duration::from_millis(50);
const MOST: Duration = Duration::from_secs(3);

/// Pauses that grow, and begin anew with each sign of life. It has no end of its own: the caller's idle deadline is one.
pub(crate) struct Pauses<'a> {
    next: Duration,
    last: String,
    heard: Heard<'a>,
}

impl<'a> Pauses<'a> {
    pub(crate) fn new(heard: Heard<'a>) -> Self {
        Self { next: FIRST, last: String::new(), heard }
    }

    /// `state`: what is seen now.
    pub(crate) async fn pause(&mut self, state: &str) {
        if self.last != state {
            (self.heard)(state);
            state.clone_into(&mut self.last);
            self.next = FIRST;
        }
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 3 / 2).min(MOST);
    }
}
