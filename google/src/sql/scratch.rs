//! A throw-away instance, in which a backup is proved. It costs what an instance of its size costs for as long as it is
//! there.

use super::{CloudSql, Instance};
use crate::pause::Pauses;
use crate::{Error, Heard, Result};
use google_cloud_sql_v1::model::{DatabaseInstance, Settings};

/// Only what has it is deleted: whose it is.
const LABEL: &str = "upgraded-scratch";
const TRIES: u32 = 2000;

impl CloudSql {
    /// Makes the instance `name`, as large as the bound one, and restores the backup into it. Returns when it is there.
    pub async fn prove(&self, name: &str, id: i64, heard: Heard<'_>) -> Result<Instance> {
        let mut pauses = Pauses::new(heard);
        let live = self.get(&self.instance).await?;
        let from = live.settings.clone().unwrap_or_default();
        let mut settings = Settings::new().set_tier(&from.tier).set_edition(from.edition.clone());
        settings.data_disk_size_gb = from.data_disk_size_gb;
        settings.data_disk_type = from.data_disk_type.clone();
        settings.ip_configuration.clone_from(&from.ip_configuration);
        let settings = settings.set_user_labels([(LABEL, self.instance.as_str())]);
        let wanted = DatabaseInstance::new().set_name(name).set_region(&live.region);
        let wanted = wanted.set_database_version(live.database_version.clone()).set_settings(settings);
        for _ in 0..TRIES {
            match self.get(name).await {
                Ok(made) => {
                    let made = Instance::of(&made);
                    self.ours(&made)?;
                    if made.runnable {
                        self.restore_into(name, id, heard).await?;
                        return Ok(made);
                    }
                    if made.state == "FAILED" {
                        return Err(Error::Failed(format!("the instance `{name}` could not be made")));
                    }
                    pauses.pause(&format!("`{name}` is {}", made.state)).await;
                }
                Err(Error::NotFound(_)) => {
                    let insert = self.clients().await?.instances.insert().set_project(&self.place.project);
                    self.begun(insert.set_body(wanted.clone()).send().await.map(drop), &mut pauses).await?;
                }
                Err(Error::Unavailable(why)) => pauses.pause(&why).await,
                Err(error) => return Err(error),
            }
        }
        Err(self.tired("proved in another"))
    }

    /// Deletes the instance that [`CloudSql::prove`] made; nothing where there is none, and nothing that it did not make.
    pub async fn clear(&self, name: &str, heard: Heard<'_>) -> Result<()> {
        let mut pauses = Pauses::new(heard);
        for _ in 0..TRIES {
            match self.get(name).await {
                Ok(made) => {
                    self.ours(&Instance::of(&made))?;
                    self.idle(name, &mut pauses).await?;
                    let delete = self.clients().await?.instances.delete().set_project(&self.place.project);
                    match self.begun(delete.set_instance(name).send().await.map(drop), &mut pauses).await {
                        Ok(()) | Err(Error::NotFound(_)) => {}
                        Err(error) => return Err(error),
                    }
                }
                Err(Error::NotFound(_)) => return Ok(()),
                Err(Error::Unavailable(why)) => pauses.pause(&why).await,
                Err(error) => return Err(error),
            }
        }
        Err(self.tired("freed of its double"))
    }

    fn ours(&self, made: &Instance) -> Result<()> {
        if made.name != self.instance && made.labels.get(LABEL) == Some(&self.instance) {
            return Ok(());
        }
        Err(Error::Conflict(format!("there is an instance `{}` already, which is none of ours", made.name)))
    }
}
