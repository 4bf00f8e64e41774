//! A plan: what is new, breaking first; every step; every edited file; where it waits; what stands against it.

use super::{Clock, Column, Paint, Table, count, duration, findings, kind, wrap};
use crate::api::{EditView, HopView, PlanView, Severity, StepView};

pub fn plan(plan: &PlanView, clock: &Clock, paint: Paint, width: Option<usize>) -> String {
    let mut text = title(plan, paint);
    for hop in &plan.hops {
        text += &heading(&format!("{} → {}", hop.from, hop.to), paint);
        text += &hop_lines(hop, paint, width);
    }
    text += &heading(&count(plan.steps.len(), "step"), paint);
    text += &steps(plan, paint, width);
    let edits: Vec<&EditView> = plan.hops.iter().flat_map(|hop| &hop.edits).collect();
    if !edits.is_empty() {
        text += &heading(&format!("{} edited", count(edits.len(), "file")), paint);
        edits.iter().for_each(|edit| text += &diff(edit, paint, width));
    }
    text += &waits(plan, clock, paint, width);
    text += &estimates(plan, paint);
    if !plan.findings.is_empty() {
        text += &heading(&count(plan.findings.len(), "finding"), paint);
        text += &findings(&plan.findings, paint, width);
    }
    text + &verdict(plan, paint)
}

fn title(plan: &PlanView, paint: Paint) -> String {
    let what = kind(&plan.kind);
    let title = format!("{}: {what} {} → {}", plan.deployment, plan.from, plan.to);
    let breaking = plan.hops.iter().any(|hop| hop.breaking);
    format!("{}{}\n", paint.bold(&title), if breaking { paint.red(" breaking") } else { String::new() })
}

fn heading(text: &str, paint: Paint) -> String {
    format!("\n{}\n", paint.bold(text))
}

fn hop_lines(hop: &HopView, paint: Paint, width: Option<usize>) -> String {
    let mut text = String::new();
    if hop.breaking {
        text += &format!("  {}\n", paint.red("breaking changes"));
    }
    for note in &hop.notes {
        text += &wrap(note, "  - ", "    ", width);
    }
    for requirement in &hop.requires {
        text += &format!("  needs {} {}\n", requirement.component, requirement.range);
    }
    if let Some((from, to)) = hop.expected_s {
        text += &format!("  takes {} to {}, its vendor says\n", duration(from.into()), duration(to.into()));
    }
    text += &format!("  {}\n", paint.dim(&format!("way back: {}", hop.undo.join(", then "))));
    if hop.rest {
        text += "  background work must finish after it: a run ends here\n";
    }
    text
}

fn steps(plan: &PlanView, paint: Paint, width: Option<usize>) -> String {
    let mut table = Table::plain([Column::Whole, Column::Whole, Column::Cut, Column::Whole]);
    for (number, step) in plan.steps.iter().enumerate() {
        let gate = if step.downtime { paint.yellow("▌") } else { " ".into() };
        let number = format!(" {gate}{:>2}", number + 1);
        table.row([number, step.phase.clone(), step_title(step, plan), expected(step, paint)]);
    }
    let mut text = table.render(width);
    if plan.steps.iter().any(|step| step.downtime) {
        text += &format!(" {} {}\n", paint.yellow("▌"), paint.dim("users are shut out"));
    }
    text
}

fn step_title(step: &StepView, plan: &PlanView) -> String {
    let hop = step.hop.and_then(|hop| plan.hops.get(usize::try_from(hop).ok()?));
    match hop {
        Some(hop) if plan.hops.len() > 1 => format!("{} ({} → {})", step.title, hop.from, hop.to),
        _ => step.title.clone(),
    }
}

fn expected(step: &StepView, paint: Paint) -> String {
    step.expected_s.map(|seconds| paint.dim(&format!("~{}", duration(seconds)))).unwrap_or_default()
}

fn diff(edit: &EditView, paint: Paint, width: Option<usize>) -> String {
    let mut text = format!("  {} {}\n", paint.bold(&edit.path), paint.dim(&format!("on `{}`", edit.platform)));
    text += &wrap(&edit.why, "  ", "  ", width);
    for line in edit.diff.lines() {
        let line = match line.as_bytes().first() {
            _ if line.starts_with("+++") || line.starts_with("---") => paint.bold(line),
            Some(b'+') => paint.green(line),
            Some(b'-') => paint.red(line),
            Some(b'@') => paint.cyan(line),
            _ => line.into(),
        };
        text += format!("    {line}").trim_end();
        text.push('\n');
    }
    text
}

fn waits(plan: &PlanView, clock: &Clock, paint: Paint, width: Option<usize>) -> String {
    let mut text = heading("Waits", paint);
    for wait in &plan.waits {
        let until = wait.until.map(|until| format!(": {}", clock.moment(until))).unwrap_or_default();
        text += &wrap(&format!("{}{until}", wait.message), "  - ", "    ", width);
    }
    if plan.waits.is_empty() {
        text += "  nowhere: it begins at once\n";
    }
    if !plan.policy.windows.is_empty() {
        text += &format!("  windows: {}\n", plan.policy.windows.join("; "));
    }
    text
}

fn estimates(plan: &PlanView, paint: Paint) -> String {
    let of = &plan.estimates;
    let known: Vec<_> = [("backup", of.backup_s), ("downtime", of.downtime_s), ("rollback", of.rollback_s)]
        .into_iter()
        .filter_map(|(what, seconds)| seconds.map(|seconds| format!("{what} ~{}", duration(seconds))))
        .collect();
    let known = if known.is_empty() { "not known before the first drill".into() } else { known.join(", ") };
    format!("{}  {known}\n", heading("Estimates", paint))
}

fn verdict(plan: &PlanView, paint: Paint) -> String {
    let blockers = plan.findings.iter().filter(|finding| finding.severity == Severity::Blocker).count();
    let verdict = match blockers {
        0 => paint.green("nothing stands against it"),
        1 => paint.red("a blocker stands against it: nothing will be touched"),
        many => paint.red(&format!("{many} blockers stand against it: nothing will be touched")),
    };
    format!("\n{verdict}\n")
}
