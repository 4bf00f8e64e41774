//! A throw-away instance, in which a backup is proved. It costs what an instance of its size costs for as long as it is
//! there.
//!
//! The name of an instance that was deleted can't be used again for a week. So a throw-away instance is found by labels,
//! and has a name of its own each time. `step` is the label's value: it tells one daemon's step from any other's.

use super::{CloudSql, Instance};
use crate::pause::Pauses;
use crate::{Error, Heard, Result};
use google_cloud_sql_v1::model::{DatabaseInstance, Settings};
use std::time::{SystemTime, UNIX_EPOCH};

/// The instance that it is a double of: only what has it is deleted.
const LABEL: &str = "upgraded-double-of";
const STEP: &str = "upgraded-step";
/// An instance takes minutes to be made.
const TRIES: u32 = 2000;
const MOST_LETTERS: usize = 60;
/// What a label's value may have.
const LABEL_LETTERS: usize = 63;

impl CloudSql {
    /// Makes an instance as large as the bound one, and returns when it is there. One of this step that is there already
    /// is this one.
    pub async fn double(&self, step: &str, heard: Heard<'_>) -> Result<Instance> {
        let mut pauses = Pauses::new(heard);
        let live = self.get(&self.instance).await?;
        for _ in 0..TRIES {
            match self.doubles(Some(step)).await {
                Ok(made) if made.is_empty() => {
                    let insert = self.clients().await?.instances.insert().set_project(&self.place.project);
                    let insert = insert.set_body(self.like(&live, step));
                    self.begun(insert.send().await.map(drop), &mut pauses).await?;
                }
                Ok(made) => match &made[0] {
                    made if made.runnable => return Ok(made.clone()),
                    made if made.state == "FAILED" => {
                        return Err(Error::Failed(format!("the instance `{}` could not be made", made.name)));
                    }
                    made => pauses.pause(&format!("`{}` is {}", made.name, made.state)).await,
                },
                Err(Error::Unavailable(why)) => pauses.pause(&why).await,
                Err(error) => return Err(error),
            }
        }
        Err(self.tired("doubled"))
    }

    /// Restores the backup of the bound instance into the step's double.
    pub async fn restore_double(&self, step: &str, id: i64, heard: Heard<'_>) -> Result<()> {
        let double = self.double(step, heard).await?;
        self.restore_into(&double.name, id, heard).await
    }

    /// Deletes the step's doubles; nothing where there is none, and nothing that [`CloudSql::double`] did not make.
    pub async fn clear(&self, step: &str, heard: Heard<'_>) -> Result<()> {
        let mut pauses = Pauses::new(heard);
        for _ in 0..TRIES {
            let made = match self.doubles(Some(step)).await {
                Ok(made) => made,
                Err(Error::Unavailable(why)) => {
                    pauses.pause(&why).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let Some(made) = made.first() else { return Ok(()) };
            // Of one that is gone, nothing can be asked any more.
            if made.state == "PENDING_DELETE" {
                pauses.pause(&format!("`{}` is {}", made.name, made.state)).await;
                continue;
            }
            self.idle(&made.name, &mut pauses).await?;
            let delete = self.clients().await?.instances.delete().set_project(&self.place.project);
            match self.begun(delete.set_instance(&made.name).send().await.map(drop), &mut pauses).await {
                Ok(()) | Err(Error::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(self.tired("freed of its double"))
    }

    /// Of the bound instance, by the step that made them; none: by any.
    pub async fn doubles(&self, step: Option<&str>) -> Result<Vec<Instance>> {
        let (all, of) = (self.instances().await?, self.beginning(LABEL_LETTERS));
        let ours = |made: &Instance| {
            let labelled = |key: &str, value: &str| made.labels.get(key).is_some_and(|found| found == value);
            made.name != self.instance && labelled(LABEL, &of) && step.is_none_or(|step| labelled(STEP, step))
        };
        Ok(all.into_iter().filter(ours).collect())
    }

    fn like(&self, live: &DatabaseInstance, step: &str) -> DatabaseInstance {
        let from = live.settings.clone().unwrap_or_default();
        let mut settings = Settings::new().set_tier(&from.tier).set_edition(from.edition.clone());
        settings.data_disk_size_gb = from.data_disk_size_gb;
        settings.data_disk_type = from.data_disk_type.clone();
        settings.ip_configuration.clone_from(&from.ip_configuration);
        let of = self.beginning(LABEL_LETTERS);
        let settings = settings.set_user_labels([(LABEL, of.as_str()), (STEP, step)]);
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let name = format!("{}-up-{seconds:x}", self.beginning(MOST_LETTERS));
        let made = DatabaseInstance::new().set_name(name).set_region(&live.region);
        made.set_database_version(live.database_version.clone()).set_settings(settings)
    }

    fn beginning(&self, letters: usize) -> String {
        self.instance.chars().take(letters).collect()
    }
}
