//! What the socket asks of the daemon, answered from the journal, the deployments' tasks, and looks of its own.

use super::abandoned;
use super::actor::{self, Unbegun};
use super::clock;
use super::host::{Entry, Host};
use super::looks::Ready;
use super::outlook::Outlook;
use super::planning::{self, Looked, Refused};
use super::views;
use crate::api::facade::LogsOf;
use crate::api::types::*;
use crate::api::{Answer, Caller, Facade, NoticeStream};
use crate::config::SecretCheck;
use crate::journal::{Record, RunRow};
use crate::phase::hops::old_bytes_key;
use crate::plan::event::Event;
use crate::plan::next::{Next, Wait, next};
use crate::plan::state::{Progress as RunProgress, Status};
use crate::plan::step::{Phase, Stretch};
use crate::plan::{Plan, WayBack};
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;

/// The socket's view of the host, whose tasks outlive a caller.
pub struct Door(pub Arc<Host>);

impl std::ops::Deref for Door {
    type Target = Arc<Host>;
    fn deref(&self) -> &Arc<Host> {
        &self.0
    }
}

fn refused(refused: Refused) -> ApiError {
    let code = if refused.retryable { ErrorCode::Unavailable } else { ErrorCode::Refused };
    ApiError::new(code, refused.why)
}

fn internal(error: impl std::fmt::Display) -> ApiError {
    ApiError::internal(error.to_string())
}

impl Host {
    fn known(&self, name: &str) -> Answer<Arc<Entry>> {
        let entry = self.entry(name);
        entry.ok_or_else(|| {
            let entries = self.entries();
            let nearest = crate::config::diagnostic::nearest(name, entries.iter().map(|e| e.name.as_str()));
            let error = ApiError::no_deployment(name);
            match nearest {
                Some(nearest) => error.hint(format!("did you mean `{nearest}`?")),
                None => error,
            }
        })
    }

    async fn look_ready(&self, entry: &Arc<Entry>) -> Answer<(Ready, String)> {
        let text = tokio::fs::read_to_string(&entry.file).await.map_err(|error| {
            ApiError::new(ErrorCode::Unavailable, format!("`{}` can't be read: {error}", entry.file.display()))
        })?;
        Ok((self.ready_for(entry, &text).await?, text))
    }

    async fn ready_for(&self, entry: &Entry, text: &str) -> Answer<Ready> {
        let deployment = self.parse(&entry.name, text.to_owned(), SecretCheck::Resolve).await;
        let deployment = deployment.map_err(|diagnostics| ApiError::invalid_file(&entry.file, diagnostics))?;
        self.ready(deployment).await.map_err(|failure| internal(failure.message))
    }

    /// A word to the run under way.
    fn tell(&self, entry: &Entry, event: Event) -> Answer<u64> {
        let pipeline = entry.pipeline.lock().expect("no panic holds this lock").clone();
        let pipeline =
            pipeline.ok_or_else(|| ApiError::conflict(format!("no run of `{}` is under way", entry.name)))?;
        pipeline.tell(event).map_err(|error| ApiError::conflict(error.to_string()))?;
        Ok(pipeline.run)
    }

    /// The end of a run that can't be taken up.
    fn give_up(&self, entry: &Entry, decided: Event) -> Answer<()> {
        let can_go_on = !matches!(entry.seen.lock().expect("no panic holds this lock").state, State::Error { .. });
        let run = self.journal.open_run(&entry.name).map_err(internal)?;
        let run = run.filter(|_| !can_go_on).ok_or_else(|| not_stuck(&entry.name))?;
        // Nothing can be written into a journal that can't be read.
        self.journal.plan(run).map_err(internal)?;
        self.progress_of(run)?;
        *entry.given_up.lock().expect("no panic holds this lock") = Some((run, decided));
        entry.nudge.notify_one();
        Ok(())
    }

    fn todo(&self, entry: &Entry) -> Option<(u64, Next)> {
        let pipeline = entry.pipeline.lock().expect("no panic holds this lock").clone()?;
        Some((pipeline.run, pipeline.ledger.with(next)))
    }

