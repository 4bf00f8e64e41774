//! What would go wrong later, found by asking and without changing anything: what the role may do, what the server holds,
//! and what `pg_dump` can't bring back.

use crate::facts::{Abilities, Database, Fence, Method};
use crate::names::Names;
use crate::quote;
use crate::server::{Connection, Server};
use upgraded_sdk::{Finding, MajorVersions, Result, Severity};

/// `DROP DATABASE … WITH (FORCE)` and all else that is used here.
const OLDEST: u32 = 13;
/// Named in a message.
const SHOWN: usize = 5;

pub fn run(server: &impl Server, names: &Names, unrelated: &[String]) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    match server.versions() {
        Ok(versions) => findings.extend(too_old(versions)),
        Err(error) => findings.push(Finding::blocker("tools", error.text())),
    }
    let maintenance = match server.connect(None) {
        Ok(connection) => connection,
        Err(error) => return Ok(vec![Finding::blocker("connection", error.text())]),
    };
    if maintenance.value("SELECT pg_is_in_recovery()")? == "t" {
        let message = "the server is a standby, which nothing can be restored into";
        return Ok(vec![Finding::blocker("standby", message).hint("name the primary in `server.host`")]);
    }
    let Some(live) = Database::find(&maintenance, &names.live)? else {
        return Ok(vec![Finding::blocker("database", format!("the server has no database `{}`", names.live))]);
    };
    if live.fence != Fence::Open {
        findings.push(
            Finding::warning("fenced", format!("`{}` is fenced already, as an interrupted run leaves it", names.live))
                .hint(format!("if nothing runs: `ALTER DATABASE {} ALLOW_CONNECTIONS true`", quote::name(&names.live))),
        );
    }
    let abilities = Abilities::read(&maintenance, names)?;
    findings.extend(of_abilities(&abilities, names, &size(&maintenance, names)?));
    ask(&maintenance, names, &abilities, AROUND, &mut findings)?;
    findings.extend(of_neighbours(&maintenance, names, unrelated)?);
    if live.fence != Fence::Closed {
        match server.connect(Some(&names.live)) {
            Ok(inside) => ask(&inside, names, &abilities, INSIDE, &mut findings)?,
            Err(error) => findings.push(Finding::blocker("connection", error.text())),
        }
    }
    Ok(findings)
}

fn too_old(versions: MajorVersions) -> Option<Finding> {
    (versions.server < OLDEST).then(|| {
        Finding::blocker(
            "version",
            format!("the server is PostgreSQL {}; {OLDEST} is the oldest that is known", versions.server),
        )
    })
}

fn size(maintenance: &impl Connection, names: &Names) -> Result<String> {
    maintenance.value(&format!("SELECT pg_size_pretty(pg_database_size({}))", quote::literal(&names.live)))
}

/// How writers will be kept out and what a rollback will come from. Pure.
fn of_abilities(abilities: &Abilities, names: &Names, size: &str) -> Vec<Finding> {
    let live = &names.live;
    let mut findings = vec![match abilities.method() {
        Ok(Method::Closed) => Finding::info(
            "fence",
            format!(
                "`{live}` will be closed to everybody while it is copied; the frozen copy takes {size} of the server's space"
            ),
        ),
        Ok(Method::Limited) => Finding::warning(
            "fence",
            format!(
                "there can be no frozen copy of `{live}`: {}; writers are kept out by a connection limit of 0, and a \
                 rollback restores from the vault, which takes longer",
                abilities.against_a_copy().join(", ")
            ),
        ),
        Err(why) => Finding::blocker("fence", format!("no fence would hold `{live}`: {why}"))
            .hint("`ALTER ROLE … CREATEDB` and membership in the owner's role let the host make a frozen copy"),
    }];
    if abilities.prepared > 0 {
        findings.push(Finding::warning(
            "prepared-transactions",
            format!(
                "`{live}` holds {} prepared transactions; those left when the services stop turn the run round",
                abilities.prepared
            ),
        ));
    }
    if abilities.logical_slots + abilities.subscriptions > 0 {
        findings.push(Finding::warning(
            "replication",
            format!(
                "after a rollback the {} logical slots and {} subscriptions of `{live}` stay with the database that is set aside",
                abilities.logical_slots, abilities.subscriptions
            ),
        ));
    }
    findings
}

