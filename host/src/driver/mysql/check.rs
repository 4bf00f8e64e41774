//! What is wrong, before anything is promised: the server, the database, what the user may do.

use super::Work;
use super::fence;
use super::files::in_the_engine;
use super::names::matches;
use super::session::{Flavour, Session, name, quoted};
use super::shape::{Kind, Shape, Table};
use crate::driver::server::names::SCRATCH_PREFIX;
use crate::model::VerbError;
use std::collections::BTreeSet;

/// In the bound database and in those beside it.
const IN_DATABASES: [&str; 18] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "CREATE",
    "DROP",
    "ALTER",
    "INDEX",
    "REFERENCES",
    "LOCK TABLES",
    "CREATE VIEW",
    "SHOW VIEW",
    "CREATE ROUTINE",
    "ALTER ROUTINE",
    "EXECUTE",
    "TRIGGER",
    "EVENT",
    "GRANT OPTION",
];
/// Databases of the server itself.
const SYSTEM: [&str; 5] = ["mysql", "information_schema", "performance_schema", "sys", "ndbinfo"];
/// Engines whose tables have their rows to themselves.
const KEEP_THEIR_ROWS: [&str; 12] = [
    "innodb",
    "myisam",
    "aria",
    "memory",
    "csv",
    "archive",
    "blackhole",
    "rocksdb",
    "tokudb",
    "mroonga",
    "columnstore",
    "ndbcluster",
];
/// The first MySQL in which only an account with `SYSTEM_USER` locks one that has it.
const KNOWS_SYSTEM_USERS: [u32; 3] = [8, 0, 16];

pub async fn check(work: &Work<'_>) -> Result<Vec<String>, VerbError> {
    let database = work.names.live.as_str();
    let mut session = match work.session().await {
        Ok(session) => session,
        Err(VerbError::Denied(why)) => {
            return Ok(vec![format!("the server refuses `{}`: {why}", work.located.config.user)]);
        }
        Err(error) => return Err(error),
    };
    if SYSTEM.contains(&database) {
        return Ok(vec![format!("`{database}` is the server's own database")]);
    }
    if !session.exists(database).await? {
        let message = format!("the server has no database `{database}` that `{}` may see", work.located.config.user);
        return Ok(vec![message]);
    }
    let small = database.to_lowercase();
    if small != database && session.text("SELECT @@lower_case_table_names").await? == "1" {
        return Ok(vec![format!("the server calls the database `{small}`: write it so, instead of `{database}`")]);
    }
    let mut found = rights(&mut session, work).await?;
    if !found.is_empty() {
        return Ok(found);
    }
    let enabled = fence::enabled(&mut session, &work.names).await?;
    let shape = match work.shape(&mut session, database, &enabled).await {
        Ok(shape) => shape,
        Err(VerbError::Denied(why) | VerbError::Invalid(why)) => return Ok(vec![why]),
        Err(error) => return Err(error),
    };
    found.extend(shape.tables.iter().filter(|table| table.versioned).map(|table| {
        format!(
            "`{}` is system-versioned: a backup has its rows of now alone, and their history would be lost",
            table.name
        )
    }));
    found.extend(shape.tables.iter().filter(|table| !keeps_its_rows(table)).map(|table| {
        format!(
            "`{}` is of the engine {}, whose tables show the rows of others: a copy would write to those",
            table.name, table.engine
        )
    }));
    found.extend(untrusted(&mut session, &shape).await?);
    found.extend(invalid_views(&mut session, &shape).await?);
    found.extend(strangers(&mut session, work).await?);
    Ok(found)
}

fn keeps_its_rows(table: &Table) -> bool {
    KEEP_THEIR_ROWS.contains(&table.engine.to_lowercase().as_str())
}

