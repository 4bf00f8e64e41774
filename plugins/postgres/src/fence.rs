//! Keeps everybody but the host from writing, reboot or not, and says by which evidence that held.
//!
//! Where a frozen copy will be made, the database is closed: `ALLOW_CONNECTIONS false` lets nobody in, and a closed
//! database can still be copied. Its evidence is the version of its own row in `pg_database`: as long as that stands,
//! the fence was never lifted, so nobody wrote. Elsewhere the limit of connections is 0, which holds all but superusers;
//! its evidence is the row's version and what [`crate::evidence`] finds inside.

use crate::evidence;
use crate::facts::{Abilities, Database, Fence, LIMIT_SETTING, Method};
use crate::names::Names;
use crate::quote;
use crate::server::{Connection, Server};
use upgraded_sdk::{Error, Result};

/// Looks at who is still connected, a tenth of a second apart.
const LOOKS: u32 = 300;

/// The mark. Stays as it is where a fence stands already.
pub fn fence(server: &impl Server, names: &Names) -> Result<String> {
    let maintenance = server.connect(None)?;
    let database = Database::live(&maintenance, names)?;
    let abilities = Abilities::read(&maintenance, names)?;
    if abilities.prepared > 0 {
        return Err(Error::conflict(format!(
            "`{}` holds {} prepared transactions that somebody must commit or roll back (`pg_prepared_xacts`)",
            names.live, abilities.prepared
        )));
    }
    if database.fence == Fence::Open {
        match abilities.method().map_err(|why| Error::other("no-fence", format!("`{}`: {why}", names.live)))? {
            Method::Closed => close(&maintenance, &names.live)?,
            Method::Limited => limit(&maintenance, &names.live, database.limit)?,
        }
    }
    end_others(&maintenance, &names.live)?;
    mark_of(server, &maintenance, names)
}

pub fn mark(server: &impl Server, names: &Names) -> Result<String> {
    mark_of(server, &server.connect(None)?, names)
}

/// Writers get in again; only what the fence changed is put back.
pub fn unfence(server: &impl Server, names: &Names) -> Result<()> {
    let maintenance = server.connect(None)?;
    let database = Database::live(&maintenance, names)?;
    let live = quote::name(&names.live);
    match database.fence {
        Fence::Open => Ok(()),
        Fence::Closed => maintenance.execute(&format!("ALTER DATABASE {live} ALLOW_CONNECTIONS true")).map(|_| ()),
        Fence::Limited => maintenance
            .execute(&format!(
                "ALTER DATABASE {live} ALLOW_CONNECTIONS true CONNECTION LIMIT {}; \
                 ALTER DATABASE {live} RESET \"{LIMIT_SETTING}\"",
                database.limit
            ))
            .map(|_| ()),
    }
}

pub fn close(maintenance: &impl Connection, database: &str) -> Result<()> {
    maintenance.execute(&format!("ALTER DATABASE {} ALLOW_CONNECTIONS false", quote::name(database)))?;
    Ok(())
}

/// One transaction: the limit is never 0 without the former one being known.
fn limit(maintenance: &impl Connection, database: &str, former: i64) -> Result<()> {
    let name = quote::name(database);
    maintenance.execute(&format!(
        "ALTER DATABASE {name} SET \"{LIMIT_SETTING}\" TO '{former}'; ALTER DATABASE {name} CONNECTION LIMIT 0"
    ))?;
    Ok(())
}

/// Ends every connection to a database but those of this step, and waits until they are gone: what they wrote is then
/// committed or not, and counted in the statistics.
pub fn end_others(maintenance: &impl Connection, database: &str) -> Result<()> {
    let others = format!(
        "FROM pg_stat_activity WHERE datname = {} AND pid <> pg_backend_pid() AND backend_type <> 'autovacuum worker'",
        quote::literal(database)
    );
    for look in 0..LOOKS {
        if maintenance.value(&format!("SELECT count(*) {others}"))? == "0" {
            return Ok(());
        }
        if look % 10 == 0 {
            maintenance.execute(&format!("SELECT pg_terminate_backend(pid) {others}"))?;
        }
        maintenance.query("SELECT pg_sleep(0.1)")?;
    }
    let who = maintenance
        .query(&format!("SELECT DISTINCT concat_ws(' ', usename, application_name, backend_type) {others}"))?;
    let who: Vec<String> = who.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
    Err(Error::conflict(format!("`{database}` has connections that don't end: {}", who.join(", "))))
}

fn mark_of(server: &impl Server, maintenance: &impl Connection, names: &Names) -> Result<String> {
    let database = Database::live(maintenance, names)?;
    let (oid, version) = (&database.oid, &database.version);
    match database.fence {
        Fence::Closed => Ok(format!("closed {oid} {version}")),
        Fence::Limited | Fence::Open => {
            let connection = server.connect(Some(&names.live))?;
            // Who came in behind the fence may have written what the statistics don't show yet.
            let guests = match database.fence {
                Fence::Limited => guests(maintenance, names)?,
                Fence::Open | Fence::Closed => String::new(),
            };
            Ok(format!("open {oid} {version} {}{guests}", evidence::read(&connection)?))
        }
    }
}

/// Superusers that came in although the fence stands. One that is idle has its writes counted after ten seconds at the
/// latest; one that is in the midst of writing is a word of the mark.
fn guests(maintenance: &impl Connection, names: &Names) -> Result<String> {
    let found = format!(
        "FROM pg_stat_activity WHERE datname = {} AND backend_type = 'client backend' \
         AND NOT starts_with(application_name, 'upgraded/')",
        quote::literal(&names.live)
    );
    if maintenance.value(&format!("SELECT count(*) {found}"))? == "0" {
        return Ok(String::new());
    }
    maintenance.query("SELECT pg_sleep(11)")?;
    // Servers before 15 count only when the guest does something.
    let rows = maintenance.query(&format!(
        "SELECT ' guest-' || pid {found} AND (backend_xid IS NOT NULL \
         OR current_setting('server_version_num')::int < 150000) ORDER BY pid"
    ))?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
}
