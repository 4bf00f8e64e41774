//! Variables that the deployment's files name: `.env` for all services and jobs, `NAME.env` for one of them. Their values
//! go from the file to Google; no plugin sees one that is a secret.

use super::Region;
use crate::config::nearest;
use crate::context::StepContext;
use crate::driver::project::dotenv_variables;
use crate::model::VerbError;
use upgraded_google::{Difference, Variables};

const OF_ALL: &str = ".env";

impl Region {
    /// What the next revision has otherwise than the one that serves, with the edits of the plan.
    pub async fn differences(&self, cx: &StepContext, service: &str) -> Result<Vec<(String, Difference)>, VerbError> {
        let (own, client) = (self.own(service)?, self.client().await?);
        let variables = self.variables(cx, service, true).await?;
        cx.activity.watch(self.idle, async { Ok(client.differences(own, &variables).await?) }).await
    }

    /// Files that name variables of nothing that the operator named, each with the name that it may be meant for.
    pub fn misnamed(&self) -> Vec<(String, Option<String>)> {
        let Some(folder) = &self.project.folder else { return Vec::new() };
        let known: Vec<&str> = self.config.services.keys().chain(self.config.jobs.keys()).map(String::as_str).collect();
        // Where it can't be read, whoever needs a file of it says so.
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let files = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut found: Vec<_> = files
            .filter_map(|file| {
                let name = file.strip_suffix(OF_ALL).filter(|name| !name.is_empty() && !known.contains(name))?;
                let meant = nearest(name, known.iter().copied()).map(str::to_owned);
                Some((file, meant))
            })
            .collect();
        found.sort();
        found
    }

    /// `name`: of a service or a job, as the product calls it. `planned`: with the edits of the plan.
    pub(super) async fn variables(&self, cx: &StepContext, name: &str, planned: bool) -> Result<Variables, VerbError> {
        let mut variables = Variables::new();
        if self.project.folder.is_none() {
            return Ok(variables);
        }
        for path in [OF_ALL.to_owned(), format!("{name}.env")] {
            let bytes = match planned {
                true => self.project.planned(cx, &path).await?,
                false => self.project.raw(cx, &path).await?,
            };
            let Some(bytes) = bytes else { continue };
            let text = String::from_utf8(bytes);
            let text = text.map_err(|_| VerbError::Invalid(format!("`{path}` is not UTF-8 text")))?;
            variables.extend(dotenv_variables(&path, &text)?);
        }
        Ok(variables)
    }
}