async fn rights(session: &mut Session, work: &Work<'_>) -> Result<Vec<String>, VerbError> {
    let account = session.account.clone();
    let literal = quoted(&account);
    let sql = format!(
        "SELECT PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.USER_PRIVILEGES WHERE GRANTEE = {literal}"
    );
    let global = privileges(session.rows(&sql).await?);
    let sql = format!(
        "SELECT PRIVILEGE_TYPE, IS_GRANTABLE, TABLE_SCHEMA FROM information_schema.SCHEMA_PRIVILEGES \
         WHERE GRANTEE = {literal}"
    );
    let by_database = session.rows(&sql).await?;
    let mut found = Vec::new();
    // A name beside the bound one, and a drill's.
    let beside = work.names.fence();
    let places = [
        (work.names.live.as_str(), work.names.live.as_str()),
        (beside.as_str(), beside.strip_suffix("fence").unwrap_or(&beside)),
        (SCRATCH_PREFIX, SCRATCH_PREFIX),
    ];
    for (database, shown) in places {
        let there =
            by_database.iter().filter(|row| row[2].as_deref().is_some_and(|pattern| matches(pattern, database)));
        let there = privileges(there.cloned().collect());
        let missing: Vec<&str> =
            IN_DATABASES.into_iter().filter(|right| !global.contains(*right) && !there.contains(*right)).collect();
        if !missing.is_empty() {
            let pattern = if database == shown { shown.to_owned() } else { format!("{shown}%") };
            let pattern = if database == SCRATCH_PREFIX { format!("{shown}%") } else { pattern }.replace('_', "\\_");
            let option = if missing.contains(&"GRANT OPTION") { " WITH GRANT OPTION" } else { "" };
            let rights = missing.join(", ");
            let would = format!("`GRANT ALL ON {}.* TO {account}{option}` would grant it", name(&pattern));
            found.push(format!("{account} lacks {rights} in databases `{pattern}`; {would}"));
        }
    }
    for alternatives in globals(session.flavour, &session.version) {
        if !alternatives.iter().any(|right| global.contains(*right)) {
            let would = format!("`GRANT {} ON *.* TO {account}` would grant it", alternatives[0]);
            found.push(format!("{account} lacks {} on the server; {would}", alternatives.join(" or ")));
        }
    }
    let admin: &[&str] = match session.flavour {
        Flavour::MariaDb => &["SUPER"],
        Flavour::MySql => &["SYSTEM_VARIABLES_ADMIN", "SUPER"],
    };
    if !admin.iter().any(|right| global.contains(*right)) && session.text("SELECT @@GLOBAL.local_infile").await? != "1"
    {
        found.push(format!(
            "the server lets nobody load rows (`local_infile` is off), and {account} lacks {} to change that; `GRANT {} \
             ON *.* TO {account}` would grant it",
            admin.join(" or "),
            admin[0]
        ));
    }
    if let Err(VerbError::Denied(why)) = session.rows("SELECT User FROM mysql.user LIMIT 1").await {
        found.push(format!("{account} can't see who has rights on the database ({why}); `GRANT SELECT ON mysql.* TO {account}` would grant it"));
    }
    Ok(found)
}

/// Any one of each: to lock accounts, to see and end their connections, to make what others own, to read it; and to lock
/// those that the server counts among its own.
fn globals(flavour: Flavour, version: &str) -> Vec<Vec<&'static str>> {
    let mut needed = match flavour {
        Flavour::MariaDb => {
            vec![vec!["CREATE USER"], vec!["PROCESS"], vec!["CONNECTION ADMIN", "SUPER"], vec!["SET USER", "SUPER"]]
        }
        Flavour::MySql => vec![
            vec!["CREATE USER"],
            vec!["PROCESS"],
            vec!["CONNECTION_ADMIN", "SUPER"],
            vec!["SET_ANY_DEFINER", "SET_USER_ID", "SUPER"],
            vec!["SHOW_ROUTINE", "SELECT"],
        ],
    };
    if flavour == Flavour::MySql && numbers(version) >= KNOWS_SYSTEM_USERS {
        needed.push(vec!["SYSTEM_USER"]);
    }
    needed
}

