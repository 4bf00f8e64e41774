//! Saves: the dump tool's stream goes straight into the vault, and the manifest is of the same moment.
//!
//! Everybody's writing is locked out until both the manifest's transaction and the tool's have begun, and no longer.
//! Where that can't be, the manifest is taken once more after the dump, and the whole is repeated until nothing changed.

use super::Work;
use super::definitions::Definitions;
use super::fence;
use super::manifest;
use super::session::Session;
use super::shape::{Kind, Shape, is_transactional};
use crate::activity::Level;
use crate::driver::server::child::Running;
use crate::driver::server::stream::{self, FirstSeen, plain};
use crate::model::VerbError;
use crate::vault::MANIFEST_SUFFIX;
use std::time::Duration;
use tokio::sync::oneshot;

/// What the dump tool writes once its transaction has begun: the first of `-- Table structure for table …`.
const FIRST_WORDS: &[u8] = b" structure for ";
/// How long everybody else waits for the tool to begin.
const BEGINS_WITHIN: Duration = Duration::from_secs(60);
const TRIES: u32 = 3;

/// The artifacts' keys, of tables and of definitions, and the manifest.
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

async fn save_once(work: &Work<'_>) -> Result<Option<(Vec<String>, String)>, VerbError> {
    let database = work.names.live.as_str();
    let mut session = work.session().await?;
    let tools = work.tools(session.flavour).await?;
    let enabled = fence::enabled(&mut session, &work.names).await?;
    let mut locked = lock(work, &mut session).await?;
    begin(&mut session).await?;
    let shape = work.shape(&mut session, database, &enabled).await?;
    say_what_is_rounded(work, &shape);
    let views: Vec<&str> =
        shape.objects.iter().filter(|object| object.kind == Kind::View).map(|view| view.name.as_str()).collect();
    let command = tools.dump(&work.located.inside, database, &views, &work.cx.step)?;
    let (first, begun) = FirstSeen::new(FIRST_WORDS);
    let (vault, tasks, activity) = (&work.driver.vault, &work.driver.tasks, &work.cx.activity);
    let dump = stream::save(Running::start(command)?, activity, vault, work.key("tables"), tasks, Some(first));
    let read = async {
        let tool_began = wait(begun).await;
        if locked {
            session.set("UNLOCK TABLES").await?;
            locked = tool_began;
        }
        let contents = manifest::contents(&mut session, database, &shape, activity).await?;
        session.set("COMMIT").await?;
        Ok(manifest::text(&shape, &contents))
    };
    let (tables, manifest) = tokio::try_join!(dump, read)?;
    let in_snapshots = shape.tables.iter().all(|table| is_transactional(&table.engine, session.flavour));
    if !(locked && in_snapshots) && work.manifest(&mut session, database).await? != manifest {
        return Ok(None);
    }
    let definitions = work.key("definitions");
    let sql = Definitions::from(shape).to_sql()?;
    let bytes = [(definitions.clone(), sql), (format!("{tables}{MANIFEST_SUFFIX}"), manifest.clone())];
    let vault = vault.clone();
    let saving = tasks.spawn_blocking(move || {
        bytes.iter().try_for_each(|(key, text)| vault.save_bytes(key, text.as_bytes()).map(drop))
    });
    let saved = saving.await.map_err(|error| VerbError::other("vault", format!("saving broke: {error}")))?;
    saved.map_err(|error| VerbError::other("vault", error.to_string()))?;
    Ok(Some((vec![tables, definitions], manifest)))
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

/// Whether the tool has begun; it ends with its words or with its output.
async fn wait(begun: oneshot::Receiver<()>) -> bool {
    tokio::time::timeout(BEGINS_WITHIN, begun).await.is_ok()
}

fn say_what_is_rounded(work: &Work<'_>, shape: &Shape) {
    let floats = shape.tables.iter().flat_map(|table| {
        table
            .columns
            .iter()
            .filter(|(_, kind)| kind == "float")
            .map(|(column, _)| format!("`{}`.`{column}`", table.name))
    });
    let floats: Vec<String> = floats.collect();
    if !floats.is_empty() {
        let message = format!("of {} a dump keeps six digits, as the server prints FLOAT", floats.join(", "));
        work.cx.activity.line(Level::Warn, message);
    }
}

impl Work<'_> {
    /// `<deployment>/<step>/<binding>/<database>.<what>.sql`
    fn key(&self, what: &str) -> String {
        let cx = self.cx;
        format!("{}/{}/{}/{}.{what}.sql", cx.deployment, cx.step, cx.binding.name, plain(&self.names.live))
    }
}
