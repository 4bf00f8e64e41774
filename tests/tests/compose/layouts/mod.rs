//! Compose files as people lay them out, a row each: from one edited line to the next version and back, and of the files
//! nothing is changed but the version.

mod rows;

use rows::rows;
use serde_json::Value;
use upgraded_tests::{Daemon, Layouts, kind, outcome};

const OLD: &str = "1.0.0";
const NEW: &str = "1.1.0";
/// Its containers end at once.
const BAD: &str = "1.2.0";
/// Ends as soon as it is asked to.
const SERVES: &str = "trap exit TERM; sleep 100000 & wait";

fn committed(now: &Value, version: &str) -> bool {
    now["installed"] == version && kind(now) == "idle"
}

#[test]
fn every_layout_goes_up_and_comes_back() {
    let rows = rows();
    let versions = [(OLD, SERVES), (NEW, SERVES), (BAD, "echo broken; exit 3")];
    let (plans, rows): (Vec<_>, Vec<_>) =
        rows.into_iter().map(|row| (row.plan, (row.services, row.back_by_hand))).unzip();
    let layouts = Layouts::new(plans, &versions);
    let machine = &layouts.machine;
    machine.set("parallel = 8");
    let parallel = |work: &(dyn Fn(usize) + Sync)| {
        std::thread::scope(|scope| (0..rows.len()).for_each(|row| drop(scope.spawn(move || work(row)))));
    };
    parallel(&|row| layouts.all[row].install(machine, OLD));
    machine.take_compiled_plugins();
    let daemon = Daemon::start(machine);
    layouts.wait(&daemon, "all are known", |now| committed(now, OLD));
    let runs = |row: usize, version: &str| {
        let layout = &layouts.all[row];
        for service in rows[row].0 {
            let versions = layout.versions(service);
            assert!(!versions.is_empty() && versions.iter().all(|one| one == version), "{service}: {versions:?}");
        }
        layout.has_files_of(version);
        layout.is_what_the_files_say();
    };
    let others = |row: usize| -> Vec<String> {
        let own = |line: &String| ["base ", "agent "].iter().any(|other| line.starts_with(other));
        layouts.all[row].containers().into_iter().filter(own).collect()
    };
    let before: Vec<_> = (0..rows.len()).map(|row| (others(row), layouts.all[row].things())).collect();

    layouts.all.iter().for_each(|layout| layout.want(machine, NEW));
    layouts.wait(&daemon, "all are upgraded", |now| committed(now, NEW));
    parallel(&|row| runs(row, NEW));

    for (layout, (_, by_hand)) in layouts.all.iter().zip(&rows) {
        match by_hand {
            true => drop(daemon.told(&["rollback", &layout.name, "--yes"])),
            false => layout.want(machine, BAD),
        }
    }
    layouts.wait(&daemon, "all are back", |now| {
        outcome(now) == "rolled-back" && matches!(kind(now), "idle" | "quarantined")
    });
    parallel(&|row| runs(row, if rows[row].1 { OLD } else { NEW }));
    for (row, before) in before.into_iter().enumerate() {
        assert_eq!((others(row), layouts.all[row].things()), before, "{}", layouts.all[row].name);
    }
    machine.nothing_is_left();
}
