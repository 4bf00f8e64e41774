//! A product whose next release brings another major version of PostgreSQL: the daemon carries its data into the new
//! server, and people pipe it there.

use super::downtime::tell;
use crate::bench::database::{ROW_BYTES, TABLES, WORDS, run, table};
use crate::bench::figure::Samples;
use crate::bench::runs::Phases;
use crate::bench::wait;
use crate::demo::{Composed, Daemon, Machine, Programs, Socket};
use crate::interrupt::Interrupt;
use anyhow::{Context, Result, anyhow, bail};
use scratch_docker::products::{free_port, write_secret};
use scratch_docker::{Engine, ImageConfig, Project};
use std::fs;
use std::process::Command;

/// The releases, each with the server's image as the engine's base has it.
pub const MAJORS: [(&str, &str); 2] = [("1.4.0", "postgres:15"), ("1.5.0", "postgres:17")];
const PASSWORD: &str = "nobody-knows";

const COMPOSE: &str = "services:
  db:
    image: ${REGISTRY}/major/postgres:${VERSION}
    environment: { POSTGRES_USER: major, POSTGRES_PASSWORD: '${PASSWORD}' }
    volumes: ['db:/var/lib/postgresql/data']
    healthcheck: { test: [CMD, pg_isready, -h, 127.0.0.1, -U, major], interval: 1s, retries: 60 }
  api:
    image: ${REGISTRY}/major/api:${VERSION}
    depends_on: { db: { condition: service_healthy } }
    ports: ['127.0.0.1:${PORT}:8080']
    healthcheck: { test: [CMD, tessallite, health, 'http://127.0.0.1:8080/healthz'], interval: 1s, retries: 5 }
volumes: { db: {} }
";

pub struct Product<'a> {
    composed: Composed,
    programs: &'a Programs,
    engine: &'a Engine,
}

impl<'a> Product<'a> {
    /// The first release runs, with so many megabytes of ordinary rows.
    pub fn make(programs: &'a Programs, engine: &'a Engine, megabytes: u64) -> Result<Self> {
        let composed = Composed::new(Machine::make("major", programs)?, &programs.tessallite, engine)?;
        let product = Self { composed, programs, engine };
        product.publish().map_err(|why| anyhow!(why))?;
        product.lay_out(free_port())?;
        product.composed.compose(&["up", "--detach", "--wait", "--quiet-pull"])?;
        let rows = (megabytes << 20) / (TABLES * ROW_BYTES);
        let tables: String = (1..=TABLES).map(|number| table(number, rows)).collect();
        for sql in [WORDS, &tables, "DROP TABLE word, sentence", "VACUUM ANALYZE", "CHECKPOINT"] {
            product.sql(sql)?;
        }
        eprintln!("  a database of {} MiB", product.sql("SELECT pg_database_size(current_database()) >> 20")?.trim());
        Ok(product)
    }

    fn publish(&self) -> Result<(), String> {
        let shelf = &self.composed.shelf;
        MAJORS.iter().try_for_each(|(version, postgres)| {
            let config = ImageConfig {
                entrypoint: vec!["tessallite".into(), "gateway".into()],
                env: vec![("TESSALLITE_RELEASE".into(), (*version).into())],
                ..ImageConfig::default()
            };
            shelf.publish(&format!("major/api:{version}"), &config)?;
            shelf.mirror_as(&format!("base/{postgres}"), &format!("major/postgres:{version}"))
        })
    }

    fn lay_out(&self, port: u16) -> Result<()> {
        let Composed { machine, project, shelf, .. } = &self.composed;
        let (home, secrets, [(first, _), (next, _)]) = (machine.home(), machine.path("etc"), MAJORS);
        fs::write(home.join("compose.yaml"), COMPOSE)?;
        let env = format!(
            "COMPOSE_PROJECT_NAME={}\nREGISTRY={}\nPASSWORD={PASSWORD}\nVERSION={first}\nPORT={port}\n",
            project.name(),
            shelf.registry()
        );
        fs::write(home.join(".env"), env)?;
        write_secret(&secrets, "password", PASSWORD).map_err(|why| anyhow!(why))?;
        let deployment = format!(
            "product = \"generic\"\nversion = \"{first}\"\n\n[settings]\nservices = [\"api\"]\n\
             acts = [{{ wave = [\"api\"] }}]\nundo = [\"restore-data\"]\nversion-url = \"{url}/healthz\"\n\
             version-field = \"version\"\nhttp = [\"{url}\"]\n\
             releases = [{{ version = \"{first}\" }}, {{ version = \"{next}\" }}]\n\n\
             [platform]\nplugin = \"compose\"\ndirectory = \"{home}\"\nengine = \"unix://{socket}\"\n\
             version-key = \"VERSION\"\n\n[datastores.main]\nplugin = \"postgres\"\n\
             server = {{ service = \"db\", user = \"major\", database = \"major\", \
             password = {{ secret = \"file:{secret}\" }} }}\n\n[policy]\ndrill = \"off\"\n",
            url = format_args!("http://127.0.0.1:{port}"),
            home = home.display(),
            socket = self.engine.socket().display(),
            secret = secrets.join("password").display(),
        );
        Ok(fs::write(machine.deployment_file(), deployment)?)
    }