    /// Of a run that has not turned round: what was written since would be set aside.
    fn users_in_since(&self, entry: &Entry, run: u64) -> Answer<Option<Timestamp>> {
        if entry.stretch() != Some(Stretch::Admitted) {
            return Ok(None);
        }
        Ok(admitted_at(&self.journal.records(run).map_err(internal)?))
    }

    fn progress_of(&self, run: u64) -> Answer<RunProgress> {
        replayed(&self.journal.records(run).map_err(internal)?)
    }

    /// One that can't be read may have.
    fn has_shut_out(&self, run: u64) -> bool {
        self.progress_of(run).map_or(true, |progress| progress.stretch() != Stretch::Serving)
    }

    /// The newest committed run, and its way back.
    fn way_back(&self, entry: &Entry) -> Answer<(RunRow, RunProgress, WayBack)> {
        let none = || ApiError::conflict(format!("no committed run of `{}` can be taken back", entry.name));
        let runs = self.journal.runs(Some(&entry.name), u32::MAX).map_err(internal)?;
        // What was done by hand after a run was abandoned, no run before it knows how to take back.
        let ended = runs.into_iter().find(|row| match row.outcome {
            Some(Outcome::Committed) => true,
            Some(Outcome::Abandoned(_)) => row.kind != "rehearsal" && self.has_shut_out(row.run),
            Some(Outcome::RolledBack(_)) => row.kind == "rollback",
            Some(Outcome::Refused(_) | Outcome::Rehearsed) | None => false,
        });
        let row = ended.filter(|row| row.outcome == Some(Outcome::Committed)).ok_or_else(none)?;
        let records = self.journal.records(row.run).map_err(internal)?;
        let progress = replayed(&records)?;
        let mut way = WayBack {
            of: row.run,
            admitted: admitted_at(&records).unwrap_or(row.started),
            backups: Default::default(),
            staged: Default::default(),
            files: progress.files(|hop, edit| old_bytes_key(&entry.name, row.run, hop, edit)),
        };
        for state in progress.steps.values() {
            let (Status::Succeeded(output), Some(binding)) = (&state.status, &state.step.binding) else { continue };
            match state.step.phase {
                Phase::BackupFinal | Phase::BackupLate => {
                    let backup = serde_json::from_value(output.clone()).map_err(internal)?;
                    way.backups.insert(binding.clone(), backup);
                }
                Phase::Stage if state.step.hop == Some(0) => {
                    way.staged.insert(binding.clone(), output.as_str().unwrap_or_default().to_owned());
                }
                _ => {}
            }
        }
        Ok((row, progress, way))
    }

    async fn begin_rollback(self: &Arc<Self>, entry: &Arc<Entry>) -> Answer<u64> {
        let (row, progress, way) = self.way_back(entry)?;
        let (ready, text) = self.look_ready(entry).await?;
        let there = planning::can_go_back(&self.journal, &ready, &progress.plan, &way).await;
        there.map_err(|failure| ApiError::refused(failure.message))?;
        let text = crate::config::edit::with_version(&text, &row.from).map_err(internal)?;
        let ready = self.ready_for(entry, &text).await?;
        let plan = planning::rollback(&ready, &progress.plan, way, &text);
        // The file and the run go together, whether or not the caller stays.
        let (host, entry) = (self.clone(), entry.clone());
        let begun = self.tasks.spawn(async move {
            host.has_no_open_run(&entry)?;
            crate::config::edit::set_version(&entry.file, &plan.to).map_err(|error| {
                let hint = format!("where only you can write it, put `version = \"{}\"` there first", plan.to);
                internal(format!("`{}`: {error}", entry.file.display())).hint(hint)
            })?;
            host.begin_now(&entry, &plan).await
        });
        begun.await.map_err(internal)?
    }

    /// The deployment's task takes it from there.
    async fn begin_now(&self, entry: &Entry, plan: &Plan) -> Answer<u64> {
        let begun = actor::begin(self, entry, plan).await;
        entry.nudge.notify_one();
        begun.map_err(|why| match why {
            Unbegun::UnderWay(why) => ApiError::conflict(why),
            Unbegun::Failed(why) => internal(why),
        })
    }

