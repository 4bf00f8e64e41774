//! When a change is settled enough to be reported: pure, with the clock as an argument.
//!
//! A file that is being written isn't reported half: what has been cut off may still parse, and mean something else.

use super::folder::Snapshot;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// However restless a folder is, it is reported after so long.
const LONGEST: Duration = Duration::from_secs(10);

/// A deployment whose file is not what it was when it was reported last.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    pub name: String,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Appeared,
    Changed,
    Gone,
}

pub(super) struct Settle {
    debounce: Duration,
    /// What whoever listens knows; none before the first look.
    reported: Option<Snapshot>,
    restless: Option<Restless>,
}

/// Something was noticed and isn't reported yet.
struct Restless {
    since: Instant,
    due: Instant,
    /// What the last look found that noticed it.
    seen: Option<Snapshot>,
}

impl Settle {
    pub fn new(debounce: Duration) -> Self {
        Self { debounce, reported: None, restless: None }
    }

    /// When to look next, where something was noticed.
    pub fn due(&self) -> Option<Instant> {
        self.restless.as_ref().map(|restless| restless.due)
    }

    /// An event: look once it has been quiet for the debounce.
    pub fn noticed(&mut self, now: Instant) {
        let restless = self.restless.get_or_insert(Restless { since: now, due: now, seen: None });
        restless.due = (now + self.debounce).min(restless.since + LONGEST).max(now);
    }

    /// A look that failed: the next one after the debounce, if one was due.
    pub fn put_off(&mut self, now: Instant) {
        if let Some(restless) = &mut self.restless {
            restless.due = now + self.debounce.max(LONGEST / 10);
        }
    }

    /// What to report of what a look found; `writing`: files that somebody has changed and not closed.
    pub fn look(&mut self, now: Instant, found: Snapshot, writing: &BTreeSet<PathBuf>) -> Vec<Change> {
        let Some(reported) = &mut self.reported else {
            let changes = changes(&Snapshot::new(), &found).into_iter().collect();
            self.reported = Some(found);
            self.restless = None;
            return changes;
        };
        let changed = changes(reported, &found);
        match &mut self.restless {
            // A poll that came before the debounce was over.
            Some(restless) if now < restless.due => return Vec::new(),
            // A poll that sees what no event told: it may be half of it.
            None if !changed.is_empty() => {
                self.restless = Some(Restless { since: now, due: now + self.debounce, seen: Some(found) });
                return Vec::new();
            }
            None => return Vec::new(),
            Some(_) => {}
        }
        let Some(restless) = self.restless.take() else { return Vec::new() };
        let overdue = now >= restless.since + LONGEST;
        let moving = |change: &Change| {
            let (now, before) = (found.get(&change.name), restless.seen.as_ref().map(|seen| seen.get(&change.name)));
            let written = now.is_some_and(|found| writing.contains(&found.real));
            let changed_since = before.is_some_and(|before| before.map(|f| &f.content) != now.map(|f| &f.content));
            written || changed_since
        };
        let (held, settled): (Vec<_>, Vec<_>) = changed.into_iter().partition(|change| !overdue && moving(change));
        for change in &settled {
            match found.get(&change.name) {
                Some(now) => reported.insert(change.name.clone(), now.clone()),
                None => reported.remove(&change.name),
            };
        }
        if !held.is_empty() {
            self.restless = Some(Restless { since: restless.since, due: now + self.debounce, seen: Some(found) });
        }
        settled
    }
}

fn changes(before: &Snapshot, after: &Snapshot) -> Vec<Change> {
    let change = |name: &String, kind| Change { name: name.clone(), kind };
    let gone = before.keys().filter(|name| !after.contains_key(*name)).map(|name| change(name, Kind::Gone));
    let there = after.iter().filter_map(|(name, found)| match before.get(name) {
        None => Some(change(name, Kind::Appeared)),
        Some(old) if old.content != found.content => Some(change(name, Kind::Changed)),
        Some(_) => None,
    });
    let mut changes: Vec<Change> = gone.chain(there).collect();
    changes.sort();
    changes
}

#[cfg(test)]
mod tests {
    use super::super::folder::{Content, Found};
    use super::*;
    use proptest::prelude::*;

    const DEBOUNCE: Duration = Duration::from_millis(100);

    fn folder(files: &[(&str, u8)]) -> Snapshot {
        let found = |(name, byte): &(&str, u8)| {
            let real = PathBuf::from(format!("/d/{name}.toml"));
            (name.to_string(), Found { content: Content::Digest([*byte; 32]), real })
        };
        files.iter().map(found).collect()
    }

