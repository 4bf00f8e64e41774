//! What all deployments share, and the list of them.

use super::StartError;
use super::actor;
use super::lines::Lines;
use super::looks::failure;
use super::rehearsal;
use crate::activity::{Level, Sign, Sink};
use crate::api::Hub;
use crate::api::types::{Deployment as View, LogLine, News, Progress as ProgressView, State};
use crate::config::{Deployment, PluginCatalog, SecretCheck, Settings};
use crate::context::Site;
use crate::driver::durable;
use crate::driver::services::Systemd;
use crate::driver::{Engines, Environment, Machine, scratch_name};
use crate::journal::{Journal, JournalError, RunRow};
use crate::model::Failure;
use crate::pipeline::Pipeline;
use crate::plan::Plan;
use crate::plan::aftermath::Aftermath;
use crate::plan::event::{Event, Outcome};
use crate::plan::step::{Step, Stretch};
use crate::plugin::Plugins;
use crate::trigger::{Change, Kind};
use crate::vault::{Vault, VaultError};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub struct Host {
    pub settings: Settings,
    pub journal: Journal,
    pub plugins: Plugins,
    pub hub: Hub,
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
    pub slots: Arc<Semaphore>,
    /// Looks at once: a thousand files that appear together are a thousand plugins' work.
    pub looks: Semaphore,
    vault: OnceLock<Vault>,
    entries: Mutex<BTreeMap<String, Arc<Entry>>>,
    pub lines: Lines,
    /// Everything that it does is done on a double.
    double: Option<rehearsal::Place>,
}

/// More than a machine has cores: a look waits for repositories and services most of its time.
const LOOKS: usize = 16;
/// The program that runs, also where its file was replaced or removed since: asked for in the new process.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// Notices kept for watchers that come back.
const NOTICES: usize = 2000;

/// One deployment's file, and what is done about it.
pub struct Entry {
    pub name: String,
    pub file: PathBuf,
    /// Look again.
    pub nudge: Notify,
    pub seen: Mutex<Seen>,
    /// The run under way.
    pub pipeline: Mutex<Option<Arc<Pipeline>>>,
    /// A run that can't be taken up, and what was said when it was given up.
    pub given_up: Mutex<Option<(u64, Event)>>,
    /// The newest run, and the digest of the file, with which house was kept last.
    pub tidied: Mutex<Option<(u64, String)>>,
}

/// What is known of a deployment.
#[derive(Debug, Clone)]
pub struct Seen {
    pub product: Option<String>,
    pub installed: Option<String>,
    pub detected_at: Option<Timestamp>,
    pub wanted: Option<String>,
    pub state: State,
    pub gone: bool,
}

impl Entry {
    /// Of the run under way.
    pub fn stretch(&self) -> Option<Stretch> {
        let pipeline = self.pipeline.lock().expect("no panic holds this lock").clone()?;
        Some(pipeline.ledger.with(|progress| progress.stretch()))
    }

    /// The run under way shuts users out, or is about to.
    pub fn shuts_out(&self) -> bool {
        let pipeline = self.pipeline.lock().expect("no panic holds this lock").clone();
        pipeline.is_some_and(|pipeline| pipeline.ledger.with(|progress| progress.shuts_out()))
    }

    fn new(name: &str, file: PathBuf) -> Self {
        let seen = Seen {
            product: None,
            installed: None,
            detected_at: None,
            wanted: None,
            state: State::Planning,
            gone: false,
        };
        Self {
            name: name.to_owned(),
            file,
            nudge: Notify::new(),
            seen: Mutex::new(seen),
            pipeline: Mutex::new(None),
            given_up: Mutex::new(None),
            tidied: Mutex::new(None),
        }
    }
}

impl Host {
    pub fn open(settings: Settings, stop: CancellationToken) -> Result<Self, StartError> {
        let plugins = Plugins::new(settings.plugins.clone(), &settings.state);
        Self::with(settings, plugins, stop, None)
    }

