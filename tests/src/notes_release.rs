//! [`Released`] with an API on it and PostgreSQL beside, in a claim: releases bring another major version of the server.

use crate::composed::done;
use crate::machine::write;
use crate::replicas::{Image, config_of};
use crate::{Cluster, Released};
use std::ops::Deref;
use std::path::PathBuf;

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/notes/chart");
const PASSWORD: &str = "of-the-notes-nobody-knows";
/// The first, one that never comes up, and a good one. The chart has PostgreSQL 15 for the first, and 17 for the others.
const IMAGES: [Image; 3] =
    [("1.4.0", "1.4.0", None), ("1.5.0", "1.5.0", Some("sleep 1; exit 3")), ("1.6.0", "1.6.0", None)];

/// `notes`, whose release is called so.
pub struct NotesRelease {
    released: Released,
}

impl Deref for NotesRelease {
    type Target = Released;
    fn deref(&self) -> &Released {
        &self.released
    }
}

impl NotesRelease {
    /// The first release runs, and somebody has made a note and an account that reads it.
    pub fn new(cluster: Cluster) -> Self {
        let released =
            Released::of_chart(cluster, "notes", CHART.into(), |machine| machine.programs.tessallite.clone());
        let release = Self { released };
        for image in &IMAGES {
            done(release.shelf.publish(&format!("notes/api:{}", image.0), &config_of(image)));
            release.publish_chart(image.0);
        }
        for image in ["base/postgres:15", "base/postgres:17"] {
            done(release.shelf.mirror(image));
        }
        release.secret("notes-database", PASSWORD);
        let rbac = format!("{}---\n{}", include_str!("../../examples/evose/rbac.yaml"), release.right_to_claims());
        let [(first, ..), ..] = IMAGES;
        release.install(first, &release.values_for("api", first), &rbac, &[("password", PASSWORD)]);
        release.stands();
        let wait = ["rollout", "status", "statefulset/notes-db", "--timeout", "5m"];
        release.cluster.kubectl(&[&["--namespace", &release.namespace][..], &wait].concat());
        release.sql(
            "CREATE TABLE notes (text text); INSERT INTO notes VALUES ('the first'); CREATE ROLE reader LOGIN PASSWORD \
             'of-the-reader'; GRANT SELECT ON notes TO reader; ALTER ROLE reader SET work_mem = '9MB'",
        );
        write(&release.deployment_file(), &release.deployment(first));
        release.take_compiled_plugins();
        release
    }

    fn right_to_claims(&self) -> String {
        let rbac = include_str!("../../examples/infrahub/rbac.yaml");
        let (_, claims) = rbac.split_once("---\n# Where the data").expect("the example's right to claims");
        let name = format!("{}-claims", self.namespace);
        let claims = claims.replace("upgraded-infrahub-claims", &name).replace("upgraded-claims", &name);
        format!("# Where the data{}", claims.replace("namespace: infrahub", &format!("namespace: {}", self.namespace)))
    }

    pub fn has_the_right_to_claims(&self) {
        self.cluster.apply(&self.path("etc"), &self.namespace, &self.right_to_claims());
    }

    pub fn loses_the_right_to_claims(&self) {
        self.cluster.kubectl(&["delete", &format!("clusterrolebinding/{}-claims", self.namespace)]);
    }

    fn deployment(&self, version: &str) -> String {
        let url = format!("{}/healthz", self.gateway);
        let releases: Vec<String> = IMAGES.iter().map(|(tag, ..)| format!("{{ version = \"{tag}\" }}")).collect();
        format!(
            "product = \"generic\"\nversion = \"{version}\"\n\n[settings]\nservices = [\"api\"]\n\
             acts = [{{ wave = [\"api\"] }}]\nundo = [\"restore-data\"]\nattempts = 5\npause-ms = 300\n\
             version-url = \"{url}\"\nversion-field = \"version\"\nhttp = [\"{gateway}\"]\nreleases = [{releases}]\n\n\
             [platform]\nplugin = \"helm\"\ndirectory = \"{home}\"\nversion-key = \"image.tag\"\n\n[platform.kubernetes]\n\
             {binding}\n[datastores.main]\nplugin = \"postgres\"\nserver = {{ service = \"db\", user = \"postgres\", \
             database = \"notes\", password = {{ secret = \"file:{secret}\" }} }}\n\n[policy]\ndrill = \"off\"\n\
             idle = \"60s\"\n",
            gateway = self.gateway,
            releases = releases.join(", "),
            home = self.home().display(),
            binding = self.binding(),
            secret = self.path("etc/notes-database").display(),
        )
    }

    pub fn sql(&self, sql: &str) -> String {
        let ask = format!("psql -XqAt -v ON_ERROR_STOP=1 -U postgres notes <<'SQL'\n{sql}\nSQL\n");
        self.inside("notes-db-0", &ask).trim().to_owned()
    }

    /// The server's major version, what the reader's account is set to, and the notes, as the reader sees them.
    pub fn read(&self) -> String {
        let sql = "SELECT current_setting('server_version_num')::int / 10000, current_setting('work_mem'), \
                   string_agg(text, ',' ORDER BY text) FROM notes";
        let ask = format!("PGPASSWORD=of-the-reader psql -XqAt -h 127.0.0.1 -U reader -c \"{sql}\" notes");
        self.inside("notes-db-0", &ask).trim().to_owned()
    }

    /// Where the node keeps the server's files.
    pub fn database_folder(&self) -> PathBuf {
        let claims = self.folders_of_claims();
        let (_, folder) = claims.iter().find(|(claim, _)| claim == "data-notes-db-0").expect("the server's claim");
        folder.join("data")
    }

    pub fn is_whole(&self, version: &str) {
        self.is_at(version, "/healthz");
        assert_eq!(self.doubles(), "", "nothing is left of a question to an image");
    }
}
