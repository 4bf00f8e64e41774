//! One instance of Cloud SQL. Its backups stay at Google's; the vault has a note of each, which says which it is.

use super::named::{self, Made};
use super::{heard, missing, place};
use crate::config::GoogleConfig;
use crate::context::{Site, StepContext};
use crate::driver::Machine;
use crate::model::VerbError;
use crate::plan::event::{Effect, Verdict};
use crate::plan::step::Phase;
use crate::vault::Vault;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::sync::OnceCell;
use upgraded_google::{CloudSql, Instance};

pub struct Store {
    config: GoogleConfig,
    vault: Vault,
    machine: Machine,
    idle: Duration,
    client: OnceCell<CloudSql>,
}

/// What the vault has of a backup.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    project: String,
    instance: String,
    backup: i64,
    description: String,
}

impl Store {
    pub fn new(config: GoogleConfig, vault: Vault, machine: Machine, idle: Duration) -> Self {
        Self { config, vault, machine, idle, client: OnceCell::new() }
    }

    /// Whether the operator pays for a drill.
    pub fn drills(&self) -> bool {
        self.config.drill
    }

    async fn client(&self) -> Result<&CloudSql, VerbError> {
        self.client.get_or_try_init(async || Ok(CloudSql::new(place(&self.config)?, &self.config.instance))).await
    }

    /// One whose data can't be put back is a conflict; one that can't even be backed up is invalid.
    pub async fn look(&self, cx: &StepContext) -> Result<Instance, VerbError> {
        let client = self.client().await?;
        match cx.activity.watch(self.idle, async { Ok(client.look().await?) }).await {
            Err(VerbError::NotFound(_)) => {
                let (there, place) = (client.names().await?, format!("in the project `{}`", self.config.project));
                Err(VerbError::NotFound(missing("instance", &self.config.instance, &place, &there)))
            }
            Ok(seen) => match seen.keeps_its_data() {
                Some(why) if seen.primary.is_some() => Err(VerbError::Invalid(why)),
                Some(why) => Err(VerbError::Conflict(why)),
                None => Ok(seen),
            },
            other => other,
        }
    }

    /// Of the drill's double, at a drill.
    pub async fn databases(&self, cx: &StepContext) -> Result<Vec<String>, VerbError> {
        let client = self.client().await?;
        let work = async {
            let double = match &cx.site {
                Site::Live => None,
                Site::Drill { .. } => {
                    let made = client.doubles(Some(&self.double_of(cx)?)).await?;
                    let none = || VerbError::NotFound("the drill has no instance".into());
                    Some(made.into_iter().next().ok_or_else(none)?.name)
                }
            };
            Ok(client.databases(double.as_deref()).await?)
        };
        cx.activity.watch(self.idle, work).await
    }

    /// The key of the note.
    pub async fn save(&self, cx: &StepContext) -> Result<String, VerbError> {
        cx.effects.may_change("cloud-sql.save")?;
        let (client, heard) = (self.client().await?, heard(cx));
        let key = format!("{}/{}/{}/cloud-sql", cx.deployment, cx.step, cx.binding.name);
        let work = async {
            let again = again(&cx.run, &cx.step, cx.attempt);
            let backup = client.back_up(&self.description(cx, &again)?, &heard).await?;
            let note = Note {
                project: self.config.project.clone(),
                instance: self.config.instance.clone(),
                backup: backup.id,
                description: backup.description,
            };
            let bytes = serde_json::to_vec(&note).map_err(|error| VerbError::other("note", error.to_string()))?;
            let (vault, saved) = (self.vault.clone(), key.clone());
            let done = tokio::task::spawn_blocking(move || vault.save_bytes(&saved, &bytes)).await;
            done.map_err(|error| VerbError::other("vault", error.to_string()))??;
            Ok(key.clone())
        };
        let watched = cx.activity.watch(self.idle, work);
        cx.effects.perform("cloud-sql.save", &(), &self.config.instance, true, watched).await
    }

    /// In place; what was there is backed up before. At a drill, into the drill's double. An earlier try's restore that goes
    /// on is waited for.
    pub async fn put_back(&self, cx: &StepContext, artifact: &str) -> Result<(), VerbError> {
        cx.effects.may_change("cloud-sql.put-back")?;
        let (client, heard) = (self.client().await?, heard(cx));
        let work = async {
            let note = self.saved(artifact).await?;
            if let Site::Drill { .. } = cx.site {
                client.restore_double(&self.double_of(cx)?, note.backup, &heard).await?;
                return Ok(());
            }
            let aside = client.back_up(&self.description(cx, ", set aside")?, &heard).await?;
            heard(&format!("what was there is the backup {}", aside.id));
            client.restore(note.backup, &heard).await?;
            Ok(())
        };
        let watched = cx.activity.watch(self.idle, work);
        cx.effects.perform("cloud-sql.put-back", &artifact, &self.config.instance, true, watched).await
    }

    /// An error names one that is gone.
    pub async fn check_saved(&self, cx: &StepContext, artifacts: &[String]) -> Result<(), VerbError> {
        let work = async {
            for artifact in artifacts {
                self.saved(artifact).await?;
            }
            Ok(())
        };
        cx.activity.watch(self.idle, work).await
    }

