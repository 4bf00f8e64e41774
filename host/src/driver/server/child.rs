//! One process of a tool: its messages become lines of the step, and its whole group ends with it.

use crate::activity::{Activity, Level};
use crate::model::VerbError;
use rustix::process::{Pid, Signal, kill_process_group};
use std::collections::VecDeque;
use std::process::ExitStatus;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// Lines kept for the error of a failed tool.
const KEPT_LINES: usize = 12;

pub struct Running {
    tool: String,
    child: Child,
    stderr: Option<ChildStderr>,
}

impl Running {
    pub fn start(mut command: Command) -> Result<Self, VerbError> {
        let program = std::path::Path::new(command.as_std().get_program());
        let tool = program.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut child =
            command.spawn().map_err(|error| VerbError::other("tool", format!("`{tool}` did not start: {error}")))?;
        let stderr = child.stderr.take();
        Ok(Self { tool, child, stderr })
    }

    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits for the end; anything but success is an error with the last messages.
    pub async fn finish(&mut self, activity: &Activity, verbose: bool) -> Result<(), VerbError> {
        let (mut last, mut errors) = (VecDeque::new(), VecDeque::new());
        if let Some(stderr) = self.stderr.take() {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let is_error = line.contains("error:");
                let level = if verbose && !is_error { Level::Debug } else { Level::Info };
                activity.line(level, &line);
                let kept = if is_error { &mut errors } else { &mut last };
                if kept.len() == KEPT_LINES {
                    kept.pop_front();
                }
                kept.push_back(line);
            }
        }
        let status = self.child.wait().await.map_err(|error| VerbError::other("tool", error.to_string()))?;
        // A verbose tool says much before its error, and its other workers after it.
        self.judge(status, Vec::from(if errors.is_empty() { last } else { errors }))
    }

    fn judge(&self, status: ExitStatus, said: Vec<String>) -> Result<(), VerbError> {
        if status.success() {
            return Ok(());
        }
        Err(VerbError::other("tool", format!("`{}` ended with {status}: {}", self.tool, said.join("; "))))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Once it was waited for there is no id, and the group's number may be somebody else's.
        if let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}
