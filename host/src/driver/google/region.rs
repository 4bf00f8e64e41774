//! Services and jobs of one region, those that the operator named.

use super::{heard, missing, named, place};
use crate::activity::Level;
use crate::config::GoogleConfig;
use crate::context::{Site, StepContext};
use crate::driver::Machine;
use crate::driver::project::Project;
use crate::model::VerbError;
use crate::plan::event::{Effect, Verdict};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;
use upgraded_google::{Answer, CloudRun, Service, Share};

/// What a name of Cloud Run may have.
const NAME_LETTERS: usize = 63;

pub struct Region {
    /// The binding.
    pub(super) platform: String,
    pub(super) config: GoogleConfig,
    pub(super) idle: Duration,
    pub(super) project: Arc<Project>,
    machine: Machine,
    client: OnceCell<CloudRun>,
}

impl Region {
    pub fn new(platform: &str, config: GoogleConfig, project: Arc<Project>, machine: Machine, idle: Duration) -> Self {
        Self { platform: platform.to_owned(), config, idle, project, machine, client: OnceCell::new() }
    }

    pub(super) async fn client(&self) -> Result<&CloudRun, VerbError> {
        self.client.get_or_try_init(async || Ok(CloudRun::new(place(&self.config)?))).await
    }

    /// What the service is called there.
    pub(super) fn own(&self, service: &str) -> Result<&str, VerbError> {
        let known: Vec<String> = self.config.services.keys().cloned().collect();
        let found = self.config.services.get(service).map(String::as_str);
        found.ok_or_else(|| VerbError::NotFound(missing("service", service, "among `services` under `google`", &known)))
    }

    pub fn names(&self) -> Vec<String> {
        self.config.services.keys().cloned().collect()
    }

    pub async fn look(&self, cx: &StepContext, service: &str) -> Result<Service, VerbError> {
        let own = self.own(service)?;
        let client = self.client().await?;
        let seen = match cx.activity.watch(self.idle, async { Ok(client.service(own).await?) }).await {
            Err(VerbError::NotFound(_)) => {
                let there = client.names().await?;
                let place = format!("in `{}` of the project `{}`", self.config.region, self.config.project);
                return Err(VerbError::NotFound(missing("service", own, &place, &there)));
            }
            other => other?,
        };
        Ok(Service { name: service.to_owned(), ..seen })
    }

    pub async fn pin(&self, cx: &StepContext, image: &str) -> Result<String, VerbError> {
        let client = self.client().await?;
        cx.activity.watch(self.idle, async { Ok(client.pinned(image).await?) }).await
    }

    pub async fn would_take(&self, cx: &StepContext, service: &str, image: &str) -> Result<(), VerbError> {
        let (own, client) = (self.own(service)?, self.client().await?);
        let variables = self.variables(cx, service, true).await?;
        cx.activity.watch(self.idle, async { Ok(client.would_take(own, image, &variables).await?) }).await
    }

    /// The revision's name.
    pub async fn deploy(&self, cx: &StepContext, service: &str, image: &str) -> Result<String, VerbError> {
        live(cx, "cloud-run.deploy")?;
        let (own, client) = (self.own(service)?, self.client().await?);
        let name = format!("{own}-{}", named::of_step(cx, &self.machine.state)?);
        if name.len() > NAME_LETTERS {
            let message = format!("`{own}` has a name too long for a revision named after it: `{name}`");
            return Err(VerbError::Invalid(message));
        }
        let (variables, heard) = (self.variables(cx, service, false).await?, heard(cx));
        let work = async {
            client.deploy(own, &name, image, &variables, &heard).await?;
            Ok(name.clone())
        };
        let watched = cx.activity.watch(self.idle, work);
        cx.effects.perform("cloud-run.deploy", &(service, image), own, true, watched).await
    }

