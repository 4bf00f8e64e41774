//! One instance of Cloud SQL: backed up, restored in place, restored into a throw-away instance.
//!
//! One operation at a time is what an instance takes, and operations go on when whoever began them is gone. So each verb
//! first waits until the instance is idle, and looks for what an earlier try of its own left: a backup by its
//! description, a restore by the backup that it restores, an instance by its name.

mod instance;
mod scratch;

pub use instance::Instance;

use crate::pause::Pauses;
use crate::place::backoff;
use crate::{Error, Heard, Place, Result};
use google_cloud_sql_v1::client::{
    SqlBackupRunsService, SqlDatabasesService, SqlInstancesService, SqlOperationsService,
};
use google_cloud_sql_v1::model::operation::{SqlOperationStatus, SqlOperationType};
use google_cloud_sql_v1::model::{
    BackupRun, DatabaseInstance, InstancesRestoreBackupRequest, Operation, RestoreBackupContext, SqlBackupRunStatus,
};
use std::collections::BTreeSet;
use tokio::sync::OnceCell;

/// Of what passes by itself: another operation at work, quota, a server that is away.
const TRIES: u32 = 200;

pub struct CloudSql {
    place: Place,
    instance: String,
    clients: OnceCell<Clients>,
}

struct Clients {
    instances: SqlInstancesService,
    backups: SqlBackupRunsService,
    operations: SqlOperationsService,
    databases: SqlDatabasesService,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    pub id: i64,
    pub description: String,
}

impl CloudSql {
    /// Asks nobody yet.
    pub fn new(place: Place, instance: &str) -> Self {
        Self { place, instance: instance.to_owned(), clients: OnceCell::new() }
    }

    pub fn name(&self) -> &str {
        &self.instance
    }

    fn about(&self) -> String {
        format!("the instance `{}` of the project `{}`", self.instance, self.place.project)
    }

