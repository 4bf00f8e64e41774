//! The double of a server for a drill: accounts, of which an image makes few and a dump none.

use super::Mysql;
use super::grants::texts;
use super::session::{Flavour, Session, name, quoted};
use crate::context::{Site, StepContext};
use crate::driver::server::double::SHELL;
use crate::model::VerbError;

/// As `root`, over the socket.
const CLIENT: &str = r#"MYSQL_PWD="$(said MYSQL_ROOT_PASSWORD)"; [ -n "$MYSQL_PWD" ] || MYSQL_PWD="$(said MARIADB_ROOT_PASSWORD)"
export MYSQL_PWD; client=mysql; ! command -v mariadb > /dev/null || client=mariadb
as_root() { "$client" --user=root --batch --default-character-set=utf8mb4 "$@"; }
comes_up as_root --execute='SELECT 1'
as_root"#;

impl Mysql {
    /// Gives a double of the server the live one's accounts: our own with its password and rights, the others locked,
    /// with what they may do everywhere.
    pub async fn furnish_double(&self, cx: &StepContext, double: &str) -> Result<(), VerbError> {
        let server = self.granted()?;
        let live = cx.reading_at(Site::Live);
        let mut session = self.work(&live).await?.session().await?;
        let secret = server.config.password.as_ref().map(|password| password.resolve()).transpose();
        let secret = secret.map_err(|error| VerbError::Denied(error.to_string()))?;
        let password = secret.as_ref().map(|secret| secret.reveal());
        let sql = accounts(&mut session, password).await?;
        drop(session);
        let there = cx.reading_at(Site::Drill {
            root: Default::default(),
            name: server.config.database.clone(),
            server: Some(double.to_owned()),
        });
        let way = self.work(&there).await?.way;
        server.tell(double, &client(), &sql, password).await?;
        Session::connect(&way).await.map(drop)
    }

    /// The live server's, as they are, for one that has those of the image: what [`client`] reads.
    pub async fn accounts_with_passwords(&self, cx: &StepContext) -> Result<String, VerbError> {
        let mut session = self.work(cx).await?.session().await?;
        if session.flavour == Flavour::MySql {
            session.set("SET SESSION print_identified_with_as_hex = 1").await?;
        }
        let (mut sql, mut memberships) = (String::new(), String::new());
        for (account, is_role) in all(&mut session).await? {
            sql.push_str(&match is_role {
                true => format!("CREATE ROLE IF NOT EXISTS {account};\n"),
                false => {
                    let made = session.text(&format!("SHOW CREATE USER {account}")).await?;
                    format!("{};\n", made.replacen("CREATE USER ", "CREATE USER IF NOT EXISTS ", 1))
                }
            });
            for grant in session.list(&format!("SHOW GRANTS FOR {account}")).await? {
                if is_ours_there(&grant) {
                    sql.push_str(&format!("{};\n", without_password(&grant)));
                } else if is_membership(&grant) {
                    memberships.push_str(&format!("{grant};\n"));
                }
            }
        }
        Ok(sql + &memberships)
    }
}

/// A script that takes accounts, as the image's administrator.
pub fn client() -> String {
    format!("{SHELL}\n{CLIENT}")
}

/// As statements name them, and whether it is a role of MariaDB's.
async fn all(session: &mut Session) -> Result<Vec<(String, bool)>, VerbError> {
    let rows = texts(session.rows("SELECT User, Host FROM mysql.user ORDER BY 1, 2").await?);
    let is_mariadb = session.flavour == Flavour::MariaDb;
    let account = |row: Vec<String>| {
        let [user, host] = &row[..] else { return None };
        let is_role = is_mariadb && host.is_empty();
        let account = if is_role { name(user) } else { format!("{}@{}", quoted(user), quoted(host)) };
        (user != "PUBLIC").then_some((account, is_role))
    };
    Ok(rows.into_iter().filter_map(account).collect())
}

