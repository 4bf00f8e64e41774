//! Making the images of services that the files build.

use super::{Compose, shadow};
use crate::context::StepContext;
use crate::driver::engine::images::with_tag;
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

    /// What the names of everything that is built stand for, since one may need another to be built: what runs under a name, also
    /// where a build that a crash cut off has moved it since.
    async fn built_before(&self, shadow: Option<&shadow::Shadow>) -> Result<BTreeMap<String, String>, VerbError> {
        let declaration = self.declaration_of(shadow).await?;
        let containers = self.engine.containers_as_known(&declaration.name).await?;
        let mut former = BTreeMap::new();
        for service in declaration.services.into_iter().filter(|service| service.builds) {
            let Some(reference) = service.image else { continue };
            let own = super::of_service(&containers, &service.name).into_iter();
            let runs = own.map(|own| (&own.image, &own.image_id)).find(|(image, _)| is_name_of(image, &reference));
            let id = match runs {
                Some((_, id)) => Some(id.clone()),
                None => self.id_of(&reference).await?,
            };
            former.extend(id.map(|id| (reference, id)));
        }
        Ok(former)
    }

    async fn put_back(&self, images: &BTreeMap<String, String>) -> Result<(), VerbError> {
        for (reference, id) in images {
            if self.id_of(reference).await?.as_ref() == Some(id) {
                continue;
            }
            match self.engine.point(reference, id).await {
                // What runs may be all that is left of an image.
                Err(VerbError::NotFound(_)) => {}
                pointed => pointed?,
            }
        }
        Ok(())
    }
}

/// podman writes the whole name out.
fn is_name_of(image: &str, reference: &str) -> bool {
    let (image, reference) = (with_tag(image), with_tag(reference));
    image == reference || image.strip_suffix(&reference).is_some_and(|host| host.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_under_a_name_is_known_however_it_is_written() {
        for image in ["shop-web", "shop-web:latest", "docker.io/library/shop-web:latest", "localhost/shop-web:latest"] {
            assert!(is_name_of(image, "shop-web"), "{image}");
        }
        assert!(is_name_of("docker.io/shop/web:1.4", "shop/web:1.4"));
        for image in ["myshop-web", "shop-web:1.4", "sha256:0123"] {
            assert!(!is_name_of(image, "shop-web"), "{image}");
        }
    }
}
