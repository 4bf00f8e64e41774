//! Where a crash test ends the daemon. Two places call it: the record writer and the effect wrapper's ledger. Absent
//! without the feature `failpoints`.

use crate::plan::event::Event;

/// `<place>:<n>` ends the process with SIGKILL at the n-th passage (from 1) of `record`, `before-effect`, `after-effect`,
/// or of a step's record: `started h0-apply-main-0`, `succeeded fence-main`. It stands in `UPGRADED_FAILPOINT`, or in the
/// file that `UPGRADED_FAILPOINT_FILE` names, which may change while the daemon runs: passages are counted from then on.
#[cfg(feature = "failpoints")]
pub fn failpoint(place: &str) {
    use std::sync::{Mutex, PoisonError};
    static PASSED: Mutex<(String, u64)> = Mutex::new((String::new(), 0));
    let Some(wanted) = wanted() else { return };
    let Some((at, number)) = wanted.trim().split_once(':') else { return };
    if at != place {
        return;
    }
    let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
    if passed.0 != wanted {
        *passed = (wanted.clone(), 0);
    }
    passed.1 += 1;
    if number.parse() == Ok(passed.1) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
    }
}

/// After each record of a run.
pub fn recorded(event: &Event) {
    failpoint("record");
    if cfg!(feature = "failpoints") {
        match event {
            Event::Started { step, .. } => failpoint(&format!("started {step}")),
            Event::Succeeded { step, .. } => failpoint(&format!("succeeded {step}")),
            _ => {}
        }
    }
}

#[cfg(feature = "failpoints")]
fn wanted() -> Option<String> {
    match std::env::var_os("UPGRADED_FAILPOINT_FILE") {
        Some(file) => std::fs::read_to_string(file).ok(),
        None => std::env::var("UPGRADED_FAILPOINT").ok(),
    }
}

#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn failpoint(_place: &str) {}