    /// Out of the server that runs into an empty one of the next version, which is up already.
    pub fn by_hand(&self, samples: &mut Samples) -> Result<()> {
        let image = format!("{}/major/postgres:{}", self.composed.shelf.registry(), MAJORS[1].0);
        let new = NewServer::start(&self.composed, self.engine.project("up-major-new"), &image)?;
        let old = self.composed.compose(&["ps", "--quiet", "db"])?;
        let mut pipe = Command::new("bash");
        pipe.args(["-c", include_str!("by-hand-major.sh")]).envs(self.engine.environment());
        pipe.env("OLD", old.trim()).env("NEW", &new.container);
        let began = std::time::Instant::now();
        run(&mut pipe)?;
        let took = began.elapsed().as_secs_f64();
        let (before, after) = (self.sql(COUNTS)?, new.sql(self.engine, COUNTS)?);
        if before != after {
            bail!("the pipe brought `{after}` where `{before}` was");
        }
        tell("major/script", took, samples);
        Ok(())
    }

    /// Ends with the new version in place: there is no second time.
    pub fn by_daemon(&self, interrupt: &Interrupt, samples: &mut Samples) -> Result<()> {
        let machine = &self.composed.machine;
        let mut daemon = Daemon::start_with(self.programs, machine, &self.engine.environment())?;
        let socket = Socket::new(machine.socket());
        daemon.wait_until_it_answers(&socket, interrupt)?;
        wait::until(&mut daemon, &socket, interrupt, "/v1/deployments/major", wait::is_settled)?;
        let (before, next) = (self.sql(COUNTS)?, MAJORS[1].0);
        machine.edit_version_quietly(next)?;
        let run = wait::committed(&mut daemon, &socket, interrupt, machine.name(), next)?;
        daemon.stop()?;
        let phases = Phases::of(&run)?;
        for (step, seconds) in phases.steps() {
            eprintln!("    {step:<22} {seconds:.3} s");
        }
        let after = self.sql(COUNTS)?;
        if before != after {
            bail!("the daemon carried `{after}` where `{before}` was");
        }
        let (carry, backup) = (phases.took("carry"), phases.took("backup-final"));
        let downtime = run["downtime_s"].as_f64().context("the run had downtime")?;
        let told = [("carry", carry), ("backup-and-carry", backup + carry), ("downtime", downtime)];
        told.iter().for_each(|(what, seconds)| tell(&format!("major/{what}"), *seconds, samples));
        Ok(())
    }

    fn sql(&self, sql: &str) -> Result<String> {
        self.composed.compose(&[&["exec", "-T", "db"][..], &PSQL, &[sql]].concat())
    }
}

impl Drop for Product<'_> {
    /// Whatever happened; there is nobody left to tell.
    fn drop(&mut self) {
        let _ = self.composed.end();
        let _ = self.composed.machine.remove();
    }
}

const PSQL: [&str; 7] = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "major", "-c"];

/// The rows of every table.
const COUNTS: &str = "SELECT (SELECT count(*) FROM bulk_1), (SELECT count(*) FROM bulk_2), \
    (SELECT count(*) FROM bulk_3), (SELECT count(*) FROM bulk_4)";

/// Empty, beside the product's own.
struct NewServer {
    container: String,
    _project: Project,
}

impl NewServer {
    fn start(composed: &Composed, project: Project, image: &str) -> Result<Self> {
        let folder = composed.machine.path("new");
        fs::create_dir(&folder)?;
        let services = format!(
            "name: {}\nservices:\n  db:\n    image: {image}\n    environment: {{ POSTGRES_USER: major, \
             POSTGRES_PASSWORD: {PASSWORD} }}\n    volumes: ['db:/var/lib/postgresql/data']\n    healthcheck: \
             {{ test: [CMD, pg_isready, -h, 127.0.0.1, -U, major], interval: 1s, retries: 60 }}\nvolumes: {{ db: {{}} }}\n",
            project.name()
        );
        fs::write(folder.join("compose.yaml"), services)?;
        let compose = |arguments: &[&str]| {
            let mut compose = project.engine().compose();
            run(compose.args(["--progress", "quiet"]).args(arguments).current_dir(&folder))
        };
        compose(&["up", "--detach", "--wait", "--quiet-pull"])?;
        let container = compose(&["ps", "--quiet", "db"])?.trim().to_owned();
        Ok(Self { container, _project: project })
    }

    fn sql(&self, engine: &Engine, sql: &str) -> Result<String> {
        let arguments = [&["exec", &self.container][..], &PSQL, &[sql]].concat();
        run(engine.docker().args(arguments))
    }
}