async fn accounts(session: &mut Session, password: Option<&str>) -> Result<String, VerbError> {
    let own = session.account.clone();
    let mut sql = String::new();
    for (account, is_role) in all(session).await? {
        if account == own {
            continue;
        }
        sql.push_str(&match is_role {
            true => format!("CREATE ROLE IF NOT EXISTS {account};\n"),
            false => format!("CREATE USER IF NOT EXISTS {account} ACCOUNT LOCK;\n"),
        });
        // A definer's rights count where its objects are made; those on the database come with the backup.
        let grants = session.list(&format!("SHOW GRANTS FOR {account}")).await?;
        for grant in grants.iter().filter(|grant| is_ours_there(grant) && grant.contains(" ON *.* TO ")) {
            sql.push_str(&format!("{grant};\n"));
        }
    }
    let password = password.map(|password| format!(" IDENTIFIED BY {}", quoted(password))).unwrap_or_default();
    sql.push_str(&format!("CREATE USER IF NOT EXISTS {own}{password};\nALTER USER {own}{password} ACCOUNT UNLOCK;\n"));
    for grant in session.list("SHOW GRANTS").await?.iter().filter(|grant| is_ours_there(grant)) {
        sql.push_str(&format!("{grant};\n"));
    }
    Ok(sql)
}

/// Rights on everything, or on databases as a whole: a fresh server has no tables, and what is granted by a role is none of
/// ours.
fn is_ours_there(grant: &str) -> bool {
    let wide = grant.contains(" ON *.* TO ") || grant.contains("`.* TO ");
    grant.starts_with("GRANT ") && !grant.starts_with("GRANT PROXY ") && wide
}

fn is_membership(grant: &str) -> bool {
    grant.starts_with("SET DEFAULT ROLE ") || (grant.starts_with("GRANT ") && !grant.contains(" ON "))
}

/// MariaDB's: an account that the image makes has one of the image's.
fn without_password(grant: &str) -> String {
    match grant.split_once(" IDENTIFIED ") {
        Some((grant, rest)) if rest.ends_with(" WITH GRANT OPTION") => format!("{grant} WITH GRANT OPTION"),
        Some((grant, _)) => grant.to_owned(),
        None => grant.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{is_membership, is_ours_there, without_password};

    #[test]
    fn a_grant_is_one_of_a_role_or_leaves_the_password_as_it_is() {
        assert!(is_membership("GRANT `reader`@`%` TO `up`@`%`") && is_membership("SET DEFAULT ROLE `r` FOR `up`@`%`"));
        assert!(!is_membership("GRANT SELECT ON `shop`.`orders` TO `up`@`%`"));
        let with = "GRANT ALL PRIVILEGES ON *.* TO `root`@`%` IDENTIFIED BY PASSWORD '*12' WITH GRANT OPTION";
        assert_eq!(without_password(with), "GRANT ALL PRIVILEGES ON *.* TO `root`@`%` WITH GRANT OPTION");
        assert_eq!(without_password("GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED VIA x"), "GRANT USAGE ON *.* TO `a`@`%`");
        assert_eq!(without_password("GRANT SELECT ON *.* TO `a`@`%`"), "GRANT SELECT ON *.* TO `a`@`%`");
    }

    #[test]
    fn rights_that_a_fresh_server_can_give() {
        for (grant, given) in [
            (r"GRANT ALL PRIVILEGES ON `shop\_up\_%`.* TO `up`@`%` WITH GRANT OPTION", true),
            ("GRANT SELECT ON *.* TO `up`@`%` IDENTIFIED BY PASSWORD '*12'", true),
            ("GRANT SELECT ON `shop`.`orders` TO `up`@`%`", false),
            ("GRANT PROXY ON ``@`` TO `root`@`%` WITH GRANT OPTION", false),
            ("GRANT `reader`@`%` TO `up`@`%`", false),
            ("REVOKE SELECT ON `mysql`.* FROM `up`@`%`", false),
        ] {
            assert_eq!(is_ours_there(grant), given, "{grant}");
        }
    }
}
