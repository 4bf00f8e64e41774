//! The daemon is killed at every record of its journal from the fence on: in a run that is good, and on the whole way back
//! of runs that turn round. Whatever the instant: the next daemon ends the run as it would have ended without the cut,
//! with the data and the code of one version, and leaves nothing behind.
//!
//! A few machines share the cuts of one story; each is put back after a cut instead of being made anew.
//! `UPGRADED_SWEEP_STRIDE=6` cuts at every sixth record only.

use std::sync::Mutex;
use upgraded_tests::{Cut, Daemon, Graph, Install, is_over, kind, last_run, outcome, stride};

const LANES: usize = 2;

#[test]
fn a_good_run_with_a_migration_ends_whole_from_fence_to_commit() {
    Story { from: "1.0.0", to: "1.1.0", ends_as: "committed", first: "fence-main" }.sweep();
}

#[test]
fn a_way_back_with_the_data_ends_whole() {
    Story { from: "1.1.0", to: "1.7.0", ends_as: "rolled-back", first: "b0-halt-main" }.sweep();
}

#[test]
fn a_way_back_that_rebuilds_ends_whole() {
    Story { from: "1.1.0", to: "1.3.0", ends_as: "rolled-back", first: "b0-halt-main" }.sweep();
}

#[derive(Clone, Copy)]
struct Story {
    from: &'static str,
    to: &'static str,
    ends_as: &'static str,
    /// The step at whose first record the cuts begin.
    first: &'static str,
}

impl Story {
    fn sweep(self) {
        let next: Mutex<Option<usize>> = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..LANES {
                scope.spawn(|| {
                    let graph = Graph::new(&Install { version: self.from, ..Install::default() });
                    let mut lane = Lane::new(self, &graph);
                    let first = lane.uncut();
                    while lane.cut(take(&next, first)) {}
                });
            }
        });
        let cuts = take(&next, 0);
        assert!(cuts > 20, "a run has more records than that: {cuts}");
    }

    fn commits(self) -> bool {
        self.ends_as == "committed"
    }
}

fn take(next: &Mutex<Option<usize>>, first: usize) -> usize {
    let mut next = next.lock().expect("nobody panics here");
    let record = next.unwrap_or(first);
    *next = Some(record + stride("UPGRADED_SWEEP_STRIDE", 1));
    record
}

struct Lane<'a> {
    story: Story,
    graph: &'a Graph,
    /// None between two of them.
    daemon: Option<Daemon<'a>>,
    old: String,
    /// What the data is after the run.
    data: String,
    runs: u64,
}

impl<'a> Lane<'a> {
    fn new(story: Story, graph: &'a Graph) -> Self {
        graph.keep_pristine();
        let daemon = Some(Daemon::start(graph).settled());
        let old = comparable(graph);
        Self { story, graph, daemon, data: old.clone(), old, runs: 0 }
    }

    /// The first record to cut at.
    fn uncut(&mut self) -> usize {
        self.begin();
        self.ends();
        self.data = comparable(self.graph);
        assert_eq!(self.data == self.old, !self.story.commits(), "what the run does to the data");
        let first = self.graph.number_of_start(self.story.first);
        self.put_back();
        first
    }

    /// False: the run was over before it had so many records.
    fn cut(&mut self, record: usize) -> bool {
        self.graph.cut_at(Cut::Record(record));
        self.begin();
        let rests = self.rests();
        let runs = self.runs;
        let died = self.daemon().dies_unless(|now| is_over(now, runs) && kind(now) == rests);
        self.graph.no_cut();
        if died {
            self.daemon = Some(Daemon::start(self.graph));
        } else {
            let records = self.graph.records() as usize;
            assert!(records < record, "record {record} of {records} was passed");
        }
        self.ends();
        let now = comparable(self.graph);
        assert!(now == self.data, "cut at record {record}:\n{now}\n\n{}\n{}", self.data, self.graph.log());
        self.put_back();
        died
    }

    fn begin(&mut self) {
        if self.runs == 0 || self.story.commits() {
            self.graph.edit_version(self.story.to);
        } else {
            let name = self.graph.name.clone();
            self.daemon().told(&["retry", &name]);
        }
        self.runs += 1;
    }

    fn rests(&self) -> &'static str {
        if self.story.commits() { "idle" } else { "quarantined" }
    }

    fn ends(&mut self) {
        let (runs, rests, Story { from, to, ends_as, .. }) = (self.runs, self.rests(), self.story);
        let stands = if self.story.commits() { to } else { from };
        let now = self.daemon().wait("the run ends", |now| is_over(now, runs) && kind(now) == rests);
        assert_eq!(outcome(&now), ends_as, "{now:#}");
        self.daemon().wait("it knows what stands", |now| now["installed"] == stands);
        assert_eq!(last_run(&self.daemon().now()), runs, "nothing began by itself");
        self.graph.is_whole(stands, None);
    }

    /// What a run changed; one that went back changed nothing.
    fn put_back(&mut self) {
        self.graph.drop_copies();
        if !self.story.commits() {
            return;
        }
        let from = self.story.from;
        self.graph.put_back();
        self.graph.edit_version(from);
        self.daemon()
            .wait("it is as before", |now| now["installed"] == from && now["wanted"] == from && kind(now) == "idle");
    }

    fn daemon(&mut self) -> &mut Daemon<'a> {
        self.daemon.as_mut().expect("a daemon runs")
    }
}

/// Without the times at which migrations ran.
fn comparable(graph: &Graph) -> String {
    let data = graph.data();
    let lines = data.lines().filter(|line| !line.starts_with("table schema_migrations "));
    lines.collect::<Vec<_>>().join("\n")
}
