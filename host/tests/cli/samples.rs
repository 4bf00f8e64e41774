//! What the daemon in memory answers.

use jiff::Timestamp;
use std::path::Path;
use upgraded::activity::Level;
use upgraded::api::*;
use upgraded::config::{Approve, Drill, Settings};
use upgraded::model::{Hop, Release, Requirement, Undo};
use upgraded::plan::{Estimates, Kind, PLAN_SCHEMA, Plan, PlannedEdit, PlannedPolicy, Replacement};

/// On the day of the tests, UTC.
pub fn at(time: &str) -> Timestamp {
    format!("2026-11-21T{time}Z").parse().expect("a time")
}

fn deployment(name: &str, installed: &str, wanted: &str, state: State) -> Deployment {
    let last_run = runs().into_iter().find(|run| run.deployment == name);
    Deployment {
        name: name.into(),
        product: Some("generic".into()),
        installed: Some(installed.into()),
        detected_at: Some(at("10:14:00")),
        wanted: Some(wanted.into()),
        state,
        last_run,
    }
}

pub fn approval() -> Waiting {
    let message = "2.0.0 has breaking changes, and `approve = \"breaking\"` asks for a person".into();
    Waiting { run: Some(12), reason: WaitReason::Approval, message, until: None }
}

/// One in each state.
pub fn deployments() -> Vec<Deployment> {
    let running = Running {
        run: 13,
        phase: "apply".into(),
        step: "h0-apply-main-0".into(),
        title: "run `migrate`".into(),
        progress: Some(Progress { done: 17, total: Some(40), unit: "migrations".into(), message: "users".into() }),
        started_at: at("10:10:00"),
        turned_round: None,
    };
    let choice = |decision, effect: &str| Choice { decision, effect: effect.into() };
    let stuck = Stuck {
        run: 9,
        what: "the restore of `main` was refused: the disk is full. The old data lies untouched in `shared_up_r9`; the service is stopped".into(),
        choices: vec![
            choice(Decision::Resume, "the restore is tried again"),
            choice(Decision::Rollback, "the frozen copy of 09:12 takes its place"),
            choice(Decision::Abandon, "nothing more is touched; the service stays stopped"),
        ],
    };
    let mut mail =
        deployment("mail", "3.1.0", "3.2.0", State::Error { message: mistakes().to_string(), diagnostics: None });
    mail.state = State::Error { message: "the file has mistakes".into(), diagnostics: Some(mistakes()) };
    let why = "the new version does not answer on `/health`: 502 for 2 min".into();
    vec![
        deployment("blog", "5.2.1", "5.2.1", State::Idle),
        deployment("chat", "2.3.0", "2.4.0", State::Quarantined { version: "2.4.0".into(), run: 8, why }),
        mail,
        deployment("share", "7.0.0", "7.1.0", State::Stuck(stuck)),
        deployment("shop", "1.4.0", "2.0.0", State::Waiting(approval())),
        deployment("wiki", "1.40.1", "1.41.0", State::Running(running)),
    ]
}

/// Of a file that is not there any more.
fn mistakes() -> Diagnostics {
    Settings::parse(Path::new("/nowhere/mail.toml"), "sockett = \"/run/x\"\nparallel = 0\n").expect_err("mistakes")
}

fn summary(
    id: u64, deployment: &str, from: &str, to: &str, times: (&str, Option<&str>), outcome: Option<Outcome>,
) -> RunSummary {
    RunSummary {
        id,
        deployment: deployment.into(),
        kind: Kind::Upgrade,
        from: from.into(),
        to: to.into(),
        started_at: at(times.0),
        ended_at: times.1.map(at),
        downtime_s: outcome.as_ref().map(|_| 95.0),
        outcome,
    }
}

/// Newest first.
pub fn runs() -> Vec<RunSummary> {
    let failed = Some(Outcome::RolledBack("the new version does not answer".into()));
    vec![
        summary(13, "wiki", "1.40.1", "1.41.0", ("10:10:00", None), None),
        summary(12, "shop", "1.4.0", "2.0.0", ("10:05:00", None), None),
        summary(9, "share", "7.0.0", "7.1.0", ("09:10:00", None), None),
        summary(8, "chat", "2.3.0", "2.4.0", ("08:00:00", Some("08:11:40")), failed),
        summary(7, "blog", "5.1.0", "5.2.1", ("07:00:00", Some("09:05:00")), Some(Outcome::Committed)),
    ]
}

