//! A MySQL and a MariaDB server, each in a container with a database of so many rows: what the host's own bench saves and
//! brings back.

use crate::bench::database::{ROW_BYTES, TABLES};
use anyhow::{Context, Result, bail};
use scratch_docker::{Engine, Project};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub const DATABASE: &str = "bulk";
const PASSWORD: &str = "nobody-knows";
const PATIENCE: Duration = Duration::from_secs(120);

/// `(what the samples and the client are called, the base image)`
pub const KINDS: [(&str, &str); 2] = [("mariadb", "mariadb:10.11"), ("mysql", "mysql:9")];

pub struct Server<'a> {
    pub folder: PathBuf,
    kind: &'static str,
    project: Project,
    engine: &'a Engine,
}

impl<'a> Server<'a> {
    pub fn start(engine: &'a Engine, (kind, image): (&'static str, &str), parent: &Path) -> Result<Self> {
        let project = engine.project(&format!("up-{kind}"));
        let folder = parent.join(kind);
        fs::create_dir(&folder)?;
        let image = engine.base(image);
        let services = format!(
            "name: {}\nservices:\n  db:\n    image: {image}\n    environment:\n      MYSQL_ROOT_PASSWORD: {PASSWORD}\n\
             \x20   volumes: [\"data:/var/lib/mysql\"]\nvolumes:\n  data:\n",
            project.name()
        );
        fs::write(folder.join("compose.yaml"), services)?;
        let server = Self { folder, kind, project, engine };
        fs::write(server.password_file(), PASSWORD)?;
        fs::set_permissions(server.password_file(), fs::Permissions::from_mode(0o600))?;
        server.compose(&["up", "--detach", "--quiet-pull"])?;
        let began = Instant::now();
        // Over TCP: while it sets itself up, the server listens on its socket alone.
        while server.sql("", "SELECT 1").is_err() {
            if began.elapsed() > PATIENCE {
                bail!("no server in the container of {kind}: {}", server.compose(&["logs", "--tail", "20"])?);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(server)
    }

    pub fn fill(&self, megabytes: u64) -> Result<()> {
        let rows = (megabytes << 20) / (TABLES * ROW_BYTES);
        self.sql("", &format!("CREATE DATABASE {DATABASE}"))?;
        self.sql(DATABASE, &words(rows))?;
        for number in 1..=TABLES {
            self.sql(DATABASE, &table(number, rows))?;
        }
        self.sql(DATABASE, "DROP TABLE numbers, word, sentence; ANALYZE TABLE bulk_1, bulk_2, bulk_3, bulk_4")?;
        let size = format!(
            "SELECT ROUND(SUM(data_length + index_length) / 1048576) FROM information_schema.tables \
             WHERE table_schema = '{DATABASE}'"
        );
        eprintln!("  {}: a database of {} MiB", self.kind, self.sql("", &size)?.trim());
        Ok(())
    }

    pub fn version(&self) -> Result<String> {
        let version = self.sql("", "SELECT VERSION()")?;
        let name = if self.kind == "mysql" { "MySQL" } else { "MariaDB" };
        Ok(format!("{name} {}", version.trim().split('-').next().unwrap_or_default()))
    }

    pub fn password_file(&self) -> PathBuf {
        self.folder.join("password")
    }

    fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let script = "export MYSQL_PWD=$MYSQL_ROOT_PASSWORD; exec \"$@\"";
        let client = [self.kind, "--user=root", "--protocol=tcp", "--host=127.0.0.1", "--batch", "--skip-column-names"];
        let more = ["--execute", sql, database];
        let more = if database.is_empty() { &more[..2] } else { &more };
        self.compose(&[&["exec", "-T", "db", "sh", "-c", script, "sh"][..], &client, more].concat())
    }

    fn compose(&self, arguments: &[&str]) -> Result<String> {
        let mut compose = self.engine.docker();
        compose.args(["compose", "--progress", "quiet"]).args(arguments).current_dir(&self.folder);
        let output = compose.output().context("`docker compose`")?;
        if !output.status.success() {
            bail!("`docker compose {}`: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim_end());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Server<'_> {
    /// Whatever happened; there is nobody left to tell.
    fn drop(&mut self) {
        let _ = self.project.remove();
    }
}

/// `numbers` up to so many rows, and sentences of a thousand words: rows of ordinary text.
fn words(rows: u64) -> String {
    let doublings = u64::BITS - (rows.max(1 << 16) - 1).leading_zeros();
    let double: String =
        (0..doublings).map(|bit| format!("INSERT INTO numbers SELECT n + {} FROM numbers; ", 1_u64 << bit)).collect();
    format!(
        "CREATE TABLE numbers (n INT PRIMARY KEY); INSERT INTO numbers VALUES (0); {double}\
         CREATE TABLE word (id INT PRIMARY KEY, word VARCHAR(16)); \
         INSERT INTO word SELECT n, LEFT(SHA2(n, 256), 2 + MOD(n * 7, 9)) FROM numbers WHERE n < 1024; \
         CREATE TABLE sentence (id INT PRIMARY KEY, text VARCHAR(200)); \
         INSERT INTO sentence SELECT s.n, GROUP_CONCAT(w.word SEPARATOR ' ') FROM numbers s \
         JOIN numbers k ON k.n < 8 JOIN word w ON w.id = CRC32(s.n * 8 + k.n) & 1023 WHERE s.n < 65536 GROUP BY s.n"
    )
}

fn table(number: u64, rows: u64) -> String {
    let first = number * 100_000_000;
    format!(
        "CREATE TABLE bulk_{number} (id BIGINT PRIMARY KEY, customer INT NOT NULL, amount DECIMAL(12, 2) NOT NULL, \
         at DATETIME NOT NULL, state VARCHAR(16) NOT NULL, body TEXT NOT NULL, KEY customer (customer)); \
         INSERT INTO bulk_{number} SELECT n + {first}, CRC32(n) & 65535, (CRC32(n + 1) & 1048575) / 100, \
         TIMESTAMPADD(SECOND, n, '2020-01-01 00:00:00'), \
         ELT(1 + (CRC32(n + 2) & 3), 'proposed', 'reviewed', 'decided', 'archived'), \
         CONCAT(a.text, '. ', b.text) FROM numbers \
         JOIN sentence a ON a.id = CRC32(n + 3) & 65535 JOIN sentence b ON b.id = CRC32(n + 4) & 65535 \
         WHERE n < {rows}"
    )
}
