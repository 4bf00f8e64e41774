//! Deployments and what is done about them.

use super::{Clock, Column, Paint, Table, brief_outcome, diagnostics, kind, progress, wrap};
use crate::api::{Decision, Deployment, Outcome, Running, State, Stuck, WaitReason, Waiting};
use crate::plan::Kind;

pub fn deployment_table(all: &[Deployment], clock: &Clock, paint: Paint, width: Option<usize>) -> String {
    if all.is_empty() {
        return "no deployments yet; `upgradectl init /opt/shop` writes the file of what is in that folder".into();
    }
    let heading = |column, text| (column, paint.bold(text));
    let mut table = Table::new([
        heading(Column::Whole, "NAME"),
        heading(Column::Whole, "PRODUCT"),
        heading(Column::Whole, "INSTALLED"),
        heading(Column::Whole, "WANTED"),
        heading(Column::Cut, "STATE"),
    ]);
    for deployment in all {
        table.row([
            deployment.name.clone(),
            known(&deployment.product),
            known(&deployment.installed),
            known(&deployment.wanted),
            state_line(&deployment.state, clock, paint),
        ]);
    }
    table.render(width)
}

/// One line.
pub fn state_line(state: &State, clock: &Clock, paint: Paint) -> String {
    match state {
        State::Idle => paint.green("idle"),
        State::Planning => paint.cyan("planning"),
        State::Waiting(waiting) => {
            format!("{}{}", paint.yellow(&format!("waiting for {}", reason(waiting.reason))), when(waiting, clock))
        }
        State::Running(running) => format!("{} {}", paint.cyan("running"), running_line(running)),
        State::Stuck(stuck) => format!("{} in run {}: {}", paint.red("stuck"), stuck.run, stuck.what),
        State::Error { message, .. } => format!("{} {message}", paint.red("error:")),
        State::Quarantined { version, run, .. } => {
            format!("{}: `{version}` failed here in run {run}", paint.red("quarantined"))
        }
    }
}

fn running_line(running: &Running) -> String {
    let back = if running.turned_round.is_some() { ", on its way back" } else { "" };
    let far = running.progress.as_ref().map(|far| format!(", {}", progress(far))).unwrap_or_default();
    format!("run {}: {}, step `{}`{far}{back}", running.run, running.phase, running.step)
}

fn reason(reason: WaitReason) -> &'static str {
    match reason {
        WaitReason::Approval => "approval",
        WaitReason::Window => "its window",
        WaitReason::Slot => "another run to end",
        WaitReason::Backoff => "the next attempt",
    }
}

fn when(waiting: &Waiting, clock: &Clock) -> String {
    waiting.until.map(|until| format!(", {}", clock.moment(until))).unwrap_or_default()
}

/// Everything about one.
pub fn deployment_details(of: &Deployment, clock: &Clock, paint: Paint, width: Option<usize>) -> String {
    let mut text = format!("{}\n", paint.bold(&of.name));
    let mut line = |what: &str, value: &str| {
        text += &wrap(value, &format!("  {}  ", paint.dim(&format!("{what:<9}"))), &" ".repeat(13), width);
    };
    line("product", &known(&of.product));
    let seen = of.detected_at.map(|at| format!(", seen {}", clock.relative(at))).unwrap_or_default();
    line("installed", &format!("{}{seen}", known(&of.installed)));
    line("wanted", &known(&of.wanted));
    match &of.state {
        // What stands where is told below, with what can be done.
        State::Stuck(stuck) => line("state", &format!("{} in run {}", paint.red("stuck"), stuck.run)),
        state => line("state", &state_line(state, clock, paint)),
    }
    if let Some(run) = &of.last_run {
        let how = run.outcome.as_ref().map_or_else(|| "open".into(), |how| brief_outcome(how, paint));
        let when = clock.moment(run.ended_at.unwrap_or(run.started_at));
        let what = if run.kind == Kind::Upgrade { String::new() } else { format!("{}, ", kind(&run.kind)) };
        line("last run", &format!("{}: {what}{} → {}, {how}, {when}", run.id, run.from, run.to));
    }
    text + &advice(of, paint, width)
}