    /// Whoever watches is not told any more that somebody is needed.
    fn goes_on(&self, entry: &Entry) {
        self.update(entry, |seen| {
            if matches!(seen.state, State::Waiting(_) | State::Stuck(_)) {
                seen.state = State::Planning;
            }
        });
    }

    /// Of a run that is not at its end, though none of it goes on just now.
    fn has_no_open_run(&self, entry: &Entry) -> Answer<()> {
        match self.journal.open_run(&entry.name).map_err(internal)? {
            None => Ok(()),
            Some(run) => Err(ApiError::conflict(format!("run {run} of `{}` is not at its end", entry.name))
                .hint(format!("`upgradectl status {}` says how it stands", entry.name))),
        }
    }
}

/// From when on users wrote to the new version.
fn admitted_at(records: &[Record]) -> Option<Timestamp> {
    let begins = |event: &Event| matches!(event, Event::Started { step, .. } if step.starts_with("admit-"));
    records.iter().find(|record| begins(&record.event)).map(|record| record.at)
}

fn to_confirm(row: &RunRow, writes_since: Timestamp) -> RollbackAnswer {
    let message =
        format!("it took `{}` from {} to {}, and users may have written since", row.deployment, row.from, row.to);
    RollbackAnswer::NeedsConfirmation { run: row.run, to: row.from.clone(), writes_since, message }
}

fn replayed(records: &[Record]) -> Answer<RunProgress> {
    RunProgress::replay(records.iter().map(|record| &record.event)).map_err(internal)
}

fn not_stuck(name: &str) -> ApiError {
    ApiError::conflict(format!("no run of `{name}` is stuck"))
}

#[async_trait]
impl Facade for Door {
    async fn deployments(&self) -> Answer<Vec<Deployment>> {
        Ok(self.entries().iter().map(|entry| self.view(entry)).collect())
    }

    async fn deployment(&self, name: &str) -> Answer<Deployment> {
        Ok(self.view(&*self.known(name)?))
    }

    async fn releases(&self, name: &str) -> Answer<Releases> {
        let entry = self.known(name)?;
        let (ready, _) = self.look_ready(&entry).await?;
        super::releases::releases(&self.0, &entry, &ready).await.map_err(refused)
    }

    async fn plan(&self, name: &str, to: Option<&str>) -> Answer<PlanView> {
        let entry = self.known(name)?;
        let (ready, text) = self.look_ready(&entry).await?;
        let activity = self.activity(&entry);
        match Host::look(self, &ready, &text, to, &activity).await.map_err(refused)? {
            Looked::Plan { plan, findings } => {
                let outlook = Outlook::of(&self.journal, &plan, &ready.deployment.policy.window);
                Ok(views::plan_view(&plan, findings, &outlook))
            }
            Looked::Nothing { installed, findings } => {
                Ok(PlanView::nothing_to_do(name, &installed.version, &ready.deployment.policy, findings))
            }
        }
    }

    async fn set(&self, name: &str, version: &str, by: &Caller) -> Answer<VersionSet> {
        let entry = self.known(name)?;
        let text = tokio::fs::read_to_string(&entry.file).await.map_err(internal)?;
        let before = crate::config::edit::line_of(&text, "version").unwrap_or_default();
        let edited = crate::config::edit::set_version(&entry.file, version)
            .map_err(|error| ApiError::new(ErrorCode::InvalidRequest, error.to_string()))?;
        tracing::info!(deployment = name, version, by = %by, "version set");
        // The edited file is what the daemon goes by, whoever edited it: its watcher tells.
        if edited {
            self.update(&entry, |seen| {
                seen.wanted = Some(version.to_owned());
                if matches!(seen.state, State::Idle | State::Error { .. } | State::Quarantined { .. }) {
                    seen.state = State::Planning;
                }
            });
        }
        Ok(VersionSet {
            deployment: name.into(),
            file: entry.file.display().to_string(),
            before,
            version: version.into(),
        })
    }

