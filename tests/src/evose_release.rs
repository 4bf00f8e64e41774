//! [`Released`] with `evose` on it: its databases in pods, its files in a folder of the node.

use crate::composed::done;
use crate::machine::succeed;
use crate::{Cluster, Released};
use scratch_docker::products::evose::{self, ADMIN, FIRST, ROOT};
use serde_json::Value;
use std::fs;
use std::ops::Deref;
use std::process::Command;

const KNOWLEDGE: &str = "the-knowledge-nobody-knows";
const POLICY: &str = "window = [\"Sat 02:00-06:00 Europe/Berlin\"]\napprove = \"breaking\"\n";

/// `evose`, whose release is called so.
pub struct EvoseRelease {
    released: Released,
}

impl Deref for EvoseRelease {
    type Target = Released;
    fn deref(&self) -> &Released {
        &self.released
    }
}

impl EvoseRelease {
    /// 1.3.0 runs, and a user has put something into each of its stores. Beside it in the namespace is another release.
    pub fn new(cluster: Cluster, policy: &str) -> Self {
        let release = Self { released: Released::new(cluster, "evose", |machine| machine.programs.evose.clone()) };
        done(evose::publish_bases(&release.shelf));
        release.publish(FIRST);
        for (name, value) in [("admin", ADMIN), ("mysql-root", ROOT), ("postgres", KNOWLEDGE)] {
            release.secret(&format!("evose-{name}"), value);
        }
        let files = release.home().join("data/files");
        fs::create_dir_all(&files).expect("the folder of uploads");
        let values = release.values_for("api", FIRST);
        let values = format!("{values}files:\n  hostPath: {}\nstorage: 1Gi\n", files.display());
        let secrets = [
            ("evose-secret", "signs-what-nobody-else-may-sign"),
            ("admin-password", ADMIN),
            ("mysql-root-password", ROOT),
            ("mysql-password", "the-app-nobody-knows"),
            ("postgres-password", KNOWLEDGE),
        ];
        release.install(FIRST, &values, include_str!("../../examples/evose/rbac.yaml"), &secrets);
        // What crashed until then would wait a while before it tries again.
        let crashed = ["delete", "pods", "--selector", "app.kubernetes.io/name in (api,worker)", "--wait=false"];
        release.cluster.kubectl(&[&["--namespace", &release.namespace][..], &crashed].concat());
        release.stands();
        release.post("/api/files/plan.txt", "a plan that nobody may lose");
        release.post("/api/knowledge", "{\"title\":\"a title\",\"body\":\"what is known\"}");
        release.deploy(include_str!("../../examples/evose/deployment-helm.toml"), (POLICY, policy));
        release
    }

    /// The images of a release, and its chart in the repository.
    pub fn publish(&self, version: &str) {
        done(evose::publish(&self.shelf, version));
        self.publish_chart(version);
    }

    /// See [`Released::moves_into_the_cluster`].
    pub fn moves_into_the_cluster(&mut self) {
        self.released.moves_into_the_cluster();
    }

    fn post(&self, path: &str, body: &str) {
        let curl = |more: &[&str]| {
            let mut curl = Command::new("curl");
            curl.args([
                "--silent",
                "--show-error",
                "--fail",
                "--max-time",
                "20",
                "--retry",
                "20",
                "--retry-all-errors",
            ]);
            succeed(curl.args(["--retry-delay", "1", "--header", "content-type: application/json"]).args(more))
        };
        let login = format!("{{\"user\":\"admin\",\"password\":\"{ADMIN}\"}}");
        let session: Value = serde_json::from_str(&curl(&["--data", &login, &format!("{}/api/login", self.gateway)]))
            .expect("a session");
        let token = format!("authorization: Bearer {}", session["token"].as_str().expect("a token"));
        curl(&["--header", &token, "--data", body, &format!("{}{path}", self.gateway)]);
    }

    /// An account on each server that no image makes.
    pub fn add_reader(&self) {
        let made = "CREATE USER reader@'%' IDENTIFIED BY 'of-the-reader'; GRANT SELECT ON evose.* TO reader@'%'";
        self.inside("evose-mysql-0", &format!("mariadb --user=root --password={ROOT} --execute=\"{made}\""));
        let made =
            "CREATE ROLE reader LOGIN PASSWORD 'of-the-reader'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader";
        self.inside("evose-postgres-0", &format!("psql --username=postgres --quiet --command \"{made}\" evose_kb"));
    }

    /// What is in each store, but for the runs, of which a verification makes one.
    pub fn data(&self) -> String {
        let dump = format!(
            "mariadb-dump --user=root --password={ROOT} --skip-comments --routines --events --ignore-table-data=evose.runs evose | \
             sed 's/ AUTO_INCREMENT=[0-9]*//'"
        );
        let mysql = self.inside("evose-mysql-0", &dump);
        let postgres = self.inside("evose-postgres-0", "pg_dump --username=postgres evose_kb | grep -v restrict");
        let files = Released::files_in(&self.home().join("data/files"));
        format!("{mysql}\n{postgres}\n{files}")
    }

    pub fn is_whole(&self, version: &str, data: Option<&str>) {
        if let Some(data) = data {
            assert_eq!(self.data(), data, "the data of {version}\n{}", self.log());
        }
        self.is_at(version, "/health");
    }
}
