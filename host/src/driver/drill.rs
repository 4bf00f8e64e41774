//! What a drill leaves on servers; its folder is the caller's.

use super::Drivers;
use crate::context::{Site, StepContext};
use crate::model::VerbError;

impl Drivers {
    /// Leaves nothing of a drill on the servers. Converges.
    pub async fn clear_drill(&self, cx: &StepContext) -> Result<(), VerbError> {
        match &cx.site {
            Site::Drill { name, .. } => {
                self.mysql.discard_scratch(cx, name).await?;
                self.postgres.discard_scratch(cx, name).await
            }
            Site::Live => Err(VerbError::Denied("the live site is no drill".into())),
        }
    }
}
