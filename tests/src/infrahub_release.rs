//! [`Released`] with `infrahub` on it: a graph and artifacts in claims, a migration by a hook of the chart.

use crate::composed::done;
use crate::infrahub::{TOKEN, graphql, image};
use crate::{Cluster, Daemon, Released, Visit, account_for, visits_with};
use scratch_docker::ImageConfig;
use serde_json::Value;
use std::ops::Deref;

const POLICY: &str = "window = [\"Sat 02:00-06:00 Europe/Berlin\"]\napprove = \"breaking\"\ndrill = \"final\"\n";

/// `infrahub`, whose release is called so.
pub struct InfrahubRelease {
    released: Released,
}

impl Deref for InfrahubRelease {
    type Target = Released;
    fn deref(&self) -> &Released {
        &self.released
    }
}

impl InfrahubRelease {
    /// This release runs, and a user has made tags.
    pub fn new(cluster: Cluster, version: &str, policy: &str) -> Self {
        let release =
            Self { released: Released::new(cluster, "infrahub", |machine| machine.programs.infrahub.clone()) };
        release.publish(version);
        done(release.shelf.publish("graph:5", &ImageConfig::default()));
        done(release.shelf.mirror("base/nginx:1"));
        release.secret("infrahub-token", TOKEN);
        let claims = format!("{}-claims", release.namespace);
        let rbac = include_str!("../../examples/infrahub/rbac.yaml");
        let rbac = rbac.replace("upgraded-infrahub-claims", &claims).replace("upgraded-claims", &claims);
        let rbac = rbac.replace("namespace: infrahub", &format!("namespace: {}", release.namespace));
        release.install(version, &release.values_for("server", version), &rbac, &[("api-token", TOKEN)]);
        release.stands();
        for name in ["red", "green", "blue"] {
            release.make_tag(name);
        }
        let example = include_str!("../../examples/infrahub/deployment-helm.toml");
        let example = example.replace("version = \"1.6.4\"", &format!("version = \"{version}\""));
        release.deploy(&example, (POLICY, policy));
        release
    }

    /// The images of a release, and its chart in the repository.
    pub fn publish(&self, version: &str) {
        done(self.shelf.publish(&format!("infrahub:{version}"), &image(version)));
        self.publish_chart(version);
    }

    fn make_tag(&self, name: &str) {
        graphql(&self.gateway, &format!("mutation {{ BuiltinTagCreate(data: {{ name: \"{name}\" }}) {{ ok }} }}"));
    }

    /// The tags, as a user sees them.
    pub fn data(&self) -> String {
        graphql(&self.gateway, "{ BuiltinTag { count edges { node { name } } } }")
    }

    /// Users make tags while `during` goes on; those that `word` tells from others.
    pub fn write_tags<T>(&self, word: &str, during: impl FnOnce() -> T) -> (T, Vec<Visit>) {
        let tag = |number: usize| {
            let query = format!("mutation {{ BuiltinTagCreate(data: {{ name: \"{word}-{number}.\" }}) {{ ok }} }}");
            ("POST", "/graphql", serde_json::json!({ "query": query }).to_string())
        };
        let address = self.gateway.trim_start_matches("http://").parse().expect("an address");
        visits_with(&format!("X-INFRAHUB-KEY: {TOKEN}"), address, tag, during)
    }

    pub fn account_for(&self, word: &str, run: &Value, writes: &[Visit]) {
        let data = self.data();
        account_for(run, writes, |number| data.matches(&format!("\"{word}-{number}.\"")).count(), &self.log());
    }

    /// Waits for users to have written behind the opened gate.
    pub fn is_written_again(&self, daemon: &mut Daemon) {
        let before = self.data();
        daemon.wait("users write again", |_| self.data() != before);
    }

    pub fn is_whole(&self, version: &str) {
        self.is_at(version, "/api/config");
    }
}
