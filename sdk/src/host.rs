//! What the host offers, by role: a component calls its imports, a test its fake.
//!
//! Every verb is a call that is known when the crate is compiled, so that a component imports the interfaces that it
//! uses and no other. A trait object here would make every plugin import everything.

#[cfg(not(target_arch = "wasm32"))]
use crate::fake::State;
use crate::pods;
use crate::{
    Answer, Chart, CloudService, CloudVariable, Command, Container, Declared, Error, Exit, Image, Instance, Level,
    MajorVersions, OneOff, Outlook, Reconciler, Registered, Request, Response, Result, Revision, Service, ServiceRef,
    Share, Tracked, Watch, Workload,
};

/// What stands behind a host: nothing in a component, a script in a test.
#[derive(Clone)]
struct Behind {
    #[cfg(not(target_arch = "wasm32"))]
    state: State,
}

impl Behind {
    fn imported() -> Self {
        #[cfg(not(target_arch = "wasm32"))]
        panic!("outside a component there is no host: a test makes one with `fake::FakeHost`");
        #[cfg(target_arch = "wasm32")]
        Self {}
    }
}

/// The call of one verb: the import in a component, the fake's twin elsewhere.
macro_rules! verb {
    ($on:expr, $interface:ident::$verb:ident($($argument:expr),*)) => {{
        #[cfg(target_arch = "wasm32")]
        { crate::bindings::$interface::$verb($($argument),*) }
        #[cfg(not(target_arch = "wasm32"))]
        { crate::fake::$interface::$verb(&$on.0.state $(, $argument)*) }
    }};
}

macro_rules! hosts {
    ($($(#[$doc:meta])* $host:ident: $($verbs:ident $interface:ident),*;)*) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $host(Behind);

        impl $host {
            pub(crate) fn imported() -> Self {
                Self(Behind::imported())
            }
            #[cfg(not(target_arch = "wasm32"))]
            pub(crate) fn scripted(state: State) -> Self {
                Self(Behind { state })
            }
            $(pub fn $verbs(&self) -> $interface<'_> {
                $interface(&self.0)
            })*
            /// A line of the step's log.
            pub fn info(&self, message: &str) {
                self.log(Level::Info, message, &[]);
            }
            pub fn log(&self, level: Level, message: &str, fields: &[(String, String)]) {
                verb!(self, run::log(level, message, fields))
            }
            /// Extends the idle deadline.
            pub fn progress(&self, done: u64, total: Option<u64>, unit: &str, message: &str) {
                verb!(self, run::progress(done, total, unit, message))
            }
            /// Waits before another try. A fake host does not wait.
            pub fn pause(&self, pause_ms: u64) {
                #[cfg(target_arch = "wasm32")]
                std::thread::sleep(std::time::Duration::from_millis(pause_ms));
                #[cfg(not(target_arch = "wasm32"))]
                crate::fake::run::pause(&self.0.state, pause_ms);
            }
            /// The run was cancelled: return soon.
            pub fn cancelled(&self) -> bool {
                verb!(self, run::cancelled())
            }
        }
    )*};
}

hosts! {
    /// What a product may ask for.
    ProductHost: files Files, services Services, checkout Checkout, process Process, http Http;
    /// What a platform may ask for.
    PlatformHost: files Files, services Services, control Control, images Images, compose Compose, helm Helm, cloud_run CloudRun, pods Pods, checkout Checkout, process Process, http Http;
    /// What a datastore may ask for.
    DatastoreHost: services Services, trees Trees, sqlite Sqlite, postgres Postgres, mysql Mysql, cloud_sql CloudSql, http Http;
}

