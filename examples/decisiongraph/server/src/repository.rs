//! Makes the git repository that this product is released in: a tag for each release, good ones and those that somebody
//! should have tested better. By `git fast-import`, with fixed names and times: the same commits on every machine.

use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

struct Release {
    version: &'static str,
    /// What it was made from.
    base: Option<&'static str>,
    /// `beam/release.toml` without the version.
    switches: &'static str,
    /// Added to what the base has.
    migrations: &'static [(&'static str, &'static str)],
    /// What `docs/release.md` says about projections.
    projections: &'static str,
    notes: &'static str,
}

macro_rules! migration {
    ($name:literal) => {
        ($name, include_str!(concat!("../migrations/", $name, ".sql")))
    };
}

const RELEASES: &[Release] = &[
    Release {
        version: "1.0.0",
        base: None,
        switches: "",
        migrations: &[migration!("20260101000000_events")],
        projections: "changed",
        notes: "The first release",
    },
    Release {
        version: "1.1.0",
        base: Some("1.0.0"),
        switches: "[behaviour]\nmigration-pause-ms = 20",
        migrations: &[migration!("20260201000000_decided_by")],
        projections: "unchanged",
        notes: "Who decided; the migration backfills, and says how far it is",
    },
    Release {
        version: "1.2.0",
        base: Some("1.1.0"),
        switches: "",
        migrations: &[],
        projections: "unchanged",
        notes: "A new console",
    },
    Release {
        version: "1.3.0",
        base: Some("1.1.0"),
        switches: "[projections]\ncode = 2\nwrong = true",
        migrations: &[],
        projections: "changed",
        notes: "Better digests of projections: healthy, and wrong",
    },
    Release {
        version: "1.4.0",
        base: Some("1.1.0"),
        switches: "[projections]\ncode = 2",
        migrations: &[],
        projections: "changed",
        notes: "Better digests of projections",
    },
    Release {
        version: "1.5.0",
        base: Some("1.1.0"),
        switches: "[behaviour]\nmigration-fails-at = 3",
        migrations: &[migration!("20260301000000_labels"), migration!("20260302000000_deciders")],
        projections: "unchanged",
        notes: "Labels; the second of two migrations fails when the first is done",
    },
    Release {
        version: "1.6.0",
        base: Some("1.1.0"),
        switches: "[behaviour]\nstart = \"crashes\"",
        migrations: &[],
        projections: "unchanged",
        notes: "Crashes at start",
    },
    Release {
        version: "1.7.0",
        base: Some("1.1.0"),
        switches: "",
        migrations: &[migration!("20260303000000_compact")],
        projections: "unchanged",
        notes: "Compacts the log: loses events",
    },
    Release {
        version: "1.8.0",
        base: Some("1.1.0"),
        switches: "[behaviour]\ncompile-fails = true",
        migrations: &[],
        projections: "unchanged",
        notes: "Does not compile",
    },
    Release {
        version: "1.9.0",
        base: Some("1.1.0"),
        switches: "[behaviour]\nmigration-pause-ms = 3600000",
        migrations: &[migration!("20260301000000_labels")],
        projections: "unchanged",
        notes: "Labels; the migration takes ten hours",
    },
    Release {
        version: "1.10.0",
        base: Some("1.1.0"),
        switches: "[projections]\ncode = 2\nwrong = true\n[behaviour]\nrewrites-log = true",
        migrations: &[],
        projections: "changed",
        notes: "Better digests of projections: wrong, and it rewrites the log at its start",
    },
];

/// The folder has a work tree as well, for a person who wants to add a release.
pub fn make(folder: &Path) -> Result<()> {
    if folder.exists() && fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!("`{}` is not empty", folder.display());
    }
    fs::create_dir_all(folder).with_context(|| format!("`{}`", folder.display()))?;
    git(folder, &["init", "--quiet", "--initial-branch=main"], "")?;
    git(folder, &["fast-import", "--quiet"], &import())?;
    git(folder, &["checkout", "--quiet", "--force", "main"], "")?;
    Ok(())
}

/// All versions, oldest first.
pub fn versions() -> impl Iterator<Item = &'static str> {
    RELEASES.iter().map(|release| release.version)
}

fn import() -> String {
    let mut stream = String::new();
    for (index, release) in RELEASES.iter().enumerate() {
        let (mark, version) = (index + 1, release.version);
        // A day apart, from 2026-01-01.
        let when = format!("DecisionGraph <releases@example.invalid> {} +0000", 1_767_225_600 + index * 86_400);
        let message = format!("Release {version}\n\n{}\n", release.notes);
        let main = ["1.0.0", "1.1.0", "1.4.0"].contains(&version);
        let branch = if main { "main".into() } else { format!("release-{version}") };
        let mut line = |text: std::fmt::Arguments| _ = writeln!(stream, "{text}");
        line(format_args!("commit refs/heads/{branch}\nmark :{mark}\ncommitter {when}"));
        line(format_args!("data {}\n{message}", message.len()));
        if let Some(base) = base(release) {
            line(format_args!("from :{}", base + 1));
        }
        let mut file = |path: &str, content: &str| {
            line(format_args!("M 100644 inline {path}\ndata {}\n{content}", content.len()));
        };
        file("beam/release.toml", &format!("version = \"{version}\"\n{}\n", release.switches));
        file("docs/release.md", &notes(release));
        for (name, sql) in release.migrations {
            file(&format!("beam/migrations/{name}.sql"), sql);
        }
        line(format_args!("tag v{version}\nfrom :{mark}\ntagger {when}"));
        line(format_args!("data {}\n{message}", message.len()));
    }
    stream
}

fn base(release: &Release) -> Option<usize> {
    let base = release.base?;
    RELEASES.iter().position(|other| other.version == base)
}

/// The release's own history, newest first.
fn notes(release: &Release) -> String {
    let mut text = String::from("# Releases\n");
    let mut next = Some(release);
    while let Some(release) = next {
        let names: Vec<&str> = release.migrations.iter().map(|(name, _)| *name).collect();
        let migrations = if names.is_empty() { "none".into() } else { names.join(", ") };
        let (version, notes, projections) = (release.version, release.notes, release.projections);
        _ = writeln!(text, "\n## {version}\n\n{notes}.\n\n- Migrations: {migrations}\n- Projections: {projections}");
        next = base(release).map(|base| &RELEASES[base]);
    }
    text
}

fn git(folder: &Path, arguments: &[&str], input: &str) -> Result<()> {
    let mut child = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        // The operator's own settings (hooks, signatures, line ends) would make other commits.
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env_remove("GIT_DIR")
        .stdin(Stdio::piped())
        .spawn()
        .context("`git` is needed")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).context("what `git` reads")?;
    }
    let status = child.wait()?;
    if status.success() { Ok(()) } else { bail!("`git {}` ended with {status}", arguments.join(" ")) }
}
