//! What `cargo xtask demo compose` shows: `evose` with MariaDB, PostgreSQL and files, a project of its own on a Docker
//! engine, with its images in the registry there and the vendor's index of releases served beside it.

use super::{Composed, Machine, Programs, Shown, Story, paint};
use crate::http;
use crate::interrupt::Interrupt;
use anyhow::{Result, anyhow, bail};
use scratch_docker::Engine;
use scratch_docker::products::evose::{self, Ports};
use scratch_docker::products::free_port;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

const STORY: Story = Story {
    first: evose::FIRST,
    upgrade: "An upgrade that migrates MariaDB and PostgreSQL",
    good: "1.4.0",
    wrong: "1.7.0",
    older: evose::FIRST,
};
/// Good as well, for whoever goes on.
const MORE: [&str; 2] = ["1.9.0", "2.0.0"];
const PATIENCE: Duration = Duration::from_secs(20);

const RUNS: usize = 300;
const DOCUMENTS: usize = 200;
const UPLOADS: usize = 12;
const UPLOAD_BYTES: usize = 200_000;

pub struct Evose {
    composed: Composed,
    ports: Ports,
}

impl Evose {
    /// The first release runs and holds data.
    pub fn make(programs: &Programs, engine: &Engine, interrupt: &Interrupt) -> Result<Self> {
        let machine = Machine::make("evose", programs)?;
        machine.print_beginning();
        let composed = Composed::new(machine, &programs.evose, engine)?;
        let evose = Self { composed, ports: Ports { gateway: free_port(), api: free_port() } };
        if let Err(error) = evose.lay_out(interrupt).and_then(|()| evose.fill()) {
            // What was never shown is not worth a look. A container that holds files open goes first.
            evose.composed.end()?;
            evose.machine().remove()?;
            return Err(error);
        }
        paint::say(&format!(
            "evose {} runs with {RUNS} runs in MariaDB, {DOCUMENTS} documents in PostgreSQL and {UPLOADS} files; users \
             come in at http://127.0.0.1:{}",
            STORY.first, evose.ports.gateway
        ));
        Ok(evose)
    }

    fn lay_out(&self, interrupt: &Interrupt) -> Result<()> {
        let Composed { machine, project, shelf, .. } = &self.composed;
        evose::publish_bases(shelf).map_err(|why| anyhow!(why))?;
        for version in [STORY.first, STORY.good, STORY.wrong].iter().chain(&MORE) {
            interrupt.check()?;
            evose::publish(shelf, version).map_err(|why| anyhow!(why))?;
        }
        paint::say(&format!("the vendor's releases lie in the registry {}", shelf.registry()));
        let (home, secrets) = (machine.home(), machine.path("etc"));
        evose::lay_out(&home, &secrets, project.name(), shelf.registry(), self.ports).map_err(|why| anyhow!(why))?;
        paint::act(&format!("docker compose --project-directory {} up --detach --wait", home.display()));
        self.composed.compose(&["up", "--detach", "--wait", "--quiet-pull"])?;
        let (engine, index) = (project.engine(), self.composed.index());
        let deployment = evose::deployment(engine, &home, &secrets, self.ports, &index, "drill = \"ahead\"\n");
        Ok(fs::write(machine.deployment_file(), deployment)?)
    }

    fn fill(&self) -> Result<()> {
        self.mysql(&format!(
            "INSERT INTO runs (workflow, input, status, result) \
             SELECT 'digest', CONCAT('Question ', seq), 'done', MD5(seq) FROM seq_1_to_{RUNS}"
        ))?;
        let sql = format!(
            "INSERT INTO documents (title, body) \
             SELECT 'Note ' || g, repeat(md5(g::text), 20) FROM generate_series(1, {DOCUMENTS}) g"
        );
        self.postgres(&sql)?;
        let mut seed = Sha256::digest(b"uploads");
        for number in 1..=UPLOADS {
            let mut bytes = Vec::with_capacity(UPLOAD_BYTES);
            while bytes.len() < UPLOAD_BYTES {
                seed = Sha256::digest(seed);
                bytes.extend_from_slice(&seed);
            }
            fs::write(self.files().join(format!("upload-{number:02}.bin")), bytes)?;
        }
        Ok(())
    }

    /// A tool of the server's container, as its administrator.
    fn mysql_tool(&self, arguments: &[&str]) -> Result<String> {
        let with_password = "MYSQL_PWD=$MARIADB_ROOT_PASSWORD exec \"$@\" --user=root evose";
        self.composed.compose(&[&["exec", "-T", "mysql", "sh", "-c", with_password, "sh"], arguments].concat())
    }

