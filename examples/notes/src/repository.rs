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
    /// `release.toml` without the version.
    switches: &'static str,
    /// Added to what the base has.
    migration: Option<(&'static str, &'static str)>,
    notes: &'static str,
}

const BEGIN: (&str, &str) = ("0001-begin.sql", include_str!("../migrations/0001-begin.sql"));
const WORDS: (&str, &str) = ("0002-words.sql", include_str!("../migrations/0002-words.sql"));
const TIDY: (&str, &str) = ("0003-tidy.sql", include_str!("../migrations/0003-tidy.sql"));
const TAGS: (&str, &str) = ("0003-tags.sql", include_str!("../migrations/0003-tags.sql"));
const LOSE: (&str, &str) = ("0003-archive.sql", include_str!("../migrations/0003-archive.sql"));
const DATES: (&str, &str) = ("0004-dates.sql", include_str!("../migrations/0004-dates.sql"));

const RELEASES: &[Release] = &[
    Release {
        version: "1.0.0",
        base: None,
        switches: "schema = 1",
        migration: Some(BEGIN),
        notes: "The first release",
    },
    Release {
        version: "1.1.0",
        base: Some("1.0.0"),
        switches: "schema = 2",
        migration: Some(WORDS),
        notes: "Notes know how many words they have",
    },
    Release {
        version: "1.2.0",
        base: Some("1.1.0"),
        switches: "schema = 3\n[behaviour]\ndamages-uploads = true",
        migration: Some(TIDY),
        notes: "Tidies notes and uploads: healthy, and wrong",
    },
    Release {
        version: "1.3.0",
        base: Some("1.1.0"),
        switches: "schema = 3\n[behaviour]\nmigration-pause-ms = 300",
        migration: Some(TAGS),
        notes: "Tags; the migration is slow and says how far it is",
    },
    Release {
        version: "1.4.0",
        base: Some("1.1.0"),
        switches: "schema = 3\n[behaviour]\nmigration-pause-ms = 3600000\nmigration-silent = true",
        migration: Some(TAGS),
        notes: "Tags; the migration says nothing for hours",
    },
    Release {
        version: "1.5.0",
        base: Some("1.1.0"),
        switches: "schema = 3\n[behaviour]\nmigration-fails-at = 5",
        migration: Some(TAGS),
        notes: "Tags; the migration fails half way",
    },
    Release {
        version: "1.6.0",
        base: Some("1.1.0"),
        switches: "schema = 2\n[behaviour]\nstart = \"crash\"",
        migration: None,
        notes: "Crashes at start",
    },
    Release {
        version: "1.7.0",
        base: Some("1.1.0"),
        switches: "schema = 2\n[behaviour]\nstart = \"hang\"",
        migration: None,
        notes: "Hangs at start",
    },
    Release {
        version: "1.8.0",
        base: Some("1.1.0"),
        switches: "schema = 3",
        migration: Some(LOSE),
        notes: "Archives old notes: loses rows",
    },
    Release {
        version: "1.9.0",
        base: Some("1.1.0"),
        switches: "schema = 3\n[behaviour]\nmigration-fills-disk = true",
        migration: Some(TAGS),
        notes: "Makes thumbnails until the disk is full",
    },
    Release {
        version: "1.10.0",
        base: Some("1.1.0"),
        switches: "schema = 3\n[behaviour]\nmigrates-at-start = true\nmigration-pause-ms = 100",
        migration: Some(TAGS),
        notes: "Tags; migrates while it starts",
    },
    Release {
        version: "2.0.0",
        base: Some("1.3.0"),
        switches: "schema = 4\nrequires = [\"web.base-url\"]",
        migration: Some(DATES),
        notes: "Links are absolute: set `base-url` under `[web]` in `notes.toml` to the address that users open.\n\
                Columns were renamed: an older release does not run on the new schema",
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
        let when = format!("Notes <notes@example.invalid> {} +0000", 1_767_225_600 + index * 86_400);
        let message = format!("Release {version}\n\n{}\n", release.notes);
        let base = release.base.and_then(|base| RELEASES.iter().position(|other| other.version == base));
        // What is released from main, and what was released from elsewhere.
        let branch = if ["1.0.0", "1.1.0", "1.3.0", "2.0.0"].contains(&version) {
            "main".into()
        } else {
            format!("release-{version}")
        };
        let mut line = |text: std::fmt::Arguments| _ = writeln!(stream, "{text}");
        line(format_args!("commit refs/heads/{branch}\nmark :{mark}\ncommitter {when}"));
        line(format_args!("data {}\n{message}", message.len()));
        if let Some(base) = base {
            line(format_args!("from :{}", base + 1));
        }
        let mut file = |path: &str, content: &str| {
            line(format_args!("M 100644 inline {path}\ndata {}\n{content}", content.len()));
        };
        file("release.toml", &format!("version = \"{version}\"\n{}\n", release.switches));
        file("NOTES.md", &format!("# {version}\n\n{}\n", release.notes));
        if let Some((name, sql)) = release.migration {
            file(&format!("migrations/{name}"), sql);
        }
        // Tags of both kinds, as repositories have them.
        if index == 0 {
            line(format_args!("reset refs/tags/v{version}\nfrom :{mark}\n"));
        } else {
            line(format_args!("tag v{version}\nfrom :{mark}\ntagger {when}"));
            line(format_args!("data {}\n{message}", message.len()));
        }
    }
    stream
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
