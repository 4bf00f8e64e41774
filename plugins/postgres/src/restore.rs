//! Brings data back: builds beside the live name, compares, and flips with two renames in one transaction. What was live
//! is set aside as this step's copy; the fence stays as it was.
//!
//! **A frozen copy that is swapped in is used up**: its name is gone, and the note of what it replaced says which database
//! took the live name, from which step, and with which evidence of its last write. Asked for the same frozen copy again,
//! by a repeat of this step or by a later one, that database counts as the frozen copy as long as its evidence stands. Once
//! somebody has written, only the vault has what the frozen copy held, and the answer is `conflict`: the bytes of a
//! quiesce are never mixed with later ones.

use crate::copies::{drop_database, in_snapshot, opened};
use crate::evidence;
use crate::facts::{Abilities, Database, Fence, LIMIT_SETTING};
use crate::fence::{close, end_others};
use crate::manifest::{self, Extent};
use crate::names::Names;
use crate::note::{Note, Replacement};
use crate::properties::Properties;
use crate::public::Public;
use crate::quote;
use crate::server::{Connection, Server};
use upgraded_sdk::{BackupRef, Error, Result};

pub fn from_frozen(server: &impl Server, names: &Names, step: &str) -> Result<()> {
    let maintenance = server.connect(None)?;
    let copy = names.copy(step);
    let Some(found) = Database::find(&maintenance, &copy)? else {
        return used_up(server, &maintenance, names, step);
    };
    let evidence = opened(server, names, &copy, evidence::read)?;
    let note = Note::read(found.comment.as_deref());
    let note = note.ok_or_else(|| Error::conflict(format!("`{copy}` is no frozen copy of ours")))?;
    let replacement = Replacement { oid: found.oid, frozen: Some(step.into()), evidence: Some(evidence) };
    flip(&maintenance, names, &copy, replacement, note.limit, note.comment)
}

pub fn from_backup(server: &impl Server, names: &Names, backup: &BackupRef) -> Result<()> {
    let maintenance = server.connect(None)?;
    let aside = Note::of(&maintenance, &names.copy(&names.step))?;
    let live = Database::find(&maintenance, &names.live)?;
    if let (Some(Replacement { oid, frozen: None, .. }), Some(live)) = (aside.and_then(|note| note.replaced_by), &live)
        && oid == live.oid
    {
        return Ok(());
    }
    let [artifact] = &backup.artifacts[..] else {
        return Err(Error::invalid(format!("a backup is one artifact, not {}", backup.artifacts.len())));
    };
    let properties = Properties::parse(&backup.manifest)?;
    let making = names.making();
    drop_database(&maintenance, &making)?;
    let limit = if Abilities::is_superuser(&maintenance)? { 0 } else { -1 };
    maintenance.execute(&properties.create(&making, limit))?;
    server.restore(&making, artifact)?;
    mend_public(server, &making, &properties)?;
    let mut sql = properties.grant(&maintenance, &making)?;
    sql.extend(properties.label(&making));
    let note = Note {
        upgraded_step: names.step.clone(),
        limit: properties.limit,
        comment: properties.comment.clone(),
        replaced_by: None,
    };
    sql.push(format!("COMMENT ON DATABASE {} IS {}", quote::name(&making), quote::literal(&note.text())));
    maintenance.execute(&sql.join("; "))?;
    count(server, names, &making, backup)?;
    let made = Database::find(&maintenance, &making)?;
    let made = made.ok_or_else(|| Error::not_found(format!("`{making}` is gone")))?;
    let replacement = Replacement { oid: made.oid, frozen: None, evidence: None };
    flip(&maintenance, names, &making, replacement, properties.limit, properties.comment)
}

