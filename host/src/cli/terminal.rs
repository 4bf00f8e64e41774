//! Everything outside that shapes what is printed: streams, width, colours, the clock, the zone. A test makes its own.

use console::Term;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::io::{self, BufRead, IsTerminal, Write};

pub struct Terminal {
    pub out: Box<dyn Write + Send>,
    pub err: Box<dyn Write + Send>,
    pub input: Box<dyn BufRead + Send>,
    /// In columns; none where nobody sees it: lines are then as long as they are.
    pub width: Option<usize>,
    pub colour: bool,
    /// Lines may be drawn over.
    pub live: bool,
    /// Somebody can answer a question.
    pub asks: bool,
    pub now: Box<dyn Fn() -> Timestamp + Send>,
    pub zone: TimeZone,
}

impl Terminal {
    pub fn of_the_process() -> Self {
        let seen = io::stdout().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            input: Box::new(io::BufReader::new(io::stdin())),
            width: seen.then(|| usize::from(Term::stdout().size().1).max(40)),
            colour: seen && !plain && !dumb,
            live: seen && io::stderr().is_terminal() && !dumb,
            asks: io::stdin().is_terminal() && io::stderr().is_terminal(),
            now: Box::new(Timestamp::now),
            zone: TimeZone::system(),
        }
    }

    pub fn now(&self) -> Timestamp {
        (self.now)()
    }

    pub fn paint(&self) -> super::render::Paint {
        super::render::Paint { on: self.colour }
    }

    pub fn line(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        writeln!(self.out, "{}", text.as_ref())
    }

    /// For the whole of an answer: ends with one line end.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.out, "{}", text.trim_end_matches('\n'))
    }

    pub fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut self.out, value)?;
        writeln!(self.out)
    }

    /// One line of JSON, out at once.
    pub fn json_line(&mut self, value: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, value)?;
        writeln!(self.out)?;
        self.out.flush()
    }

    /// A question that is answered with `yes`. Only where [`Terminal::asks`].
    pub fn confirm(&mut self, question: &str) -> io::Result<bool> {
        write!(self.err, "{question} [yes/no] ")?;
        self.err.flush()?;
        let mut answer = String::new();
        self.input.read_line(&mut answer)?;
        Ok(answer.trim().eq_ignore_ascii_case("yes"))
    }
}
