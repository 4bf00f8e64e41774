//! [`Composed`] with the least that a product can be: one service with a volume, a database beside it, and releases that
//! migrate both.

mod database;
mod edge;

pub use database::{Database, MARIADB, POSTGRES};
pub use edge::EDGE_SERVICES;

use crate::composed::{Composed, free_port};
use crate::machine::{succeed, write};
use scratch_docker::{Engine, ImageConfig, Project};
use std::ops::Deref;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const PASSWORD: &str = "a-password-that-nobody-may-read";
/// How long the database may take to come up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Of every release. The one that is no good takes the notes away and says so.
const PROGRAM: &str = r#"case $1 in
  serve) mkdir -p /www && echo "{\"version\":\"$RELEASE\"}" > /www/version && exec httpd -f -p 8080 -h /www ;;
  migrate)
    test "$RELEASE" != 1.2.0 || { rm /data/notes && echo the notes are gone; exit 3; }
    echo "migrated to $RELEASE" >> /data/notes ;;
esac"#;

/// Every service comes up with the engine.
const COMPOSE: &str = "services:
  db:
    image: ${DATABASE}
    restart: always
    {database}
  web:
    image: ${REGISTRY}/shop/web:${VERSION}
    init: true
    restart: always
    depends_on: { db: { condition: service_healthy } }
    volumes: ['notes:/data']
    ports: ['127.0.0.1:${PORT}:8080']
    healthcheck: { test: [CMD, wget, -qO-, 'http://127.0.0.1:8080/version'], interval: 1s, retries: 5 }
volumes: { db: {}, notes: {} }
";

/// The first and the good one; the last fails when it has spoiled the data.
const RELEASES: [&str; 3] = ["1.0.0", "1.1.0", "1.2.0"];

const FRONT: &str = "services:
  front:
    image: ${REGISTRY}/shop/front:${VERSION}
    init: true
    restart: always
    ports: ['127.0.0.1:${PORT}:8080']
    healthcheck: { test: [CMD, wget, -qO-, 'http://127.0.0.1:8080/version'], interval: 1s, retries: 5 }
";

/// See [`Shop::with_front`].
const WITH_A_BAD_FRONT: &str = "1.1.1";

/// The project beside the shop's own.
pub struct Front {
    _project: Project,
    pub url: String,
    pub folder: PathBuf,
}

pub struct Shop {
    composed: Composed,
    database: Database,
    /// Where users come in.
    url: String,
}

impl Deref for Shop {
    type Target = Composed;
    fn deref(&self) -> &Composed {
        &self.composed
    }
}

impl Shop {
    /// The first release runs, with data in PostgreSQL.
    pub fn on(engine: &Engine) -> Self {
        Self::with(engine, POSTGRES)
    }

    pub fn with(engine: &Engine, database: Database) -> Self {
        let composed = Composed::on(engine, "shop", |machine| machine.programs.tessallite.clone());
        let port = free_port();
        let shop = Self { composed, database, url: format!("http://127.0.0.1:{port}") };
        for release in RELEASES {
            shop.publish_program("web", release, PROGRAM);
        }
        write(&shop.file("compose.yaml"), &COMPOSE.replace("{database}", database.service));
        let (project, registry, image) = (shop.project.name(), shop.registry(), engine.base(database.image));
        let env = format!(
            "COMPOSE_PROJECT_NAME={project}\nREGISTRY={registry}\nDATABASE={image}\nPASSWORD={PASSWORD}\n\
             VERSION={}\nPORT={port}\n",
            RELEASES[0]
        );
        write(&shop.file(".env"), &env);
        shop.secret("shop-database", PASSWORD);
        // Compose would wait for a health that not all engines look after.
        shop.compose(&["up", "--detach", "--quiet-pull", "db"]);
        shop.wait_for_database();
        shop.compose(&["up", "--detach", "--quiet-pull", "--no-deps", "web"]);
        shop.sql("CREATE TABLE notes (text text); INSERT INTO notes VALUES ('the first')");
        shop.compose(&["exec", "-T", "web", "sh", "-c", "echo the first > /data/notes && chown 1234:4321 /data/notes"]);
        shop.deploy_text(&shop.deployment());
        shop
    }

