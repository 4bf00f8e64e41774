//! Diagnostics as a person reads them in a terminal, by miette. Called by [`super::Diagnostics::render`] alone.

use super::Diagnostic;
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, Severity, SourceCode};
use std::fmt;

const WIDTH: usize = 110;

pub(super) fn render(list: &[Diagnostic], text: Option<&str>, colour: bool) -> String {
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(WIDTH).with_links(false).with_context_lines(1);
    let mut out = String::new();
    for diagnostic in list {
        let source = text.map(|text| NamedSource::new(diagnostic.file.display().to_string(), text.to_owned()));
        let view = View { diagnostic, source };
        if view.source.is_none() || handler.render_report(&mut out, &view).is_err() {
            out.push_str(&format!("  × {diagnostic}\n"));
        }
    }
    out
}

#[derive(Debug)]
struct View<'a> {
    diagnostic: &'a Diagnostic,
    source: Option<NamedSource<String>>,
}

impl fmt::Display for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.diagnostic.message)
    }
}

impl std::error::Error for View<'_> {}

impl miette::Diagnostic for View<'_> {
    fn severity(&self) -> Option<Severity> {
        Some(Severity::Error)
    }
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.diagnostic.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new_with_span(Some("here".into()), self.diagnostic.span.clone());
        Some(Box::new(std::iter::once(label)))
    }
}