    async fn look(&self, name: &str) -> Answer<Deployment> {
        let entry = self.known(name)?;
        self.journal.unsettle(name).map_err(internal)?;
        entry.nudge.notify_one();
        Ok(self.view(&entry))
    }

    async fn check(&self, name: &str) -> Answer<Check> {
        let entry = self.known(name)?;
        let (ready, text) = self.look_ready(&entry).await?;
        let activity = self.activity(&entry);
        let looked = Host::look(self, &ready, &text, None, &activity).await.map_err(refused)?;
        let (from, to) = match &looked {
            Looked::Nothing { installed, .. } => (installed.version.clone(), installed.version.clone()),
            Looked::Plan { plan, .. } => (plan.from.clone(), plan.to.clone()),
        };
        let findings = looked.findings().to_vec();
        let ready = planning::blockers(&findings).is_none();
        Ok(Check { deployment: name.into(), from, to, ready, findings, checked_at: clock::now() })
    }

    async fn approve(&self, name: &str, request: ApproveRequest, by: &Caller) -> Answer<Deployment> {
        let entry = self.known(name)?;
        match self.todo(&entry) {
            Some((run, Next::Wait(Wait::Approval))) if request.run.is_none_or(|wanted| wanted == run) => {
                self.tell(&entry, Event::Approved { by: by.to_string() })?;
                self.goes_on(&entry);
                Ok(self.view(&entry))
            }
            Some((run, Next::Wait(Wait::Approval))) => {
                Err(ApiError::conflict(format!("run {run} waits for an approval, and not the one that was named")))
            }
            _ => Err(ApiError::conflict(format!("nothing of `{name}` waits for an approval"))),
        }
    }

    async fn retry(&self, name: &str, by: &Caller) -> Answer<Deployment> {
        let entry = self.known(name)?;
        if self.todo(&entry).is_some() {
            return Err(ApiError::conflict(format!("a run of `{name}` is under way")));
        }
        let lifted = self.journal.lift_quarantine(name).map_err(internal)?;
        tracing::info!(deployment = name, by = %by, lifted, "tried again");
        self.journal.unsettle(name).map_err(internal)?;
        self.update(&entry, |seen| seen.state = State::Planning);
        entry.nudge.notify_one();
        Ok(self.view(&entry))
    }

    async fn cancel(&self, name: &str, request: CancelRequest, by: &Caller) -> Answer<Deployment> {
        let entry = self.known(name)?;
        let why = request.why.unwrap_or_else(|| format!("by {by}"));
        self.tell(&entry, Event::CancelRequested { by: by.to_string(), why })?;
        Ok(self.view(&entry))
    }

    async fn rehearse(&self, name: &str, request: RehearseRequest, by: &Caller) -> Answer<RehearsalStarted> {
        let entry = self.known(name)?;
        if self.todo(&entry).is_some() {
            return Err(ApiError::conflict(format!("a run of `{name}` is under way; a rehearsal waits for its end")));
        }
        self.has_no_open_run(&entry)?;
        let (ready, text) = self.look_ready(&entry).await?;
        if let Err(why) = super::rehearsal::can_be_rehearsed(&ready).await {
            return Err(ApiError::refused(why));
        }
        let activity = self.activity(&entry);
        let looked = Host::look(self, &ready, &text, request.to.as_deref(), &activity).await.map_err(refused)?;
        let (mut plan, findings) = match looked {
            Looked::Plan { plan, findings } => (plan, findings),
            Looked::Nothing { installed, .. } => {
                let why = format!("`{}` runs already; `--to` names another version to rehearse", installed.version);
                return Err(ApiError::refused(why));
            }
        };
        if let Some(why) = planning::blockers(&findings) {
            return Err(ApiError::refused(why));
        }
        plan.kind = crate::plan::Kind::Rehearsal;
        tracing::info!(deployment = name, to = plan.to, by = %by, "a rehearsal was asked for");
        let run = self.begin_now(&entry, &plan).await?;
        Ok(RehearsalStarted { run, from: plan.from.clone(), to: plan.to.clone() })
    }

