//! The double, as a test holds it.

use crate::core::{Core, Pace};
use crate::fault::Fault;
use crate::log::Exchange;
use crate::login::Account;
use crate::run::{self, Image};
use crate::server;
use crate::sql::Disk;
use std::sync::Arc;
use tokio::net::TcpListener;

/// A project at Google's, on a port of 127.0.0.1. It ends when it is dropped, with all that runs in it.
///
/// It has threads of its own, so that it serves tests that are asynchronous and tests that are not.
pub struct Google {
    core: Arc<Core>,
    runtime: Option<tokio::runtime::Runtime>,
    _folder: tempfile::TempDir,
}

impl Google {
    /// With one project of this name.
    ///
    /// # Panics
    /// The machine has no port or no folder for it.
    pub fn start(project: &str) -> Self {
        Self::start_at(project, 0)
    }

    /// On this port; 0 is any.
    ///
    /// # Panics
    /// The port is taken.
    pub fn start_at(project: &str, port: u16) -> Self {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).thread_name("google").enable_all().build().expect("threads");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let listener = std::net::TcpListener::bind(("127.0.0.1", port)).expect("a port of 127.0.0.1");
        listener.set_nonblocking(true).expect("a listener that does not block");
        let url = format!("http://{}", listener.local_addr().expect("the listener's address"));
        let core = Core::new(url, runtime.handle().clone(), folder.path());
        let serving = Arc::clone(&core);
        core.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a listener that does not block");
            server::serve(serving, listener).await;
        });
        let google = Self { core, runtime: Some(runtime), _folder: folder };
        google.add_project(project);
        google
    }

    /// `http://127.0.0.1:1234`: the endpoint of both APIs, and of tokens.
    pub fn url(&self) -> &str {
        &self.core.url
    }

    /// For `GCE_METADATA_HOST`: the same without the scheme.
    pub fn metadata_host(&self) -> &str {
        self.url().trim_start_matches("http://")
    }

    pub fn add_project(&self, name: &str) {
        self.core.projects.lock().expect("nothing panics while it holds the lock").insert(name.to_owned());
    }

    pub fn set_pace(&self, pace: Pace) {
        *self.core.pace.lock().expect("nothing panics while it holds the lock") = pace;
    }

    /// A service account with a key that nobody else knows.
    pub fn account(&self, name: &str, project: &str) -> Account {
        self.core.login.account(name, project, self.url())
    }

    /// An access token, as `gcloud auth print-access-token` prints it.
    pub fn token(&self) -> String {
        self.core.login.issue("tester@example.com")
    }

    /// Every token that was issued is refused from now on.
    pub fn expire_tokens(&self) {
        self.core.login.expire();
    }

    /// Nobody may do what needs this permission: `run.services.update`, `iam.serviceaccounts.actAs`.
    pub fn withdraw(&self, permission: &str) {
        self.core.login.withdraw(permission);
    }

    pub fn grant(&self, permission: &str) {
        self.core.login.grant(permission);
    }

    /// The service at this address lets only in who comes with an identity that is for it.
    pub fn close(&self, address: &str) {
        self.core.closed.lock().expect("nothing panics while it holds the lock").insert(address.to_owned());
    }

    pub fn inject(&self, fault: Fault) {
        self.core.faults.arm(fault);
    }

    pub fn clear_faults(&self) {
        self.core.faults.clear();
    }

    /// The faults that have not struck yet, as text.
    pub fn open_faults(&self) -> Vec<String> {
        self.core.faults.open()
    }

    /// What was stuck goes on to its usual end.
    pub fn end_stuck_operations(&self) {
        self.core.unstick();
    }

    /// Pushes an image: `region-docker.pkg.dev/project/repository/name:tag`.
    pub fn push(&self, reference: &str, image: Image) {
        self.core.run.images.push(reference, image);
    }

    /// A service as its operator had it before the test: its full name, one image. The answer is its address.
    ///
    /// # Panics
    /// It is there already, or does not get ready.
    pub fn deploy(&self, name: &str, image: &str) -> String {
        self.deploy_with(name, image, &[])
    }

    /// The same with variables of its container.
    ///
    /// # Panics
    /// It is there already, or does not get ready.
    pub fn deploy_with(&self, name: &str, image: &str, variables: &[(&str, &str)]) -> String {
        run::by_hand(&self.core, name, image, variables).unwrap_or_else(|why| panic!("{name}: {why}"))
    }

    /// What a tag stands for: `…/name@sha256:…`.
    pub fn digest(&self, reference: &str) -> Option<String> {
        self.core.run.images.digest(reference)
    }

    /// Somebody else edits a service or a job, by its full name.
    pub fn edit_by_somebody_else(&self, name: &str) {
        self.core.run.state().edit(name);
    }

    /// The data of an instance, which may be there or come later.
    pub fn attach(&self, project: &str, instance: &str, disk: Arc<dyn Disk>) {
        self.core.sql.attach(project, instance, disk);
    }

    /// How instances that nobody attached a disk to get one, by their names.
    pub fn make_disks_by(&self, make: impl Fn(&str) -> Arc<dyn Disk> + Send + Sync + 'static) {
        self.core.sql.make_disks_by(Arc::new(make));
    }

    /// All requests that a document knows, in the order in which they were answered.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.core.log.exchanges()
    }

    /// Requests that no document allows.
    pub fn violations(&self) -> Vec<String> {
        self.core.log.violations()
    }

    /// # Panics
    /// A request or an answer was not what the discovery documents allow.
    pub fn assert_held_to_the_documents(&self) {
        let violations = self.violations();
        assert!(violations.is_empty(), "requests that no document allows:\n{}", violations.join("\n"));
        let bugs = self.core.log.bugs();
        assert!(bugs.is_empty(), "answers that no document allows:\n{}", bugs.join("\n"));
    }
}

impl Drop for Google {
    fn drop(&mut self) {
        self.core.stop.cancel();
        self.core.tasks.close();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        let bugs = self.core.log.bugs();
        assert!(bugs.is_empty() || std::thread::panicking(), "answers that no document allows:\n{}", bugs.join("\n"));
    }
}
