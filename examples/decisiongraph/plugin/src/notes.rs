//! What `docs/release.md` says about the way from one release to another: a section for each release, newest first, with
//! lines `- Migrations: …` and `- Projections: …`.

/// What changes; everything where the notes don't say.
#[derive(Debug, PartialEq, Eq)]
pub struct Changes {
    pub migrations: bool,
    pub projections: bool,
    /// What a person reads.
    pub lines: Vec<String>,
}

pub fn between(notes: &str, from: &str, to: &str) -> Changes {
    let mut changes = Changes { migrations: false, projections: false, lines: Vec::new() };
    let mut sections = notes.split("\n## ").skip(1).map(|section| section.split_once('\n').unwrap_or((section, "")));
    let all_is_unknown = Changes { migrations: true, projections: true, lines: Vec::new() };
    let Some(newest) = sections.by_ref().find(|(version, _)| version.trim() == to) else { return all_is_unknown };
    let mut reached = false;
    for (version, text) in std::iter::once(newest).chain(sections) {
        if version.trim() == from {
            reached = true;
            break;
        }
        let says = |what: &str, nothing: &str| text.lines().any(|line| line.trim() == format!("- {what}: {nothing}"));
        changes.migrations |= !says("Migrations", "none");
        changes.projections |= !says("Projections", "unchanged");
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        changes.lines.push(format!("{}: {}", version.trim(), first.trim().trim_end_matches('.')));
    }
    if reached { changes } else { Changes { lines: changes.lines, ..all_is_unknown } }
}
