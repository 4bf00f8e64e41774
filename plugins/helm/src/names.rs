//! Which workloads a hop's services are, by the rule that the host has for names.

use upgraded_sdk::Workload;

/// Those that a name means: by itself, as `kind/name`, or else by what follows the release's name in theirs.
pub fn meant<'w>(workloads: &'w [Workload], release: &str, wanted: &str) -> Vec<&'w Workload> {
    let (kind, name) = apart(wanted);
    let of_kind = |w: &Workload| kind.is_none_or(|kind| w.kind.eq_ignore_ascii_case(kind));
    let called = |name: &str| workloads.iter().filter(|w| of_kind(w) && w.name == name).collect::<Vec<_>>();
    let own = called(name);
    if own.is_empty() { called(&format!("{release}-{name}")) } else { own }
}

/// Whether a name means one of these Jobs.
pub fn means_job(jobs: &[String], release: &str, wanted: &str) -> bool {
    let (kind, name) = apart(wanted);
    let prefixed = format!("{release}-{name}");
    kind.is_none_or(|kind| kind.eq_ignore_ascii_case("job")) && jobs.iter().any(|job| *job == name || *job == prefixed)
}

fn apart(wanted: &str) -> (Option<&str>, &str) {
    wanted.split_once('/').map_or((None, wanted), |(kind, name)| (Some(kind), name))
}
