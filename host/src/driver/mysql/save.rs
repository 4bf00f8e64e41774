//! Saves: rows go from the server straight into the vault over several connections, and the manifest is of those rows.
//!
//! Everybody's writing is locked out until all connections see the same moment, and no longer. Where that can't be, the
//! manifest is taken once more after the rows, and the whole is repeated until nothing changed.

use super::Work;
use super::definitions::Definitions;
use super::fence;
use super::freeze;
use super::lanes::{Archive, Lane, Lanes, Rows};
use super::manifest;
use super::session::Session;
use super::shape::{Shape, is_transactional};
use super::tables;
use crate::activity::Level;
use crate::driver::server::stream::plain;
use crate::model::VerbError;
use crate::vault::MANIFEST_SUFFIX;
use std::sync::{Arc, Mutex};

const TRIES: u32 = 3;

/// The artifacts' keys, of tables, definitions and rows, and the manifest.
pub async fn save(work: &Work<'_>) -> Result<(Vec<String>, String), VerbError> {
    for _ in 0..TRIES {
        if let Some(saved) = save_once(work).await? {
            return Ok(saved);
        }
        work.cx.activity.line(Level::Warn, "somebody wrote while the database was saved; once more");
    }
    Err(VerbError::Conflict(format!(
        "`{}` was written to while it was saved, {TRIES} times; `GRANT RELOAD ON *.* TO …` lets `{}` keep writers out \
         for the moment in which a backup begins",
        work.names.live, work.located.config.user
    )))
}

/// Of the copy that a step froze. Nobody writes to it.
pub async fn save_frozen(work: &Work<'_>, step: &str) -> Result<(Vec<String>, String), VerbError> {
    let mut session = work.session().await?;
    let (database, shape) = freeze::copy_of(work, &mut session, step).await?;
    let mut lanes = Lanes::open(work).await?;
    lanes.begin().await?;
    let rows = Rows::of(&mut session, &database, &shape.tables, &work.cx.activity).await?;
    let artifacts = save_rows(work, lanes, &rows).await?;
    let manifest = manifest::text(&shape, &rows.contents());
    save_shape(work, shape, artifacts, manifest).await
}

async fn save_once(work: &Work<'_>) -> Result<Option<(Vec<String>, String)>, VerbError> {
    let database = work.names.live.as_str();
    let mut session = work.session().await?;
    let enabled = fence::enabled(&mut session, &work.names).await?;
    let mut lanes = Lanes::open(work).await?;
    let locked = lock(work, &mut session).await?;
    begin(&mut session).await?;
    lanes.begin().await?;
    if locked {
        session.set("UNLOCK TABLES").await?;
    }
    let shape = work.shape(&mut session, database, &enabled).await?;
    let rows = Rows::of(&mut session, database, &shape.tables, &work.cx.activity).await?;
    let artifacts = save_rows(work, lanes, &rows).await?;
    session.set("COMMIT").await?;
    let manifest = manifest::text(&shape, &rows.contents());
    let in_snapshots = shape.tables.iter().all(|table| is_transactional(&table.engine, session.flavour));
    if !(locked && in_snapshots) && work.manifest(&mut session, database).await? != manifest {
        return Ok(None);
    }
    save_shape(work, shape, artifacts, manifest).await.map(Some)
}

/// The artifacts' keys.
async fn save_rows(work: &Work<'_>, lanes: Lanes, rows: &Arc<Rows>) -> Result<Vec<String>, VerbError> {
    let (vault, key) = (work.driver.vault.clone(), work.key("rows"));
    let save = move |number: usize, lane: Lane| {
        let failure = Arc::new(Mutex::new(None));
        match vault.save(&format!("{key}-{}.tar", number + 1), Archive::new(lane, failure.clone())) {
            Ok(artifact) => Ok(artifact.key),
            Err(error) => {
                let reading = failure.lock().expect("no panic holds this lock").take();
                Err(reading.unwrap_or_else(|| VerbError::other("vault", error.to_string())))
            }
        }
    };
    lanes.read(rows, &work.driver.tasks, save).await
}

async fn save_shape(
    work: &Work<'_>, shape: Shape, rows: Vec<String>, manifest: String,
) -> Result<(Vec<String>, String), VerbError> {
    let (tables, definitions) = (work.key("tables.sql"), work.key("definitions.sql"));
    let bytes = [
        (tables.clone(), tables::to_sql(&shape.tables)?),
        (definitions.clone(), Definitions::from(shape).to_sql()?),
        (format!("{tables}{MANIFEST_SUFFIX}"), manifest.clone()),
    ];
    let vault = work.driver.vault.clone();
    let saving = work.driver.tasks.spawn_blocking(move || {
        bytes.iter().try_for_each(|(key, text)| vault.save_bytes(key, text.as_bytes()).map(drop))
    });
    let saved = saving.await.map_err(|error| VerbError::other("vault", format!("saving broke: {error}")))?;
    saved.map_err(|error| VerbError::other("vault", error.to_string()))?;
    Ok(([vec![tables, definitions], rows].concat(), manifest))
}

/// Whether nobody writes now.
async fn lock(work: &Work<'_>, session: &mut Session) -> Result<bool, VerbError> {
    let why = match session.set("FLUSH TABLES WITH READ LOCK").await {
        Ok(()) => return Ok(true),
        Err(error @ (VerbError::Denied(_) | VerbError::Conflict(_))) => error,
        Err(error) => return Err(error),
    };
    let message = format!("writers can't be kept out while the backup begins ({why}): its manifest is taken twice");
    work.cx.activity.line(Level::Info, message);
    Ok(false)
}

pub async fn begin(session: &mut Session) -> Result<(), VerbError> {
    session.set("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await?;
    session.set("START TRANSACTION WITH CONSISTENT SNAPSHOT").await
}

impl Work<'_> {
    /// `<deployment>/<step>/<binding>/<database>.<what>`
    fn key(&self, what: &str) -> String {
        let cx = self.cx;
        format!("{}/{}/{}/{}.{what}", cx.deployment, cx.step, cx.binding.name, plain(&self.names.live))
    }
}