/// Every database of the owner is somebody's: another binding's, or named as unrelated.
fn of_neighbours(maintenance: &impl Connection, names: &Names, unrelated: &[String]) -> Result<Vec<Finding>> {
    let rows = maintenance.query(&format!(
        "SELECT o.datname FROM pg_database o JOIN pg_database d ON o.datdba = d.datdba WHERE d.datname = {} \
         AND o.datname NOT IN ({}, current_database()) AND NOT o.datistemplate AND NOT starts_with(o.datname, {}) \
         AND NOT starts_with(o.datname, 'upgraded_drill_') ORDER BY 1",
        quote::literal(&names.live),
        quote::literal(&names.live),
        quote::literal(&names.prefix())
    ))?;
    let neighbours = rows.into_iter().filter_map(|row| row.into_iter().next().flatten());
    Ok(neighbours
        .filter(|neighbour| !unrelated.contains(neighbour))
        .map(|neighbour| {
            let message = format!(
                "the database `{neighbour}` has the same owner as `{}` and belongs to no datastore",
                names.live
            );
            Finding::blocker(format!("unbound-database-{neighbour}"), message)
                .hint("bind it as a datastore of its own, or list it in `unrelated`")
        })
        .collect())
}

/// A question whose answers, one name a row, are what is wrong.
struct Question {
    id: &'static str,
    severity: Severity,
    /// A superuser may do it all the same.
    superuser_may: bool,
    /// `{live}` is the database's name as a literal.
    sql: &'static str,
    /// Followed by the names.
    message: &'static str,
    hint: &'static str,
}

fn ask(
    connection: &impl Connection, names: &Names, abilities: &Abilities, questions: &[Question],
    findings: &mut Vec<Finding>,
) -> Result<()> {
    for question in questions.iter().filter(|question| !(question.superuser_may && abilities.superuser)) {
        let rows = connection.query(&question.sql.replace("{live}", &quote::literal(&names.live)))?;
        let found: Vec<String> = rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
        if found.is_empty() {
            continue;
        }
        let shown = found.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let more = found.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let finding = Finding::new(question.id, question.severity, format!("{}: {shown}{more}", question.message));
        findings.push(if question.hint.is_empty() { finding } else { finding.hint(question.hint) });
    }
    Ok(())
}

/// Asked over the maintenance connection.
const AROUND: &[Question] = &[
    Question {
        id: "connections",
        severity: Severity::Blocker,
        superuser_may: true,
        sql: "SELECT DISTINCT a.usename FROM pg_stat_activity a JOIN pg_roles r ON r.oid = a.usesysid \
            WHERE a.datname = {live} AND (r.rolsuper OR NOT pg_has_role(r.oid, 'USAGE') \
            AND NOT pg_has_role('pg_signal_backend', 'USAGE'))",
        message: "the host may not end the connections of the roles",
        hint: "`GRANT pg_signal_backend TO …` lets it; nobody but a superuser ends a superuser's",
    },
    Question {
        id: "settings",
        severity: Severity::Blocker,
        superuser_may: true,
        sql: "SELECT DISTINCT split_part(s, '=', 1) FROM pg_db_role_setting r JOIN pg_database d ON d.oid = r.setdatabase, \
            unnest(r.setconfig) s LEFT JOIN pg_settings g ON g.name = split_part(s, '=', 1) \
            WHERE d.datname = {live} AND (g.name IS NULL OR g.context NOT IN ('user', 'backend') \
            OR r.setrole <> 0 AND r.setrole <> (SELECT oid FROM pg_roles WHERE rolname = current_user) \
             AND NOT (SELECT rolcreaterole FROM pg_roles WHERE rolname = current_user))",
        message: "settings of the database that the role may not give to a copy",
        hint: "a superuser as `server.user` may; or the application sets them itself",
    },
    Question {
        id: "tablespace",
        severity: Severity::Blocker,
        superuser_may: true,
        sql: "SELECT t.spcname FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace \
            WHERE d.datname = {live} AND t.spcname <> 'pg_default' AND NOT has_tablespace_privilege(t.oid, 'CREATE')",
        message: "the role may not make databases in the tablespace",
        hint: "`GRANT CREATE ON TABLESPACE …`",
    },
    Question {
        id: "durability",
        severity: Severity::Warning,
        superuser_may: false,
        sql: "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off'",
        message: "the server may lose data at a power cut, because these settings are off",
        hint: "",
    },
];