pub fn releases(name: &str) -> Releases {
    let release = |version: &str, breaking: bool, reach: Reach| {
        let published = Some("2026-10-01T00:00:00Z".into());
        ReachableRelease {
            release: Release { version: version.into(), published, breaking, notes: vec![], url: None },
            reach,
        }
    };
    let hop = |from: &str, to: &str, breaking| HopSummary { from: from.into(), to: to.into(), breaking, rest: false };
    let to_1_5 = hop("1.4.0", "1.5.0", false);
    Releases {
        deployment: name.into(),
        installed: "1.4.0".into(),
        wanted: Some("2.0.0".into()),
        releases: vec![
            release("2.1.0", false, Reach::Refused { rule: "2.0.0 is a required stop".into() }),
            release("2.0.0", true, Reach::Path { hops: vec![to_1_5.clone(), hop("1.5.0", "2.0.0", true)] }),
            release("1.5.0", false, Reach::Path { hops: vec![to_1_5] }),
            release("1.4.1", false, Reach::Quarantined { run: 3 }),
            release("1.4.0", false, Reach::Installed),
            release("1.3.0", false, Reach::Refused { rule: "older than the installed version".into() }),
        ],
    }
}

fn hop(source: &str, target: &str, breaking: bool, notes: &[&str], undo: Vec<Undo>) -> Hop {
    Hop {
        source: source.into(),
        target: target.into(),
        breaking,
        acts: vec![],
        undo,
        expand_only: false,
        rest: false,
        quiesce: vec![],
        gate: vec![],
        requires: if breaking {
            vec![Requirement { component: "postgres".into(), range: ">=15".into() }]
        } else {
            vec![]
        },
        expected_seconds: breaking.then_some((60, 600)),
        notes: notes.iter().map(|note| (*note).into()).collect(),
    }
}

fn the_plan() -> Plan {
    let breaking = [
        "the table `orders` is split into `orders` and `order_lines`; reports that read it with SQL of their own must be changed",
        "carts are kept for 30 days",
    ];
    let diff = "--- .env\n+++ .env\n@@ -1,3 +1,3 @@\n # versions\n-SHOP_VERSION=1.5.0\n+SHOP_VERSION=2.0.0\n SHOP_PASSWORD=‹secret›\n";
    let edit = PlannedEdit {
        platform: "main".into(),
        path: ".env".into(),
        why: "the version that Compose starts".into(),
        before: None,
        after: Some(Replacement { digest: String::new(), content: vec![1, 2, 3], executable: false }),
        diff: diff.into(),
    };
    Plan {
        schema: PLAN_SCHEMA,
        host_version: "0.1.0".into(),
        deployment: "shop".into(),
        kind: Kind::Upgrade,
        from: "1.4.0".into(),
        to: "2.0.0".into(),
        file: String::new(),
        bindings: vec![],
        hops: vec![
            hop("1.4.0", "1.5.0", false, &["gift cards"], vec![Undo::CodeOnly]),
            hop("1.5.0", "2.0.0", true, &breaking, vec![]),
        ],
        edits: vec![vec![], vec![edit]],
        carries: vec![],
        policy: PlannedPolicy {
            undrilled: Default::default(),
            approve: Approve::Breaking,
            approval_needed: true,
            windows: vec!["Sat 02:00-06:00 Europe/Berlin".into()],
            drill: Drill::Ahead,
            rehearse: false,
            idle_ms: 600_000,
        },
        findings: vec![
            Finding::new(
                "host",
                "vault-on-data-disk",
                Severity::Warning,
                "the vault lies on the disk of the data that it is to save",
            )
            .hint("move `vault` to another disk"),
            Finding::new("main", "notes", Severity::Info, "the search index is built anew"),
        ],
        estimates: Estimates { backup_s: Some(42.0), downtime_s: Some(185.0), rollback_s: Some(64.0) },
    }
}

