//! Finds `pg_dump` and `pg_restore` of the right major version, and starts them with nothing but what they need.

use crate::config::ServerConfig;
use crate::driver::engine::Container;
use crate::driver::process::MARK_VARIABLE;
use crate::driver::server::Around;
use crate::driver::server::container::InContainer;
use crate::model::VerbError;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

/// Both tools of one folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tools {
    pub pg_dump: PathBuf,
    pub pg_restore: PathBuf,
    /// Major versions.
    pub dump_version: u32,
    pub restore_version: u32,
    /// Where they don't run on the machine itself.
    pub container: Option<InContainer>,
}

/// Exit codes where there is no such program: a shell's, and of engines where there is no shell.
const NOT_RUN: [i32; 2] = [126, 127];

/// Those of the server's own image.
pub async fn in_container(
    around: &Around, container: &Container, archives: &Path, server: u32,
) -> Result<Tools, VerbError> {
    let mut ask = around.client(&["exec", &container.id, "sh", "-c", "pg_dump --version && pg_restore --version"]);
    let output = ask.output().await.map_err(|error| VerbError::other("tool", format!("`docker`: {error}")))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let versions: Vec<u32> = said.lines().filter_map(parse_version).collect();
    if versions.is_empty()
        && !output.status.success()
        && !output.status.code().is_some_and(|code| NOT_RUN.contains(&code))
    {
        let why = String::from_utf8_lossy(&output.stderr);
        return Err(VerbError::Unavailable(format!("the server's container does not say its tools: {}", why.trim())));
    }
    let [dump, restore] = versions[..] else {
        return Err(VerbError::NotFound(format!(
            "the image `{}` of the server's container has no `pg_dump` and `pg_restore` of version {server}; an image \
             that has both would be right",
            container.image
        )));
    };
    Ok(Tools {
        pg_dump: "pg_dump".into(),
        pg_restore: "pg_restore".into(),
        dump_version: dump,
        restore_version: restore,
        container: Some(InContainer::new(around, container, Some(archives))),
    })
}

/// What the tools are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum For {
    /// An older `pg_dump` refuses the server, a newer one may write what the server can't read.
    Dumping,
    /// A newer server reads what an older `pg_dump` wrote, and what `pg_restore` of that version makes of it.
    Restoring,
}

/// The configured folder's, or of what is installed the server's own version, or else the next newer one. For restoring the
/// newest will do.
pub async fn find(configured: Option<&Path>, server: u32, purpose: For) -> Result<Tools, VerbError> {
    let mut found = Vec::new();
    for folder in candidates(configured) {
        if let (Some(dump), Some(restore)) = (version(&folder, "pg_dump").await, version(&folder, "pg_restore").await) {
            found.push(Tools {
                pg_dump: folder.join("pg_dump"),
                pg_restore: folder.join("pg_restore"),
                dump_version: dump,
                restore_version: restore,
                container: None,
            });
        }
    }
    choose(found, server, purpose).map_err(|seen| missing(configured, server, &seen))
}

/// Or the versions that there are.
fn choose(mut found: Vec<Tools>, server: u32, purpose: For) -> Result<Tools, Vec<u32>> {
    found.sort_by_key(|tools| tools.dump_version);
    let seen = found.iter().map(|tools| tools.dump_version).collect();
    let fits = found.iter().position(|tools| tools.dump_version >= server && tools.restore_version >= server);
    match fits {
        Some(fits) => Ok(found.swap_remove(fits)),
        None if purpose == For::Restoring => found.pop().ok_or(seen),
        None => Err(seen),
    }
}

