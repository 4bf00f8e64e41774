//! The CPU time of one guest: what its thread spent while the call was being driven. Waiting costs nothing, however long a
//! verb takes, and a busy machine takes nothing from a guest.

use crate::capability::Hit;
use rustix::time::{ClockId, clock_gettime};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use wasmtime::{Store, UpdateDeadline};

#[derive(Debug, thiserror::Error)]
#[error("the plugin used up its CPU time")]
struct UsedUp;

#[derive(Clone, Default)]
pub struct Meter(Arc<Readings>);

#[derive(Default)]
struct Readings {
    spent_ns: AtomicU64,
    /// The thread's clock when this poll began.
    since_ns: AtomicU64,
}

impl Meter {
    /// Looks at each tick of the epoch: beyond `most` the guest traps, before it the thread is given to others for once.
    /// The tick that a long verb misses is one tick, so that its return is no trap.
    pub fn watch<T>(&self, store: &mut Store<T>, most: Duration, hit: Arc<OnceLock<Hit>>) {
        let meter = self.clone();
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| {
            if meter.spent() > most {
                // The first bound is the one to tell of.
                let _ = hit.set(Hit::Cpu);
                return Err(wasmtime::Error::from(UsedUp));
            }
            Ok(UpdateDeadline::Yield(1))
        });
    }

    /// Counts while `work` is polled.
    pub async fn count<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|task| {
            let since = thread_ns();
            self.0.since_ns.store(since, Ordering::Relaxed);
            let polled = work.as_mut().poll(task);
            self.0.spent_ns.fetch_add(thread_ns().saturating_sub(since), Ordering::Relaxed);
            polled
        })
        .await
    }

    /// While it is polled, on the thread that polls it.
    fn spent(&self) -> Duration {
        let now = thread_ns().saturating_sub(self.0.since_ns.load(Ordering::Relaxed));
        Duration::from_nanos(self.0.spent_ns.load(Ordering::Relaxed) + now)
    }
}

fn thread_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
