//! Upgrades and ways back, with some of the release held at zero; and a release that was left pending.

use super::charts::short;
use super::errors::{helm_error, verb_error};
use super::{Kubernetes, POLL, TAIL_LINES};
use crate::activity::Level;
use crate::config::CommandConfig;
use crate::context::StepContext;
use crate::driver::durable;
use crate::driver::process::{NamedCommand, io_error};
use crate::model::{CommandExit, VerbError};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use upgraded_kubernetes::{Cluster, Kind, Mark, Revision, Standing, Workload, manifest, meant, workloads_of};

/// Labels are no longer.
const LABEL_BYTES: usize = 63;
pub(super) const DEPLOYED: &str = "deployed";
/// Of a hook's log, at a look.
const LINES: i64 = 400;

/// What is held, beside what runs now and what Helm compares with.
struct Held<'a> {
    live: &'a [Workload],
    compared: &'a [serde_json::Value],
    what: Vec<(Kind, String)>,
}

impl Held<'_> {
    fn find(&self, kind: Kind, name: &str) -> Option<&Workload> {
        self.live.iter().find(|w| w.kind == kind && w.name == name)
    }
}

impl manifest::Holds for Held<'_> {
    fn holds(&self, kind: Kind, name: &str) -> bool {
        self.what.iter().any(|(of, held)| *of == kind && held == name)
    }
    fn live(&self, kind: Kind, name: &str) -> Option<u32> {
        self.find(kind, name).map(|live| live.kept().unwrap_or(live.replicas()))
    }
    fn was_stated(&self, kind: Kind, name: &str) -> bool {
        manifest::states(self.compared, kind, name)
    }
    fn is_suspended(&self, name: &str) -> bool {
        self.find(Kind::CronJob, name).is_some_and(|live| live.object["spec"]["suspend"] == true && !live.is_held())
    }
}

impl Kubernetes {
    pub async fn upgrade(
        &self, cx: &StepContext, digest: &str, hold: &[String], idle_ms: u64,
    ) -> Result<(), VerbError> {
        self.changeable(cx, "helm.upgrade")?;
        let newest = self.unlocked(cx).await?;
        if self.is_made_by(&newest, cx) {
            return Ok(());
        }
        let (chart, values) = (self.chart_of(digest)?, self.values(None)?);
        let how = (true, self.must_force(&newest).await?);
        if hold.is_empty() {
            return self.as_charted(cx, "helm.upgrade", &chart, &values, how, idle_ms).await;
        }
        let documents = self.rendered(&chart, &values).await?;
        let mark = Mark { step: label(&cx.step), held: Some(format!("up.{}", short(digest))) };
        self.held(cx, "helm.upgrade", documents, hold, &mark, how, idle_ms).await
    }

    pub async fn back(&self, cx: &StepContext, revision: u32, hold: &[String]) -> Result<(), VerbError> {
        self.changeable(cx, "helm.back")?;
        let newest = self.unlocked(cx).await?;
        let untouched = newest.number == revision && newest.status == DEPLOYED;
        if untouched || self.is_made_by(&newest, cx) {
            return Ok(());
        }
        let force = self.must_force(&newest).await?;
        if hold.is_empty() {
            return self.job(cx, "helm.back", self.helm()?.rollback(revision, force), 0).await;
        }
        let target = self.revision(revision).await?;
        let documents = manifest::read(&target.manifest).map_err(verb_error)?;
        self.remove_leftovers(cx, revision, &documents).await?;
        let mark = Mark { step: label(&cx.step), held: Some(format!("back.{revision}")) };
        self.held(cx, "helm.back", documents, hold, &mark, (false, force), 0).await
    }

    pub async fn settle(&self, cx: &StepContext) -> Result<(), VerbError> {
        self.changeable(cx, "helm.settle")?;
        let newest = self.unlocked(cx).await?;
        let all = self.cluster().await?.revisions().await.map_err(verb_error)?;
        if let Some(goal) = goal(&all) {
            self.becomes(cx, goal, self.must_force(&newest).await?).await?;
        }
        self.clocks_go_on(cx).await
    }

