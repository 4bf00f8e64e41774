//! Runs: one in full, many in a table, and what they wrote.

use super::{Clock, Column, Paint, Table, duration, findings, kind, wrap};
use crate::activity::Level;
use crate::api::{LogLine, Outcome, Run, RunStep, RunSummary, StepState};

/// The first line of the reason: where all of it is told elsewhere.
pub fn brief_outcome(how: &Outcome, paint: Paint) -> String {
    let brief = |why: &String| match why.split_once('\n') {
        Some((first, _)) => format!("{first} …"),
        None => why.clone(),
    };
    let how = match how {
        Outcome::Committed => Outcome::Committed,
        Outcome::Rehearsed => Outcome::Rehearsed,
        Outcome::RolledBack(why) => Outcome::RolledBack(brief(why)),
        Outcome::Refused(why) => Outcome::Refused(brief(why)),
        Outcome::Abandoned(why) => Outcome::Abandoned(brief(why)),
    };
    outcome(&how, paint)
}

/// One word, and why.
pub fn outcome(outcome: &Outcome, paint: Paint) -> String {
    match outcome {
        Outcome::Committed => paint.green("committed"),
        Outcome::Rehearsed => paint.green("rehearsed"),
        Outcome::RolledBack(why) => format!("{} ({why})", paint.red("rolled back")),
        Outcome::Refused(why) => format!("{} ({why})", paint.yellow("refused")),
        Outcome::Abandoned(why) => format!("{} ({why})", paint.red("abandoned")),
    }
}

pub fn run_table(runs: &[RunSummary], clock: &Clock, paint: Paint, width: Option<usize>) -> String {
    if runs.is_empty() {
        return "no runs yet".into();
    }
    let heading = |column, text| (column, paint.bold(text));
    let mut table = Table::new([
        heading(Column::Whole, "RUN"),
        heading(Column::Whole, "DEPLOYMENT"),
        heading(Column::Whole, "FROM"),
        heading(Column::Whole, "TO"),
        heading(Column::Whole, "BEGAN"),
        heading(Column::Whole, "TOOK"),
        heading(Column::Whole, "DOWNTIME"),
        heading(Column::Cut, "OUTCOME"),
    ]);
    for run in runs {
        table.row([
            run.id.to_string(),
            run.deployment.clone(),
            run.from.clone(),
            run.to.clone(),
            clock.date(run.started_at),
            run.ended_at.map(|end| duration(seconds(run.started_at, end))).unwrap_or_default(),
            run.downtime_s.map(duration).unwrap_or_default(),
            run.outcome.as_ref().map_or_else(|| paint.cyan("open"), |how| brief_outcome(how, paint)),
        ]);
    }
    table.render(width)
}

