//! Where a crash test ends the daemon. Two places call it: the record writer and the effect wrapper's ledger. Absent
//! without the feature `failpoints`.

/// `UPGRADED_FAILPOINT=<place>:<n>` ends the process with SIGKILL at the n-th passage (from 1) of `record`,
/// `before-effect` or `after-effect`.
#[cfg(feature = "failpoints")]
pub fn failpoint(place: &str) {
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static WANTED: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
        let text = std::env::var("UPGRADED_FAILPOINT").ok()?;
        let (place, number) = text.split_once(':')?;
        Some((place.to_owned(), number.parse().ok()?))
    });
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let Some((wanted, number)) = &*WANTED else { return };
    if wanted == place && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *number {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
    }
}

#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub fn failpoint(_place: &str) {}