    /// A host for one run on a double, in the double's folder, with the deployment's file as it reads there; `run`: the
    /// number of the run that rehearses, which names what is made.
    pub async fn of_double(
        &self, place: rehearsal::Place, text: &str, run: u64, stop: CancellationToken,
    ) -> Result<(Arc<Self>, Arc<Entry>), Failure> {
        let folder = place.double.folder.clone();
        let settings = Settings {
            deployments: folder.join("deployments"),
            state: folder.join("state"),
            vault: folder.join("vault"),
            vault_key: folder.join("vault.key"),
            parallel: 1,
            ..self.settings.clone()
        };
        let name = place.double.deployment.clone();
        let (plugins, text) = (self.plugins.clone(), text.to_owned());
        let made = tokio::task::spawn_blocking(move || {
            for made in [&settings.deployments, &settings.state] {
                durable::make_folder(made).map_err(|error| failure("rehearsal", &error))?;
            }
            let entry = Entry::new(&name, settings.deployments.join(format!("{name}.toml")));
            std::fs::write(&entry.file, text).map_err(|error| failure("rehearsal", &error))?;
            Vault::make_key(&settings.vault_key).map_err(|error| failure("vault", &error))?;
            let host =
                Self::with(settings, plugins, stop, Some(place)).map_err(|error| failure("rehearsal", &error))?;
            host.journal.number_from(run).map_err(|error| failure("journal", &error))?;
            Ok((Arc::new(host), Arc::new(entry)))
        });
        made.await.map_err(|error| failure("rehearsal", &error))?
    }

    fn with(
        settings: Settings, plugins: Plugins, stop: CancellationToken, double: Option<rehearsal::Place>,
    ) -> Result<Self, StartError> {
        let journal = Journal::open(&settings.state.join("journal.db"))?;
        Ok(Self {
            journal,
            plugins,
            hub: Hub::new(NOTICES),
            tasks: TaskTracker::new(),
            stop,
            slots: Arc::new(Semaphore::new(settings.parallel)),
            looks: Semaphore::new(LOOKS),
            vault: OnceLock::new(),
            entries: Mutex::default(),
            lines: Lines::default(),
            double,
            settings,
        })
    }

    /// Opened at first need: an idle daemon stays small. Runs are numbered after those of which it holds something, since
    /// names are made from their numbers: the state folder may have been lost, or set back.
    pub fn vault(&self) -> Result<Vault, Failure> {
        if let Some(vault) = self.vault.get() {
            return Ok(vault.clone());
        }
        let Settings { vault, vault_key, state, .. } = &self.settings;
        let broken = |error: VaultError| failure("vault", &error);
        let vault = Vault::open_noted(vault, vault_key, &state.join("vault-folder")).map_err(broken)?;
        let held = vault.list("").map_err(broken)?;
        if let Some(newest) = held.iter().filter_map(|artifact| run_of_key(&artifact.key)).max() {
            self.journal.number_from(newest + 1).map_err(|error| failure("journal", &error))?;
        }
        Ok(self.vault.get_or_init(|| vault).clone())
    }

    /// For a run under way: it doesn't wait for a vault that its next steps don't need.
    pub fn vault_of_a_run(&self) -> Vault {
        let later = || Vault::later(&self.settings.vault, &self.settings.vault_key);
        self.vault.get().cloned().unwrap_or_else(later)
    }

    pub fn entries(&self) -> Vec<Arc<Entry>> {
        self.entries.lock().expect("no panic holds this lock").values().cloned().collect()
    }

    pub fn entry(&self, name: &str) -> Option<Arc<Entry>> {
        self.entries.lock().expect("no panic holds this lock").get(name).cloned()
    }

    /// The deployment is looked at, by a task of its own.
    pub fn ensure(self: &Arc<Self>, name: &str) {
        let mut entries = self.entries.lock().expect("no panic holds this lock");
        if let Some(entry) = entries.get(name) {
            entry.nudge.notify_one();
            return;
        }
        // A new task looks by itself.
        let entry = Arc::new(Entry::new(name, self.settings.deployments.join(format!("{name}.toml"))));
        entries.insert(name.to_owned(), entry.clone());
        self.tasks.spawn(actor::live(self.clone(), entry));
    }