macro_rules! interfaces {
    ($($(#[$doc:meta])* $name:ident in $interface:ident {
        $($(#[$verb_doc:meta])* $verb:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name<'a>(#[allow(dead_code, reason = "a component's host is no data")] &'a Behind);

        impl $name<'_> {
            $($(#[$verb_doc])*
            pub fn $verb(&self $(, $argument: $type)*) -> Result<$answer> {
                verb!(self, $interface::$verb($($argument),*))
            })*
        }
    )*};
}

interfaces! {
    /// The project's own files, beneath the folder of the deployment; those in a folder `.upgraded` are the daemon's.
    Files in files {
        /// Values of secrets are placeholders; edits proposed earlier in the same plan are overlaid.
        read(path: &str) -> Vec<u8>;
    }
    /// Looking at services.
    Services in services {
        list() -> Vec<Service>;
        /// Each running, and healthy where it has a health check.
        wait_healthy(names: &[ServiceRef], idle_ms: u64) -> Vec<Service>;
        /// Reads the log from the last start until a line fits `success` (returned) or `failure` (an error with it).
        follow(watch: &Watch) -> String;
    }
    /// Changing services.
    Control in control {
        start(names: &[ServiceRef]) -> ();
        /// Replaces them, each healthy before the next; where there can be two of one at once, the old serves until then.
        roll(names: &[ServiceRef], idle_ms: u64) -> ();
        /// Stops them, and keeps them stopped across a reboot.
        stop(names: &[ServiceRef]) -> ();
    }
    /// The images of the platform's container engine.
    Images in images {
        /// What the engine runs on, for example `linux/amd64`.
        platform() -> String;
        /// None: the engine has none of this name.
        find(reference: &str) -> Option<Image>;
        /// What the registry has under this name; brings nothing here.
        look_up(reference: &str) -> Registered;
        /// Brings it here and holds it.
        pull(reference: &str) -> Image;
        /// Holds one that is here.
        hold(id: &str) -> ();
        /// The name stands for this image again.
        point(reference: &str, id: &str) -> ();
    }
    /// The Compose project in the deployment's folder; `control` starts and stops its services.
    Compose in compose {
        /// What the files say; `planned`: with the edits of the plan laid over them.
        services(planned: bool) -> Vec<Declared>;
        containers() -> Vec<Container>;
        /// In a fresh container of the service's image; its exit, whatever its code.
        run(command: &OneOff) -> Exit;
        build(services: &[String]) -> ();
        /// `network:NAME`, `volume:NAME`.
        resources() -> Vec<String>;
        /// Removes what the files no longer have: `network:NAME`, `volume:NAME`, and of a `service:NAME` the containers. What
        /// something still uses is left.
        remove(resources: &[String]) -> ();
    }
    /// One release of Helm; `control` holds its workloads at zero and lets them go.
    Helm in helm {
        /// Oldest first.
        history() -> Vec<Revision>;
        workloads() -> Vec<Workload>;
        /// Rules that the account needs and doesn't have.
        missing_rights() -> Vec<String>;
        /// What an upgrade would do, with the edits of the plan.
        look_ahead(version: &str) -> Outlook;
        /// Brings the chart here and keeps it.
        pull(version: &str) -> Chart;
        /// What `hold` names comes at zero until it is started.
        upgrade(digest: &str, hold: &[String], idle_ms: u64) -> ();
        /// To what a revision was, with what `hold` names at zero.
        back(revision: u32, hold: &[String]) -> ();
        /// The release's record becomes what it would be had nothing been held.
        settle() -> ();
        /// Empty, or what isn't as the newest revision says.
        drift() -> Vec<String>;
        /// Controllers that make the release what it should be.
        reconcilers() -> Vec<Reconciler>;
    }
    /// Services and jobs of Cloud Run that the operator named in `google`; `control` starts and stops the services.
    CloudRun in cloud_run {
        names() -> Vec<String>;
        look(service: &str) -> CloudService;
        /// By the digest that its registry has it by.
        pin(image: &str) -> String;
        /// Changes nothing.
        would_take(service: &str, image: &str) -> ();
        /// What of them the next revision has otherwise, by the deployment's files: `.env` for all, `NAME.env` for one.
        variables(service: &str) -> Vec<CloudVariable>;
        /// A revision without traffic, once it is ready; its name.
        deploy(service: &str, image: &str) -> String;
        /// Our tag stays on the revision `tagged` alone.
        route(service: &str, shares: &[Share], tagged: Option<&str>) -> ();
        /// At the service's address, or at that of our tag.
        ask(service: &str, by_tag: bool, path: &str) -> Answer;
        /// To its end.
        run_job(job: &str, image: Option<&str>, args: &[String]) -> ();
    }
    /// The instance of Cloud SQL that the operator named in `google`.
    CloudSql in cloud_sql {
        look() -> Instance;
        databases() -> Vec<String>;
        /// The key of the artifact that says which backup it is.
        save() -> String;
        put_back(artifact: &str) -> ();
    }
    /// The files of pods in the deployment's folder; `control` makes and removes their pods.
    Pods in pods {
        /// What the files say; `planned`: with the edits of the plan laid over them.
        services(planned: bool) -> Vec<pods::Declared>;
        /// What is there of them, and what was made for the deployment and is in no file now.
        standing() -> Vec<pods::Pod>;
        /// Of these named volumes, those that are there.
        volumes(names: &[String]) -> Vec<String>;
        /// Removes pods that the files no longer have, and of these volumes those that no file names and nothing uses.
        remove(volumes: &[String]) -> ();
    }
    /// Commands that the operator named.
    Process in process {
        /// A finished command's exit, whatever its code.
        run(command: &Command) -> Exit;
        /// The names that there are.
        list() -> Vec<String>;
    }
    /// Releases from the deployment's git repository.
    Checkout in checkout {
        /// Tags, and the commit of each.
        releases() -> Vec<(String, String)>;
        /// The commit of a tag or a SHA, fetched where it is not here yet.
        fetch(revision: &str) -> String;
        /// A file of a commit; values of secrets are placeholders.
        read(commit: &str, path: &str) -> Vec<u8>;
        /// A commit's files beneath a folder, which is empty for all.
        files(commit: &str, under: &str) -> Vec<Tracked>;
        /// Lays the commit out in a folder of its own and runs the named command there, once.
        prepare(commit: &str, build: Option<&str>) -> ();
        activate(commit: &str) -> ();
        /// The active commit, and the tag that names it.
        active() -> Option<(String, Option<String>)>;
    }
    /// Folders and files that the operator named in `paths`. A step's name stands for the copy that it made.
    Trees in trees {
        list() -> Vec<String>;
        manifest(path: &str, step: Option<&str>) -> String;
        mark(path: &str) -> String;
        /// Into the vault; the artifact's key.
        save(path: &str, step: Option<&str>) -> String;
        put_back(path: &str, artifact: &str) -> ();
        freeze(path: &str) -> ();
        swap(path: &str, step: &str) -> ();
        discard(path: &str, step: &str) -> ();
    }
    /// SQLite databases that the operator named in `paths`.
    Sqlite in sqlite {
        list() -> Vec<String>;
        /// Empty, or what is wrong.
        check(path: &str, step: Option<&str>) -> Vec<String>;
        manifest(path: &str, step: Option<&str>) -> String;
        fence(path: &str) -> String;
        mark(path: &str) -> String;
        unfence(path: &str) -> ();
        /// The artifact's key, and the manifest of the same snapshot.
        save(path: &str, step: Option<&str>) -> (String, String);
        put_back(path: &str, artifact: &str) -> ();
        freeze(path: &str) -> ();
        swap(path: &str, step: &str) -> ();
        discard(path: &str, step: &str) -> ();
    }
    /// The PostgreSQL server that the operator named in `server`.
    Postgres in postgres {
        versions() -> MajorVersions;
        /// Into the vault as of an exported snapshot; the artifact's key.
        dump(database: &str, snapshot: Option<&str>) -> String;
        /// Into an existing, empty database.
        restore(database: &str, artifact: &str) -> ();
    }
    /// The database of a MySQL or MariaDB server that the operator named in `server`.
    Mysql in mysql {
        /// Empty, or what is wrong.
        check() -> Vec<String>;
        /// Of a frozen copy in brief.
        manifest(frozen: Option<&str>) -> String;
        /// Locks every account that has rights on the database, but the host's own; the mark.
        fence() -> String;
        mark() -> String;
        unfence() -> ();
        /// The artifacts' keys, and the manifest of the same snapshot.
        save(frozen: Option<&str>) -> (Vec<String>, String);
        put_back(artifacts: &[String]) -> ();
        /// False: it can't be copied in moments.
        freeze() -> bool;
        swap(step: &str) -> ();
        discard(step: &str) -> ();
    }
    /// Requests to addresses that the operator granted.
    Http in http {
        send(request: &Request) -> Response;
    }
}

impl Files<'_> {
    /// A file that must be UTF-8.
    pub fn read_text(&self, path: &str) -> Result<String> {
        String::from_utf8(self.read(path)?).map_err(|_| Error::invalid(format!("`{path}` is not UTF-8 text")))
    }
}

impl Checkout<'_> {
    /// A file of a commit that must be UTF-8.
    pub fn read_text(&self, commit: &str, path: &str) -> Result<String> {
        String::from_utf8(self.read(commit, path)?).map_err(|_| Error::invalid(format!("`{path}` is not UTF-8 text")))
    }
}

impl Http<'_> {
    pub fn get(&self, url: &str) -> Result<Response> {
        self.send(&Request::get(url))
    }
}

impl Postgres<'_> {
    /// None: the maintenance database.
    pub fn connect(&self, database: Option<&str>) -> Result<Session> {
        Ok(Session(verb!(self, postgres::connect(database))?))
    }
}

/// One connection to a PostgreSQL server; closed when dropped.
pub struct Session(
    #[cfg(target_arch = "wasm32")] crate::bindings::postgres::Session,
    #[cfg(not(target_arch = "wasm32"))] crate::fake::postgres::Session,
);

impl Session {
    /// Rows of text.
    pub fn query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        self.0.query(sql)
    }
    /// The number of rows.
    pub fn execute(&self, sql: &str) -> Result<u64> {
        self.0.execute(sql)
    }
}
