//! Which figures there are: what is held against what, and what is to be reached. A figure whose parts were not measured
//! is left out.

use super::figure::{Figure, Samples, Target, Unit, quantile};

/// What a filter may name.
pub const GROUPS: &[&str] = &["call", "latency", "rest", "database", "downtime", "run", "cloud", "helm"];

/// The daemon's own default.
const DEBOUNCE_S: f64 = 0.2;

pub fn of(samples: &Samples, megabytes: u64) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut add = |figure: Option<Figure>| figures.extend(figure);
    let against = |group, what: &str, ours: &str, name: &str, baseline: &str, target| {
        let (mine, theirs) = (samples.median(ours)?, samples.median(baseline)?);
        let times = samples.of(ours).len().min(samples.of(baseline).len());
        let baseline = (name.to_owned(), theirs);
        Some(Figure { group, what: what.into(), ours: mine, baseline, unit: Unit::Seconds, target, times })
    };

    let calls = "Plugins";
    add(against(calls, "a call that does nothing", "call/ours", "bare wasmtime", "call/bare", Target::AtMost(3.0)));
    add(against(calls, "load from the cache", "load/ours", "bare `deserialize`", "load/bare", Target::AtMost(1.5)));

    let save = "From a saved file to the journal";
    for (what, share, target) in [("p50", 0.5, Target::Shown), ("p99", 0.99, Target::AtMost(2.0))] {
        let values = samples.of("latency");
        add(quantile(values, share).map(|ours| Figure {
            group: save,
            what: format!("{what} until the refusal is written down"),
            ours,
            baseline: ("the debounce".into(), DEBOUNCE_S),
            unit: Unit::Seconds,
            target,
            times: values.len(),
        }));
    }

    let database = "A database saved and brought back";
    let [custom, plain] = ["`pg_dump -Fc`", "plain `pg_dump`"];
    add(against(database, "into the vault", "save/vault", custom, "save/custom", Target::Faster(3.0)));
    add(against(database, "into the vault", "save/vault", plain, "save/plain", Target::Shown));
    add(against(
        database,
        "into the vault",
        "save/vault",
        "`pg_dump \\| restic backup --stdin`",
        "save/restic",
        Target::Faster(1.5),
    ));
    add(against(
        database,
        "into the vault, read back, every row counted",
        "backup/large",
        custom,
        "save/custom",
        Target::Shown,
    ));
    let restore = "out of the vault";
    add(against(database, restore, "restore/vault", "`pg_restore`", "restore/custom", Target::Shown));
    add(against(database, restore, "restore/vault", "`psql`", "restore/psql", Target::Faster(1.3)));
    add(against(
        database,
        restore,
        "restore/vault",
        "the same `pg_restore` from a file",
        "restore/file",
        Target::AtMost(1.05),
    ));
    add(against(
        database,
        "back from the frozen copy",
        "restore/frozen",
        "`psql`",
        "restore/psql",
        Target::Faster(50.0),
    ));

    let downtime = "Downtime of a run";
    let large = |what: &str| format!("{what} at {megabytes} MiB");
    for (what, part, target) in [
        ("all of it", "downtime", Target::Shown),
        ("the freeze, its copy counted,", "freeze", Target::Shown),
        ("without the freeze", "rest", Target::AtMost(1.2)),
    ] {
        let (ours, baseline) = (format!("{part}/large"), format!("{part}/small"));
        add(against(downtime, &large(what), &ours, "at 100 MiB", &baseline, target));
    }
    let script = "the same by a shell script";
    add(against(
        "A whole run, without drill",
        "from the saved file to the end",
        "run/whole",
        script,
        "script/whole",
        Target::AtMost(1.03),
    ));

    let back = "A rollback on Cloud Run, of code alone";
    let calls = "the same traffic by the API alone";
    for (what, part, target) in [
        ("until the last service's traffic is asked for", "cloud/traffic", Target::AtMost(1.5)),
        ("from the command to the end of the run", "cloud", Target::Shown),
    ] {
        add(against(back, what, &format!("{part}/ours"), calls, &format!("{part}/script"), target));
    }

    let helm = "An upgrade of a release that rolls";
    let (bare, gone) = ("`helm upgrade --wait`", "`helm upgrade --wait`, old pods gone");
    for (what, part, by_hand, script, target) in [
        ("the step that upgrades", "helm/apply", bare, "helm/bare/script", Target::AtMost(1.05)),
        ("the same", "helm/apply", gone, "helm/script", Target::AtMost(1.05)),
        ("from the saved file to the end", "helm", gone, "helm/script", Target::Shown),
    ] {
        add(against(helm, what, &format!("{part}/ours"), by_hand, script, target));
    }

    let rest = "The daemon at rest";
    for (what, part, most) in [
        ("with 1 deployment, after a start", "1", 16.0),
        ("with 1 deployment, after an upgrade", "1-after", 16.0),
        ("with 1,000 deployments, after a start", "1000", 48.0),
        ("with 1,000 deployments, after a look at each", "1000-after", 48.0),
    ] {
        for (kind, measured, target) in [
            ("memory (RSS)", "rss", Target::AtMost(1.0)),
            ("of that, not mapped from a file,", "anonymous", Target::Shown),
        ] {
            let values = samples.of(&format!("{measured}/{part}"));
            add(quantile(values, 0.5).map(|ours| Figure {
                group: rest,
                what: format!("{kind} {what}"),
                ours,
                baseline: ("what is allowed".into(), most),
                unit: Unit::Mebibytes,
                target,
                times: values.len(),
            }));
        }
    }
    for (what, part) in [("1 deployment", "1"), ("1,000 deployments", "1000")] {
        let values = samples.of(&format!("start/{part}"));
        add(quantile(values, 0.5).map(|ours| Figure {
            group: rest,
            what: format!("start with {what} until the socket answers"),
            ours,
            baseline: ("what is allowed".into(), 0.3),
            unit: Unit::Seconds,
            target: Target::AtMost(1.0),
            times: values.len(),
        }));
    }
    figures
}
