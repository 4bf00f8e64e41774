//! Making the images of services that the files build.

use super::{Compose, shadow};
use crate::context::StepContext;
use crate::model::VerbError;
use std::collections::BTreeMap;

impl Compose {
    /// With the planned edits laid over the files. Where it is given up or fails, names that images got meanwhile stand for
    /// what they stood for: nobody is there any more to put them back.
    pub async fn build(&self, cx: &StepContext, services: &[String]) -> Result<(), VerbError> {
        cx.effects.may_change("compose.build")?;
        if let Some(option) = services.iter().find(|name| name.starts_with('-')) {
            return Err(VerbError::Invalid(format!("`{option}` is no service")));
        }
        let files = self.project.overlaid();
        let shadow = if files.is_empty() { None } else { Some(shadow::Shadow::make(self, cx, files).await?) };
        let mut argv = self.argv(shadow.as_ref()).await?;
        argv.push("build".into());
        argv.extend(services.iter().cloned());
        let work = async {
            let former = self.built_before(shadow.as_ref()).await?;
            let made = cx.activity.watch(self.idle, self.command(cx, &argv, "build the images")).await;
            if made.is_ok() && !cx.activity.cancelled() {
                return Ok(());
            }
            cx.activity.touch();
            let back = self.put_back(&former).await;
            made.and(back).and(Err(VerbError::Cancelled))
        };
        cx.effects.perform("compose.build", &services, &services.join(","), true, work).await
    }

    /// What the names of everything that is built stand for, since one may need another to be built.
    async fn built_before(&self, shadow: Option<&shadow::Shadow>) -> Result<BTreeMap<String, String>, VerbError> {
        let declared = self.declaration_of(shadow).await?.services.into_iter();
        let built: Vec<String> =
            declared.filter(|service| service.builds).filter_map(|service| service.image).collect();
        let mut former = BTreeMap::new();
        for reference in built {
            if let Some(id) = self.id_of(&reference).await? {
                former.insert(reference, id);
            }
        }
        Ok(former)
    }

    async fn put_back(&self, images: &BTreeMap<String, String>) -> Result<(), VerbError> {
        for (reference, id) in images {
            if self.id_of(reference).await?.as_ref() != Some(id) {
                self.engine.point(reference, id).await?;
            }
        }
        Ok(())
    }
}
