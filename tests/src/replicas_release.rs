//! [`Released`] with an API of two replicas on it, which keeps no data.

use crate::composed::done;
use crate::machine::write;
use crate::replicas::{Image, config_of, deployment_of};
use crate::{Cluster, Released, Replicas};
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
    pub fn new(cluster: Cluster, version: &str, images: &[Image]) -> Self {
        let released =
            Released::of_chart(cluster, "replicas", CHART.into(), |machine| machine.programs.tessallite.clone());
        let front = released.gateway.trim_start_matches("http://").parse().expect("the address of a node");
        let release = Self { released, front };
        for image in images {
            done(release.shelf.publish(&format!("replicas/pod:{}", image.0), &config_of(image)));
            release.publish_chart(image.0);
        }
        let values = release.values_for("api", version);
        release.install(version, &values, include_str!("../../examples/evose/rbac.yaml"), &[]);
        release.stands();
        write(&release.deployment_file(), &release.deployment(version, images));
        release.take_compiled_plugins();
        release
    }

    /// As `kubectl` names them.
    pub fn api_pods(&self) -> Vec<String> {
        let find = ["get", "pods", "--selector", "app=replicas-api", "--output", "name"];
        self.kubectl(&find).lines().map(str::to_owned).collect()
    }

    pub fn are_gone(&self, pods: &[String]) {
        let wait = ["wait", "--for", "delete", "--timeout", "5m"];
        self.kubectl(&wait.into_iter().chain(pods.iter().map(String::as_str)).collect::<Vec<_>>());
    }

    fn kubectl(&self, arguments: &[&str]) -> String {
        self.cluster.kubectl(&[&["--namespace", self.namespace.as_str()], arguments].concat())
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

    fn deployment(&self, version: &str, images: &[Image]) -> String {
        let platform = format!(
            "[platform]\nplugin = \"helm\"\ndirectory = \"{}\"\nversion-key = \"image.tag\"\n\n[platform.kubernetes]\n{}",
            self.home().display(),
            self.binding(),
        );
        deployment_of(version, images, self.front, &platform)
    }
}