/// Of a version as the server tells it: `8.0.36`.
fn numbers(version: &str) -> [u32; 3] {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

fn privileges(rows: super::session::Rows) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for row in rows {
        let [Some(privilege), grantable, ..] = &row[..] else { continue };
        if grantable.as_deref() == Some("YES") {
            found.insert("GRANT OPTION".to_owned());
        }
        found.insert(privilege.to_uppercase());
    }
    found
}

/// A server that writes a binary log makes functions and triggers only for whom it trusts.
async fn untrusted(session: &mut Session, shape: &Shape) -> Result<Vec<String>, VerbError> {
    let logged = session.text("SELECT @@log_bin AND NOT @@log_bin_trust_function_creators").await? == "1";
    let needs = shape.objects.iter().find(|object| matches!(object.kind, Kind::Function | Kind::Trigger));
    let account = quoted(&session.account);
    let sql = "SELECT 1 FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE IN ('SUPER', 'BINLOG ADMIN') \
               AND GRANTEE = ";
    let (true, Some(object)) = (logged, needs) else { return Ok(Vec::new()) };
    if !session.rows(&format!("{sql}{account}")).await?.is_empty() {
        return Ok(Vec::new());
    }
    let kind = object.kind.sql().to_lowercase();
    let would = "`SET GLOBAL log_bin_trust_function_creators = 1`, or the right SUPER, would let it";
    Ok(vec![format!(
        "{} can't make the {kind} `{}` again on a server with a binary log; {would}",
        session.account, object.name
    )])
}

/// A view over what is gone can be saved, but never be made again.
async fn invalid_views(session: &mut Session, shape: &Shape) -> Result<Vec<String>, VerbError> {
    let mut found = Vec::new();
    for view in shape.objects.iter().filter(|object| object.kind == Kind::View) {
        match session.rows(&format!("SHOW FIELDS FROM {}", name(&view.name))).await {
            Err(VerbError::Unavailable(why)) => return Err(VerbError::Unavailable(why)),
            Err(error) => found.push(format!("the view `{}` can't be used: {error}; drop or mend it", view.name)),
            Ok(_) => {}
        }
    }
    Ok(found)
}

/// A foreign key of another database would follow the tables that are set aside. The engine knows them all, whoever may
/// see the tables.
async fn strangers(session: &mut Session, work: &Work<'_>) -> Result<Vec<String>, VerbError> {
    let keys = match session.flavour {
        Flavour::MariaDb => "INNODB_SYS_FOREIGN",
        Flavour::MySql => "INNODB_FOREIGN",
    };
    let rows = session.rows(&format!("SELECT FOR_NAME, REF_NAME FROM information_schema.{keys}")).await?;
    let own = format!("{}/", in_the_engine(&work.names.live));
    let mut found = Vec::new();
    for row in super::grants::texts(rows) {
        if row[0].starts_with(&own) != row[1].starts_with(&own) {
            found.push(format!("a foreign key of `{}` refers to `{}`, of another database", row[0], row[1]));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_over_system_users_is_asked_for_where_there_is_one() {
        let asked = |flavour, version| globals(flavour, version).contains(&vec!["SYSTEM_USER"]);
        for version in ["8.0.16", "8.4.0", "9.1.0"] {
            assert!(asked(Flavour::MySql, version), "{version}");
        }
        assert!(!asked(Flavour::MySql, "8.0.15") && !asked(Flavour::MariaDb, "10.11.6"));
    }

    #[test]
    fn tables_without_rows_of_their_own_are_told_by_their_engines() {
        let of = |engine: &str| Table { engine: engine.into(), ..Table::default() };
        for engine in ["InnoDB", "MyISAM", "Aria", "MEMORY"] {
            assert!(keeps_its_rows(&of(engine)), "{engine}");
        }
        for engine in ["FEDERATED", "SPIDER", "CONNECT", "MRG_MyISAM"] {
            assert!(!keeps_its_rows(&of(engine)), "{engine}");
        }
    }
}