    async fn becomes(&self, cx: &StepContext, goal: &str, force: bool) -> Result<(), VerbError> {
        match goal.split_once('.') {
            Some(("up", digest)) => {
                let (chart, values) = (self.chart_of(digest)?, self.values(None)?);
                self.as_charted(cx, "helm.settle", &chart, &values, (false, force), 0).await
            }
            Some(("back", number)) if number.parse::<u32>().is_ok() => {
                let argv = self.helm()?.rollback(number.parse().unwrap_or_default(), force);
                self.job(cx, "helm.settle", argv, 0).await
            }
            _ => Err(VerbError::other("release", format!("the record's mark `{goal}` says nothing"))),
        }
    }

    /// Makes a revision of the chart with nothing held; of a double, of what may be of it.
    async fn as_charted(
        &self, cx: &StepContext, verb: &str, chart: &Path, values: &[PathBuf], (hooks, force): (bool, bool),
        idle_ms: u64,
    ) -> Result<(), VerbError> {
        let mark = Mark { step: label(&cx.step), held: None };
        if self.double.is_some() {
            let documents = self.rendered(chart, values).await?;
            return self.held(cx, verb, documents, &[], &mark, (hooks, force), idle_ms).await;
        }
        let argv = self.helm()?.upgrade(chart, values, &mark, hooks, force);
        self.job(cx, verb, argv, idle_ms).await
    }

    /// A field that two have set stays when one of them takes it away: Helm's own word is not enough.
    async fn clocks_go_on(&self, cx: &StepContext) -> Result<(), VerbError> {
        let cluster = self.cluster().await?;
        let workloads = cluster.workloads().await.map_err(verb_error)?;
        let clocks: Vec<&Workload> = workloads.iter().filter(|w| w.kind == Kind::CronJob && w.is_held()).collect();
        if clocks.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = clocks.iter().map(|clock| clock.name.as_str()).collect();
        let work = async {
            for clock in &clocks {
                cluster.release_hold(clock).await.map_err(verb_error)?;
            }
            Ok(())
        };
        cx.effects.perform("helm.resume", &names, &names.join(","), true, work).await
    }

    /// Makes a revision of these documents, as a chart of its own that renders to nothing else.
    #[expect(clippy::too_many_arguments, reason = "few callers, all here and in `rehearsal`")]
    pub(super) async fn held(
        &self, cx: &StepContext, verb: &str, mut documents: Vec<serde_json::Value>, hold: &[String], mark: &Mark,
        (hooks, force): (bool, bool), idle_ms: u64,
    ) -> Result<(), VerbError> {
        self.bring(cx, &documents).await?;
        let cluster = self.cluster().await?;
        let live = cluster.workloads().await.map_err(verb_error)?;
        let compared = match cluster.compared_revision().await.map_err(verb_error)? {
            Some(revision) => manifest::read(&revision.manifest).map_err(verb_error)?,
            None => Vec::new(),
        };
        let planned = workloads_of(&documents);
        let what = hold.iter().flat_map(|name| meant(&planned, cluster.release(), name));
        let what = what.map(|workload| (workload.kind, workload.name.clone())).collect();
        manifest::hold(&mut documents, &Held { live: &live, compared: &compared, what });
        let helm = self.helm()?;
        let argv = |chart: &Path| helm.upgrade(chart, &[], mark, hooks, force);
        self.own_chart(cx, verb, &documents, argv, idle_ms).await
    }

    /// Runs `helm` on a chart that renders to these documents, which is there meanwhile.
    pub(super) async fn own_chart(
        &self, cx: &StepContext, verb: &str, documents: &[serde_json::Value], argv: impl FnOnce(&Path) -> Vec<String>,
        idle_ms: u64,
    ) -> Result<(), VerbError> {
        let folder = self.scratch(cx, "helm");
        let _ = fs::remove_dir_all(&folder);
        write_chart(&folder, documents, &self.config.release)?;
        let outcome = self.job(cx, verb, argv(&folder), idle_ms).await;
        let _ = fs::remove_dir_all(&folder);
        outcome
    }