    fn said(changes: Vec<Change>) -> Vec<(String, Kind)> {
        changes.into_iter().map(|change| (change.name, change.kind)).collect()
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[tokio::test]
    async fn a_change_is_reported_once_it_is_quiet() {
        let (start, none) = (Instant::now(), BTreeSet::new());
        let mut settle = Settle::new(DEBOUNCE);
        assert_eq!(said(settle.look(start, folder(&[("a", 1)]), &none)), [("a".into(), Kind::Appeared)]);
        settle.noticed(start + ms(10));
        settle.noticed(start + ms(90));
        assert_eq!(settle.due(), Some(start + ms(190)));
        assert!(settle.look(start + ms(150), folder(&[("a", 2)]), &none).is_empty(), "a poll between");
        assert_eq!(said(settle.look(start + ms(190), folder(&[("a", 3)]), &none)), [("a".into(), Kind::Changed)]);
        assert_eq!(settle.due(), None);
        assert!(settle.look(start + ms(500), folder(&[("a", 3)]), &none).is_empty());
    }

    #[tokio::test]
    async fn what_a_poll_finds_is_looked_at_twice() {
        let (start, none) = (Instant::now(), BTreeSet::new());
        let mut settle = Settle::new(DEBOUNCE);
        settle.look(start, folder(&[]), &none);
        assert!(settle.look(start + ms(1000), folder(&[("a", 1)]), &none).is_empty());
        assert!(settle.look(start + ms(1100), folder(&[("a", 2)]), &none).is_empty(), "it still grows");
        let settled = settle.look(start + ms(1200), folder(&[("a", 2)]), &none);
        assert_eq!(said(settled), [("a".into(), Kind::Appeared)]);
    }

    #[tokio::test]
    async fn a_file_that_is_being_written_holds_up_nobody_else_and_not_for_ever() {
        let start = Instant::now();
        let writing = BTreeSet::from([PathBuf::from("/d/a.toml")]);
        let mut settle = Settle::new(DEBOUNCE);
        settle.look(start, folder(&[("a", 1), ("b", 1)]), &writing);
        settle.noticed(start);
        let mut now = start + ms(100);
        assert_eq!(said(settle.look(now, folder(&[("a", 2), ("b", 2)]), &writing)), [("b".into(), Kind::Changed)]);
        let mut looks = 0;
        let reported = loop {
            now = settle.due().expect("it is held, and not forgotten");
            let changes = settle.look(now, folder(&[("a", 2), ("b", 2)]), &writing);
            looks += 1;
            if !changes.is_empty() {
                break changes;
            }
        };
        assert_eq!(said(reported), [("a".into(), Kind::Changed)]);
        assert!(looks > 50 && now >= start + LONGEST);
    }

    proptest! {
        /// Whatever happens in whatever order: what was reported adds up to what is there, and each report is a change.
        #[test]
        fn reports_add_up(steps in prop::collection::vec((0..3usize, 0..4u8, any::<bool>(), any::<bool>(), 1..300u64), 1..60)) {
            let start = Instant::now();
            let mut now = start;
            let (mut settle, mut files, mut known) = (Settle::new(DEBOUNCE), Snapshot::new(), Snapshot::new());
            let names = ["a", "b", "c"];
            let mut take = |changes: Vec<Change>, files: &Snapshot| {
                for change in changes {
                    let (old, new) = (known.get(&change.name).cloned(), files.get(&change.name).cloned());
                    let kind = match (&old, &new) {
                        (None, Some(_)) => Kind::Appeared,
                        (Some(_), None) => Kind::Gone,
                        (Some(old), Some(new)) if old != new => Kind::Changed,
                        _ => panic!("nothing changed: {change:?}"),
                    };
                    assert_eq!(change.kind, kind);
                    match new {
                        Some(new) => known.insert(change.name, new),
                        None => known.remove(&change.name),
                    };
                }
                known.clone()
            };
            for (which, byte, event, writing, pause) in steps {
                let name = names[which];
                files.remove(name);
                files.extend(folder(&[(name, byte)]).into_iter().filter(|_| byte > 0));
                let writing = BTreeSet::from_iter(writing.then(|| PathBuf::from(format!("/d/{name}.toml"))));
                if event {
                    settle.noticed(now);
                }
                now += ms(pause);
                take(settle.look(now, files.clone(), &writing), &files);
            }
            // Left alone, polls and due looks bring the rest.
            for _ in 0..4 {
                now = settle.due().unwrap_or(now + ms(1000)).max(now);
                take(settle.look(now, files.clone(), &BTreeSet::new()), &files);
            }
            prop_assert_eq!(take(Vec::new(), &files), files);
        }
    }
}
