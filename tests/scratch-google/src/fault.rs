//! What goes wrong when a test says so: for one method, a number of times.

use crate::discovery::documents;
use crate::refusal::Refusal;
use std::sync::Mutex;
use std::time::Duration;

/// One thing that goes wrong. Methods are named by the end of their id: `services.patch`, `sql.backupRuns.insert`.
#[derive(Clone, Debug)]
pub struct Fault {
    method: String,
    what: What,
    times: u32,
    after: u32,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    /// The effect happens, the connection closes without an answer.
    Lost,
    /// Nothing happens.
    Refused(Refusal),
    /// The effect happens, the answer is an error.
    RefusedAfter(Refusal),
    /// Somebody else edits what the request is about, just before it is carried out.
    Edited,
    Fate(Fate),
}

/// What becomes of the operation that a request starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fate {
    #[default]
    Usual,
    Slow(Duration),
    /// Not before `Google::end_stuck_operations` is called once more than so often.
    Stuck {
        since: u64,
    },
    Fails(String),
}

impl Fault {
    /// # Panics
    /// No method of the documents ends so.
    fn new(method: &str, what: What) -> Self {
        let known = documents().iter().flat_map(|document| &document.methods).any(|known| ends(&known.id, method));
        assert!(known, "no method of the discovery documents ends in `{method}`");
        Self { method: method.to_owned(), what, times: 1, after: 0 }
    }

    pub fn lost_answer(method: &str) -> Self {
        Self::new(method, What::Lost)
    }

    pub fn refused(method: &str, refusal: Refusal) -> Self {
        Self::new(method, What::Refused(refusal))
    }

    pub fn refused_after_success(method: &str, refusal: Refusal) -> Self {
        Self::new(method, What::RefusedAfter(refusal))
    }

    pub fn edited_by_somebody_else(method: &str) -> Self {
        Self::new(method, What::Edited)
    }

    pub fn slow_operation(method: &str, takes: Duration) -> Self {
        Self::new(method, What::Fate(Fate::Slow(takes)))
    }

    pub fn stuck_operation(method: &str) -> Self {
        Self::new(method, What::Fate(Fate::Stuck { since: 0 }))
    }

    /// The operation ends in this error, its effect does not happen.
    pub fn failed_operation(method: &str, message: &str) -> Self {
        Self::new(method, What::Fate(Fate::Fails(message.to_owned())))
    }

    /// One time if this is not called.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// So many requests pass before.
    #[must_use]
    pub fn after(mut self, requests: u32) -> Self {
        self.after = requests;
        self
    }
}

#[derive(Default)]
pub(crate) struct Faults {
    armed: Mutex<Vec<Fault>>,
}

impl Faults {
    fn armed(&self) -> std::sync::MutexGuard<'_, Vec<Fault>> {
        self.armed.lock().expect("nothing panics while it holds the lock")
    }

    pub(crate) fn arm(&self, fault: Fault) {
        self.armed().push(fault);
    }

    pub(crate) fn clear(&self) {
        self.armed().clear();
    }

    /// The faults that have not struck as often as they should.
    pub(crate) fn open(&self) -> Vec<String> {
        self.armed().iter().map(|fault| format!("{fault:?}")).collect()
    }

    /// What strikes a request for this method now.
    pub(crate) fn strike(&self, method: &str) -> Option<What> {
        let mut armed = self.armed();
        let mut struck = None;
        for fault in armed.iter_mut().filter(|fault| ends(method, &fault.method)) {
            if fault.after > 0 {
                fault.after -= 1;
            } else if struck.is_none() && fault.times > 0 {
                fault.times -= 1;
                struck = Some(fault.what.clone());
            }
        }
        armed.retain(|fault| fault.times > 0);
        struck
    }
}

/// By whole words: `services.patch` is no end of `other_services.patch`.
fn ends(method: &str, end: &str) -> bool {
    method.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_its_method_so_often_and_not_before_its_time() {
        let faults = Faults::default();
        faults.arm(Fault::lost_answer("services.patch").after(1).times(2));
        let patch = "run.projects.locations.services.patch";
        let strikes: Vec<bool> = (0..4).map(|_| faults.strike(patch).is_some()).collect();
        assert_eq!(strikes, [false, true, true, false]);
        assert!(faults.open().is_empty());
    }

    #[test]
    #[should_panic(expected = "no method of the discovery documents ends in `services.pach`")]
    fn a_method_that_is_not_there() {
        let _ = Fault::lost_answer("services.pach");
    }
}
