//! [`Composed`] with an API of two replicas behind a proxy.

use crate::Visit;
use crate::composed::{Composed, free_port};
use crate::machine::write;
use scratch_docker::products::replicas::{API, Installed};
use scratch_docker::{Engine, ImageConfig};
use std::net::SocketAddr;
use std::ops::Deref;

/// A release's tag, the release that its program says it is, and what it runs instead of serving.
pub type Image<'i> = (&'i str, &'i str, Option<&'i str>);

/// What is healthy, and says that it is another release; and what never comes up.
pub const GOOD_WRONG_AND_BROKEN: [Image; 4] = [
    ("1.4.0", "1.4.0", None),
    ("1.5.0", "1.5.0", None),
    ("1.6.0", "1.5.1", None),
    ("1.7.0", "1.7.0", Some("sleep 1; exit 3")),
];

pub(crate) fn config_of((_, says, instead): &Image) -> ImageConfig {
    let serve = vec!["tessallite".to_owned(), "gateway".into()];
    ImageConfig {
        entrypoint: instead.map_or(serve, |script| vec!["sh".into(), "-c".into(), script.into()]),
        env: vec![("TESSALLITE_RELEASE".into(), (*says).into())],
        ..ImageConfig::default()
    }
}

/// A deployment whose replicas roll. `platform`: its lines.
pub(crate) fn deployment_of(version: &str, images: &[Image], front: SocketAddr, platform: &str) -> String {
    let releases: Vec<String> =
        images.iter().map(|(tag, ..)| format!("{{ version = \"{tag}\", expand-only = true }}")).collect();
    format!(
        "product = \"generic\"\nversion = \"{version}\"\n\n[settings]\nservices = [\"api\"]\n\
         acts = [{{ wave = [\"api\"], rolling = true }}]\nundo = [\"code-only\"]\nattempts = 15\npause-ms = 300\n\
         version-url = \"http://{front}/healthz\"\nversion-field = \"version\"\nhttp = [\"http://{front}\"]\n\
         releases = [{}]\n\n{platform}\n[policy]\ndrill = \"off\"\nidle = \"60s\"\n",
        releases.join(", "),
    )
}

/// The request of each number, which any replica answers.
pub fn ask_any(_: usize) -> (&'static str, &'static str, String) {
    ("GET", "/healthz", String::new())
}

/// Nobody was turned away, and each of these versions answered, and nothing else.
pub fn answered_by_each(versions: &[&str], visits: &[Visit]) {
    let failed: Vec<_> = visits.iter().filter(|visit| !visit.is_fine()).collect();
    assert!(failed.is_empty(), "{} of {}: {failed:#?}", failed.len(), visits.len());
    let said = |version: &&str| {
        let text = format!("\"version\":\"{version}\"");
        visits.iter().filter(|visit| visit.answer.as_ref().is_ok_and(|(_, body)| body.contains(&text))).count()
    };
    let counts: Vec<usize> = versions.iter().map(said).collect();
    assert!(counts.iter().all(|count| *count > 0), "each of the versions answered: {counts:?}");
    assert_eq!(counts.iter().sum::<usize>(), visits.len(), "nothing else did");
}

pub struct Replicas {
    composed: Composed,
    /// Where users come in.
    pub front: SocketAddr,
}

impl Deref for Replicas {
    type Target = Composed;
    fn deref(&self) -> &Composed {
        &self.composed
    }
}

impl Replicas {
    pub fn new(version: &str, images: &[Image]) -> Self {
        Self::on(Engine::shared(), version, images)
    }

    pub fn on(engine: &Engine, version: &str, images: &[Image]) -> Self {
        let composed = Composed::on(engine, "replicas", |machine| machine.programs.tessallite.clone());
        let port = free_port();
        let replicas = Self { composed, front: ([127, 0, 0, 1], port).into() };
        replicas.mirror("base/nginx:1");
        for image in images {
            replicas.publish_image(&format!("{API}:{}", image.0), &config_of(image));
        }
        let (project, registry) = (replicas.project.name(), replicas.registry());
        let installed = Installed { project, registry, front: &format!("{registry}/base/nginx:1"), version, port };
        installed.lay_out(&replicas.home()).unwrap_or_else(|why| panic!("{why}"));
        replicas.compose(&["up", "--detach", "--wait", "--quiet-pull"]);
        write(&replicas.deployment_file(), &replicas.deployment(version, images));
        replicas.take_compiled_plugins();
        replicas
    }

    fn deployment(&self, version: &str, images: &[Image]) -> String {
        let platform = format!(
            "[platform]\nplugin = \"compose\"\ndirectory = \"{}\"\nengine = \"unix://{}\"\nversion-key = \"VERSION\"\n",
            self.home().display(),
            self.engine().socket().display(),
        );
        deployment_of(version, images, self.front, &platform)
    }

    /// The image and the state of each replica.
    pub fn replicas(&self) -> Vec<String> {
        let answer = self.compose(&["ps", "--all", "--format", "{{.Image}} {{.State}} {{.Health}}", "api"]);
        answer.lines().map(|line| line.rsplit(':').next().unwrap_or_default().to_owned()).collect()
    }
}
