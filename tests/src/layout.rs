//! Several Compose projects on one machine, the deployments of one daemon, each with files of its own.

use crate::machine::{succeed, write};
use crate::{Daemon, Machine, kind};
use scratch_docker::{Engine, ImageConfig, Project, registry_has};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(240);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How a project is laid out. In every text `{v}` is the version, `{digest}` the digest of its image, and `{app}`,
/// `{other}` and `{project}` are this machine's.
pub struct Plan<'t> {
    pub name: &'t str,
    /// How its operator calls `docker compose`.
    pub flags: &'t [&'t str],
    pub files: &'t [(&'t str, &'t str)],
    /// Those that come from the vendor, whose repository `{repository}` has them in `docker/`, a tag for each version.
    pub vendors: &'t [(&'t str, &'t str)],
    /// Of the deployment's file, within `[platform]`.
    pub deployment: &'t str,
    /// What `docker` has to make before: arguments.
    pub before: &'t [&'t [&'t str]],
}

pub struct Layout<'t> {
    plan: Plan<'t>,
    /// The deployment's.
    pub name: String,
    pub project: Project,
    home: PathBuf,
    repository: PathBuf,
    digests: BTreeMap<String, String>,
}

pub struct Layouts<'t> {
    pub machine: Machine,
    pub all: Vec<Layout<'t>>,
}

impl<'t> Layouts<'t> {
    /// `versions`: and what the image runs, for `sh`.
    pub fn new(plans: Vec<Plan<'t>>, versions: &[(&str, &str)]) -> Self {
        let mut machine = Machine::new("layouts");
        machine.environment = Engine::shared().environment();
        machine.lay_vault();
        let digests: BTreeMap<String, String> =
            versions.iter().map(|(version, runs)| ((*version).to_owned(), publish(&machine, version, runs))).collect();
        let mut all = Vec::new();
        for plan in plans {
            let home = machine.home().join(plan.name);
            fs::create_dir(&home).expect("the project's folder");
            let name = if all.is_empty() { machine.name.clone() } else { format!("{}-{}", machine.name, plan.name) };
            let project = Engine::shared().project(plan.name);
            let repository = machine.path(&format!("{}-repository", plan.name));
            let layout = Layout { plan, name, project, home, repository, digests: digests.clone() };
            if !layout.plan.vendors.is_empty() {
                layout.make_repository(versions.iter().map(|(version, _)| *version));
            }
            all.push(layout);
        }
        Self { machine, all }
    }

    pub fn now(daemon: &Daemon<'_>, layout: &Layout<'_>) -> Value {
        daemon.get(&format!("/v1/deployments/{}", layout.name)).unwrap_or_default()
    }

    /// Looks at all deployments until each is as it should be.
    pub fn wait(&self, daemon: &Daemon<'_>, what: &str, done: impl Fn(&Value) -> bool) {
        let began = Instant::now();
        for layout in &self.all {
            loop {
                let now = Self::now(daemon, layout);
                if done(&now) {
                    break;
                }
                let told = || format!("waited until {what}: {now:#}\n{}", self.machine.log());
                let hopeless = matches!(kind(&now), "stuck" | "error");
                assert!(!hopeless && began.elapsed() < PATIENCE, "{}", told());
                std::thread::sleep(LOOK_EVERY);
            }
        }
    }
}