    /// By the step, before a cut: nothing is left of its chart.
    pub(super) fn is_made_by(&self, newest: &Revision, cx: &StepContext) -> bool {
        let made = newest.status == DEPLOYED && newest.step.as_deref() == Some(label(&cx.step).as_str());
        if made {
            let _ = fs::remove_dir_all(self.scratch(cx, "helm"));
        }
        made
    }

    /// The newest revision, once none that this run began and no `helm` works on any more is pending.
    pub(super) async fn unlocked(&self, cx: &StepContext) -> Result<Revision, VerbError> {
        let cluster = self.cluster().await?;
        let newest = cluster.newest().await.map_err(verb_error)?;
        if !newest.is_pending() {
            return Ok(newest);
        }
        let all = cluster.revisions().await.map_err(verb_error)?;
        // `helm rollback` marks nothing: what it follows does.
        if !all.iter().rev().take(2).any(|revision| is_of_run(revision, &cx.run)) {
            let (release, number, status) = (&self.config.release, newest.number, &newest.status);
            return Err(VerbError::Conflict(format!(
                "revision {number} of `{release}` is `{status}`: somebody's `helm` is at work on it, or was ended; \
                 `helm rollback {release}` would end that"
            )));
        }
        let why = format!("its `helm` is gone; found by {}", cx.step);
        let work = async {
            cx.activity.watch(self.idle, self.hooks_end(cx, cluster)).await?;
            cluster.unlock(&newest, &why).await.map_err(verb_error)
        };
        cx.effects.perform("helm.unlock", &newest.number, &newest.number.to_string(), true, work).await?;
        cluster.newest().await.map_err(verb_error)
    }

    /// A hook goes on without its `helm`, and would be begun anew while it is half done.
    async fn hooks_end(&self, cx: &StepContext, cluster: &Cluster) -> Result<(), VerbError> {
        let mut heard = BTreeMap::new();
        loop {
            let workloads = cluster.workloads().await.map_err(verb_error)?;
            let runs = |w: &&Workload| w.hook && w.object["status"]["active"].as_u64().unwrap_or(0) > 0;
            if !workloads.iter().any(|workload| runs(&workload)) {
                return Ok(());
            }
            hear(cx, cluster, &workloads, &mut heard).await;
            tokio::time::sleep(POLL).await;
        }
    }

    /// Helm 4 applies on the server and would stop at a number of replicas that we set.
    pub(super) async fn must_force(&self, newest: &Revision) -> Result<bool, VerbError> {
        let (major, _) = self.check_program().await?;
        Ok(major >= 4 && newest.server_side)
    }

    /// Runs `helm` to its end, listening to hooks meanwhile.
    async fn job(&self, cx: &StepContext, verb: &str, argv: Vec<String>, idle_ms: u64) -> Result<(), VerbError> {
        let name = argv[1..].iter().take(2).fold("helm".to_owned(), |name, word| format!("{name} {word}"));
        let config = CommandConfig {
            argv,
            directory: Some(PathBuf::from("/")),
            environment: BTreeMap::new(),
            user: None,
            arguments: false,
            reads_only: false,
        };
        let (args, success, progress) = (Vec::new(), None, None);
        let command = NamedCommand { name: name.clone(), args, repeatable: true, success, progress, idle_ms };
        let exit: CommandExit = tokio::select! {
            exit = self.processes.run_own(cx, verb, &config, command) => exit?,
            never = self.listen(cx) => match never {},
        };
        if exit.code == 0 {
            return Ok(());
        }
        let why = self.why_hooks_failed().await;
        let told = [exit.tail.trim(), why.trim()].join("\n");
        Err(helm_error(&name, &told))
    }

    /// What hooks say goes into the step's log; it is a sign of life.
    async fn listen(&self, cx: &StepContext) -> Infallible {
        let mut heard = BTreeMap::new();
        loop {
            tokio::time::sleep(POLL).await;
            let Ok(cluster) = self.cluster().await else { continue };
            let Ok(workloads) = cluster.workloads().await else { continue };
            hear(cx, cluster, &workloads, &mut heard).await;
        }
    }