    pub fn forget(&self, name: &str) {
        self.entries.lock().expect("no panic holds this lock").remove(name);
        self.hub.publish(Some(name), None, News::Removed);
    }

    pub fn take_up_open_runs(self: &Arc<Self>) -> Result<(), StartError> {
        for row in self.journal.open_runs()? {
            self.end_if_another_began(&row)?;
            self.ensure(&row.deployment);
        }
        Ok(())
    }

    /// A daemon before this one could begin two at the same moment, and took the newer one up alone.
    fn end_if_another_began(&self, row: &RunRow) -> Result<(), JournalError> {
        let newest = self.journal.runs(Some(&row.deployment), 1)?.first().map(|newest| newest.run);
        if newest == Some(row.run) || self.journal.records(row.run)?.len() > 1 {
            return Ok(());
        }
        let (plan, why) = (self.journal.plan(row.run)?, "another run began at the same moment".to_owned());
        self.journal.finish(row.run, 1, &plan, &Outcome::Refused(why), &Aftermath::LookAgain).map(drop)
    }

    pub fn changed(self: &Arc<Self>, change: Change) {
        match change.kind {
            Kind::Appeared | Kind::Changed => self.ensure(&change.name),
            Kind::Gone => {
                if let Some(entry) = self.entry(&change.name) {
                    entry.nudge.notify_one();
                }
            }
        }
    }

    // ---- a deployment's file ----

    /// Parses on a thread that may block: plugins are described there.
    pub async fn parse(
        &self, name: &str, text: String, secrets: SecretCheck,
    ) -> Result<Deployment, crate::config::Diagnostics> {
        self.parse_against(name, text, secrets, self.plugins.clone()).await
    }

    /// The file of a run, with the plugins that it began with.
    pub async fn parse_kept(&self, name: &str, plan: &Plan) -> Result<Deployment, crate::config::Diagnostics> {
        self.parse_against(name, plan.file.clone(), SecretCheck::NameOnly, self.plugins.kept(&plan.bindings)).await
    }

    async fn parse_against(
        &self, name: &str, text: String, secrets: SecretCheck, plugins: impl PluginCatalog + Send + 'static,
    ) -> Result<Deployment, crate::config::Diagnostics> {
        let name = name.to_owned();
        let file = self.settings.deployments.join(format!("{name}.toml"));
        let shown = file.clone();
        let parsed =
            tokio::task::spawn_blocking(move || Deployment::parse(&name, &file, &text, &plugins, secrets)).await;
        let parsed = parsed.unwrap_or_else(|error| {
            Err(crate::config::Diagnostics::of_file(&shown, format!("it could not be read: {error}"), None))
        });
        match &self.double {
            Some(place) => parsed.map(|deployment| place.instead_of(deployment)),
            None => parsed,
        }
    }

    /// What drivers are built with.
    pub fn environment(&self, vault: &Vault) -> Environment {
        let double = self.double.as_ref().map(|place| place.double.clone());
        Environment { machine: self.machine(), vault: vault.clone(), double, engines: Engines::default() }
    }

    /// For this step's drill, on the server as it is.
    pub fn drill_site(&self, deployment: &str, step: &str) -> Site {
        let root = self.machine().scratch(deployment, step);
        Site::Drill { name: scratch_name(&root), root, server: None }
    }

    pub fn machine(&self) -> Machine {
        Machine {
            state: self.settings.state.clone(),
            job_program: OWN_PROGRAM.into(),
            systemd: Systemd::default(),
            leaving: self.stop.clone(),
        }
    }

    // ---- what happens, for those who watch ----

