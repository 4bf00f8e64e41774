//! Notices for those who watch: a bounded ring with a cursor for each watcher. Publishing never waits; a watcher that is
//! too slow, or comes back too late, is told of the gap.

use super::facade::NoticeStream;
use super::types::{News, Notice};
use futures::StreamExt;
use jiff::Timestamp;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    shared: Arc<Shared>,
}

struct Shared {
    ring: Mutex<Ring>,
    /// The newest id.
    newest: watch::Sender<u64>,
}

struct Ring {
    notices: VecDeque<Arc<Notice>>,
    capacity: usize,
    /// The newest id that was dropped; what is asked for after an older one has a gap.
    dropped: u64,
    newest: u64,
}

impl Hub {
    /// Ids begin after the time in microseconds, so that they rise across restarts of the daemon.
    pub fn new(capacity: usize) -> Self {
        Self::starting_after(capacity, u64::try_from(Timestamp::now().as_microsecond()).unwrap_or(0))
    }

    pub fn starting_after(capacity: usize, id: u64) -> Self {
        let ring = Ring { notices: VecDeque::new(), capacity: capacity.max(1), dropped: id, newest: id };
        Self { shared: Arc::new(Shared { ring: Mutex::new(ring), newest: watch::Sender::new(id) }) }
    }

    /// Never blocks. Returns the notice's id.
    pub fn publish(&self, deployment: Option<&str>, run: Option<u64>, news: News) -> u64 {
        self.publish_at(Timestamp::now(), deployment, run, news)
    }

    /// The same, of something that happened before.
    pub fn publish_at(&self, at: Timestamp, deployment: Option<&str>, run: Option<u64>, news: News) -> u64 {
        let mut ring = self.ring();
        let id = ring.newest + 1;
        ring.push(Notice { id, at, deployment: deployment.map(Into::into), run, news });
        // Sent under the lock, so that the watchers' number never goes back.
        self.shared.newest.send_replace(id);
        id
    }

    /// The newest id, for a `since`.
    pub fn newest(&self) -> u64 {
        self.ring().newest
    }

    /// Notices after `since`, from now on without it; never ends by itself.
    pub fn subscribe(&self, deployment: Option<&str>, since: Option<u64>) -> NoticeStream {
        let watcher = Watcher {
            hub: self.clone(),
            news: self.shared.newest.subscribe(),
            after: since.unwrap_or_else(|| self.newest()),
            deployment: deployment.map(Into::into),
        };
        let batches = futures::stream::unfold(watcher, |mut watcher| async move {
            let batch = watcher.next_batch().await?;
            Some((futures::stream::iter(batch), watcher))
        });
        batches.flatten().boxed()
    }

    fn ring(&self) -> std::sync::MutexGuard<'_, Ring> {
        self.shared.ring.lock().expect("no panic holds this lock")
    }
}

impl Ring {
    fn push(&mut self, notice: Notice) {
        self.newest = notice.id;
        // Only the newest progress of a step is worth keeping: thousands of them must not push the rest out.
        if self.notices.back().is_some_and(|last| same_progress(last, &notice)) {
            self.notices.pop_back();
        }
        if self.notices.len() == self.capacity
            && let Some(oldest) = self.notices.pop_front()
        {
            self.dropped = oldest.id;
        }
        self.notices.push_back(Arc::new(notice));
    }
}

fn same_progress(last: &Notice, next: &Notice) -> bool {
    match (&last.news, &next.news) {
        (News::Progress { step: a, .. }, News::Progress { step: b, .. }) => {
            a == b && last.run == next.run && last.deployment == next.deployment
        }
        _ => false,
    }
}

struct Watcher {
    hub: Hub,
    news: watch::Receiver<u64>,
    after: u64,
    deployment: Option<String>,
}

impl Watcher {
    async fn next_batch(&mut self) -> Option<Vec<Notice>> {
        loop {
            self.news.borrow_and_update();
            let batch = self.collect();
            if !batch.is_empty() {
                return Some(batch);
            }
            self.news.changed().await.ok()?;
        }
    }

    fn collect(&mut self) -> Vec<Notice> {
        let ring = self.hub.ring();
        let mut batch = Vec::new();
        // A number that was never given out: of another machine or a clock that went back.
        if self.after < ring.dropped || self.after > ring.newest {
            let first = ring.notices.front().map_or(ring.newest, |notice| notice.id - 1);
            batch.push(Notice { id: first, at: Timestamp::now(), deployment: None, run: None, news: News::Gap });
            self.after = first;
        }
        let mine = |notice: &Notice| match (&self.deployment, &notice.deployment) {
            (Some(wanted), Some(of)) => wanted == of,
            _ => true,
        };
        let later = ring.notices.iter().filter(|notice| notice.id > self.after && mine(notice));
        batch.extend(later.map(|notice| Notice::clone(notice)));
        self.after = ring.newest;
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::Level;

    fn line(text: &str) -> News {
        News::Line { step: None, level: Level::Info, message: text.into() }
    }
    fn progress(done: u64) -> News {
        let progress = crate::api::Progress { done, total: None, unit: "rows".into(), message: String::new() };
        News::Progress { step: "apply-1".into(), phase: "apply".into(), progress }
    }
    async fn take(stream: NoticeStream, count: usize) -> Vec<(u64, &'static str)> {
        stream.take(count).map(|notice| (notice.id, notice.news.name())).collect().await
    }

    #[tokio::test]
    async fn replays_what_came_after() {
        let hub = Hub::starting_after(10, 100);
        for text in ["a", "b", "c"] {
            hub.publish(Some("shop"), None, line(text));
        }
        assert_eq!(take(hub.subscribe(None, Some(101)), 2).await, [(102, "line"), (103, "line")]);
    }

    #[tokio::test]
    async fn a_watcher_without_since_sees_only_what_is_new() {
        let hub = Hub::starting_after(10, 0);
        hub.publish(Some("shop"), None, line("old"));
        let stream = hub.subscribe(Some("shop"), None);
        hub.publish(Some("blog"), None, line("another's"));
        hub.publish(Some("shop"), None, line("new"));
        assert_eq!(take(stream, 1).await, [(3, "line")]);
    }

    #[tokio::test]
    async fn a_gap_is_told() {
        let hub = Hub::starting_after(2, 0);
        for text in ["a", "b", "c", "d"] {
            hub.publish(None, None, line(text));
        }
        assert_eq!(take(hub.subscribe(None, Some(1)), 3).await, [(2, "gap"), (3, "line"), (4, "line")]);
        assert_eq!(take(hub.subscribe(None, Some(2)), 2).await, [(3, "line"), (4, "line")]);
        assert_eq!(take(hub.subscribe(None, Some(999)), 1).await, [(2, "gap")]);
    }

    #[tokio::test]
    async fn progress_of_one_step_takes_one_place() {
        let hub = Hub::starting_after(3, 0);
        hub.publish(Some("shop"), Some(1), line("begins"));
        for done in 0..1000 {
            hub.publish(Some("shop"), Some(1), progress(done));
        }
        hub.publish(Some("shop"), Some(1), line("ends"));
        assert_eq!(take(hub.subscribe(None, Some(0)), 3).await, [(1, "line"), (1001, "progress"), (1002, "line")]);
    }
}
