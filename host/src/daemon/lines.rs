//! The newest log lines of all deployments, for `logs`: bounded in number and in bytes. Older ones are in the system's log.

use crate::api::types::LogLine;
use std::collections::VecDeque;
use std::sync::Mutex;

const LINES: usize = 4000;
const BYTES: usize = 1 << 20;

#[derive(Default)]
pub struct Lines(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    lines: VecDeque<LogLine>,
    bytes: usize,
}

impl Lines {
    pub fn push(&self, line: LogLine) {
        let mut kept = self.0.lock().expect("no panic holds this lock");
        kept.bytes += weight(&line);
        kept.lines.push_back(line);
        while kept.lines.len() > LINES || kept.bytes > BYTES {
            let Some(oldest) = kept.lines.pop_front() else { return };
            kept.bytes -= weight(&oldest);
        }
    }

    pub fn matching(&self, wanted: impl Fn(&LogLine) -> bool) -> Vec<LogLine> {
        let kept = self.0.lock().expect("no panic holds this lock");
        kept.lines.iter().filter(|line| wanted(line)).cloned().collect()
    }
}

fn weight(line: &LogLine) -> usize {
    size_of::<LogLine>() + line.deployment.len() + line.message.len() + line.step.as_ref().map_or(0, String::len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::Level;

    fn line(id: u64, bytes: usize) -> LogLine {
        let (at, level) = (jiff::Timestamp::UNIX_EPOCH, Level::Info);
        LogLine { id, at, deployment: "shop".into(), run: None, step: None, level, message: "x".repeat(bytes) }
    }

    #[test]
    fn the_newest_stay_within_both_bounds() {
        let lines = Lines::default();
        (0..LINES as u64 + 10).for_each(|id| lines.push(line(id, 10)));
        let kept = lines.matching(|_| true);
        assert_eq!((kept.len(), kept[0].id), (LINES, 10));
        (0..1000).for_each(|id| lines.push(line(id, 4096)));
        let kept = lines.matching(|_| true);
        assert!(kept.iter().map(weight).sum::<usize>() <= BYTES && kept.len() > 200, "{}", kept.len());
        assert_eq!(kept.last().map(|line| line.id), Some(999));
        assert_eq!(lines.matching(|line| line.id == 998).len(), 1);
    }
}
