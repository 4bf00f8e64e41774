//! Variables that the deployment's files name: `.env` for all services and jobs, `NAME.env` for one of them. Their values
//! go from the file to Google; no plugin sees one that is a secret.

use super::Region;
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
