//! Whether the components that run are of the versions that a hop needs. Pure.

use crate::model::{Component, Finding, Hop, Requirement};
use semver::{Version, VersionReq};

/// One blocker for each requirement that doesn't hold.
pub fn unmet(hops: &[Hop], running: &[Component]) -> Vec<Finding> {
    let of = |(number, hop): (usize, &Hop)| {
        let unmet: Vec<Finding> = hop.requires.iter().filter_map(|needs| check(hop, needs, running)).collect();
        let hint = format!("what runs before the path begins counts: `version = \"{}\"` goes there first", hop.source);
        unmet.into_iter().map(move |finding| if number == 0 { finding } else { finding.hint(hint.as_str()) })
    };
    hops.iter().enumerate().flat_map(of).collect()
}

fn check(hop: &Hop, needs: &Requirement, running: &[Component]) -> Option<Finding> {
    let Requirement { component, range } = needs;
    let blocker = |message: String| Some(Finding::blocker("host", "requirement", message));
    let Ok(wanted) = VersionReq::parse(range) else {
        return blocker(format!("{} needs `{component}` in `{range}`, which is no range of versions", hop.target));
    };
    let Some(found) = running.iter().find(|running| running.name == *component) else {
        return blocker(format!("{} needs `{component}` {range}, and nothing of that name runs here", hop.target));
    };
    match version(&found.version) {
        Some(version) if wanted.matches(&version) => None,
        _ => blocker(format!("{} needs `{component}` {range}, and {} runs", hop.target, found.version)),
    }
}

/// As servers say it: `15`, `15.4`, `15.4 (Debian 15.4-1)`, `v1.22.3`.
fn version(text: &str) -> Option<Version> {
    let text = text.trim_start_matches('v');
    let numbers: String = text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let mut parts = numbers.split('.').map(|part| part.parse::<u64>().ok());
    let major = parts.next()??;
    let mut more = || parts.next().flatten().unwrap_or(0);
    Some(Version::new(major, more(), more()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(range: &str) -> Hop {
        let requires = vec![Requirement { component: "postgres".into(), range: range.into() }];
        let (source, target) = ("1".into(), "2".into());
        Hop {
            source,
            target,
            requires,
            breaking: false,
            acts: vec![],
            undo: vec![],
            expand_only: false,
            rest: false,
            quiesce: vec![],
            gate: vec![],
            expected_seconds: None,
            notes: vec![],
        }
    }

    fn messages(range: &str, running: &str) -> Vec<String> {
        let running = [Component { name: "postgres".into(), version: running.into(), digest: None }];
        unmet(&[hop(range)], &running).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn versions_as_servers_say_them() {
        for running in ["15", "15.4", "15.4 (Debian 15.4-1)", "v16.0.1"] {
            assert_eq!(messages(">=15", running), Vec::<String>::new(), "{running}");
        }
    }

    #[test]
    fn what_an_earlier_hop_may_bring_is_said() {
        let running = [Component { name: "postgres".into(), version: "15".into(), digest: None }];
        let hints: Vec<_> = unmet(&[hop(">=16"), hop(">=16")], &running).into_iter().map(|found| found.hint).collect();
        let hint = "what runs before the path begins counts: `version = \"1\"` goes there first";
        assert_eq!(hints, [None, Some(hint.to_owned())]);
    }

    #[test]
    fn what_does_not_hold_is_named() {
        assert_eq!(messages(">=15", "14.9"), ["2 needs `postgres` >=15, and 14.9 runs"]);
        assert_eq!(messages(">=15", "unknown"), ["2 needs `postgres` >=15, and unknown runs"]);
        assert_eq!(messages("newer", "15"), ["2 needs `postgres` in `newer`, which is no range of versions"]);
        let nothing: Vec<_> = unmet(&[hop(">=15")], &[]).into_iter().map(|finding| finding.message).collect();
        assert_eq!(nothing, ["2 needs `postgres` >=15, and nothing of that name runs here"]);
    }
}
