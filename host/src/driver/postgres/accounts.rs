//! All roles of a server with their passwords, memberships and settings, for one that takes its place: as the server's
//! own tool says them, run by the image's administrator.

use super::double::{ADMINISTRATOR, PSQL};
use super::{Postgres, derived_prefix};
use crate::context::StepContext;
use crate::driver::server::Server;
use crate::driver::server::double::SHELL;
use crate::model::VerbError;

impl Postgres {
    /// Those of the whole server, but for what is its own, the `known` ones, and copies of them.
    pub async fn databases_but(&self, cx: &StepContext, known: &[String]) -> Result<Vec<String>, VerbError> {
        let rows = self.connect(cx, None).await?.raw("SELECT datname FROM pg_database WHERE NOT datistemplate").await?;
        let maintenance = self.server()?.maintenance.clone();
        let of_known = |name: &str| known.iter().any(|known| name == known || name.starts_with(&derived_prefix(known)));
        let names = rows.into_iter().filter_map(|row| row.into_iter().next().flatten());
        Ok(names.filter(|name| *name != maintenance && name != "postgres" && !of_known(name)).collect())
    }
}

/// `psql`'s input.
pub async fn of(server: &Server) -> Result<String, VerbError> {
    let port = server.config.port;
    let script = format!(
        "PORT={port}\n{SHELL}\n{ADMINISTRATOR}\npg_dumpall -h 127.0.0.1 -p \"$PORT\" -U \"$user\" -w --roles-only"
    );
    Ok(that_may_be_there(&server.ask(&script).await?))
}

/// A script that takes it.
pub fn client(port: u16) -> String {
    format!("PORT={port}\n{SHELL}\n{ADMINISTRATOR}\n{PSQL}")
}

/// A role that the image made itself is there.
fn that_may_be_there(dumped: &str) -> String {
    let mut sql = String::new();
    for line in dumped.lines().filter(|line| !line.starts_with('\\')) {
        match line.strip_prefix("CREATE ROLE ").and_then(|rest| rest.strip_suffix(';')) {
            Some(name) => {
                let plain = name.strip_prefix('"').and_then(|name| name.strip_suffix('"'));
                let plain = plain.map_or(name.to_owned(), |name| name.replace("\"\"", "\""));
                let literal = |text: &str| format!("'{}'", text.replace('\'', "''"));
                sql.push_str(&format!(
                    "SELECT {} WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {}) \\gexec\n",
                    literal(&format!("CREATE ROLE {name}")),
                    literal(&plain)
                ));
            }
            None => {
                sql.push_str(line);
                sql.push('\n');
            }
        }
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::that_may_be_there;

    #[test]
    fn a_role_is_made_where_there_is_none() {
        let dumped =
            "-- Roles\n\\restrict abc\nCREATE ROLE \"o'w\"\"ner\";\nALTER ROLE shop WITH LOGIN PASSWORD 'SCRAM';\n";
        assert_eq!(
            that_may_be_there(dumped),
            "-- Roles\n\
             SELECT 'CREATE ROLE \"o''w\"\"ner\"' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'o''w\"ner') \\gexec\n\
             ALTER ROLE shop WITH LOGIN PASSWORD 'SCRAM';\n"
        );
    }
}
