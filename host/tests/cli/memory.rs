//! A facade in memory: six deployments, one in each state, and what was asked of it.

use crate::samples;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use upgraded::activity::Level;
use upgraded::api::facade::LogsOf;
use upgraded::api::*;

pub struct Memory {
    pub deployments: Mutex<BTreeMap<String, Deployment>>,
    pub hub: Hub,
    /// Who asked for what change.
    pub asked: Mutex<Vec<String>>,
    /// How often one deployment was looked at.
    pub looked: AtomicUsize,
    /// `check` never answers for this one.
    pub hangs: Option<String>,
}

impl Memory {
    pub fn new() -> Self {
        let deployments = samples::deployments().into_iter().map(|one| (one.name.clone(), one)).collect();
        Self {
            deployments: Mutex::new(deployments),
            hub: Hub::starting_after(100, 1000),
            asked: Mutex::default(),
            looked: AtomicUsize::new(0),
            hangs: None,
        }
    }

    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic").clone()
    }

    /// Puts a deployment into another state, and says so.
    pub fn now(&self, name: &str, change: impl FnOnce(&mut Deployment)) {
        let now = {
            let mut all = self.deployments.lock().expect("no panic");
            let one = all.get_mut(name).expect("a deployment of the samples");
            change(one);
            one.clone()
        };
        self.hub.publish_at(samples::at("10:14:59"), Some(name), None, News::Changed { now: Box::new(now) });
    }

    pub fn tell(&self, at: &str, name: &str, run: u64, news: News) -> u64 {
        self.hub.publish_at(samples::at(at), Some(name), Some(run), news)
    }

    fn one(&self, name: &str) -> Answer<Deployment> {
        self.deployments.lock().expect("no panic").get(name).cloned().ok_or_else(|| ApiError::no_deployment(name))
    }

    fn note(&self, what: String) {
        self.asked.lock().expect("no panic").push(what);
    }
}

#[async_trait]
impl Facade for Memory {
    async fn deployments(&self) -> Answer<Vec<Deployment>> {
        Ok(self.deployments.lock().expect("no panic").values().cloned().collect())
    }
    async fn deployment(&self, name: &str) -> Answer<Deployment> {
        let answer = self.one(name);
        self.looked.fetch_add(1, Ordering::SeqCst);
        answer
    }
    async fn releases(&self, name: &str) -> Answer<Releases> {
        self.one(name)?;
        Ok(samples::releases(name))
    }
    async fn plan(&self, name: &str, to: Option<&str>) -> Answer<PlanView> {
        self.one(name)?;
        match to {
            Some("1.0.0") => Err(ApiError::refused("`1.0.0` is older than the installed `1.4.0`")
                .hint("`upgradectl rollback` goes back, with the data")),
            Some("1.5.0") => Ok(samples::blocked_plan()),
            _ => Ok(samples::plan()),
        }
    }
    async fn set(&self, name: &str, version: &str, by: &Caller) -> Answer<VersionSet> {
        let before = self.one(name)?.wanted.unwrap_or_default();
        self.note(format!("{by}: set {name} {version}"));
        let file = format!("/etc/upgraded/deployments/{name}.toml");
        Ok(VersionSet { deployment: name.into(), file, before, version: version.into() })
    }
    async fn look(&self, name: &str) -> Answer<Deployment> {
        self.one(name)
    }
    async fn check(&self, name: &str) -> Answer<Check> {
        if self.hangs.as_deref() == Some(name) {
            self.looked.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
        self.one(name)?;
        Ok(samples::check(name))
    }
    async fn approve(&self, name: &str, request: ApproveRequest, by: &Caller) -> Answer<Deployment> {
        let mut now = self.one(name)?;
        let State::Waiting(waiting) = &now.state else {
            return Err(ApiError::conflict(format!("no run of `{name}` waits for an approval")));
        };
        if request.run.is_some_and(|run| Some(run) != waiting.run) {
            return Err(ApiError::conflict("another run waits meanwhile").hint(format!("`upgradectl plan {name}`")));
        }
        self.note(format!("{by}: approve {name} {:?}", request.run));
        now.state = State::Planning;
        Ok(now)
    }
    async fn retry(&self, name: &str, by: &Caller) -> Answer<Deployment> {
        let now = self.one(name)?;
        let State::Quarantined { .. } = now.state else {
            return Err(ApiError::conflict(format!("nothing of `{name}` is quarantined")));
        };
        self.note(format!("{by}: retry {name}"));
        Ok(now)
    }
    async fn cancel(&self, name: &str, request: CancelRequest, by: &Caller) -> Answer<Deployment> {
        let mut now = self.one(name)?;
        self.note(format!("{by}: cancel {name} {:?}", request.why));
        now.state = State::Idle;
        Ok(now)
    }
    async fn rehearse(&self, name: &str, request: RehearseRequest, by: &Caller) -> Answer<RehearsalStarted> {
        self.one(name)?;
        self.note(format!("{by}: rehearse {name} {:?}", request.to));
        let to = request.to.unwrap_or_else(|| "5.2.0".into());
        Ok(RehearsalStarted { run: 15, from: "5.1.0".into(), to })
    }
    async fn rollback(&self, name: &str, request: RollbackRequest, by: &Caller) -> Answer<RollbackAnswer> {
        // An open run turns round; for a committed one a run of its own begins.
        let (run, to, started) = match self.one(name)?.state {
            State::Stuck(stuck) => (stuck.run, "7.0.0", stuck.run),
            _ => (7, "5.1.0", 14),
        };
        if request.confirm == Some(run) {
            self.note(format!("{by}: rollback {name}"));
            return Ok(RollbackAnswer::Started { run: started });
        }
        let writes_since = samples::at("09:00:00");
        let message = "users have written since it was admitted".into();
        Ok(RollbackAnswer::NeedsConfirmation { run, to: to.into(), writes_since, message })
    }
    async fn decide(&self, name: &str, request: DecideRequest, by: &Caller) -> Answer<Deployment> {
        let now = self.one(name)?;
        let State::Stuck(_) = now.state else {
            return Err(ApiError::conflict(format!("no run of `{name}` is stuck")));
        };
        self.note(format!("{by}: {:?} {name} {:?}", request.decision, request.why));
        Ok(now)
    }
    async fn runs(&self, name: Option<&str>, limit: usize) -> Answer<Vec<RunSummary>> {
        if let Some(name) = name {
            self.one(name)?;
        }
        let mut runs = samples::runs();
        runs.retain(|run| name.is_none_or(|name| name == run.deployment));
        runs.truncate(limit);
        Ok(runs)
    }
    async fn run(&self, id: u64) -> Answer<Run> {
        if id == 8 { Ok(samples::rolled_back()) } else { Err(ApiError::no_run(id)) }
    }
    async fn logs(&self, of: LogsOf<'_>, since: Option<u64>, limit: usize) -> Answer<Logs> {
        match of {
            LogsOf::Deployment(name) => drop(self.one(name)?),
            LogsOf::Run(8) => {}
            LogsOf::Run(id) => return Err(ApiError::no_run(id)),
        }
        let mut lines = samples::lines();
        lines.retain(|line| since.is_none_or(|since| line.id > since));
        lines.drain(..lines.len().saturating_sub(limit));
        assert!(lines.iter().all(|line| line.level >= Level::Info));
        Ok(Logs { lines, next: self.hub.newest() })
    }
    async fn events(&self, name: Option<&str>, since: Option<u64>) -> Answer<NoticeStream> {
        Ok(self.hub.subscribe(name, since))
    }
}