/// What the state asks of a person.
fn advice(of: &Deployment, paint: Paint, width: Option<usize>) -> String {
    let name = &of.name;
    let mut text = String::from("\n");
    match &of.state {
        State::Idle | State::Planning => return String::new(),
        State::Waiting(waiting) => {
            text += &wrap(&waiting.message, "  ", "  ", width);
            if waiting.reason == WaitReason::Approval {
                text += &format!(
                    "  `upgradectl plan {name}` shows what it would do, `upgradectl approve {name}` lets it\n"
                );
            }
        }
        State::Running(running) => {
            if let Some(why) = &running.turned_round {
                text += &wrap(&format!("turned round: {why}"), "  ", "  ", width);
            }
            text += &format!("  `upgradectl watch {name}` follows it\n");
        }
        State::Stuck(stuck) => text += &choices(name, stuck, paint, width),
        State::Error { diagnostics: mistakes, .. } => {
            if let Some(mistakes) = mistakes {
                text += &diagnostics(mistakes, paint);
            }
            text += &wrap(&what_stands(of), "  ", "  ", width);
        }
        State::Quarantined { run, why, .. } => {
            text += &wrap(why, "  ", "  ", width);
            if given_up(of) == Some(*run) {
                text += "  the run was given up, and left everything as it stood\n";
            }
            text += &format!("  `upgradectl show {run}` tells more; it is not tried again until the `version` line\n");
            text += &format!("  changes or somebody says `upgradectl retry {name}`\n");
        }
    }
    text
}

/// What became of the deployment where it says no.
fn what_stands(of: &Deployment) -> String {
    let name = &of.name;
    match (&of.last_run, given_up(of)) {
        (Some(run), _) if run.outcome.is_none() => format!(
            "run {0} is open: what it stopped stays stopped. It is tried again every minute; \
             `upgradectl show {0}` says how far it is",
            run.id
        ),
        (_, Some(run)) => format!(
            "run {run} was given up, and left everything as it stood: `upgradectl show {run}` lists what it holds \
             still, `upgradectl retry {name}` tries again"
        ),
        _ => format!(
            "nothing was touched; `upgradectl check {name}` says what stands against it now, \
             `upgradectl retry {name}` tries again"
        ),
    }
}

/// The newest run, where it was abandoned.
fn given_up(of: &Deployment) -> Option<u64> {
    let run = of.last_run.as_ref()?;
    matches!(run.outcome, Some(Outcome::Abandoned(_))).then_some(run.id)
}

fn choices(name: &str, stuck: &Stuck, paint: Paint, width: Option<usize>) -> String {
    let mut text = wrap(&stuck.what, "  ", "  ", width);
    text += "  nothing further is touched until somebody says one of these:\n";
    for choice in &stuck.choices {
        let command = match choice.decision {
            Decision::Resume => format!("upgradectl resume {name}"),
            Decision::Rollback => format!("upgradectl rollback {name}"),
            Decision::Abandon => format!("upgradectl abandon {name} --why …"),
        };
        text += &format!("    {}\n", paint.bold(&command));
        text += &wrap(&choice.effect, "      ", "      ", width);
    }
    text
}

fn known(text: &Option<String>) -> String {
    text.clone().unwrap_or_else(|| "?".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{deployment, run};

    #[test]
    fn nothing_was_touched_is_said_where_it_is_so() {
        let untouched = deployment(State::Error { message: String::new(), diagnostics: None });
        let of = |outcome| Deployment { last_run: Some(run(outcome)), ..untouched.clone() };
        assert!(what_stands(&of(None)).starts_with("run 7 is open: what it stopped stays stopped"));
        assert!(what_stands(&of(Some(Outcome::Abandoned("so".into())))).starts_with("run 7 was given up"));
        assert!(what_stands(&of(Some(Outcome::Committed))).starts_with("nothing was touched"));
        assert!(what_stands(&untouched).starts_with("nothing was touched"));
    }
}
