//! A real server, and databases on it that hold what a product's would: its own tables, and beside them as many rows of
//! ordinary text and numbers as are asked for.

use anyhow::{Context, Result, bail};
use scratch_postgres::{Cluster, SUPERUSER};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The product's role.
pub const OWNER: &str = "decisiongraph";
/// As Debian sets it up, but for room for checkpoints to be rare: everything is synced that has to be.
const OPTIONS: &str = "-c shared_buffers=256MB -c max_wal_size=4GB";
pub const TABLES: u64 = 4;
/// Of a row with its indexes.
pub const ROW_BYTES: u64 = 222;
const EVENTS: &str = "500";

pub struct Server {
    pub cluster: Cluster,
    pub repository: PathBuf,
    mix: PathBuf,
}

impl Server {
    /// `folder`: where the product's repository is made.
    pub fn start(mix: &Path, folder: &Path) -> Result<Self> {
        let server =
            Self { cluster: Cluster::start_with(OPTIONS), repository: folder.join("repository"), mix: mix.to_owned() };
        run(Command::new(mix).arg("dg.repository").arg(&server.repository))?;
        server.sql("postgres", &format!("CREATE ROLE {OWNER} LOGIN CREATEDB"))?;
        Ok(server)
    }

    /// Release 1.0.0 with its data; the database's name.
    pub fn fill(&self, megabytes: u64) -> Result<String> {
        let database = format!("filled_{megabytes}");
        self.sql("postgres", &format!("CREATE DATABASE {database} OWNER {OWNER}"))?;
        for task in [&["ecto.migrate"][..], &["dg.seed", EVENTS]] {
            let mut mix = Command::new(&self.mix);
            run(mix.args(task).current_dir(self.repository_at("1.0.0")?).env("DATABASE_URL", self.url(&database)))?;
        }
        let rows = (megabytes << 20) / (TABLES * ROW_BYTES);
        let tables: String = (1..=TABLES).map(|number| table(number, rows)).collect();
        run(self.cluster.psql(OWNER, &database).args(["-c", WORDS, "-c", &tables, "-c", "DROP TABLE word, sentence"]))?;
        run(self.cluster.psql(SUPERUSER, &database).args(["-c", "VACUUM ANALYZE", "-c", "CHECKPOINT"]))?;
        let size = self.sql(&database, "SELECT pg_database_size(current_database()) >> 20")?;
        eprintln!("  {database}: {size} MiB");
        Ok(database)
    }

    pub fn copy(&self, from: &str, to: &str) -> Result<()> {
        self.sql("postgres", &format!("CREATE DATABASE {to} OWNER {OWNER} TEMPLATE {from} STRATEGY file_copy"))?;
        self.sql("postgres", "CHECKPOINT").map(drop)
    }

    /// The database and what was made from it.
    pub fn drop(&self, database: &str) -> Result<()> {
        let named = format!("datname = '{database}' OR starts_with(datname, '{database}_up_')");
        let found = self.sql("postgres", &format!("SELECT datname FROM pg_database WHERE {named}"))?;
        for name in found.lines() {
            self.sql("postgres", &format!("DROP DATABASE \"{name}\" WITH (FORCE)"))?;
        }
        Ok(())
    }

    pub fn sql(&self, database: &str, sql: &str) -> Result<String> {
        self.cluster.try_sql(SUPERUSER, database, sql).map_err(|error| anyhow::anyhow!("{sql}: {error}"))
    }

    pub fn url(&self, database: &str) -> String {
        let (folder, port) = (self.cluster.folder().display(), self.cluster.port());
        format!("postgres:///{database}?host={folder}&port={port}&user={OWNER}")
    }

    fn repository_at(&self, version: &str) -> Result<PathBuf> {
        let tag = format!("v{version}");
        run(Command::new("git").arg("-C").arg(&self.repository).args(["checkout", "--quiet", &tag]))?;
        Ok(self.repository.join("beam"))
    }
}

/// A quarter of a million sentences of a thousand words: a megabyte of rows hardly says one of them twice.
pub const WORDS: &str = "CREATE UNLOGGED TABLE word AS SELECT g AS id, \
    left(translate(md5(g::text), '0123456789', 'aeioustrnl'), 2 + g * 7 % 9) AS word FROM generate_series(0, 1023) g; \
    CREATE UNLOGGED TABLE sentence AS SELECT s AS id, string_agg(word, ' ') AS text \
    FROM generate_series(0, 262143) s, generate_series(0, 7) k JOIN word ON true \
    WHERE word.id = (hashint4(s * 8 + k) & 1023) GROUP BY s; ANALYZE sentence";

pub fn table(number: u64, rows: u64) -> String {
    let (first, last) = (number * 100_000_000, number * 100_000_000 + rows);
    format!(
        "CREATE TABLE bulk_{number} AS SELECT g AS id, hashint4(g) & 65535 AS customer, \
         ((hashint4(g + 1) & 1048575) / 100.0)::numeric(12, 2) AS amount, \
         timestamptz '2020-01-01 00:00Z' + make_interval(secs => g) AS at, \
         (ARRAY['proposed', 'reviewed', 'decided', 'archived'])[1 + (hashint4(g + 2) & 3)] AS state, \
         a.text || '. ' || b.text AS body FROM generate_series({first}, {last}) g \
         JOIN sentence a ON a.id = (hashint4(g + 3) & 262143) JOIN sentence b ON b.id = (hashint4(g + 4) & 262143); \
         ALTER TABLE bulk_{number} ADD PRIMARY KEY (id); CREATE INDEX ON bulk_{number} (customer); "
    )
}

/// What it printed.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