impl Layout<'_> {
    /// Its files are there as `version` has them, and its containers run.
    pub fn install(&self, machine: &Machine, version: &str) {
        for arguments in self.plan.before {
            let arguments: Vec<String> = arguments.iter().map(|word| self.text(word, version)).collect();
            Engine::shared().succeed(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        }
        self.lay(&self.home, &[self.plan.files, self.plan.vendors].concat(), version);
        self.compose(&["up", "--detach", "--wait", "--quiet-pull"]);
        self.want(machine, version);
    }

    /// The one edited line.
    pub fn want(&self, machine: &Machine, version: &str) {
        let engine = Engine::shared().socket().display().to_string();
        let rest = self.text(self.plan.deployment, version);
        let text = format!(
            "product = \"generic\"\nversion = \"{version}\"\n[platform]\nplugin = \"compose\"\ndirectory = \"{}\"\n\
             engine = \"unix://{engine}\"\n{rest}[policy]\ndrill = \"off\"\nidle = \"20s\"\n",
            self.home.display()
        );
        machine.add_deployment(&self.name, &text);
    }

    fn text(&self, template: &str, version: &str) -> String {
        let registry = Engine::shared().registry();
        let digest = self.digests.get(version).map(String::as_str).unwrap_or_default();
        template
            .replace("{v}", version)
            .replace("{digest}", digest)
            .replace("{app}", &app())
            .replace("{other}", &format!("{registry}/base/busybox:1"))
            .replace("{project}", self.project.name())
            .replace("{repository}", &self.repository.display().to_string())
    }

    fn make_repository<'v>(&self, versions: impl Iterator<Item = &'v str>) {
        fs::create_dir(&self.repository).expect("the vendor's repository");
        let git = |arguments: &[&str]| {
            let mut git = Command::new("git");
            git.env("GIT_CONFIG_GLOBAL", "/dev/null").args(["-c", "user.name=a", "-c", "user.email=a@example.invalid"]);
            succeed(git.args(arguments).current_dir(&self.repository))
        };
        git(&["init", "--quiet"]);
        for version in versions {
            self.lay(&self.repository.join("docker"), self.plan.vendors, version);
            git(&["add", "--all"]);
            git(&["commit", "--quiet", "--message", version]);
            git(&["tag", &format!("v{version}")]);
        }
    }

    fn lay(&self, folder: &Path, files: &[(&str, &str)], version: &str) {
        for (path, text) in self.rendered(files, version) {
            let place = folder.join(path);
            fs::create_dir_all(place.parent().expect("a folder")).expect("a folder of files");
            write(&place, &text);
        }
    }

    /// What each file should be.
    fn expected(&self, version: &str) -> BTreeMap<String, String> {
        self.rendered(&[self.plan.files, self.plan.vendors].concat(), version)
    }

    /// A line that begins with `{later}` is there once the version was set, a file when it has lines.
    fn rendered(&self, files: &[(&str, &str)], version: &str) -> BTreeMap<String, String> {
        let text = |text: &str| {
            let lines = text.split_inclusive('\n').filter_map(|line| match line.strip_prefix("{later}") {
                Some(line) => (version != "1.0.0").then_some(line),
                None => Some(line),
            });
            self.text(&lines.collect::<String>(), version)
        };
        let all = files.iter().map(|(path, content)| ((*path).to_owned(), text(content)));
        all.filter(|(_, text)| !text.is_empty()).collect()
    }

    /// Every file of the project's folder is what this version has, and there is no other.
    pub fn has_files_of(&self, version: &str) {
        let mut there = BTreeMap::new();
        read(&self.home, &self.home, &mut there);
        assert_eq!(there, self.expected(version), "{}: the files of {version}", self.plan.name);
    }

    pub fn compose(&self, arguments: &[&str]) -> String {
        let mut compose = Engine::shared().compose();
        compose.args(["--progress", "quiet"]);
        compose.args(self.plan.flags.iter().map(|flag| self.text(flag, "")));
        succeed(compose.args(arguments).current_dir(&self.home))
    }

    /// Service and ID of every container, a line each.
    pub fn containers(&self) -> Vec<String> {
        let ids = self.project.things("container");
        let mut docker = Engine::shared().docker();
        let format = "{{index .Config.Labels \"com.docker.compose.service\"}} {{.Id}}";
        let mut lines: Vec<String> =
            succeed(docker.args(["inspect", "--format", format]).args(ids)).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// What each running container of a service says that it is.
    pub fn versions(&self, service: &str) -> Vec<String> {
        let of_service = self.containers();
        let ids = of_service.iter().filter_map(|line| line.strip_prefix(&format!("{service} ")));
        ids.map(|id| Engine::shared().succeed(&["exec", id, "cat", "/release"])).collect()
    }

    /// What the operator would do by hand changes nothing: every container is what the files say.
    pub fn is_what_the_files_say(&self) {
        let before = self.containers();
        self.compose(&["up", "--detach", "--wait", "--pull", "never"]);
        assert_eq!(self.containers(), before, "{}: `docker compose up` makes other containers", self.plan.name);
    }

    /// Containers, networks and volumes, by how many there are of each.
    pub fn things(&self) -> [usize; 3] {
        ["container", "network", "volume"].map(|kind| self.project.things(kind).len())
    }
}

fn read(folder: &Path, root: &Path, into: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("a folder of the project").flatten() {
        let path = entry.path();
        if path.ends_with(".upgraded") {
            // The daemon's own.
        } else if path.is_dir() {
            read(&path, root, into);
        } else {
            let name = path.strip_prefix(root).expect("beneath").display().to_string();
            into.insert(name, fs::read_to_string(&path).expect("a text"));
        }
    }
}

/// Without its tag.
fn app() -> String {
    format!("{}/layouts/app", Engine::shared().registry())
}

/// Busybox with a file that says its release; the digest.
fn publish(machine: &Machine, version: &str, runs: &str) -> String {
    let engine = Engine::shared();
    let reference = format!("{}:{version}", app());
    if !registry_has(engine.registry(), "layouts/app", version) {
        let release = machine.path(&format!("release-{version}"));
        write(&release, version);
        let config = ImageConfig { cmd: vec!["sh".into(), "-c".into(), runs.into()], ..ImageConfig::default() };
        engine.image(&reference, Some(&engine.base("busybox:1")), &[("/release", &release)], &config);
    }
    let url = format!("http://{}/v2/layouts/app/manifests/{version}", engine.registry());
    let mut curl = Command::new("curl");
    for kind in ["application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"] {
        curl.args(["--header", &format!("Accept: {kind}")]);
    }
    let headers = succeed(curl.args(["--silent", "--show-error", "--fail", "--head", &url]));
    let digest =
        headers.lines().find_map(|line| line.to_lowercase().strip_prefix("docker-content-digest:").map(str::to_owned));
    digest.expect("the registry says the digest").trim().to_owned()
}