fn missing(configured: Option<&Path>, server: u32, seen: &[u32]) -> VerbError {
    let place = match configured {
        Some(folder) => format!("in `{}`", folder.display()),
        None => "on this machine".into(),
    };
    let seen = match seen {
        [] => String::new(),
        seen => format!(" (there is {})", seen.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")),
    };
    VerbError::NotFound(format!(
        "`pg_dump` and `pg_restore` of version {server} or newer are not {place}{seen}; the package \
         `postgresql-client-{server}` has them, or `tools` of the server's table names their folder"
    ))
}

fn candidates(configured: Option<&Path>) -> Vec<PathBuf> {
    if let Some(folder) = configured {
        return vec![folder.to_owned()];
    }
    let mut folders = Vec::new();
    // Debian's and Red Hat's layout.
    for (parent, beneath) in [("/usr/lib/postgresql", "bin"), ("/usr", "bin")] {
        let Ok(entries) = std::fs::read_dir(parent) else { continue };
        for entry in entries.flatten() {
            let pgsql = entry.file_name().to_str().is_some_and(|name| name.starts_with("pgsql-"));
            if parent != "/usr" || pgsql {
                folders.push(entry.path().join(beneath));
            }
        }
    }
    if let Some(path) = std::env::var_os("PATH") {
        folders.extend(std::env::split_paths(&path).filter(|folder| folder.is_absolute()));
    }
    folders
}

async fn version(folder: &Path, tool: &str) -> Option<u32> {
    let program = folder.join(tool);
    // Debian's `/usr/bin/pg_dump` is a script that chooses by cluster and not by what we connect to.
    if is_script(&program)? {
        return None;
    }
    let output = Command::new(&program).arg("--version").env_clear().stdin(Stdio::null()).output().await.ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

fn is_script(program: &Path) -> Option<bool> {
    let mut start = [0; 2];
    std::io::Read::read_exact(&mut std::fs::File::open(program).ok()?, &mut start).ok()?;
    Some(start == *b"#!")
}

/// `pg_dump (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)`
fn parse_version(text: &str) -> Option<u32> {
    let number = text.split(") ").nth(1)?;
    number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// A tool's process: its own group, no environment of ours, the password where only the process sees it.
pub fn command(
    tools: &Tools, program: &Path, server: &ServerConfig, database: &str, mark: &str,
) -> Result<Command, VerbError> {
    let mut command = match &tools.container {
        None => {
            let mut command = Command::new(program);
            command.env_clear().env("PATH", "/usr/bin:/bin");
            command
        }
        Some(inside) => inside.command(program, mark, &HANDED_ON),
    };
    command
        .env("LC_ALL", "C")
        .env("PGHOST", &server.host)
        .env("PGPORT", server.port.to_string())
        .env("PGUSER", &server.user)
        .env("PGDATABASE", database)
        .env("PGAPPNAME", mark)
        .env("PGCONNECT_TIMEOUT", "15")
        .env("PGPASSFILE", "/dev/null")
        .env("PGSERVICEFILE", "/dev/null")
        .env(MARK_VARIABLE, mark)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(password) = &server.password {
        let secret = password.resolve().map_err(|error| VerbError::Denied(error.to_string()))?;
        command.env("PGPASSWORD", secret.reveal());
    }
    Ok(command)
}

/// Handed on by name: a value on the client's command line would be for everybody to see.
const HANDED_ON: [&str; 10] = [
    "LC_ALL",
    "PGHOST",
    "PGPORT",
    "PGUSER",
    "PGDATABASE",
    "PGAPPNAME",
    "PGCONNECT_TIMEOUT",
    "PGPASSFILE",
    "PGPASSWORD",
    "PGOPTIONS",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn tools(version: u32) -> Tools {
        let program = PathBuf::from(format!("/{version}"));
        Tools {
            pg_dump: program.clone(),
            pg_restore: program,
            dump_version: version,
            restore_version: version,
            container: None,
        }
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(parse_version("pg_dump (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_version("pg_restore (PostgreSQL) 18beta1"), Some(18));
        assert_eq!(parse_version("usage"), None);
    }

    #[test]
    fn the_servers_own_version_comes_first_and_none_is_older() {
        let all = || vec![tools(17), tools(14), tools(15), tools(16)];
        for purpose in [For::Dumping, For::Restoring] {
            assert_eq!(choose(all(), 15, purpose).map(|t| t.dump_version), Ok(15));
            assert_eq!(choose(all(), 13, purpose).map(|t| t.dump_version), Ok(14));
        }
        assert_eq!(choose(all(), 18, For::Dumping), Err(vec![14, 15, 16, 17]));
        assert_eq!(choose(all(), 18, For::Restoring).map(|t| t.dump_version), Ok(17));
        assert_eq!(choose(Vec::new(), 18, For::Restoring), Err(Vec::new()));
    }

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let message = missing(None, 16, &[14, 15]).to_string();
        assert!(message.contains("are not on this machine (there is 14, 15)"), "{message}");
        assert!(message.contains("`postgresql-client-16`"), "{message}");
    }
}
