//! What the kernel says about processes: who still runs, who carries a mark, who descends from whom. A process is known
//! by its number, its start and the boot, so that a number given out again is never taken for it.

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub pid: i32,
    /// Clock ticks after the boot.
    pub start: u64,
    pub boot: String,
}

impl Identity {
    pub fn of(pid: i32) -> Option<Self> {
        let stat = Stat::of(pid)?;
        Some(Self { pid, start: stat.start, boot: boot_id() })
    }

    /// Nobody: an entry that keeps everybody else out.
    pub fn nobody() -> Self {
        Self { pid: 0, start: 0, boot: boot_id() }
    }

    pub fn alive(&self) -> bool {
        Stat::of(self.pid).is_some_and(|stat| stat.start == self.start && !stat.dead) && self.boot == boot_id()
    }

    pub fn signal(&self, signal: Signal) {
        if self.alive()
            && let Some(pid) = Pid::from_raw(self.pid)
        {
            // It may have ended meanwhile, which is what the signal is for.
            let _ = kill_process(pid, signal);
        }
    }
}

/// The kernel's name for the time since this machine started.
pub fn boot_id() -> String {
    static BOOT: LazyLock<String> =
        LazyLock::new(|| fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned());
    BOOT.clone()
}

/// Every running process whose environment has `variable=value`.
pub fn with_environment(variable: &str, value: &str) -> Vec<Identity> {
    let wanted = format!("{variable}={value}");
    with_entry(|entry| entry == wanted.as_bytes())
}

/// The same, where the value begins so.
pub fn with_environment_beginning(variable: &str, value: &str) -> Vec<Identity> {
    let wanted = format!("{variable}={value}");
    with_entry(|entry| entry.starts_with(wanted.as_bytes()))
}

fn with_entry(wanted: impl Fn(&[u8]) -> bool) -> Vec<Identity> {
    let carries = |pid: &i32| {
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(&wanted))
    };
    alive(all().into_iter().filter(carries))
}

/// Every running process beneath `roots`, without them.
pub fn descendants(roots: &[i32]) -> Vec<Identity> {
    let parents: Vec<(i32, i32)> =
        all().into_iter().filter_map(|pid| Stat::of(pid).map(|stat| (pid, stat.parent))).collect();
    let mut family: BTreeSet<i32> = roots.iter().copied().collect();
    loop {
        let before = family.len();
        for (pid, parent) in &parents {
            if family.contains(parent) {
                family.insert(*pid);
            }
        }
        if family.len() == before {
            break;
        }
    }
    alive(family.into_iter().filter(|pid| !roots.contains(pid)))
}

/// Ends all that `find` finds, again and again, until it finds nothing: asks first, and forces after `grace`.
pub async fn end_all(grace: Duration, find: impl Fn() -> Vec<Identity>) {
    let began = Instant::now();
    let mut asked: Vec<Identity> = Vec::new();
    loop {
        let found = find();
        if found.is_empty() || began.elapsed() > grace + FORCED_WITHIN {
            return;
        }
        for process in found {
            if began.elapsed() >= grace {
                process.signal(Signal::KILL);
            } else if !asked.contains(&process) {
                process.signal(Signal::TERM);
                asked.push(process);
            }
        }
        tokio::time::sleep(POLL).await;
    }
}

/// A process in uninterruptible sleep can't be ended by anybody: don't wait for it forever.
const FORCED_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// All process numbers.
pub fn all() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

fn alive(pids: impl Iterator<Item = i32>) -> Vec<Identity> {
    pids.filter_map(Identity::of).filter(Identity::alive).collect()
}

struct Stat {
    parent: i32,
    start: u64,
    /// Ended, and only its parent hasn't asked yet.
    dead: bool,
}

impl Stat {
    fn of(pid: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The program's name stands in brackets and may itself have some.
        let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_whitespace().collect();
        Some(Self {
            dead: matches!(*fields.first()?, "Z" | "X" | "x"),
            parent: fields.get(1)?.parse().ok()?,
            start: fields.get(19)?.parse().ok()?,
        })
    }
}