    /// One of its images; `script` is handed what the service is to do, and its release as a variable.
    fn publish_program(&self, image: &str, release: &str, script: &str) {
        let config = ImageConfig {
            entrypoint: ["sh", "-c", script, "shop"].map(String::from).into(),
            cmd: vec!["serve".into()],
            env: vec![("RELEASE".into(), release.into())],
            ..ImageConfig::default()
        };
        self.publish_image(&format!("shop/{image}:{release}"), &config);
    }

    fn deployment(&self) -> String {
        let Database { plugin, user, migrate, .. } = self.database;
        let migrate = |sql: &str| {
            let script = migrate.replace("{sql}", sql);
            format!(
                "acts = [{{ command = \"sh\", args = [\"-c\", \"{script}\"], service = \"db\" }}, \
                 {{ command = \"migrate\", service = \"web\" }}, {{ wave = [\"web\"] }}]"
            )
        };
        format!(
            "product = \"generic\"\nversion = \"{first}\"\n\n[settings]\nservices = [\"web\"]\nundo = [\"restore-data\"]\n\
             version-url = \"{url}/version\"\nversion-field = \"version\"\nhttp = [\"{url}\"]\nattempts = 15\n\
             pause-ms = 300\n\n[[settings.releases]]\nversion = \"{first}\"\n\n[[settings.releases]]\nversion = \"{good}\"\n{up}\n\n[[settings.releases]]\n\
             version = \"{bad}\"\n{spoil}\n\n[platform]\nplugin = \"compose\"\ndirectory = \"{home}\"\n\
             engine = \"unix://{socket}\"\nversion-key = \"VERSION\"\n\n[datastores.main]\nplugin = \"{plugin}\"\n\
             server = {{ service = \"db\", user = \"{user}\", database = \"shop\", \
             password = {{ secret = \"file:{secret}\" }} }}\n\n[datastores.notes]\nplugin = \"files\"\n\
             paths = {{ notes = \"volume:{project}_notes\" }}\n\n[policy]\ndrill = \"ahead\"\nidle = \"30s\"\n",
            first = RELEASES[0],
            good = RELEASES[1],
            bad = RELEASES[2],
            up = migrate("ALTER TABLE notes ADD COLUMN author text DEFAULT 'nobody'"),
            spoil = migrate("DELETE FROM notes"),
            url = self.url,
            home = self.home().display(),
            socket = self.engine().socket().display(),
            secret = self.path("etc/shop-database").display(),
            project = self.project.name(),
        )
    }

    /// From now on each service has settings of the project's folder mounted.
    pub fn with_settings(&self) {
        for (service, mount) in [("db", "./conf:/conf"), ("web", "./conf:/conf:ro")] {
            let file = self.file("compose.override.yaml");
            let text = std::fs::read_to_string(&file).unwrap_or_else(|_| "services:\n".into());
            write(&file, &format!("{text}  {service}: {{ volumes: ['{mount}'] }}\n"));
        }
        std::fs::create_dir(self.file("conf")).expect("a folder of settings");
        write(&self.file("conf/shop.conf"), "colour = red\n");
        self.compose(&["up", "--detach", "--wait"]);
    }

