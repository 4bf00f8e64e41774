//! The server's own dump tool and client: of its image, or of this machine.

use super::session::{Flavour, socket};
use crate::config::ServerConfig;
use crate::driver::compose::Compose;
use crate::driver::engine::Container;
use crate::driver::process::MARK_VARIABLE;
use crate::driver::server::container::InContainer;
use crate::model::VerbError;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::process::Command;

#[derive(Debug)]
pub struct Tools {
    pub dump: PathBuf,
    pub client: PathBuf,
    /// For example `MariaDB 10.11.6`.
    pub dump_version: String,
    pub client_version: String,
    flavour: Flavour,
    container: Option<InContainer>,
}

const HANDED_ON: [&str; 2] = ["LC_ALL", "MYSQL_PWD"];
const NAMES: [&str; 4] = ["mariadb-dump", "mysqldump", "mariadb", "mysql"];
/// Rows that are larger than this the server itself refuses.
const PACKET: &str = "--max-allowed-packet=1G";

/// Those of the server's own image.
pub async fn in_container(project: &Compose, container: &Container, flavour: Flavour) -> Result<Tools, VerbError> {
    let script = format!("for t in {}; do echo \"$t|$($t --version 2>/dev/null)\"; done", NAMES.join(" "));
    let mut ask = project.client(&["exec", &container.id, "sh", "-c", &script]);
    let output = ask.output().await.map_err(|error| VerbError::other("tool", format!("`docker`: {error}")))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let found =
        said.lines().filter_map(|line| line.split_once('|')).map(|(tool, said)| (PathBuf::from(tool), said.into()));
    let place = format!("in the image `{}` of the server's container", container.image);
    choose(found.collect(), flavour, &place, Some(InContainer::new(project, container, None)))
}

/// Those in the configured folder, or on the daemon's `PATH`.
pub async fn find(configured: Option<&Path>, flavour: Flavour) -> Result<Tools, VerbError> {
    let folders: Vec<PathBuf> = match (configured, std::env::var_os("PATH")) {
        (Some(folder), _) => vec![folder.to_owned()],
        (None, Some(path)) => std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect(),
        (None, None) => Vec::new(),
    };
    let mut found = Vec::new();
    for program in folders.iter().flat_map(|folder| NAMES.map(|tool| folder.join(tool))) {
        let mut ask = Command::new(&program);
        if let Ok(output) = ask.arg("--version").env_clear().stdin(Stdio::null()).output().await {
            found.push((program, String::from_utf8_lossy(&output.stdout).into_owned()));
        }
    }
    let place = match configured {
        Some(folder) => format!("in `{}`", folder.display()),
        None => "on this machine (`tools` of the server's table names their folder)".into(),
    };
    choose(found, flavour, &place, None)
}

fn choose(
    found: Vec<(PathBuf, String)>, flavour: Flavour, place: &str, container: Option<InContainer>,
) -> Result<Tools, VerbError> {
    let (dumps, clients, of): (&[&str], &[&str], _) = match flavour {
        Flavour::MariaDb => (&["mariadb-dump", "mysqldump"], &["mariadb", "mysql"], "MariaDB"),
        Flavour::MySql => (&["mysqldump"], &["mysql"], "MySQL"),
    };
    let pick = |names: &[&str]| {
        let mut fitting = names.iter().flat_map(|name| found.iter().filter(move |(path, _)| path.ends_with(name)));
        fitting
            .find_map(|(path, said)| Some((path.clone(), version(said)?)))
            .filter(|(_, version)| version.starts_with(of))
    };
    let missing = |name: &str| VerbError::NotFound(format!("`{name}` of {of}, as the server is, is not {place}"));
    let (dump, dump_version) = pick(dumps).ok_or_else(|| missing(dumps[0]))?;
    let (client, client_version) = pick(clients).ok_or_else(|| missing(clients[0]))?;
    Ok(Tools { dump, client, dump_version, client_version, flavour, container })
}

/// `mariadb-dump  Ver 10.19 Distrib 10.11.6-MariaDB, for …`, `mysqldump  Ver 9.7.0 for …`
fn version(said: &str) -> Option<String> {
    if let Some(word) = said.split(|c: char| c.is_whitespace() || c == ',').find(|word| word.contains("-MariaDB")) {
        return Some(format!("MariaDB {}", word.split('-').next()?));
    }
    let number = said.split_once(" Ver ")?.1.split([' ', '-']).next()?;
    Some(format!("MySQL {number}"))
}

