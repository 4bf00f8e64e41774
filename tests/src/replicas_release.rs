//! [`Released`] with an API of two replicas on it, which keeps no data.

use crate::composed::done;
use crate::machine::write;
use crate::{Cluster, Released, Replicas};
use scratch_docker::ImageConfig;
use std::net::SocketAddr;
use std::ops::Deref;

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/replicas/chart");

/// `replicas`, whose release is called so.
pub struct ReplicasRelease {
    released: Released,
    /// Where users come in.
    pub front: SocketAddr,
}

impl Deref for ReplicasRelease {
    type Target = Released;
    fn deref(&self) -> &Released {
        &self.released
    }
}

impl ReplicasRelease {
    /// Images: each release's tag, the release that its program says it is, and what it runs instead of serving.
    pub fn new(cluster: Cluster, version: &str, images: &[(&str, &str, Option<&str>)]) -> Self {
        let released =
            Released::of_chart(cluster, "replicas", CHART.into(), |machine| machine.programs.tessallite.clone());
        let front = released.gateway.trim_start_matches("http://").parse().expect("the address of a node");
        let release = Self { released, front };
        for (tag, says, instead) in images {
            let serve = vec!["tessallite".to_owned(), "gateway".into()];
            let config = ImageConfig {
                entrypoint: instead.map_or(serve, |script| vec!["sh".into(), "-c".into(), script.into()]),
                env: vec![("TESSALLITE_RELEASE".into(), (*says).into())],
                ..ImageConfig::default()
            };
            done(release.shelf.publish(&format!("replicas/pod:{tag}"), &config));
            release.publish_chart(tag);
        }
        let values = release.values_for("api", version);
        release.install(version, &values, include_str!("../../examples/evose/rbac.yaml"), &[]);
        release.stands();
        write(&release.deployment_file(), &release.deployment(version, images));
        release.take_compiled_plugins();
        release
    }

    /// From now on the deployment has a Compose project too, whose replicas roll after the release's.
    pub fn joins(&self, project: &Replicas) {
        let text = std::fs::read_to_string(self.deployment_file()).expect("the deployment");
        let platform = format!(
            "[platforms.front]\nplugin = \"compose\"\ndirectory = \"{}\"\nengine = \"unix://{}\"\n\
             version-key = \"VERSION\"\n\n[policy]\n",
            project.home().display(),
            project.engine().socket().display(),
        );
        let text = text.replace("services = [\"api\"]", "services = [\"api\", \"front/api\"]");
        let text = text.replace("rolling = true }]", "rolling = true }, { wave = [\"front/api\"], rolling = true }]");
        write(&self.deployment_file(), &text.replace("[policy]\n", &platform));
    }

    fn deployment(&self, version: &str, images: &[(&str, &str, Option<&str>)]) -> String {
        let releases: Vec<String> =
            images.iter().map(|(tag, ..)| format!("{{ version = \"{tag}\", expand-only = true }}")).collect();
        format!(
            "product = \"generic\"\nversion = \"{version}\"\n\n[settings]\nservices = [\"api\"]\n\
             acts = [{{ wave = [\"api\"], rolling = true }}]\nundo = [\"code-only\"]\nattempts = 3\npause-ms = 300\n\
             version-url = \"http://{front}/healthz\"\nversion-field = \"version\"\nhttp = [\"http://{front}\"]\n\
             releases = [{}]\n\n[platform]\nplugin = \"helm\"\ndirectory = \"{}\"\nversion-key = \"image.tag\"\n\n\
             [platform.kubernetes]\n{}\n[policy]\ndrill = \"off\"\nidle = \"60s\"\n",
            releases.join(", "),
            self.home().display(),
            self.binding(),
            front = self.front,
        )
    }
}