    fn wait_for_database(&self) {
        let began = Instant::now();
        let ready = || {
            let mut ask = self.engine().compose();
            ask.args(["exec", "-T", "db", "sh", "-c", self.database.ready]);
            ask.current_dir(self.home()).output().is_ok_and(|output| output.status.success())
        };
        while !ready() {
            assert!(began.elapsed() < PATIENCE, "the database does not come up:\n{}", self.compose(&["logs", "db"]));
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// A second project, in a folder of its own, whose front is upgraded after the shop; and a release of both whose front
    /// does not start. Its first release runs.
    pub fn with_front(&self) -> Front {
        let [first, good, _] = RELEASES;
        for release in [first, good] {
            self.publish_program("front", release, PROGRAM);
        }
        self.publish_program("web", WITH_A_BAD_FRONT, PROGRAM);
        self.publish_program("front", WITH_A_BAD_FRONT, "echo no configuration; exit 3");
        let (project, port, folder) = (self.engine().project("front"), free_port(), self.path("front"));
        std::fs::create_dir(&folder).expect("the front's folder");
        write(&folder.join("compose.yaml"), FRONT);
        let (name, registry) = (project.name(), self.registry());
        let env = format!("COMPOSE_PROJECT_NAME={name}\nREGISTRY={registry}\nVERSION={first}\nPORT={port}\n");
        write(&folder.join(".env"), &env);
        let mut up = self.engine().compose();
        up.args(["--progress", "quiet", "up", "--detach", "--wait", "--quiet-pull"]).current_dir(&folder);
        succeed(&mut up);
        let front = Front { _project: project, url: format!("http://127.0.0.1:{port}/version"), folder };
        self.deploy_text(&self.deployment_with(&front));
        front
    }

    /// Every release takes the front last.
    fn deployment_with(&self, front: &Front) -> String {
        let own = self.deployment().replace("services = [\"web\"]", "services = [\"web\", \"front/front\"]");
        let own = own.replace("{ wave = [\"web\"] }]", "{ wave = [\"web\"] }, { wave = [\"front/front\"] }]");
        let acts = own.lines().find(|line| line.starts_with("acts = ")).expect("the good release's acts");
        let acts = acts.replace("COLUMN author", "COLUMN editor");
        let release = format!("[[settings.releases]]\nversion = \"{WITH_A_BAD_FRONT}\"\n{acts}\n\n[platform]\n");
        let platform = format!(
            "[platforms.front]\nplugin = \"compose\"\ndirectory = \"{}\"\nengine = \"unix://{}\"\n\
             version-key = \"VERSION\"\n\n[datastores.main]\n",
            front.folder.display(),
            self.engine().socket().display(),
        );
        own.replace("[platform]\n", &release).replace("[datastores.main]\n", &platform)
    }

    /// From now on the database's image goes with the product's version: `majors` names the one of each release.
    pub fn with_majors(&self, majors: &[(&str, &str)]) {
        for (release, image) in majors {
            self.mirror_as(&format!("base/{image}"), &format!("shop/{}:{release}", self.database.plugin));
        }
        let text = std::fs::read_to_string(self.file("compose.yaml")).expect("the project's file");
        let image = format!("${{REGISTRY}}/shop/{}:${{VERSION}}", self.database.plugin);
        write(&self.file("compose.yaml"), &text.replace("${DATABASE}", &image));
        self.compose(&["up", "--detach", "--wait", "--quiet-pull"]);
        self.sql(self.database.reader);
    }

    /// The server's major version, as somebody sees it whose password is the old server's.
    pub fn major(&self) -> String {
        self.compose(&["exec", "-T", "db", "sh", "-c", self.database.major]).trim().to_owned()
    }

    /// Where the engine keeps the database's files.
    pub fn database_folder(&self) -> PathBuf {
        let volume = format!("{}_db", self.project.name());
        self.engine().succeed(&["volume", "inspect", "--format", "{{.Mountpoint}}", &volume]).trim().into()
    }

    pub fn sql(&self, sql: &str) -> String {
        self.compose(&["exec", "-T", "db", "sh", "-c", self.database.ask, sql])
    }

    /// Rows, columns and the volume's file with its owner, as the services see them.
    pub fn data(&self) -> String {
        let ask = "SELECT * FROM notes ORDER BY text";
        let rows = self.compose(&["exec", "-T", "db", "sh", "-c", self.database.ask_rows, ask]);
        let notes =
            self.compose(&["exec", "-T", "web", "sh", "-c", "cat /data/notes && stat -c '%u:%g %a' /data/notes"]);
        format!("{rows}{notes}")
    }

    /// It serves, its containers come up with the engine again, and of runs nothing is left but what policy keeps.
    pub fn is_whole(&self, version: &str) {
        assert_eq!(self.version_at(&format!("{}/version", self.url)), version, "{}", self.log());
        let images = self.images();
        assert!(images.iter().any(|line| line.ends_with(&format!("/shop/web:{version}"))), "{images:?}");
        assert_eq!(self.restart_policies(), ["db always", "web always"]);
        self.nothing_is_left();
    }
}
