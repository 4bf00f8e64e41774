//! [`Released`] with an API on it, and PostgreSQL and MariaDB beside, in claims: releases bring other major versions of them.

use crate::composed::done;
use crate::machine::write;
use crate::replicas::{Image, config_of};
use crate::{Cluster, Released};
use std::ops::Deref;
use std::path::PathBuf;

const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ledger/chart");
const PASSWORD: &str = "of-the-ledger-nobody-knows";
/// The first; one that comes up and says that it is another, for which the chart has both other servers; and a good one, for
/// which it has another PostgreSQL.
const IMAGES: [Image; 3] = [("1.4.0", "1.4.0", None), ("1.5.0", "1.5.1", None), ("1.6.0", "1.6.0", None)];
const MARIADB: &str = "exec mariadb --user=root --password=$MARIADB_ROOT_PASSWORD --skip-column-names ledger";

/// `ledger`, whose release is called so.
pub struct LedgerRelease {
    released: Released,
}

impl Deref for LedgerRelease {
    type Target = Released;
    fn deref(&self) -> &Released {
        &self.released
    }
}

impl LedgerRelease {
    /// The first release runs, and somebody has made a note and an account that reads it.
    pub fn new(cluster: Cluster) -> Self {
        let released =
            Released::of_chart(cluster, "ledger", CHART.into(), |machine| machine.programs.tessallite.clone());
        let release = Self { released };
        for image in &IMAGES {
            done(release.shelf.publish(&format!("ledger/web:{}", image.0), &config_of(image)));
            release.publish_chart(image.0);
        }
        for image in ["base/postgres:15", "base/postgres:17", "base/mariadb:10.11", "base/mariadb:11.8"] {
            done(release.shelf.mirror(image));
        }
        release.secret("ledger-database", PASSWORD);
        let rbac = format!("{}---\n{}", include_str!("../../examples/evose/rbac.yaml"), release.right_to_claims());
        let [(first, ..), ..] = IMAGES;
        release.install(first, &release.values_for("api", first), &rbac, &[("password", PASSWORD)]);
        release.stands();
        for server in ["statefulset/ledger-db", "statefulset/ledger-mariadb"] {
            release.kubectl(&["rollout", "status", server, "--timeout", "5m"]);
        }
        release.sql(
            "CREATE TABLE notes (text text); INSERT INTO notes VALUES ('the first'); CREATE ROLE reader LOGIN PASSWORD \
             'of-the-reader'; GRANT SELECT ON notes TO reader; ALTER ROLE reader SET work_mem = '9MB'",
        );
        let sums = "echo 'CREATE TABLE sums (sum INT); INSERT INTO sums VALUES (77)' | ";
        release.inside("ledger-mariadb-0", &format!("{sums}({MARIADB})"));
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

    fn kubectl(&self, arguments: &[&str]) -> String {
        self.cluster.kubectl(&[&["--namespace", &self.namespace][..], arguments].concat())
    }

    fn deployment(&self, version: &str) -> String {
        let url = format!("{}/healthz", self.gateway);
        let releases: Vec<String> = IMAGES.iter().map(|(tag, ..)| format!("{{ version = \"{tag}\" }}")).collect();
        format!(
            "product = \"generic\"\nversion = \"{version}\"\n\n[settings]\nservices = [\"api\"]\n\
             acts = [{{ wave = [\"api\"] }}]\nundo = [\"restore-data\"]\nattempts = 15\npause-ms = 300\n\
             version-url = \"{url}\"\nversion-field = \"version\"\nhttp = [\"{gateway}\"]\nreleases = [{releases}]\n\n\
             [platform]\nplugin = \"helm\"\ndirectory = \"{home}\"\nversion-key = \"image.tag\"\n\n[platform.kubernetes]\n\
             {binding}\n[datastores.main]\nplugin = \"postgres\"\nserver = {{ service = \"db\", user = \"postgres\", \
             database = \"ledger\", password = {{ secret = \"file:{secret}\" }} }}\n\n[datastores.sums]\n\
             plugin = \"mysql\"\nserver = {{ service = \"mariadb\", user = \"root\", database = \"ledger\", \
             password = {{ secret = \"file:{secret}\" }} }}\n\n[policy]\ndrill = \"off\"\n\
             idle = \"60s\"\n",
            gateway = self.gateway,
            releases = releases.join(", "),
            home = self.home().display(),
            binding = self.binding(),
            secret = self.path("etc/ledger-database").display(),
        )
    }

    pub fn sql(&self, sql: &str) -> String {
        let ask = format!("psql -XqAt -v ON_ERROR_STOP=1 -U postgres ledger <<'SQL'\n{sql}\nSQL\n");
        self.inside("ledger-db-0", &ask).trim().to_owned()
    }

    /// PostgreSQL's major version, what the reader's account is set to, and the notes, as the reader sees them; MariaDB's
    /// version, and its sums.
    pub fn read(&self) -> String {
        let sql = "SELECT current_setting('server_version_num')::int / 10000, current_setting('work_mem'), \
                   string_agg(text, ',' ORDER BY text) FROM notes";
        let ask = format!("PGPASSWORD=of-the-reader psql -XqAt -h 127.0.0.1 -U reader -c \"{sql}\" ledger");
        let notes = self.inside("ledger-db-0", &ask);
        let sums = "echo \"SELECT SUBSTRING_INDEX(VERSION(), '.', 2), SUM(sum) FROM sums\" | ";
        let sums = self.inside("ledger-mariadb-0", &format!("{sums}({MARIADB})"));
        format!("{} {}", notes.trim(), sums.trim().replace('\t', "|"))
    }

    /// Where the node keeps PostgreSQL's files, and MariaDB's: a folder in a claim, and a whole claim.
    pub fn database_folders(&self) -> [PathBuf; 2] {
        let claims = self.folders_of_claims();
        let folder = |wanted: &str| {
            let (_, folder) = claims.iter().find(|(claim, _)| claim == wanted).expect("the server's claim");
            folder.clone()
        };
        [folder("data-ledger-db-0").join("data"), folder("data-ledger-mariadb-0")]
    }

    /// How often the cluster was told another way to make each server's pods.
    pub fn makes(&self) -> [usize; 2] {
        let all = self.kubectl(&["get", "controllerrevisions", "--output", "name"]);
        ["ledger-db-", "ledger-mariadb-"].map(|server| all.matches(server).count())
    }

    pub fn is_whole(&self, version: &str) {
        self.is_at(version, "/healthz");
        assert_eq!(self.doubles(), "", "nothing is left of a question to an image");
    }
}