    pub async fn route(
        &self, cx: &StepContext, service: &str, shares: &[Share], tagged: Option<&str>,
    ) -> Result<(), VerbError> {
        live(cx, "cloud-run.route")?;
        let (own, client, heard) = (self.own(service)?, self.client().await?, heard(cx));
        let work = async {
            client.route(own, shares, tagged, &heard).await?;
            Ok(())
        };
        let watched = cx.activity.watch(self.idle, work);
        let parts: Vec<_> = shares.iter().map(|share| (share.revision.as_deref(), share.percent)).collect();
        cx.effects.perform("cloud-run.route", &(service, parts, tagged), own, true, watched).await
    }

    pub async fn ask(&self, cx: &StepContext, service: &str, by_tag: bool, path: &str) -> Result<Answer, VerbError> {
        let (own, client) = (self.own(service)?, self.client().await?);
        cx.activity.watch(self.idle, async { Ok(client.ask(own, by_tag, path).await?) }).await
    }

    /// An execution is found again by the step: it converges. One that is given up is ended.
    pub async fn run_job(
        &self, cx: &StepContext, job: &str, image: Option<&str>, args: &[String],
    ) -> Result<(), VerbError> {
        live(cx, "cloud-run.run-job")?;
        let known: Vec<String> = self.config.jobs.keys().cloned().collect();
        let own = self.config.jobs.get(job);
        let none = || VerbError::NotFound(missing("job", job, "among `jobs` under `google`", &known));
        let own = own.ok_or_else(none)?;
        let (client, heard, mark) = (self.client().await?, heard(cx), named::of_step(cx, &self.machine.state)?);
        let variables = self.variables(cx, job, false).await?;
        let work = async { Ok(client.run_job(own, image, &variables, args, &mark, &heard).await?) };
        let watched = async {
            let outcome = cx.activity.watch(self.idle, work).await;
            let given_up = matches!(outcome, Err(VerbError::Timeout | VerbError::Cancelled));
            if given_up && !self.machine.leaving.is_cancelled() {
                self.end_given_up(cx, own, &mark).await;
            }
            outcome
        };
        cx.effects.perform("cloud-run.run-job", &(job, image, args), own, true, watched).await
    }

    /// What goes on all the same is ended when services are stopped, before anything else is done on the way back.
    async fn end_given_up(&self, cx: &StepContext, own: &str, mark: &str) {
        let activity = cx.activity.to_the_end();
        if let Err(error) = activity.watch(self.idle, self.end_jobs(cx, &[own], &[mark.to_owned()])).await {
            activity.line(Level::Warn, format!("the job `{own}` may go on: {error}"));
        }
    }

    /// What goes on of jobs that a step of the deployment's began, whoever waited for it: of a daemon that is gone, too.
    pub(super) async fn end_all_jobs(&self, cx: &StepContext) -> Result<(), VerbError> {
        let made = named::of_steps(&self.machine.state, &cx.deployment, |_| true);
        let marks: Vec<String> = made.into_iter().map(|(_, name)| name).collect();
        if marks.is_empty() {
            return Ok(());
        }
        let jobs: Vec<&str> = self.config.jobs.values().map(String::as_str).collect();
        cx.activity.watch(self.idle, self.end_jobs(cx, &jobs, &marks)).await
    }

    async fn end_jobs(&self, cx: &StepContext, jobs: &[&str], marks: &[String]) -> Result<(), VerbError> {
        let (client, heard) = (self.client().await?, heard(cx));
        for job in jobs {
            client.end_job(job, marks, &heard).await?;
        }
        Ok(())
    }

    /// Whatever goes on is waited for, or ended, by the verb that comes next. Every verb converges.
    pub async fn fence_and_probe(&self, _: &Effect) -> Verdict {
        Verdict::Unknown
    }
}

pub(super) fn live(cx: &StepContext, verb: &str) -> Result<(), VerbError> {
    cx.effects.may_change(verb)?;
    match cx.site {
        Site::Live => Ok(()),
        Site::Drill { .. } => Err(VerbError::Denied(format!("`{verb}` changes the live site, and this is a drill"))),
    }
}