    /// Deletes what these steps saved and set aside. Converges.
    pub async fn let_go(&self, cx: &StepContext, made: &[Made]) -> Result<(), VerbError> {
        let (client, heard) = (self.client().await?, heard(cx));
        let ours: Vec<String> = made.iter().map(|(step, name)| described(&cx.deployment, step, name)).collect();
        let work = async {
            for backup in client.backups(&heard).await? {
                if ours.iter().any(|ours| backup.description.starts_with(ours)) {
                    client.delete(&backup, &heard).await?;
                }
            }
            Ok(())
        };
        let watched = cx.activity.watch(self.idle, work);
        cx.effects.perform("cloud-sql.let-go", &ours, &self.config.instance, true, watched).await
    }

    /// An empty instance beside the live one; its address of the kind that `host` is of the live one, where one is given.
    pub async fn make_double(&self, cx: &StepContext, host: Option<&str>) -> Result<String, VerbError> {
        let (client, heard, name) = (self.client().await?, heard(cx), self.double_of(cx)?);
        let work = async {
            let (live, made) = (client.look().await?, client.double(&name, &heard).await?);
            let Some(host) = host else { return Ok(String::new()) };
            let address = made.address_as(&live, host).map(str::to_owned);
            address.ok_or_else(|| VerbError::Unavailable(format!("the instance `{}` has no address", made.name)))
        };
        let watched = cx.activity.watch(self.idle, work);
        cx.effects.perform("drill.double", &(), &name, true, watched).await
    }

    pub async fn clear_double(&self, cx: &StepContext) -> Result<(), VerbError> {
        let (client, heard, name) = (self.client().await?, heard(cx), self.double_of(cx)?);
        let work = async { Ok(client.clear(&name, &heard).await?) };
        let watched = cx.activity.watch(self.idle, work);
        cx.effects.perform("drill.discard", &(), &name, true, watched).await
    }

    /// `double`: as the effects that made it have it.
    pub async fn clear_double_named(&self, double: &str) -> Result<(), VerbError> {
        self.client().await?.clear(double, &|_| {}).await.map_err(VerbError::from)
    }

    /// What tells the double of this drill from any other.
    fn double_of(&self, cx: &StepContext) -> Result<String, VerbError> {
        named::of_step(cx, &self.machine.state)
    }

    /// Whatever goes on is waited for by the verb that comes next. Every verb converges.
    pub async fn fence_and_probe(&self, _: &Effect) -> Verdict {
        Verdict::Unknown
    }

    async fn saved(&self, artifact: &str) -> Result<Note, VerbError> {
        let note = self.note(artifact).await?;
        if self.client().await?.has(note.backup).await? {
            return Ok(note);
        }
        let message = format!("the backup {} of `{}` is no longer at Google's", note.backup, note.instance);
        Err(VerbError::NotFound(message))
    }

    async fn note(&self, artifact: &str) -> Result<Note, VerbError> {
        let (vault, key) = (self.vault.clone(), artifact.to_owned());
        let bytes = tokio::task::spawn_blocking(move || vault.read_bytes(&key)).await;
        let bytes = bytes.map_err(|error| VerbError::other("vault", error.to_string()))??;
        let note: Note = serde_json::from_slice(&bytes)
            .map_err(|error| VerbError::Invalid(format!("`{artifact}` is no note of a backup: {error}")))?;
        if (&note.project, &note.instance) == (&self.config.project, &self.config.instance) {
            return Ok(note);
        }
        let message = format!(
            "`{artifact}` is of the instance `{}` of `{}`, which is another one now",
            note.instance, note.project
        );
        Err(VerbError::Invalid(message))
    }

    /// Says whose it is to a person, and to the next try.
    fn description(&self, cx: &StepContext, more: &str) -> Result<String, VerbError> {
        let name = named::of_step(cx, &self.machine.state)?;
        Ok(described(&cx.deployment, &cx.step, &name) + more)
    }
}

/// While users write, what an earlier attempt saved is older than what this one counts: it makes one of its own.
fn again(run: &str, step: &str, attempt: u32) -> String {
    let in_run = step.strip_prefix(&format!("r{run}-")).unwrap_or(step);
    match attempt > 1 && in_run.starts_with(Phase::BackupAhead.name()) {
        true => format!(", attempt {attempt}"),
        false => String::new(),
    }
}

fn described(deployment: &str, step: &str, name: &str) -> String {
    format!("upgraded: {deployment} {step} {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_saved_while_users_write_is_saved_again() {
        assert_eq!(again("12", "r12-backup-ahead-main", 1), "");
        assert_eq!(again("12", "r12-backup-ahead-main", 2), ", attempt 2");
        assert_eq!(again("12", "r12-backup-final-main", 2), "");
        let step = described("shop", "r12-backup-ahead-main", "r12-1f2e3d4c");
        assert!(
            (step.clone() + &again("12", "r12-backup-ahead-main", 3)).starts_with(&step),
            "it goes with the step's"
        );
    }
}