/// Asked inside the live database.
const INSIDE: &[Question] = &[
    Question {
        id: "extension-missing",
        severity: Severity::Blocker,
        superuser_may: false,
        sql: "SELECT extname FROM pg_extension WHERE extname NOT IN (SELECT name FROM pg_available_extensions) ORDER BY 1",
        message: "extensions whose files are no longer on the server, so that no backup can be restored",
        hint: "install the server's packages of the extensions",
    },
    Question {
        id: "extension-version",
        severity: Severity::Blocker,
        superuser_may: false,
        sql: "SELECT e.extname || ' ' || e.extversion || ' (a restore would bring ' || a.default_version || ')' \
            FROM pg_extension e JOIN pg_available_extensions a ON a.name = e.extname \
            WHERE e.extversion <> a.default_version ORDER BY 1",
        message: "extensions of another version than `pg_restore` would bring back",
        hint: "`ALTER EXTENSION … UPDATE`",
    },
    Question {
        id: "extension-untrusted",
        severity: Severity::Blocker,
        superuser_may: true,
        sql: "SELECT e.extname FROM pg_extension e JOIN pg_available_extension_versions v \
            ON v.name = e.extname AND v.version = e.extversion WHERE v.superuser AND NOT v.trusted ORDER BY 1",
        message: "extensions that only a superuser can bring back",
        hint: "a superuser as `server.user`",
    },
    Question {
        id: "owners",
        severity: Severity::Blocker,
        superuser_may: true,
        sql: "SELECT DISTINCT pg_get_userbyid(x.owner) FROM (SELECT 'pg_class'::regclass, oid, relowner FROM pg_class \
            UNION ALL SELECT 'pg_proc'::regclass, oid, proowner FROM pg_proc \
            UNION ALL SELECT 'pg_type'::regclass, oid, typowner FROM pg_type \
            UNION ALL SELECT 'pg_namespace'::regclass, oid, nspowner FROM pg_namespace WHERE nspname !~ '^pg_') x(catalog, oid, owner) \
            WHERE x.oid >= 16384 AND NOT pg_has_role(x.owner, 'USAGE') AND NOT EXISTS (SELECT FROM pg_depend d \
             WHERE d.classid = x.catalog AND d.objid = x.oid AND d.deptype IN ('e', 'i')) ORDER BY 1",
        message: "the host may not make objects of the roles that own some",
        hint: "`GRANT …` the roles to `server.user`",
    },
    Question {
        id: "unreadable-tables",
        severity: Severity::Blocker,
        superuser_may: true,
        sql: "SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
            WHERE c.relkind IN ('r', 'p', 'S') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
            AND (NOT has_table_privilege(c.oid, 'SELECT') OR c.relrowsecurity \
             AND (c.relforcerowsecurity OR NOT pg_has_role(c.relowner, 'USAGE')) \
             AND NOT (SELECT rolbypassrls FROM pg_roles WHERE rolname = current_user)) ORDER BY 1",
        message: "tables that the role can't read in full",
        hint: "`GRANT` the owner's role, or `BYPASSRLS`, to `server.user`",
    },
    Question {
        id: "event-triggers",
        severity: Severity::Blocker,
        superuser_may: true,
        sql: "SELECT evtname FROM pg_event_trigger ORDER BY 1",
        message: "event triggers that only a superuser can bring back",
        hint: "a superuser as `server.user`",
    },
    Question {
        id: "foreign-tables",
        severity: Severity::Warning,
        superuser_may: false,
        sql: "SELECT c.oid::regclass FROM pg_class c WHERE c.relkind = 'f' ORDER BY 1",
        message: "foreign tables, whose rows lie elsewhere and are in no backup",
        hint: "",
    },
    Question {
        id: "unlogged-tables",
        severity: Severity::Warning,
        superuser_may: false,
        sql: "SELECT c.oid::regclass FROM pg_class c WHERE c.relkind = 'r' AND c.relpersistence = 'u' ORDER BY 1",
        message: "unlogged tables, which a crash of the server empties, also in a frozen copy",
        hint: "",
    },
    Question {
        id: "tablespaces",
        severity: Severity::Info,
        superuser_may: false,
        sql: "SELECT DISTINCT t.spcname FROM pg_class c JOIN pg_tablespace t ON t.oid = c.reltablespace \
            WHERE t.spcname <> 'pg_global' ORDER BY 1",
        message: "the database lies in several tablespaces, and so will its copies",
        hint: "",
    },
];
