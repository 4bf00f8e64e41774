//! How notices look: lines of JSON, plain lines, or a line that is drawn over on a terminal.

use crate::api::{Deployment, News, Notice, RunSummary, State, StepState};
use crate::cli::render::{
    Clock, Paint, brief_outcome, duration, failure_lines, mark, progress, seconds, state_line, wrap,
};
use crate::cli::session::Session;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use std::collections::HashMap;
use std::io;
use std::time::Duration;

/// Between plain lines of progress, by the notices' own time.
const PROGRESS_EVERY_S: f64 = 10.0;
const SPIN: Duration = Duration::from_millis(120);

pub struct View {
    kind: Kind,
    log: bool,
    /// Every line says of which deployment.
    named: bool,
    /// When each step began, and when its progress was last told.
    begun: HashMap<String, (Timestamp, Option<Timestamp>)>,
    last_state: HashMap<String, String>,
}

enum Kind {
    Json,
    Plain,
    Live(ProgressBar),
}

impl View {
    pub fn new(session: &Session<'_>, log: bool, named: bool) -> Self {
        let kind = if session.json {
            Kind::Json
        } else if session.terminal.live {
            Kind::Live(bar())
        } else {
            Kind::Plain
        };
        Self { kind, log, named, begun: HashMap::new(), last_state: HashMap::new() }
    }

    /// What a deployment is doing; told where it is news.
    pub fn state(&mut self, now: &Deployment, session: &mut Session<'_>) -> io::Result<()> {
        if let Kind::Json = self.kind {
            return session.terminal.json_line(&serde_json::json!({ "kind": "state", "now": now }));
        }
        let clock = Clock::from(&*session.terminal);
        let paint = session.terminal.paint();
        let text = match &now.state {
            // Its steps and progress are told one by one.
            State::Running(running) => format!("{} run {}", paint.cyan("running"), running.run),
            state => state_line(state, &clock, paint),
        };
        if let (State::Running(running), Kind::Live(bar)) = (&now.state, &self.kind)
            && self.begun.is_empty()
        {
            // Whoever comes in the middle of a step sees which.
            bar.set_message(running.title.clone());
        }
        let versions = format!("{} → {}", known(&now.installed), known(&now.wanted));
        let versions = if now.installed == now.wanted { known(&now.installed).into() } else { versions };
        let text = format!("{} {versions}: {text}", paint.bold(&now.name));
        if self.last_state.insert(now.name.clone(), text.clone()).as_ref() == Some(&text) {
            return Ok(());
        }
        self.print(wrap(&text, "", "  ", session.terminal.width).trim_end(), session)
    }

    /// How the watched run ended, where the daemon had no time to tell.
    pub fn ended(&mut self, run: &RunSummary, session: &mut Session<'_>) -> io::Result<()> {
        match (&self.kind, &run.outcome) {
            (Kind::Plain | Kind::Live(_), Some(how)) => {
                let text = format!("run {} {}", run.id, brief_outcome(how, session.terminal.paint()));
                self.print(wrap(&text, "", "  ", session.terminal.width).trim_end(), session)
            }
            _ => Ok(()),
        }
    }

    pub fn notice(&mut self, notice: &Notice, session: &mut Session<'_>) -> io::Result<()> {
        if let Kind::Json = self.kind {
            return session.terminal.json_line(notice);
        }
        let clock = Clock::from(&*session.terminal);
        let paint = session.terminal.paint();
        let Some(text) = self.text(notice, paint, session.terminal.width) else { return Ok(()) };
        let name = if self.named { notice.deployment.as_deref().unwrap_or("all") } else { "" };
        let name = if name.is_empty() { String::new() } else { format!("{} ", paint.bold(name)) };
        self.print(&format!("{} {name}{text}", paint.dim(&clock.time_of_day(notice.at))), session)
    }

    /// Leaves the terminal as it was.
    pub fn end(&mut self, session: &mut Session<'_>) -> io::Result<()> {
        if let Kind::Live(bar) = &self.kind {
            bar.finish_and_clear();
        }
        session.terminal.out.flush()
    }

    fn text(&mut self, notice: &Notice, paint: Paint, width: Option<usize>) -> Option<String> {
        match &notice.news {
            News::Step { step, phase, title, state, attempt, failure } => {
                let begun = self.begun.get(step).map(|(begun, _)| *begun);
                self.note_step(step, *state, notice.at, title);
                let again = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
                let mut text =
                    format!("{} {} {title}{again}", mark(*state, paint), paint.cyan(&format!("{phase:<12}")));
                match (state, begun) {
                    (StepState::Succeeded | StepState::Failed, Some(begun)) => {
                        text += &paint.dim(&format!("  {}", duration(seconds(begun, notice.at))));
                    }
                    // On a terminal the line below says what runs.
                    (StepState::Running, _) if matches!(self.kind, Kind::Live(_)) => return None,
                    _ => {}
                }
                if let Some(failure) = failure {
                    text += &format!("\n{}", failure_lines(&failure.message, paint, width).trim_end());
                }
                Some(text)
            }
            News::Progress { step, phase, progress: far } => {
                let far = progress(far);
                if let Kind::Live(bar) = &self.kind {
                    bar.set_message(format!("{phase} {far}"));
                    return None;
                }
                let (_, told) = self.begun.entry(step.clone()).or_insert((notice.at, None));
                if told.is_some_and(|told| seconds(told, notice.at) < PROGRESS_EVERY_S) {
                    return None;
                }
                *told = Some(notice.at);
                Some(format!("{} {} {far}", paint.dim("·"), paint.cyan(&format!("{phase:<12}"))))
            }
            News::Line { message, .. } => self.log.then(|| format!("{} {message}", paint.dim("│"))),
            News::Finished { outcome: how } => {
                let run = notice.run.map(|run| format!("run {run} ")).unwrap_or_default();
                Some(format!("{run}{}", brief_outcome(how, paint)))
            }
            News::Removed => Some("its file is gone".into()),
            News::Gap => Some(paint.dim("some of what happened was missed")),
            News::Changed { .. } => None,
        }
    }

    fn note_step(&mut self, step: &str, state: StepState, at: Timestamp, title: &str) {
        match state {
            StepState::Running => {
                self.begun.insert(step.into(), (at, None));
                if let Kind::Live(bar) = &self.kind {
                    bar.set_message(title.to_owned());
                    bar.reset_elapsed();
                }
            }
            StepState::Pending | StepState::Succeeded | StepState::Failed | StepState::InDoubt | StepState::Skipped => {
                self.begun.remove(step);
                if let Kind::Live(bar) = &self.kind {
                    bar.set_message("");
                }
            }
        }
    }

    fn print(&self, text: &str, session: &mut Session<'_>) -> io::Result<()> {
        match &self.kind {
            Kind::Live(bar) => bar.suspend(|| session.terminal.line(text)),
            Kind::Plain | Kind::Json => {
                session.terminal.line(text)?;
                session.terminal.out.flush()
            }
        }
    }
}

fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}").expect("a template of known keys");
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style);
    bar.enable_steady_tick(SPIN);
    bar
}

fn known(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or("?")
}