    async fn rollback(&self, name: &str, request: RollbackRequest, by: &Caller) -> Answer<RollbackAnswer> {
        let entry = self.known(name)?;
        if let Some((run, _)) = self.todo(&entry) {
            if entry.stretch() == Some(Stretch::Serving) {
                let error = ApiError::conflict(format!("run {run} of `{name}` has touched nothing yet"));
                let hint = format!("`upgradectl cancel {name}` ends it; what ran before it can go back afterwards");
                return Err(error.hint(hint));
            }
            if let Some(since) = self.users_in_since(&entry, run)?.filter(|_| request.confirm != Some(run)) {
                return Ok(to_confirm(&self.journal.run(run).map_err(internal)?, since));
            }
            let why = format!("by {by}");
            let event = Event::Decided { by: by.to_string(), decision: Decision::Rollback, why };
            let run = self.tell(&entry, event)?;
            self.goes_on(&entry);
            return Ok(RollbackAnswer::Started { run });
        }
        self.has_no_open_run(&entry)?;
        let (row, _, way) = self.way_back(&entry)?;
        if request.confirm == Some(row.run) {
            return Ok(RollbackAnswer::Started { run: self.begin_rollback(&entry).await? });
        }
        Ok(to_confirm(&row, way.admitted))
    }

    async fn decide(&self, name: &str, request: DecideRequest, by: &Caller) -> Answer<Deployment> {
        let entry = self.known(name)?;
        let why = request.why.unwrap_or_else(|| format!("by {by}"));
        let decided = Event::Decided { by: by.to_string(), decision: request.decision, why };
        match (self.todo(&entry), request.decision) {
            (Some((run, Next::Stuck { .. })), Decision::Rollback) if self.users_in_since(&entry, run)?.is_some() => {
                let error = ApiError::conflict(format!("users may have written since run {run} let them in"));
                return Err(error.hint(format!("`upgradectl rollback {name}` says since when, and asks")));
            }
            (Some((_, Next::Stuck { .. })), _) => drop(self.tell(&entry, decided)?),
            (None, Decision::Abandon) => self.give_up(&entry, decided)?,
            _ => return Err(not_stuck(name)),
        }
        self.goes_on(&entry);
        Ok(self.view(&entry))
    }

    async fn runs(&self, name: Option<&str>, limit: usize) -> Answer<Vec<RunSummary>> {
        if let Some(name) = name {
            self.known(name)?;
        }
        let rows = self.journal.runs(name, u32::try_from(limit).unwrap_or(u32::MAX)).map_err(internal)?;
        Ok(rows.iter().filter_map(|row| views::summary(&self.journal, row.run)).collect())
    }

    async fn run(&self, id: u64) -> Answer<Run> {
        let run = views::run(&self.journal, id).ok_or_else(|| ApiError::no_run(id))?;
        Ok(Run { left: abandoned::left(self, &run.summary), ..run })
    }

    async fn logs(&self, of: LogsOf<'_>, since: Option<u64>, limit: usize) -> Answer<Logs> {
        match of {
            LogsOf::Deployment(name) => drop(self.known(name)?),
            LogsOf::Run(run) => drop(self.journal.run(run).map_err(|_| ApiError::no_run(run))?),
        }
        let mut lines = self.lines.matching(|line| {
            let wanted = match of {
                LogsOf::Deployment(name) => line.deployment == name,
                LogsOf::Run(run) => line.run == Some(run),
            };
            wanted && since.is_none_or(|since| line.id > since)
        });
        lines.drain(..lines.len().saturating_sub(limit));
        let next = lines.last().map_or_else(|| since.unwrap_or_else(|| self.hub.newest()), |line| line.id);
        Ok(Logs { lines, next })
    }

    async fn events(&self, name: Option<&str>, since: Option<u64>) -> Answer<NoticeStream> {
        if let Some(name) = name {
            self.known(name)?;
        }
        Ok(self.hub.subscribe(name, since))
    }
}