    fn mysql(&self, sql: &str) -> Result<String> {
        self.mysql_tool(&["mariadb", "--batch", "--skip-column-names", "--execute", sql])
    }

    fn postgres(&self, sql: &str) -> Result<String> {
        let psql = ["exec", "-T", "postgres", "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-U", "postgres"];
        self.composed.compose(&[&psql[..], &["-c", sql, "evose_kb"]].concat())
    }

    /// All of MariaDB. Of runs those of the beginning, and what they were asked: each verification makes another.
    fn mysql_digest(&self) -> Result<String> {
        let counts = self.mysql(&format!(
            "SELECT CONCAT((SELECT COUNT(*) FROM agents), ' agents, ', COUNT(*), ' runs') FROM runs WHERE id <= {RUNS}"
        ))?;
        let options = ["--skip-comments", "--routines", "--events", "--ignore-table-data=evose.runs"];
        let dump = self.mysql_tool(&[&["mariadb-dump"], &options[..]].concat())?;
        let runs = self.mysql(&format!("SELECT id, workflow, input FROM runs WHERE id <= {RUNS} ORDER BY id"))?;
        let lines = dump.lines().filter(|line| !line.contains("AUTO_INCREMENT="));
        Ok(line("MariaDB", counts.trim_end(), lines.chain(runs.lines())))
    }

    fn postgres_digest(&self) -> Result<String> {
        let count = self.postgres("SELECT count(*) || ' documents' FROM documents")?;
        let dump = self.composed.compose(&["exec", "-T", "postgres", "pg_dump", "--username=postgres", "evose_kb"])?;
        // Two lines with a word that is another one in every dump.
        let lines = dump.lines().filter(|line| !line.contains("restrict"));
        Ok(line("PostgreSQL", count.trim_end(), lines))
    }

    fn files_digest(&self) -> Result<String> {
        let mut lines = Vec::new();
        for entry in fs::read_dir(self.files())? {
            let entry = entry?;
            let digest = Sha256::digest(fs::read(entry.path())?);
            lines.push(format!("{} {}", entry.file_name().to_string_lossy(), hex(&digest)));
        }
        lines.sort();
        Ok(line("files", &format!("{} files", lines.len()), lines.iter().map(String::as_str)))
    }

    fn files(&self) -> PathBuf {
        self.machine().home().join("data/files")
    }
}

impl Shown for Evose {
    fn machine(&self) -> &Machine {
        &self.composed.machine
    }
    fn story(&self) -> &'static Story {
        &STORY
    }
    fn environment(&self) -> Vec<(&'static str, String)> {
        self.composed.project.engine().environment()
    }

    fn checksums(&self) -> Result<String> {
        Ok([self.mysql_digest()?, self.postgres_digest()?, self.files_digest()?].join("\n"))
    }

    fn look_through_the_gate(&self, version: &str) -> Result<()> {
        let answer = http::get(self.ports.gateway, "/health", PATIENCE)?;
        let health: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
        match answer.status == 200 && health["version"] == version {
            true => Ok(()),
            false => bail!("behind the gate should be {version}, and it says {} {}", answer.status, answer.body),
        }
    }

    fn stop(&self) -> Result<Vec<String>> {
        self.composed.end()?;
        Ok(self.machine().processes())
    }

    fn print_where(&self, programs: &Programs) {
        let machine = self.machine();
        machine.print_where(&[]);
        let compose = |what: &str| format!("docker compose --project-directory {} {what}", machine.home().display());
        let before = [
            "cargo xtask engine up && eval \"$(cargo xtask engine env)\"".to_owned(),
            compose("up --detach --wait    # with empty databases"),
            format!("{} releases --listen 127.0.0.1:{} &", programs.evose.display(), self.composed.index_port),
        ];
        let [more, major] = MORE;
        let versions = format!("version = \"{more}\" is a good one, and after it {major}, which is asked for first");
        machine.print_commands(programs, &before, &versions, &[compose("down --volumes")]);
    }
}

fn line<'a>(store: &str, what: &str, lines: impl Iterator<Item = &'a str>) -> String {
    let mut digest = Sha256::new();
    for line in lines {
        digest.update(line);
        digest.update("\n");
    }
    format!("  {store:<12}{what:<24}sha256 {}…", &hex(&digest.finalize())[..32])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