    async fn clients(&self) -> Result<&Clients> {
        self.clients.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Clients> {
        let (credentials, _) = self.place.login()?;
        macro_rules! client {
            ($kind:ident) => {{
                let mut builder = $kind::builder().with_credentials(credentials.clone());
                if let Some(endpoint) = &self.place.endpoint {
                    builder = builder.with_endpoint(endpoint.clone());
                }
                let built = builder.with_backoff_policy(backoff()?).build().await;
                built.map_err(|error| Error::Denied(format!("there is no client of Cloud SQL: {error}")))?
            }};
        }
        Ok(Clients {
            instances: client!(SqlInstancesService),
            backups: client!(SqlBackupRunsService),
            operations: client!(SqlOperationsService),
            databases: client!(SqlDatabasesService),
        })
    }

    pub async fn look(&self) -> Result<Instance> {
        self.get(&self.instance).await.map(|instance| Instance::of(&instance))
    }

    async fn get(&self, name: &str) -> Result<DatabaseInstance> {
        let get = self.clients().await?.instances.get().set_project(&self.place.project).set_instance(name);
        get.send().await.map_err(|error| Error::of(&self.about(), &error))
    }

    /// All of the project, also those of others.
    pub async fn names(&self) -> Result<Vec<String>> {
        Ok(self.instances().await?.into_iter().map(|instance| instance.name).collect())
    }

    async fn instances(&self) -> Result<Vec<Instance>> {
        let (mut all, mut page) = (Vec::new(), String::new());
        loop {
            let list = self.clients().await?.instances.list().set_project(&self.place.project).set_page_token(&page);
            let answer = list.send().await.map_err(|error| Error::of("the list of instances", &error))?;
            all.extend(answer.items.iter().map(Instance::of));
            page = answer.next_page_token;
            if page.is_empty() {
                return Ok(all);
            }
        }
    }

    /// Sorted names of its databases.
    pub async fn databases(&self, instance: Option<&str>) -> Result<Vec<String>> {
        let list = self.clients().await?.databases.list().set_project(&self.place.project);
        let list = list.set_instance(instance.unwrap_or(&self.instance));
        let answer = list.send().await.map_err(|error| Error::of(&format!("databases of {}", self.about()), &error))?;
        let mut names: Vec<String> = answer.items.into_iter().map(|database| database.name).collect();
        names.sort();
        Ok(names)
    }

    /// Makes an on-demand backup, and returns when the list says that it is `SUCCESSFUL`. One with this description that
    /// is there already is this one, and then nothing is waited for: what came after it may be under way.
    pub async fn back_up(&self, description: &str, heard: Heard<'_>) -> Result<Backup> {
        let mut pauses = Pauses::new(heard);
        if let Some(made) = self.made(description, &mut pauses).await? {
            return Ok(made);
        }
        for _ in 0..TRIES {
            self.idle(&self.instance, &mut pauses).await?;
            match self.run_of(description, &mut pauses).await? {
                Some(run) if run.status == SqlBackupRunStatus::Successful => {
                    return Ok(Backup { id: run.id, description: run.description });
                }
                Some(run) if run.status == SqlBackupRunStatus::Failed => {
                    let why = run.error.map(|error| error.message).unwrap_or_default();
                    return Err(Error::Failed(format!("the backup {} of {} failed: {why}", run.id, self.about())));
                }
                Some(run) => {
                    pauses.pause(&format!("backup {} is {:?}", run.id, run.status)).await;
                    continue;
                }
                None => {}
            }
            let insert = self.clients().await?.backups.insert().set_project(&self.place.project);
            let insert = insert.set_instance(&self.instance).set_body(BackupRun::new().set_description(description));
            self.begun(insert.send().await.map(drop), &mut pauses).await?;
        }
        Err(self.tired("backed up"))
    }

    /// All that are good, whoever made them.
    pub async fn backups(&self, heard: Heard<'_>) -> Result<Vec<Backup>> {
        let mut all = Vec::new();
        let collect = |run: &BackupRun| {
            if run.status == SqlBackupRunStatus::Successful {
                all.push(Backup { id: run.id, description: run.description.clone() });
            }
            false
        };
        self.first_run(collect, &mut Pauses::new(heard)).await?;
        Ok(all)
    }

    /// The backup with this description, where it is good.
    pub async fn find(&self, description: &str) -> Result<Option<Backup>> {
        self.made(description, &mut Pauses::new(&|_| {})).await
    }

    async fn made(&self, description: &str, pauses: &mut Pauses<'_>) -> Result<Option<Backup>> {
        let run = self.run_of(description, pauses).await?;
        let run = run.filter(|run| run.status == SqlBackupRunStatus::Successful);
        Ok(run.map(|run| Backup { id: run.id, description: run.description }))
    }

    /// Whether this backup is in the list, and `SUCCESSFUL`.
    pub async fn has(&self, id: i64) -> Result<bool> {
        let get = self.clients().await?.backups.get().set_project(&self.place.project).set_instance(&self.instance);
        match get.set_id(id).send().await.map_err(|error| Error::of(&self.about(), &error)) {
            Ok(run) => Ok(run.status == SqlBackupRunStatus::Successful),
            Err(Error::NotFound(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whatever the instance holds becomes what the backup holds.
    pub async fn restore(&self, id: i64, heard: Heard<'_>) -> Result<()> {
        self.restore_into(&self.instance, id, heard).await
    }

    async fn restore_into(&self, target: &str, id: i64, heard: Heard<'_>) -> Result<()> {
        let mut pauses = Pauses::new(heard);
        let of_this = |operation: &Operation| {
            operation.operation_type == SqlOperationType::RestoreVolume
                && operation.backup_context.as_ref().is_some_and(|context| context.backup_id == id)
        };
        let operations = self.operations(target, &mut pauses).await?;
        // What goes on already was begun by an earlier try; what has ended may be of another time.
        let mut ours = operations.iter().find(|o| of_this(o) && !is_done(o)).map(|o| o.name.clone());
        let known: BTreeSet<String> = operations.into_iter().map(|operation| operation.name).collect();
        for _ in 0..TRIES {
            if let Some(name) = &ours {
                return self.until_done(name, &mut pauses).await;
            }
            self.idle(target, &mut pauses).await?;
            let context = RestoreBackupContext::new().set_backup_run_id(id).set_instance_id(&self.instance);
            let request = InstancesRestoreBackupRequest::new()
                .set_restore_backup_context(context.set_project(&self.place.project));
            let restore = self.clients().await?.instances.restore_backup().set_project(&self.place.project);
            match restore.set_instance(target).set_body(request).send().await {
                Ok(operation) => ours = Some(operation.name),
                Err(error) => {
                    self.begun(Err(error), &mut pauses).await?;
                    let now = self.operations(target, &mut pauses).await?;
                    ours = now.into_iter().find(|o| of_this(o) && !known.contains(&o.name)).map(|o| o.name);
                }
            }
        }
        Err(self.tired("restored"))
    }

    /// Nothing where it is gone already.
    pub async fn delete(&self, backup: &Backup, heard: Heard<'_>) -> Result<()> {
        let mut pauses = Pauses::new(heard);
        for _ in 0..TRIES {
            self.idle(&self.instance, &mut pauses).await?;
            if !self.has(backup.id).await? {
                return Ok(());
            }
            let delete = self.clients().await?.backups.delete().set_project(&self.place.project);
            let delete = delete.set_instance(&self.instance).set_id(backup.id);
            match self.begun(delete.send().await.map(drop), &mut pauses).await {
                Ok(()) | Err(Error::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(self.tired("freed of a backup"))
    }

    /// What passes is waited for; the caller looks at what there is.
    async fn begun(
        &self, answer: std::result::Result<(), google_cloud_gax::error::Error>, pauses: &mut Pauses<'_>,
    ) -> Result<()> {
        match answer.map_err(|error| Error::of(&self.about(), &error)) {
            Ok(()) => Ok(()),
            Err(error @ (Error::Conflict(_) | Error::Unavailable(_))) => {
                pauses.pause(&error.to_string()).await;
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Newest first.
    async fn operations(&self, instance: &str, pauses: &mut Pauses<'_>) -> Result<Vec<Operation>> {
        let mut tries = 0;
        loop {
            let list = self.clients().await?.operations.list().set_project(&self.place.project).set_instance(instance);
            match list.send().await.map_err(|error| Error::of(&self.about(), &error)) {
                Ok(answer) => return Ok(answer.items),
                Err(Error::Unavailable(why)) if tries < TRIES => pauses.pause(&why).await,
                Err(error) => return Err(error),
            }
            tries += 1;
        }
    }

    /// Waits until nothing is under way.
    async fn idle(&self, instance: &str, pauses: &mut Pauses<'_>) -> Result<()> {
        loop {
            let operations = self.operations(instance, pauses).await?;
            let Some(busy) = operations.iter().find(|operation| !is_done(operation)) else { return Ok(()) };
            pause_for(busy, pauses).await;
        }
    }

    async fn until_done(&self, name: &str, pauses: &mut Pauses<'_>) -> Result<()> {
        loop {
            let get = self.clients().await?.operations.get().set_project(&self.place.project).set_operation(name);
            match get.send().await.map_err(|error| Error::of(&self.about(), &error)) {
                Ok(operation) if is_done(&operation) => {
                    let errors = operation.error.map(|error| error.errors).unwrap_or_default();
                    let said: Vec<String> = errors.into_iter().map(|error| error.message).collect();
                    return match said.is_empty() {
                        true => Ok(()),
                        false => Err(Error::Failed(format!("{}: {}", self.about(), said.join("; ")))),
                    };
                }
                Ok(operation) => pause_for(&operation, pauses).await,
                Err(Error::Unavailable(why)) => pauses.pause(&why).await,
                Err(error) => return Err(error),
            }
        }
    }

    async fn run_of(&self, description: &str, pauses: &mut Pauses<'_>) -> Result<Option<BackupRun>> {
        self.first_run(|run| run.description == description, pauses).await
    }

    /// Newest first.
    async fn first_run(
        &self, mut wanted: impl FnMut(&BackupRun) -> bool, pauses: &mut Pauses<'_>,
    ) -> Result<Option<BackupRun>> {
        let (mut page, mut tries) = (String::new(), 0);
        loop {
            let list = self.clients().await?.backups.list().set_project(&self.place.project);
            let list = list.set_instance(&self.instance).set_page_token(&page);
            match list.send().await.map_err(|error| Error::of(&self.about(), &error)) {
                Ok(answer) => {
                    if let Some(run) = answer.items.into_iter().find(&mut wanted) {
                        return Ok(Some(run));
                    }
                    page = answer.next_page_token;
                    if page.is_empty() {
                        return Ok(None);
                    }
                }
                Err(Error::Unavailable(why)) if tries < TRIES => pauses.pause(&why).await,
                Err(error) => return Err(error),
            }
            tries += 1;
        }
    }

    fn tired(&self, what: &str) -> Error {
        Error::Unavailable(format!("{} could not be {what}: it was refused {TRIES} times", self.about()))
    }
}

/// One that Google says is running lives; one that is queued may be stuck.
async fn pause_for(operation: &Operation, pauses: &mut Pauses<'_>) {
    let state = format!("{:?} is {:?}", operation.operation_type, operation.status);
    match operation.status {
        SqlOperationStatus::Running => pauses.alive(&state).await,
        _ => pauses.pause(&state).await,
    }
}

fn is_done(operation: &Operation) -> bool {
    operation.status == SqlOperationStatus::Done
}
