//! Ends what an interrupted step left running on the machine itself.

use crate::driver::process::MARK_VARIABLE;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::time::Duration;

const TRIES: u32 = 100;
const BETWEEN: Duration = Duration::from_millis(50);

/// Kills the tools that carry the mark in their environment, and waits until they are gone. `tools`: what their names
/// begin with.
pub async fn end(mark: &str, tools: &[&str]) {
    for _ in 0..TRIES {
        let found = marked(mark, tools);
        if found.is_empty() {
            return;
        }
        for pid in found {
            let _ = kill_process(pid, Signal::KILL);
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

/// Tools of these names alone: a command of the operator's that the same step started is another driver's.
fn marked(mark: &str, tools: &[&str]) -> Vec<Pid> {
    let wanted = format!("{MARK_VARIABLE}={mark}").into_bytes();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        tools.iter().any(|tool| name.starts_with(tool))
            && fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|entry| entry == wanted))
    })
    .filter_map(Pid::from_raw)
    .collect()
}
