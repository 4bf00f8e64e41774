//! Keeps secrets out of logs: replaces their values in a stream of bytes, however the stream is cut.

/// Shorter ones would blot out innocent text.
const SHORTEST: usize = 4;
const INSTEAD: &[u8] = b"***";

pub struct Redactor {
    secrets: Vec<Vec<u8>>,
    /// Might be the beginning of a secret.
    held: Vec<u8>,
}

impl Redactor {
    /// Each line of a secret of several lines is one of its own.
    pub fn new<'a>(secrets: impl Iterator<Item = &'a str>) -> Self {
        let lines = secrets.flat_map(str::lines).map(|line| line.trim().as_bytes().to_vec());
        let mut secrets: Vec<Vec<u8>> = lines.filter(|line| line.len() >= SHORTEST).collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { secrets, held: Vec::new() }
    }

    /// What of the stream may be shown by now.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        self.show(false)
    }

    /// The stream is over: what was held back.
    pub fn finish(&mut self) -> Vec<u8> {
        self.show(true)
    }

    /// A text that is whole.
    pub fn text(&mut self, text: &str) -> String {
        let mut shown = self.push(text.as_bytes());
        shown.extend(self.finish());
        String::from_utf8_lossy(&shown).into_owned()
    }

    fn show(&mut self, over: bool) -> Vec<u8> {
        let mut shown = Vec::with_capacity(self.held.len());
        let mut at = 0;
        while at < self.held.len() {
            let rest = &self.held[at..];
            if !over && self.secrets.iter().any(|secret| secret.len() > rest.len() && secret.starts_with(rest)) {
                break;
            }
            match self.secrets.iter().find(|secret| rest.starts_with(secret)) {
                Some(secret) => {
                    shown.extend_from_slice(INSTEAD);
                    at += secret.len();
                }
                None => {
                    shown.push(rest[0]);
                    at += 1;
                }
            }
        }
        self.held.drain(..at);
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn replaces_a_secret_that_is_cut_in_two() {
        let mut redactor = Redactor::new(["hunter22"].into_iter());
        let mut shown = redactor.push(b"password=hun");
        shown.extend(redactor.push(b"ter22\nhunt"));
        shown.extend(redactor.finish());
        assert_eq!(String::from_utf8_lossy(&shown), "password=***\nhunt");
    }

    #[test]
    fn a_secret_that_begins_another_is_replaced_at_the_end_too() {
        let mut redactor = Redactor::new(["hunter", "hunter22"].into_iter());
        assert_eq!(redactor.text("it is hunter"), "it is ***");
        assert_eq!(redactor.text("it is hunter22, hunter2 and hunt"), "it is ***, ***2 and hunt");
    }

    proptest! {
        #[test]
        fn shows_the_same_however_the_stream_is_cut(text in "[abx]{0,60}", cut in 0usize..60) {
            let whole = { let mut r = Redactor::new(["abab", "bxxa"].into_iter()); let mut s = r.push(text.as_bytes()); s.extend(r.finish()); s };
            let cut = cut.min(text.len());
            let mut redactor = Redactor::new(["abab", "bxxa"].into_iter());
            let mut shown = redactor.push(&text.as_bytes()[..cut]);
            shown.extend(redactor.push(&text.as_bytes()[cut..]));
            shown.extend(redactor.finish());
            prop_assert_eq!(&shown, &whole);
            let shown = String::from_utf8_lossy(&shown).into_owned();
            prop_assert!(!shown.contains("abab") && !shown.contains("bxxa"));
        }
    }
}
