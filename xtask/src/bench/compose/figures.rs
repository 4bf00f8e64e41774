//! The figures of `bench compose`. A figure whose parts were not measured is left out.

use crate::bench::figure::{Figure, Samples, Target, Unit, quantile};

/// What a filter may name; `compose` names all of them.
pub const GROUPS: &[&str] = &["compose/rest", "compose/mysql", "compose/major", "compose/rolling", "compose/downtime"];

/// Published with 51 containers on such a machine; not measured here.
const WATCHTOWER_MIB: f64 = 21.0;
const MINUTE_S: f64 = 60.0;

pub fn of(samples: &Samples, megabytes: u64) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut add = |figure: Option<Figure>| figures.extend(figure);
    let against = |group, what: &str, ours: &str, name: &str, baseline: &str, target| {
        let (mine, theirs) = (samples.median(ours)?, samples.median(baseline)?);
        let times = samples.of(ours).len().min(samples.of(baseline).len());
        let baseline = (name.to_owned(), theirs);
        Some(Figure { group, what: what.into(), ours: mine, baseline, unit: Unit::Seconds, target, times })
    };

    let downtime = "Downtime of a stack of seven containers";
    let seen = format!("seen by a client outside, {megabytes} MiB");
    let (large, small) = ("seen/compose-large", "seen/compose-small");
    let script = "`docker compose down`, `pull`, `up -d`, wait";
    add(against(downtime, &seen, large, script, "seen/script", Target::AtMost(0.5)));
    let in_place = "`pull` ahead, `up -d`, wait";
    add(against(downtime, &seen, large, in_place, "seen/script-in-place", Target::Shown));
    add(against(downtime, &seen, large, "at 100 MiB", small, Target::Shown));
    let seldom = format!("{seen}, health checked every ten seconds");
    add(against(downtime, &seldom, "seen/compose-seldom", script, "seen/script-seldom", Target::AtMost(0.5)));
    for (what, part, target) in [
        ("the freeze, its copy counted,", "freeze", Target::Shown),
        ("without the freeze", "rest", Target::AtMost(1.2)),
    ] {
        let (ours, baseline) = (format!("{part}/compose-large"), format!("{part}/compose-small"));
        let what = format!("{what} at {megabytes} MiB");
        add(against(downtime, &what, &ours, "at 100 MiB", &baseline, target));
    }

    let servers = "MySQL and MariaDB saved and brought back";
    for (kind, name, dump) in [("mariadb", "MariaDB", "mariadb-dump"), ("mysql", "MySQL", "mysqldump")] {
        let parts = |part: &str| (format!("{kind}/{part}/ours"), format!("{kind}/{part}/tool"));
        let (ours, tool) = parts("save");
        let what = format!("{name} into the vault, every row counted");
        add(against(servers, &what, &ours, &format!("`{dump} >`"), &tool, Target::Faster(2.0)));
        let (ours, tool) = parts("restore");
        let what = format!("{name} out of the vault, every row counted");
        add(against(servers, &what, &ours, &format!("`{kind} <`"), &tool, Target::Faster(2.0)));
        let (mark, rows) = (format!("{kind}/mark/ours"), format!("{kind}/mark/rows"));
        let what = format!("{name} says when it was last written to");
        add(against(servers, &what, &mark, "every row read and counted", &rows, Target::Shown));
        let (_, dump_by_hand) = parts("save");
        let (freeze, swap) = (format!("{kind}/freeze/ours"), format!("{kind}/swap/ours"));
        let what = format!("{name} copied beside, held against what is live");
        add(against(servers, &what, &freeze, &format!("`{dump} >`"), &dump_by_hand, Target::Shown));
        let what = format!("{name} back from the copy beside");
        add(against(servers, &what, &swap, &format!("`{kind} <`"), &tool, Target::Faster(2.0)));
    }

    let major = "Another major version of PostgreSQL";
    let pipe = "`pg_dumpall \\| psql`";
    for (what, ours, target) in [
        ("carried into the new server, every row counted", "major/carry", Target::Faster(2.0)),
        ("the same with the final backup before it", "major/backup-and-carry", Target::Shown),
        ("the whole downtime", "major/downtime", Target::Shown),
    ] {
        add(against(major, &format!("{what}, {megabytes} MiB"), ours, pipe, "major/script", target));
    }

    let rolling = "A rolling upgrade of two replicas";
    for (who, name, target) in
        [("the daemon", "ours", Target::AtMost(0.0)), ("`docker compose up`", "script", Target::Shown)]
    {
        let asked = samples.of(&format!("rolling/asked/{name}"));
        let failed = samples.of(&format!("rolling/failed/{name}"));
        add((!asked.is_empty()).then(|| Figure {
            group: rolling,
            what: format!("requests that failed, by {who}"),
            ours: failed.iter().sum(),
            baseline: ("all of them".into(), asked.iter().sum()),
            unit: Unit::Requests,
            target,
            times: asked.len(),
        }));
    }
    let up = "`pull` ahead, `up -d`, wait";
    add(against(rolling, "from the saved file to the end", "rolling/ours", up, "rolling/script", Target::Shown));

    let rest = "The daemon at rest, with 50 containers";
    for (when, part) in [("after a start", "containers"), ("after an upgrade", "containers-after")] {
        for (what, measured, name, baseline, unit, target) in [
            (
                "memory (RSS)",
                "rss",
                "Watchtower with 51, published",
                WATCHTOWER_MIB,
                Unit::Mebibytes,
                Target::AtMost(1.0),
            ),
            (
                "of that, not mapped from a file,",
                "anonymous",
                "the same",
                WATCHTOWER_MIB,
                Unit::Mebibytes,
                Target::Shown,
            ),
            ("processor time in a minute", "cpu", "the minute", MINUTE_S, Unit::Seconds, Target::Shown),
        ] {
            let values = samples.of(&format!("{measured}/{part}"));
            add(quantile(values, 0.5).map(|ours| Figure {
                group: rest,
                what: format!("{what} {when}"),
                ours,
                baseline: (name.into(), baseline),
                unit,
                target,
                times: values.len(),
            }));
        }
    }
    figures
}