impl Tools {
    /// What writes the tables and their rows, without `views`. As of the moment when it begins.
    pub fn dump(
        &self, server: &ServerConfig, database: &str, views: &[&str], step: &str,
    ) -> Result<Command, VerbError> {
        let mut command = self.command(&self.dump, server, step, false)?;
        command.args(["--single-transaction", "--quick", "--skip-lock-tables", "--no-tablespaces", "--skip-triggers"]);
        command.args(["--hex-blob", "--default-character-set=utf8mb4", "--skip-dump-date", PACKET]);
        if self.flavour == Flavour::MySql {
            command.arg("--set-gtid-purged=OFF");
        }
        command.args(views.iter().map(|view| format!("--ignore-table={database}.{view}")));
        command.arg("--").arg(database).stdin(Stdio::null()).stdout(Stdio::piped());
        Ok(command)
    }

    /// What reads statements, for a database that is there.
    pub fn client(&self, server: &ServerConfig, database: &str, step: &str) -> Result<Command, VerbError> {
        let mut command = self.command(&self.client, server, step, true)?;
        command.args(["--batch", "--default-character-set=utf8mb4", PACKET, &format!("--database={database}")]);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        Ok(command)
    }

    /// Its own group, no environment of ours, the password where only the process sees it.
    fn command(&self, program: &Path, server: &ServerConfig, step: &str, input: bool) -> Result<Command, VerbError> {
        let mut command = match &self.container {
            None => {
                let mut command = Command::new(program);
                command.env_clear().env("PATH", "/usr/bin:/bin");
                command
            }
            Some(inside) if input => inside.clone().with_input().command(program, step, &HANDED_ON),
            Some(inside) => inside.command(program, step, &HANDED_ON),
        };
        command.arg("--no-defaults").arg(format!("--user={}", server.user));
        match socket(server) {
            Some(socket) => command.arg(format!("--socket={socket}")),
            None => {
                let (host, port) = (format!("--host={}", server.host), format!("--port={}", server.port));
                command.args(["--protocol=TCP", &host, &port])
            }
        };
        command.arg(match self.flavour {
            Flavour::MariaDb => "--skip-ssl",
            Flavour::MySql => "--get-server-public-key",
        });
        command.env("LC_ALL", "C").env(MARK_VARIABLE, step).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        if let Some(password) = &server.password {
            let secret = password.resolve().map_err(|error| VerbError::Denied(error.to_string()))?;
            command.env("MYSQL_PWD", secret.reveal());
        }
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(tools: &[(&str, &str)]) -> Vec<(PathBuf, String)> {
        tools.iter().map(|(path, said)| (path.into(), (*said).to_owned())).collect()
    }

    #[test]
    fn versions_are_read() {
        let cases = [
            ("mariadb-dump  Ver 10.19 Distrib 10.11.6-MariaDB, for debian-linux-gnu (x86_64)", "MariaDB 10.11.6"),
            ("mariadb-dump from 11.4.2-MariaDB, client 10.19 for debian-linux-gnu", "MariaDB 11.4.2"),
            ("mysqldump  Ver 9.7.4-2 for Linux on x86_64 ((Debian))", "MySQL 9.7.4"),
        ];
        for (said, wanted) in cases {
            assert_eq!(version(said).as_deref(), Some(wanted));
        }
        assert_eq!(version(""), None);
    }

    #[test]
    fn the_tools_are_of_the_servers_own_kind() {
        let both = [("/a/mysqldump", "x  Ver 8.0.1 for Linux"), ("/a/mysql", "x  Ver 8.0.1 for Linux")];
        let tools = choose(found(&both), Flavour::MySql, "here", None).expect("both are there");
        assert_eq!((tools.dump, tools.client_version), (PathBuf::from("/a/mysqldump"), "MySQL 8.0.1".into()));
        let error = choose(found(&both), Flavour::MariaDb, "here", None).expect_err("of the other kind");
        assert_eq!(error.to_string(), "not found: `mariadb-dump` of MariaDB, as the server is, is not here");
        let error = choose(found(&both[..1]), Flavour::MySql, "here", None).expect_err("one is missing");
        assert!(error.to_string().contains("`mysql` of MySQL"), "{error}");
    }
}