    async fn why_hooks_failed(&self) -> String {
        let mut said = Vec::new();
        let Ok(cluster) = self.cluster().await else { return String::new() };
        for hook in cluster.workloads().await.unwrap_or_default().iter().filter(|w| w.hook) {
            let broken = matches!(cluster.standing(hook).await, Ok(Standing::Broken { .. }));
            if broken && let Ok(Some(pod)) = cluster.newest_pod(hook).await {
                said.push(format!("the hook `{}`:\n{}", hook.name, cluster.why(&pod, TAIL_LINES).await));
            }
        }
        said.join("\n")
    }
}

/// Lines of the logs of hooks that are new since `heard`, which has the last one of each pod.
async fn hear(cx: &StepContext, cluster: &Cluster, workloads: &[Workload], heard: &mut BTreeMap<String, String>) {
    for hook in workloads.iter().filter(|workload| workload.hook && workload.kind == Kind::Job) {
        let Ok(Some(pod)) = cluster.newest_pod(hook).await else { continue };
        let text = cluster.dated_tail(&pod, LINES).await;
        for line in unheard(&text, heard.entry(pod).or_default()) {
            cx.activity.line(Level::Info, format!("{}: {line}", hook.name));
        }
    }
}

/// Of dated lines, those after the last one that was heard, without their dates; not those that say nothing.
fn unheard<'t>(text: &'t str, last: &mut String) -> Vec<&'t str> {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let from = lines.iter().rposition(|line| *line == last.as_str()).map_or(0, |at| at + 1);
    if let Some(newest) = lines.last() {
        (*newest).clone_into(last);
    }
    lines[from..].iter().filter_map(|line| Some(line.split_once(' ')?.1)).collect()
}

/// A step of this run made it.
pub(super) fn is_of_run(revision: &Revision, run: impl Display) -> bool {
    let beginning = format!("r{run}-");
    revision.step.as_deref().is_some_and(|step| step.starts_with(&beginning))
}

/// What the release is to become, where its newest revision that stands holds something.
fn goal(all: &[Revision]) -> Option<&str> {
    for revision in all.iter().rev() {
        match &revision.held {
            Some(goal) => return Some(goal),
            None if revision.status == DEPLOYED => return None,
            None => {}
        }
    }
    None
}

pub(super) fn label(step: &str) -> String {
    let cut: String = step.chars().take(LABEL_BYTES).collect();
    cut.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

fn write_chart(folder: &Path, documents: &[serde_json::Value], release: &str) -> Result<(), VerbError> {
    let failed = io_error("write the chart of what is held");
    let version = documents.iter().find_map(|d| d["metadata"]["labels"]["app.kubernetes.io/version"].as_str());
    let files = manifest::chart_of(release, "0.0.0", version.unwrap_or("0.0.0"), documents);
    for (path, text) in files {
        let file = folder.join(path);
        durable::make_folder(file.parent().unwrap_or(folder)).map_err(&failed)?;
        durable::write(&file, text.as_bytes()).map_err(&failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_is_heard_however_much_it_says() {
        let said = |lines: std::ops::Range<u32>| -> String {
            lines.map(|line| format!("2024-02-29T12:00:00.{line:09}Z row {}\n", line % 2)).collect()
        };
        let mut last = String::new();
        assert_eq!(unheard(&said(0..3), &mut last), ["row 0", "row 1", "row 0"]);
        assert_eq!(unheard(&said(0..3), &mut last), [""; 0]);
        assert_eq!(unheard(&said(1..4), &mut last), ["row 1"], "a window that moves");
        assert_eq!(unheard(&said(90..92), &mut last), ["row 0", "row 1"], "one that moved past all of it");
        assert_eq!(unheard("", &mut last), [""; 0]);
        assert_eq!(unheard(&said(91..93), &mut last), ["row 0"], "a log that could not be had is no end of it");
        let empty = format!("{}2024-02-29T12:00:01Z \n", said(92..93));
        assert_eq!(unheard(&empty, &mut last), [""; 0]);
        assert_eq!(last, "2024-02-29T12:00:01Z");
    }
}
