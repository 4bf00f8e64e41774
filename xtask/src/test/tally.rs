//! What the programs say of their tests, added up.

use anyhow::{Result, bail};

/// Letters of what a failed test said.
const SHOWN_FIRST: usize = 2000;
const SHOWN_LAST: usize = 300;

#[derive(Default)]
pub struct Tally {
    pub passed: u64,
    pub failed: u64,
    pub failures: Vec<String>,
    pub succeeded: bool,
    /// What failed tests wrote, which their program says in the end.
    written: Vec<String>,
    in_failures: bool,
}

impl Tally {
    /// Of one program. Whether the line is for the reader now.
    pub fn read(&mut self, line: &str) -> bool {
        if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            self.failures.push(name.to_owned());
        }
        // test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.01s
        if let Some(result) = line.strip_prefix("test result: ") {
            self.in_failures = false;
            self.count(result);
            return true;
        }
        self.in_failures |= line == "failures:";
        if self.in_failures {
            self.written.push(line.to_owned());
        }
        !self.in_failures && !line.is_empty()
    }

    fn count(&mut self, result: &str) {
        for part in result.split([';', '.']) {
            let mut words = part.split_whitespace();
            let (Some(Ok(number)), Some(what)) = (words.next().map(str::parse::<u64>), words.next()) else { continue };
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                // A test never skips: what is missing has to be named and counts.
                "ignored" => self.failed += number,
                _ => {}
            }
        }
    }

    /// Another program's. One that died says no result of its own; it still failed.
    pub fn add(&mut self, mut other: Self, program: &str) {
        if !other.succeeded && other.failed == 0 {
            other.failed = 1;
            other.failures.push(format!("{program}, which ended without a result"));
        }
        self.passed += other.passed;
        self.failed += other.failed;
        self.failures.extend(other.failures);
        self.written.extend(other.written);
    }

    pub fn verdict(&self) -> Result<()> {
        match self.failed {
            0 => Ok(()),
            failed => bail!("{failed} tests failed"),
        }
    }

    pub fn print_failures(&self) {
        for line in &self.written {
            println!("{line}");
        }
    }

    /// With what each of them said first and last: whoever has only the end of a long output sees why.
    pub fn print_names(&self) {
        for name in &self.failures {
            println!("failed: {name}");
            if let Some(why) = self.why(name) {
                println!("  {why}");
            }
        }
    }

    fn why(&self, name: &str) -> Option<String> {
        let heading = format!("---- {name} stdout ----");
        let said = self.written.iter().skip_while(|line| **line != heading).skip(1);
        let is_over = |line: &str| line.starts_with("---- ") || line == "failures:" || line == "stack backtrace:";
        let said = said.take_while(|line| !is_over(line)).skip_while(|line| !line.contains("panicked at"));
        let words: Vec<&str> = said.flat_map(|line| line.split_whitespace()).collect();
        (!words.is_empty()).then(|| shortened(&words.join(" ")))
    }
}

fn shortened(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    if letters.len() <= SHOWN_FIRST + SHOWN_LAST {
        return text.to_owned();
    }
    let text = |letters: &[char]| letters.iter().collect::<String>();
    format!("{} … {}", text(&letters[..SHOWN_FIRST]), text(&letters[letters.len() - SHOWN_LAST..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> (Tally, Vec<String>) {
        let mut tally = Tally::default();
        let shown = lines.iter().filter(|line| tally.read(line)).map(|line| (*line).to_owned()).collect();
        (tally, shown)
    }

    #[test]
    fn sums_over_all_programs() {
        let (first, shown) = read(&[
            "test a::b ... ok",
            "test a::c ... FAILED",
            "",
            "failures:",
            "---- a::c stdout ----",
            "it is so",
            "",
            "failures:",
            "    a::c",
            "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s",
        ]);
        assert_eq!(shown.len(), 3, "what the test wrote waits: {shown:?}");
        let (mut second, _) =
            read(&["test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.01s"]);
        second.succeeded = true;
        let mut tally = Tally::default();
        tally.add(first, "one");
        tally.add(second, "two");
        assert_eq!((tally.passed, tally.failed), (13, 1));
        assert_eq!(tally.failures, ["a::c"]);
        assert!(tally.written.iter().any(|line| line == "it is so"));
        assert!(tally.verdict().is_err());
    }

    #[test]
    fn why_a_test_failed_is_one_line_and_not_long() {
        let long = "x".repeat(2 * SHOWN_FIRST);
        let (tally, _) = read(&[
            "failures:",
            "---- a::b stdout ----",
            "begins",
            "",
            "thread 'a::b' panicked at a.rs:1:1:",
            "  left:",
            "    1",
            "stack backtrace:",
            "   0: x",
            "---- a::c stdout ----",
            "thread 'a::c' panicked at a.rs:2:1:",
            &long,
            "failures:",
        ]);
        assert_eq!(tally.why("a::b").as_deref(), Some("thread 'a::b' panicked at a.rs:1:1: left: 1"));
        let why = tally.why("a::c").expect("it said why");
        assert_eq!(why.chars().count(), SHOWN_FIRST + SHOWN_LAST + 3);
        assert!(why.contains("x … x"), "{why}");
        assert_eq!(tally.why("a::d"), None);
    }

    #[test]
    fn a_program_that_died_is_a_failure() {
        let mut tally = Tally::default();
        tally.add(Tally::default(), "compose");
        assert_eq!(tally.failures, ["compose, which ended without a result"]);
        assert!(tally.verdict().is_err());
    }

    #[test]
    fn a_test_that_was_skipped_is_a_failure() {
        let (tally, _) = read(&["test result: ok. 1 passed; 0 failed; 2 ignored; 0 measured; 0 filtered out"]);
        assert_eq!(tally.failed, 2);
    }
}
