//! The double of a server for a drill: roles, of which an image makes one and a dump none.

use super::Postgres;
use super::accounts::client;
use super::session::Rows;
use super::settings::quote;
use crate::config::ServerConfig;
use crate::context::{Site, StepContext};
use crate::model::VerbError;

/// The image's own superuser.
pub const ADMINISTRATOR: &str = r#"user="$(said POSTGRES_USER)"; user="${user:-postgres}"; PGPASSWORD="$(said POSTGRES_PASSWORD)"; export PGPASSWORD"#;
/// As the same. What an error quotes of a statement could be a password.
pub const PSQL: &str = r#"as_admin() { psql -XqAtw -v ON_ERROR_STOP=1 -v VERBOSITY=terse -h 127.0.0.1 -p "$PORT" -U "$user" -d postgres "$@"; }
comes_up as_admin -c 'SELECT 1'
as_admin"#;

const ROLES: &str = "SELECT rolname, concat_ws(' ', CASE WHEN rolsuper THEN 'SUPERUSER' END, \
    CASE WHEN rolcreatedb THEN 'CREATEDB' END, CASE WHEN rolcreaterole THEN 'CREATEROLE' END, \
    CASE WHEN NOT rolinherit THEN 'NOINHERIT' END, CASE WHEN rolreplication THEN 'REPLICATION' END, \
    CASE WHEN rolbypassrls THEN 'BYPASSRLS' END) FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1";
const MEMBERS: &str = "SELECT DISTINCT r.rolname, m.rolname, CASE WHEN a.admin_option THEN ' WITH ADMIN OPTION' ELSE '' END \
    FROM pg_auth_members a JOIN pg_roles r ON r.oid = a.roleid JOIN pg_roles m ON m.oid = a.member ORDER BY 1, 2, 3";
/// None where the role may not see it.
const LIBRARIES: &str = "SELECT CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE') \
    THEN current_setting('shared_preload_libraries') END";

impl Postgres {
    /// Gives a double of the server the live one's roles, our own with its password; an error where the database would
    /// miss something else there.
    pub async fn furnish_double(&self, cx: &StepContext, double: &str) -> Result<(), VerbError> {
        let server = self.granted()?;
        let live = self.connect(&cx.reading_at(Site::Live), None).await?;
        let database = literal(&server.config.database);
        let elsewhere = format!(
            "SELECT t.spcname FROM pg_tablespace t, pg_database d WHERE d.datname = {database} \
             AND t.spcname NOT IN ('pg_default', 'pg_global') AND d.oid IN (SELECT pg_tablespace_databases(t.oid))"
        );
        if let Some(tablespace) = first(live.raw(&elsewhere).await?) {
            let why = format!("the database lies in the tablespace `{tablespace}`, which a fresh server has not");
            return Err(VerbError::Invalid(why));
        }
        let libraries = first(live.raw(LIBRARIES).await?);
        let secret = server.config.password.as_ref().map(|password| password.resolve()).transpose();
        let secret = secret.map_err(|error| VerbError::Denied(error.to_string()))?;
        let password = secret.as_ref().map(|secret| secret.reveal());
        let sql = accounts(&server.config, password, &live.raw(ROLES).await?, &live.raw(MEMBERS).await?);
        let there = cx.reading_at(Site::Drill {
            root: Default::default(),
            name: server.config.database.clone(),
            server: Some(double.to_owned()),
        });
        let script = client(server.config.port);
        server.tell(double, &script, &sql, password).await?;
        let found = first(self.connect(&there, None).await?.raw(LIBRARIES).await?);
        match (libraries, found) {
            (Some(live), Some(found)) if live != found => Err(VerbError::Invalid(format!(
                "the live server loads `{live}`, and one that is made from the files `{found}`"
            ))),
            _ => Ok(()),
        }
    }
}

/// `psql`'s input.
fn accounts(server: &ServerConfig, password: Option<&str>, roles: &Rows, members: &Rows) -> String {
    let mut sql = String::new();
    for role in roles {
        let [Some(name), attributes] = &role[..] else { continue };
        let attributes = attributes.as_deref().unwrap_or_default();
        let made = literal(&format!("CREATE ROLE {} NOLOGIN {attributes}", quote(name)));
        let missing = format!("NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {})", literal(name));
        sql.push_str(&format!("SELECT {made} WHERE {missing} \\gexec\n"));
    }
    for member in members {
        let [Some(role), Some(member), Some(admin)] = &member[..] else { continue };
        sql.push_str(&format!("GRANT {} TO {}{admin};\n", quote(role), quote(member)));
    }
    let password = password.map(|password| format!(" PASSWORD {}", literal(password))).unwrap_or_default();
    sql.push_str(&format!("ALTER ROLE {} LOGIN{password};\n", quote(&server.user)));
    sql
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn first(rows: Rows) -> Option<String> {
    rows.into_iter().next()?.into_iter().next()?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_made_without_a_login_but_for_our_own() {
        let text = |text: &str| Some(text.to_owned());
        let server = ServerConfig {
            service: None,
            host: String::new(),
            port: 5432,
            user: "shop".into(),
            password: None,
            database: "shop".into(),
            maintenance: "postgres".into(),
            tools: None,
        };
        let roles = vec![vec![text("o'wner"), text("")], vec![text("shop"), text("CREATEDB")]];
        let members = vec![vec![text("o'wner"), text("shop"), text(" WITH ADMIN OPTION")]];
        let sql = accounts(&server, Some("p'w"), &roles, &members);
        assert_eq!(
            sql.lines().collect::<Vec<_>>(),
            [
                r#"SELECT 'CREATE ROLE "o''wner" NOLOGIN ' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'o''wner') \gexec"#,
                r#"SELECT 'CREATE ROLE "shop" NOLOGIN CREATEDB' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'shop') \gexec"#,
                r#"GRANT "o'wner" TO "shop" WITH ADMIN OPTION;"#,
                r#"ALTER ROLE "shop" LOGIN PASSWORD 'p''w';"#,
            ]
        );
    }
}