pub fn run_details(run: &Run, clock: &Clock, paint: Paint, width: Option<usize>) -> String {
    let summary = &run.summary;
    let what = kind(&summary.kind);
    let title = format!("run {}: {what} of {}, {} → {}", summary.id, summary.deployment, summary.from, summary.to);
    let mut text = format!("{}\n", paint.bold(&title));
    let mut line = |what: &str, value: String| {
        text += &wrap(&value, &format!("  {}  ", paint.dim(&format!("{what:<9}"))), &" ".repeat(13), width);
    };
    line("began", clock.moment(summary.started_at));
    if let Some(end) = summary.ended_at {
        line("ended", format!("{}, took {}", clock.moment(end), duration(seconds(summary.started_at, end))));
    }
    if let Some(downtime) = summary.downtime_s {
        line("downtime", duration(downtime));
    }
    if let Some(rehearsed) = &run.rehearsed {
        let waited = rehearsed.downtime_s.map(duration).unwrap_or_else(|| "not".into());
        line("rehearsed", format!("users would have waited {waited}; it took {}", duration(rehearsed.took_s)));
    }
    if let Some(by) = &run.approved_by {
        line("approved", format!("by {by}"));
    }
    let told = if run.failure.is_some() { brief_outcome } else { outcome };
    line("outcome", summary.outcome.as_ref().map_or_else(|| paint.cyan("open"), |how| told(how, paint)));
    if let Some(failure) = &run.failure {
        let how = format!("{} in {}, step `{}`", failure.failure.code, failure.phase, failure.step);
        line("failure", format!("{}\n{}", paint.red(&how), failure.failure.message));
    }
    if let Some(stuck) = &run.stuck {
        line("stuck", stuck.what.clone());
    }
    for left in &run.left {
        line("left", left.clone());
    }
    text += &format!("\n{}\n", paint.bold("Steps"));
    text += &steps(&run.steps, clock, paint, width);
    if let Some(rehearsed) = &run.rehearsed {
        text += &format!("\n{}\n", paint.bold("In the rehearsal"));
        let mut table = Table::plain([Column::Cut, Column::Whole]);
        for (title, seconds) in &rehearsed.steps {
            table.row([format!("  {title}"), duration(*seconds)]);
        }
        text += &format!("{}\n", table.render(width).trim_end());
    }
    let later = run.findings.iter().filter(|finding| !run.plan.findings.contains(finding));
    let noticed: Vec<_> = run.plan.findings.iter().chain(later).cloned().collect();
    if !noticed.is_empty() {
        text += &format!("\n{}\n", paint.bold("Findings"));
        text += &findings(&noticed, paint, width);
    }
    text
}

fn steps(steps: &[RunStep], clock: &Clock, paint: Paint, width: Option<usize>) -> String {
    let mut table = Table::plain([Column::Whole, Column::Whole, Column::Cut, Column::Whole]);
    for step in steps {
        let began = step.started_at.map(|at| clock.time_of_day(at)).unwrap_or_default();
        let title =
            if step.attempts > 1 { format!("{} (attempt {})", step.title, step.attempts) } else { step.title.clone() };
        let took = step.started_at.zip(step.ended_at).map(|(from, to)| duration(seconds(from, to))).unwrap_or_default();
        table.row([format!("  {} {began:<8}", mark(step.state, paint)), step.phase.clone(), title, took]);
    }
    let rows = table.render(width);
    let with_its_failure = |(row, step): (&str, &RunStep)| match &step.failure {
        Some(failure) => format!("{row}\n{}", failure_lines(&failure.message, paint, width)),
        None => format!("{row}\n"),
    };
    rows.lines().zip(steps).map(with_its_failure).collect()
}

/// Under a step's line.
pub fn failure_lines(message: &str, paint: Paint, width: Option<usize>) -> String {
    let text = wrap(message, "", "", width.map(|width| width.saturating_sub(FAILURE.len())));
    text.lines().map(|line| format!("{FAILURE}{}\n", paint.red(line))).collect()
}

const FAILURE: &str = "             ";

pub fn mark(state: StepState, paint: Paint) -> String {
    match state {
        StepState::Pending => paint.dim("·"),
        StepState::Running => paint.cyan("▸"),
        StepState::Succeeded => paint.green("✓"),
        StepState::Failed => paint.red("✗"),
        StepState::InDoubt => paint.yellow("?"),
        StepState::Skipped => paint.dim("-"),
    }
}

/// `10:12:07 step message`
pub fn log_line(line: &LogLine, clock: &Clock, paint: Paint) -> String {
    let message = match line.level {
        Level::Error => paint.red(&line.message),
        Level::Warn => paint.yellow(&line.message),
        Level::Info => line.message.clone(),
        Level::Debug | Level::Trace => paint.dim(&line.message),
    };
    let step = line.step.as_ref().map(|step| format!("{} ", paint.cyan(step))).unwrap_or_default();
    format!("{} {step}{message}", paint.dim(&clock.time_of_day(line.at)))
}

pub fn seconds(from: jiff::Timestamp, to: jiff::Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}
