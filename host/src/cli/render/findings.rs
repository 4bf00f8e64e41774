//! What was noticed, and mistakes in files.

use super::{Paint, wrap};
use crate::api::{Diagnostic, Diagnostics, Finding, Severity};

/// One paragraph for each, in the order given.
pub fn findings(findings: &[Finding], paint: Paint, width: Option<usize>) -> String {
    let mut text = String::new();
    for finding in findings {
        let mark = match finding.severity {
            Severity::Blocker => paint.red("✗ blocker"),
            Severity::Warning => paint.yellow("! warning"),
            Severity::Info => paint.dim("· info   "),
        };
        let who = paint.dim(&format!("({}, {})", finding.source, finding.id));
        text += &wrap(&format!("{} {who}", finding.message), &format!("  {mark}  "), &" ".repeat(13), width);
        if let Some(hint) = &finding.hint {
            text += &wrap(hint, &format!("{}{} ", " ".repeat(13), paint.cyan("hint:")), &" ".repeat(19), width);
        }
    }
    text
}

/// Each with an excerpt where the file is at hand and still what it was.
pub fn diagnostics(diagnostics: &Diagnostics, paint: Paint) -> String {
    let mut files = diagnostics.list().iter().map(|diagnostic| &diagnostic.file);
    let first = files.next();
    let one = first.filter(|first| files.all(|other| other == *first));
    let text = one.and_then(|file| std::fs::read_to_string(file).ok());
    let diagnostics = match text.filter(|text| diagnostics.list().iter().all(|diagnostic| fits(diagnostic, text))) {
        Some(text) => diagnostics.clone().with_text(&text),
        None => diagnostics.clone(),
    };
    format!("{}\n", diagnostics.render(paint.on).trim_end())
}

fn fits(diagnostic: &Diagnostic, text: &str) -> bool {
    let before = text.get(..diagnostic.span.start);
    before.is_some_and(|before| before.matches('\n').count() + 1 == diagnostic.line)
        && text.get(diagnostic.span.clone()).is_some()
}