fn steps() -> Vec<StepView> {
    let step = |id: &str, phase: &str, hop, title: &str, downtime, expected_s| StepView {
        id: id.into(),
        phase: phase.into(),
        hop,
        binding: Some("main".into()),
        title: title.into(),
        downtime,
        expected_s,
    };
    vec![
        step("h0-stage-main", "stage", Some(0), "bring everything of the target here", false, None),
        step("backup-ahead-main", "backup-ahead", None, "back up `main` while it serves", false, Some(42.0)),
        step("quiesce-main", "quiesce", None, "shut the gate, stop who writes", true, Some(3.2)),
        step("h1-apply-main-0", "apply", Some(1), "run `migrate`", true, Some(140.0)),
        step("admit-main", "admit", None, "let users in", false, None),
    ]
}

pub fn plan() -> PlanView {
    let window = Waiting {
        run: None,
        reason: WaitReason::Window,
        message: "for a window with room for 3 min 5 s of downtime and a rollback".into(),
        until: Some("2026-11-28T01:00:00Z".parse().expect("a time")),
    };
    PlanView::new(&the_plan(), steps(), vec![approval(), window], vec![])
}

pub fn blocked_plan() -> PlanView {
    let blocker = Finding::blocker("host", "space", "`/srv/shop` has room for 1.2 GiB; the frozen copy needs 3.4 GiB");
    let mut findings = the_plan().findings;
    findings.push(blocker);
    PlanView::new(&the_plan(), steps(), vec![], findings)
}

pub fn check(name: &str) -> Check {
    let findings = if name == "shop" { blocked_plan().findings } else { vec![] };
    let ready = findings.is_empty();
    Check {
        deployment: name.into(),
        from: "1.4.0".into(),
        to: "2.0.0".into(),
        ready,
        findings,
        checked_at: at("10:14:50"),
    }
}

pub fn rolled_back() -> Run {
    let summary = runs().into_iter().find(|run| run.id == 8).expect("run 8");
    let failure = Failure { code: "verify".into(), message: "GET /health: 502 Bad Gateway".into(), retryable: false };
    let step = |id: &str, phase: &str, title: &str, state, times: Option<(&str, &str)>| RunStep {
        id: id.into(),
        phase: phase.into(),
        hop: None,
        binding: Some("main".into()),
        title: title.into(),
        state,
        attempts: u32::from(times.is_some()),
        started_at: times.map(|(from, _)| at(from)),
        ended_at: times.map(|(_, to)| at(to)),
        failure: (state == StepState::Failed).then(|| failure.clone()),
    };
    let mut retried = step(
        "stage-main",
        "stage",
        "bring everything of the target here",
        StepState::Succeeded,
        Some(("08:00:01", "08:03:21")),
    );
    retried.attempts = 2;
    Run {
        summary,
        approved_by: Some("alice".into()),
        plan: plan(),
        steps: vec![
            retried,
            step(
                "quiesce-main",
                "quiesce",
                "shut the gate, stop who writes",
                StepState::Succeeded,
                Some(("08:10:00", "08:10:03")),
            ),
            step(
                "verify-main",
                "verify",
                "verify as a client from outside",
                StepState::Failed,
                Some(("08:10:30", "08:11:00")),
            ),
            step("admit-main", "admit", "let users in", StepState::Skipped, None),
            step(
                "revert-main",
                "revert",
                "start the old version",
                StepState::Succeeded,
                Some(("08:11:01", "08:11:35")),
            ),
        ],
        rehearsed: None,
        findings: vec![Finding::blocker("product", "health", "the new version does not answer")],
        failure: Some(RunFailure { step: "verify-main".into(), phase: "verify".into(), failure }),
        stuck: None,
        left: Vec::new(),
    }
}

pub fn line(id: u64, time: &str, level: Level, message: &str) -> LogLine {
    let step = Some("verify-main".into());
    LogLine { id, at: at(time), deployment: "chat".into(), run: Some(8), step, level, message: message.into() }
}

pub fn lines() -> Vec<LogLine> {
    vec![
        line(501, "08:10:30", Level::Info, "GET /health"),
        line(502, "08:10:59", Level::Warn, "502 Bad Gateway, \u{1b}[2Jonce more"),
        line(503, "08:11:00", Level::Error, "gave up"),
    ]
}
