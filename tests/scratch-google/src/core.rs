//! What all parts of the double share.

use crate::fault::{Fate, Faults};
use crate::log::Log;
use crate::login::Login;
use crate::run::Run;
use crate::sql::Sql;
use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) struct Core {
    /// `http://127.0.0.1:1234`
    pub url: String,
    pub login: Login,
    pub faults: Faults,
    pub log: Log,
    pub run: Run,
    pub sql: Sql,
    pub projects: Mutex<BTreeSet<String>>,
    /// Addresses of services that let only their invokers in.
    pub closed: Mutex<BTreeSet<String>>,
    pub pace: Mutex<Pace>,
    pub stop: CancellationToken,
    pub tasks: TaskTracker,
    pub runtime: tokio::runtime::Handle,
    /// Counts how often stuck operations were ended.
    unstick: watch::Sender<u64>,
}

/// How long operations take.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// A change of a service, a run of a job beside its program.
    pub run: Duration,
    /// From `PENDING` to `RUNNING`, and from there to the effect.
    pub sql: Duration,
    /// Within which a container has to listen.
    pub startup: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        let short = Duration::from_millis(20);
        Self { run: short, sql: short, startup: Duration::from_secs(120) }
    }
}

/// How an operation ended before its effect.
pub(crate) enum Verdict {
    GoOn,
    Fail(String),
    /// The double ends.
    Stop,
}

impl Core {
    pub(crate) fn new(url: String, runtime: tokio::runtime::Handle, folder: &std::path::Path) -> Arc<Self> {
        Arc::new(Self {
            url,
            login: Login::default(),
            faults: Faults::default(),
            log: Log::default(),
            run: Run::default(),
            sql: Sql::new(folder),
            projects: Mutex::default(),
            closed: Mutex::default(),
            pace: Mutex::default(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            runtime,
            unstick: watch::Sender::new(0),
        })
    }

    /// A task that ends with the double.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        let task = async move { _ = stop.run_until_cancelled(task).await };
        self.tasks.spawn_on(task, &self.runtime);
    }

    pub(crate) fn pace(&self) -> Pace {
        *self.pace.lock().expect("nothing panics while it holds the lock")
    }

    pub(crate) fn has_project(&self, name: &str) -> bool {
        self.projects.lock().expect("nothing panics while it holds the lock").contains(name)
    }

    /// Whether who asks with this `authorization` may come in at a service.
    pub(crate) fn lets_in(&self, service: &str, authorization: Option<&str>) -> bool {
        let closed = self.closed.lock().expect("nothing panics while it holds the lock").contains(service);
        !closed || self.login.is_invoker(authorization, service)
    }

    pub(crate) fn unstick(&self) {
        self.unstick.send_modify(|times| *times += 1);
    }

    /// How often stuck operations were ended.
    pub(crate) fn unstuck(&self) -> u64 {
        *self.unstick.borrow()
    }

    /// Waits as an operation of this fate does.
    pub(crate) async fn endure(&self, fate: &Fate, usual: Duration) -> Verdict {
        match fate {
            Fate::Usual => tokio::time::sleep(usual).await,
            Fate::Slow(takes) => tokio::time::sleep(*takes).await,
            Fate::Stuck { since } => {
                if self.unstick.subscribe().wait_for(|times| times > since).await.is_err() {
                    return Verdict::Stop;
                }
            }
            Fate::Fails(message) => {
                tokio::time::sleep(usual).await;
                return Verdict::Fail(message.clone());
            }
        }
        Verdict::GoOn
    }
}