    pub fn view(&self, entry: &Entry) -> View {
        let seen = entry.seen.lock().expect("no panic holds this lock").clone();
        View {
            name: entry.name.clone(),
            product: seen.product,
            installed: seen.installed,
            detected_at: seen.detected_at,
            wanted: seen.wanted,
            state: seen.state,
            last_run: super::views::last_run(&self.journal, &entry.name),
        }
    }

    /// Changes what is known of the deployment, and tells those who watch.
    pub fn update(&self, entry: &Entry, change: impl FnOnce(&mut Seen)) {
        change(&mut entry.seen.lock().expect("no panic holds this lock"));
        let now = Box::new(self.view(entry));
        self.hub.publish(Some(&entry.name), None, News::Changed { now });
    }

    /// Where the signs of one step go: to those who watch, into the lines, into the system's log.
    pub fn sink(self: &Arc<Self>, entry: &Arc<Entry>, run: Option<u64>, step: Option<&Step>) -> Sink {
        let (host, entry) = (self.clone(), entry.clone());
        let step = step.map(|step| (step.id.clone(), step.phase.name().to_owned()));
        Arc::new(move |sign| host.sign(&entry, run, step.as_ref(), sign))
    }

    fn sign(&self, entry: &Entry, run: Option<u64>, step: Option<&(String, String)>, sign: Sign) {
        match sign {
            Sign::Line { level, message } => self.line(&entry.name, run, step.map(|s| s.0.clone()), level, message),
            Sign::Progress { done, total, unit, message } => {
                let progress = ProgressView { done, total, unit, message };
                let Some((step, phase)) = step else { return };
                if let State::Running(running) = &mut entry.seen.lock().expect("no panic holds this lock").state {
                    running.progress = Some(progress.clone());
                }
                let news = News::Progress { step: step.clone(), phase: phase.clone(), progress };
                self.hub.publish(Some(&entry.name), run, news);
            }
        }
    }

    pub fn line(&self, deployment: &str, run: Option<u64>, step: Option<String>, level: Level, message: String) {
        // What a run says outlives the daemon in the system's log; of a double's, the run that rehearses says it.
        let is_told = run.is_some() && self.double.is_none();
        match level {
            Level::Error if is_told => tracing::error!(deployment, run, step, "{message}"),
            Level::Warn if is_told => tracing::warn!(deployment, run, step, "{message}"),
            Level::Info if is_told => tracing::info!(deployment, run, step, "{message}"),
            _ => tracing::debug!(deployment, run, step, "{message}"),
        }
        let at = Timestamp::now();
        let news = News::Line { step: step.clone(), level, message: message.clone() };
        let id = self.hub.publish_at(at, Some(deployment), run, news);
        self.lines.push(LogLine { id, at, deployment: deployment.to_owned(), run, step, level, message });
    }
}

/// Of `shop/r12-backup-late-main/main/data`.
fn run_of_key(key: &str) -> Option<u64> {
    key.split('/').nth(1).and_then(super::retention::run_of)
}

/// True when the key was made now. Where the vault holds something already, a new key would not open it: whoever needs
/// the vault says that its key is missing.
pub fn prepare_vault_key(settings: &Settings) -> Result<bool, VaultError> {
    if settings.vault_key.exists() || settings.vault.join("config").exists() {
        return Ok(false);
    }
    Vault::make_key(&settings.vault_key)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_artifact_says_which_run_saved_it() {
        assert_eq!(run_of_key("shop/r12-backup-late-main/main/data"), Some(12));
        assert_eq!(run_of_key("shop/r7-h0-edits/files/0"), Some(7));
        assert_eq!(run_of_key("shop/let-go-main/main/data"), None);
        assert_eq!(run_of_key("shop"), None);
    }

    #[test]
    fn runs_are_numbered_after_those_of_another_life() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let journal = Journal::open(&path).unwrap();
        let last = || {
            let reader = rusqlite::Connection::open(&path).unwrap();
            let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'runs'";
            reader.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
        };
        for (from, number) in [(13, 12), (2, 12), (20, 19)] {
            journal.number_from(from).unwrap();
            assert_eq!(last(), number);
        }
    }
}
