//! Reads server-sent events: bytes in, events out. Pure.

/// Longer lines than this are a mistake: the connection is given up.
const LINE_MAX_BYTES: usize = 4 << 20;

/// One event: its id is part of the data here, so only that is kept.
#[derive(Debug, Default)]
pub struct SseReader {
    line: Vec<u8>,
    data: String,
    has_data: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a line of the stream is longer than {LINE_MAX_BYTES} bytes")]
pub struct LineTooLong;

impl SseReader {
    /// The data of each event that ended within `bytes`. Comments (heartbeats) are nothing.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<String>, LineTooLong> {
        let mut events = Vec::new();
        for &byte in bytes {
            if byte != b'\n' {
                if self.line.len() == LINE_MAX_BYTES {
                    return Err(LineTooLong);
                }
                self.line.push(byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8_lossy(&line);
            events.extend(self.end_of_line(line.strip_suffix('\r').unwrap_or(&line)));
        }
        Ok(events)
    }

    fn end_of_line(&mut self, line: &str) -> Option<String> {
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            return std::mem::take(&mut self.has_data).then_some(data);
        }
        if let Some(data) = line.strip_prefix("data:") {
            if self.has_data {
                self.data.push('\n');
            }
            self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
            self.has_data = true;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: &str = ": alive\n\nid: 7\nevent: line\ndata: {\"a\":1}\n\ndata: one\r\ndata: two\r\n\r\n: alive\n\n";

    #[test]
    fn events_without_their_comments() {
        let events = SseReader::default().push(STREAM.as_bytes()).expect("short lines");
        assert_eq!(events, ["{\"a\":1}", "one\ntwo"]);
    }

    proptest! {
        #[test]
        fn however_it_is_cut(cut in 0..STREAM.len()) {
            let mut reader = SseReader::default();
            let (first, second) = STREAM.as_bytes().split_at(cut);
            let mut events = reader.push(first).expect("short lines");
            events.extend(reader.push(second).expect("short lines"));
            prop_assert_eq!(events, ["{\"a\":1}", "one\ntwo"]);
        }
    }
}
