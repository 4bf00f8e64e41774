//! The daemon is killed at every record of its journal from the freeze on, in a run that is good and in runs that turn
//! round. Whatever the instant: the next daemon brings the database and the code to the old or to the new version, whole,
//! and leaves nothing behind.
//!
//! Cuts of one story are shared by a few machines, each of which is put back after a cut instead of being made anew.

use std::collections::VecDeque;
use std::sync::Mutex;
use upgraded_tests::{Daemon, Graph, Install, last_run, outcome, stride};

const MACHINES: usize = 2;

#[test]
fn a_good_run_with_a_migration_ends_whole_from_freeze_to_commit() {
    Story { from: "1.0.0", to: "1.1.0", ends_as: "committed", first: "freeze-main" }.sweep();
}

#[test]
fn a_way_back_with_the_data_ends_whole() {
    Story { from: "1.1.0", to: "1.7.0", ends_as: "rolled-back", first: "b0-halt-main" }.sweep();
}

#[test]
fn a_way_back_that_rebuilds_ends_whole() {
    Story { from: "1.1.0", to: "1.3.0", ends_as: "rolled-back", first: "b0-halt-main" }.sweep();
}

struct Story {
    from: &'static str,
    to: &'static str,
    ends_as: &'static str,
    /// The step at whose first record the cuts begin.
    first: &'static str,
}

/// What a run that nobody cut came to.
struct Uncut {
    old: String,
    new: String,
    first: u32,
    records: u32,
}

impl Story {
    fn sweep(&self) {
        let cuts: Mutex<Option<VecDeque<u32>>> = Mutex::new(None);
        let done = Mutex::new(0);
        std::thread::scope(|scope| {
            for _ in 0..MACHINES {
                scope.spawn(|| {
                    let graph = Graph::new(&Install { version: self.from, ..Install::default() });
                    graph.keep_pristine();
                    let uncut = self.uncut(&graph);
                    let all = || (uncut.first..=uncut.records).step_by(stride("UPGRADED_SWEEP_STRIDE", 1)).collect();
                    loop {
                        let next = cuts.lock().expect("nobody panics here").get_or_insert_with(all).pop_front();
                        let Some(record) = next else { return };
                        self.cut(&graph, &uncut, record);
                        *done.lock().expect("nobody panics here") += 1;
                    }
                });
            }
        });
        assert!(*done.lock().expect("nobody panics here") > 0, "no record was cut");
    }

    fn uncut(&self, graph: &Graph) -> Uncut {
        let old = comparable(graph);
        graph.edit_version(self.to);
        let mut daemon = Daemon::start(graph);
        let now = daemon.end_of_run_to(self.to);
        assert_eq!(outcome(&now), self.ends_as, "{now:#}");
        daemon.kill();
        let new = comparable(graph);
        assert_eq!(new == old, self.ends_as == "rolled-back", "what the run does to the data");
        let sql = "SELECT number + 1 FROM records WHERE body LIKE '%\"started\"%\"' || ?1 || '\"%' ORDER BY number LIMIT 1";
        let first = graph.journal().query_row(sql, [self.first], |row| row.get(0));
        let records = graph.records();
        graph.reset();
        Uncut { old, new, first: first.expect("the step began"), records }
    }

    fn cut(&self, graph: &Graph, uncut: &Uncut, record: u32) {
        let runs = graph.runs();
        Daemon::launch(graph, &[("UPGRADED_FAILPOINT", &format!("record:{record}"))]).dies();
        let mut daemon = Daemon::start(graph);
        let now = daemon.end_of_run_to(self.to);
        let at = || format!("cut at record {record} of {}: {now:#}\n{}", uncut.records, graph.log());
        // A run that was cut may turn round where an uncut one would have gone through.
        let (stands, data) = match outcome(&now) {
            "committed" if self.ends_as == "committed" => (self.to, &uncut.new),
            "rolled-back" => (self.from, &uncut.old),
            other => panic!("{other}, {}", at()),
        };
        assert_eq!(now["installed"], stands, "{}", at());
        graph.is_whole(stands, None);
        assert!(comparable(graph) == *data, "the data of {stands}, {}", at());
        daemon.look();
        daemon.wait("it has looked again", |now| matches!(upgraded_tests::kind(now), "idle" | "quarantined"));
        assert_eq!((graph.runs(), last_run(&daemon.now())), (runs + 1, runs + 1), "one run, {}", at());
        daemon.kill();
        graph.reset();
    }
}

/// Without the times at which migrations ran.
fn comparable(graph: &Graph) -> String {
    let lines: Vec<String> = graph.data().lines().map(str::to_owned).collect();
    lines.into_iter().filter(|line| !line.starts_with("table schema_migrations ")).collect::<Vec<_>>().join("\n")
}