/// The schema `public` is whose it was, as far as we may say so: what differs all the same is told once it is counted.
fn mend_public(server: &impl Server, making: &str, properties: &Properties) -> Result<()> {
    let Some(wanted) = &properties.public else { return Ok(()) };
    let inside = server.connect(Some(making))?;
    let Some(found) = Public::read(&inside)? else { return Ok(()) };
    let sql = wanted.changes(&found);
    if sql.is_empty() {
        return Ok(());
    }
    match inside.execute(&sql.join("; ")) {
        Ok(_) | Err(Error::Denied(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// What was restored is what was saved, in brief: users wait, and whoever asked for the restore holds every row against the
/// backup once it is live. Then the planner learns about it, or the old version would start slowly.
fn count(server: &impl Server, names: &Names, making: &str, backup: &BackupRef) -> Result<()> {
    let connection = server.connect(Some(making))?;
    let found = in_snapshot(&connection, || manifest::take(server, &connection, making, Extent::Brief))?;
    if let Some(difference) = manifest::difference(&backup.manifest, &found) {
        return Err(Error::other(
            "restore-differs",
            format!("the backup of `{}` restores to something else: {difference}", names.live),
        ));
    }
    connection.execute("ANALYZE")?;
    Ok(())
}

/// The frozen copy's name is gone: it may be what is live.
fn used_up(server: &impl Server, maintenance: &impl Connection, names: &Names, step: &str) -> Result<()> {
    let live = Database::live(maintenance, names)?;
    let took = |(_, note): (String, Note)| {
        note.replaced_by.filter(|by| by.oid == live.oid && by.frozen.as_deref() == Some(step))
    };
    let Some(replacement) = Note::all(maintenance, &names.prefix())?.into_iter().find_map(took) else {
        return Err(Error::not_found(format!("the frozen copy that `{step}` made of `{}` is gone", names.live)));
    };
    end_others(maintenance, &names.live)?;
    let evidence = match live.fence {
        Fence::Closed => opened_live(server, maintenance, names)?,
        Fence::Open | Fence::Limited => evidence::read(&server.connect(Some(&names.live))?)?,
    };
    if replacement.evidence == Some(evidence) {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "the frozen copy that `{step}` made is live as `{}` and has been written to since; only the final backup in the \
         vault has what it held",
        names.live
    )))
}

/// The live database behind its own fence: opened to the host for a moment.
fn opened_live(server: &impl Server, maintenance: &impl Connection, names: &Names) -> Result<String> {
    let live = quote::name(&names.live);
    maintenance.execute(&format!("ALTER DATABASE {live} ALLOW_CONNECTIONS true"))?;
    let answer = server.connect(Some(&names.live)).and_then(|connection| evidence::read(&connection));
    close(maintenance, &names.live)?;
    answer
}

/// `built` takes the live name; what was live takes this step's. One transaction: both names, limits, notes and the fence.
fn flip(
    maintenance: &impl Connection, names: &Names, built: &str, replacement: Replacement, limit: i64,
    comment: Option<String>,
) -> Result<()> {
    let (live, built_name) = (quote::name(&names.live), quote::name(built));
    let former = Database::find(maintenance, &names.live)?;
    let fence = former.as_ref().map_or(Fence::Open, |former| former.fence);
    let mut sql = Vec::new();
    if let Some(former) = former {
        let copy = names.copy(&names.step);
        let aside = quote::name(&copy);
        let note = Note {
            upgraded_step: names.step.clone(),
            limit: former.limit,
            comment: former.comment,
            replaced_by: Some(replacement),
        };
        if former.fence == Fence::Limited {
            sql.push(format!("ALTER DATABASE {live} RESET \"{LIMIT_SETTING}\""));
        }
        sql.push(format!("ALTER DATABASE {live} RENAME TO {aside}"));
        sql.push(format!("ALTER DATABASE {aside} ALLOW_CONNECTIONS false CONNECTION LIMIT 0"));
        sql.push(format!("COMMENT ON DATABASE {aside} IS {}", quote::literal(&note.text())));
        // A rename needs the database to itself.
        close(maintenance, &names.live)?;
        end_others(maintenance, &names.live)?;
    }
    close(maintenance, built)?;
    end_others(maintenance, built)?;
    sql.push(format!("ALTER DATABASE {built_name} RENAME TO {live}"));
    sql.push(match fence {
        Fence::Open => format!("ALTER DATABASE {live} ALLOW_CONNECTIONS true CONNECTION LIMIT {limit}"),
        Fence::Closed => format!("ALTER DATABASE {live} CONNECTION LIMIT {limit}"),
        Fence::Limited => format!(
            "ALTER DATABASE {live} SET \"{LIMIT_SETTING}\" TO '{limit}'; \
             ALTER DATABASE {live} ALLOW_CONNECTIONS true CONNECTION LIMIT 0"
        ),
    });
    let comment = comment.map_or("NULL".to_owned(), |comment| quote::literal(&comment));
    sql.push(format!("COMMENT ON DATABASE {live} IS {comment}"));
    maintenance.execute(&sql.join("; "))?;
    Ok(())
}
