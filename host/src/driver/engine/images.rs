//! Behind `images`: what the engine has, and what a registry has.
//!
//! Whatever is brought here for a deployment is held by a name of our own, `upgraded/<deployment>:<id>-<daemon>`, so that
//! nobody's tidying takes away what a way back needs. No two deployments share such a name, not of two daemons either.

use super::podman::familiar;
use super::registry::{Layers, architecture_here, platform, registry_error};
use super::{Engine, credentials, status};
use crate::context::{Site, StepContext};
use crate::driver::server::names::of_daemon;
use crate::model::*;
use crate::plan::event::{Effect, Verdict};
use bollard::models::ImageInspect;
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ListImagesOptionsBuilder, RemoveImageOptions, TagImageOptionsBuilder,
};
use futures::StreamExt;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Of an ID, in the name that holds an image.
const ID_LETTERS: usize = 24;
/// Of a deployment, in the same: an image's name may have 255 letters.
const LONGEST_NAME: usize = 100;

pub struct Images {
    engine: Option<Arc<Engine>>,
    /// Tells it from others that use the same engine.
    daemon: String,
    deployment: String,
    idle: Duration,
}

/// An image that the engine has.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Image {
    pub reference: String,
    pub id: String,
    /// What a registry knows it by; none where it was made on this machine.
    pub digest: Option<String>,
    /// For example `linux/amd64`.
    pub platform: String,
}

/// What a registry has under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Empty: nobody said it.
    pub digest: String,
    pub platforms: Vec<String>,
}

impl Images {
    /// `state`: the daemon's folder.
    pub fn new(engine: Option<Arc<Engine>>, state: &Path, deployment: &str, idle: Duration) -> Self {
        Self { engine, daemon: of_daemon(state), deployment: deployment.to_owned(), idle }
    }

    fn engine(&self) -> Result<&Engine, VerbError> {
        let denied = || VerbError::Denied("no `engine` is granted to this platform".into());
        self.engine.as_deref().ok_or_else(denied)
    }

    /// What the engine runs on, for example `linux/amd64`.
    pub async fn platform(&self, _cx: &StepContext) -> Result<String, VerbError> {
        let engine = self.engine()?;
        // To `/version` podman starts a dozen programs, and its socket is of this machine.
        if let Some(here) = architecture_here()
            && engine.is_podman().await?
        {
            return Ok(platform(None, Some(here), None));
        }
        let version = engine.docker().await?.version().await.map_err(|error| engine.failed(&error))?;
        Ok(platform(version.os.as_deref(), version.arch.as_deref(), None))
    }

    /// None: the engine has none of this name.
    pub async fn find(&self, _cx: &StepContext, reference: &str) -> Result<Option<Image>, VerbError> {
        check(reference)?;
        let engine = self.engine()?;
        match engine.docker().await?.inspect_image(reference).await {
            Ok(found) => Ok(Some(image(reference, found))),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(engine.failed(&error)),
        }
    }

    /// Asks the registry, and brings nothing here.
    pub async fn look_up(&self, cx: &StepContext, reference: &str) -> Result<Registered, VerbError> {
        check(reference)?;
        let engine = self.engine()?;
        if engine.is_podman().await? {
            return cx.activity.watch(self.idle, engine.ask_registry(reference)).await;
        }
        let ask = async {
            let credentials = credentials::find(engine.config().client.as_deref(), reference).await?;
            let docker = engine.docker().await?;
            docker
                .inspect_registry_image(reference, credentials)
                .await
                .map_err(|error| registry_error(reference, &error))
        };
        let answer = cx.activity.watch(self.idle, ask).await?;
        let platforms = answer.platforms.into_iter();
        Ok(Registered {
            digest: answer.descriptor.digest.unwrap_or_default(),
            platforms: platforms
                .map(|p| platform(p.os.as_deref(), p.architecture.as_deref(), p.variant.as_deref()))
                .collect(),
        })
    }

    /// Brings it here and holds it. A layer that is here already is not fetched again, so one that stalled goes on.
    pub async fn pull(&self, cx: &StepContext, reference: &str) -> Result<Image, VerbError> {
        check(reference)?;
        let engine = self.engine()?;
        let work = async {
            let credentials = credentials::find(engine.config().client.as_deref(), reference).await?;
            let options = CreateImageOptionsBuilder::default().from_image(&with_tag(reference)).build();
            let mut pull = engine.docker().await?.create_image(Some(options), None, credentials);
            let mut layers = Layers::default();
            while let Some(news) = pull.next().await {
                let news = news.map_err(|error| registry_error(reference, &error))?;
                layers.hear(&news);
                if let Some((done, total)) = layers.bytes() {
                    cx.activity.progress(done, Some(total), "bytes", &format!("pulling {reference}"));
                } else {
                    cx.activity.touch();
                }
            }
            let gone = || VerbError::NotFound(format!("`{reference}` was pulled and is not there"));
            let pulled = self.find(cx, reference).await?.ok_or_else(gone)?;
            engine.tag(&pulled.id, &holder(&self.deployment), &self.held(&pulled.id)).await?;
            Ok(pulled)
        };
        let watched = cx.activity.watch(self.idle, work);
        cx.effects.perform("images.pull", &reference, reference, true, watched).await
    }

    /// Keeps what is there from being tidied away.
    pub async fn hold(&self, cx: &StepContext, id: &str) -> Result<(), VerbError> {
        let work = async { self.engine()?.tag(id, &holder(&self.deployment), &self.held(id)).await };
        cx.effects.perform("images.hold", &id, id, true, work).await
    }

    /// The name stands for this image again, wherever somebody moved it since.
    pub async fn point(&self, cx: &StepContext, reference: &str, id: &str) -> Result<(), VerbError> {
        check(reference)?;
        if cx.site != Site::Live {
            return Err(VerbError::Denied("images are those of the live site, and this is a drill".into()));
        }
        cx.effects.may_change("images.point")?;
        if reference.contains('@') {
            return Ok(());
        }
        if self.find(cx, reference).await?.is_some_and(|there| there.id == id) {
            return Ok(());
        }
        let work = self.engine()?.point(reference, id);
        cx.effects.perform("images.point", &(reference, id), reference, true, work).await
    }

    /// Everything here converges.
    pub async fn fence_and_probe(&self, _effect: &Effect) -> Verdict {
        Verdict::Unknown
    }

    /// Lets go of what is held for the deployment and isn't to be kept, by its ID: whoever tidies the engine up may take it
    /// from now on.
    pub async fn let_go(&self, keep: impl Fn(&str) -> bool) -> Result<(), VerbError> {
        let (holder, daemon) = (holder(&self.deployment), format!("-{}", self.daemon));
        let is_ours = |name: &str| name.starts_with(&format!("{holder}:")) && name.ends_with(&daemon);
        self.remove_names(&holder, is_ours, keep).await
    }

    /// Removes the names that begin so.
    pub async fn discard(&self, beginning: &str) -> Result<(), VerbError> {
        self.remove_names(&format!("{beginning}*"), |name| name.starts_with(beginning), |_| false).await
    }

    /// Of the images that the engine finds by `pattern`, but for those to keep: these names.
    async fn remove_names(
        &self, pattern: &str, names: impl Fn(&str) -> bool, keep: impl Fn(&str) -> bool,
    ) -> Result<(), VerbError> {
        let engine = self.engine()?;
        let docker = engine.docker().await?;
        let filters = HashMap::from([("reference", vec![pattern.to_owned()])]);
        let options = ListImagesOptionsBuilder::default().filters(&filters).build();
        for image in docker.list_images(Some(options)).await.map_err(|error| engine.failed(&error))? {
            if keep(&image.id) {
                continue;
            }
            for name in image.repo_tags.iter().filter(|name| names(familiar(name))) {
                // Where it is the last name of one that a container runs, it stays.
                let _ = docker.remove_image(name, None::<RemoveImageOptions>, None).await;
            }
        }
        Ok(())
    }

    /// Lets go of every image that is held for a double, which has a name that no other daemon's has.
    pub async fn let_go_of(&self, double: &str) -> Result<(), VerbError> {
        let holder = holder(double);
        self.remove_names(&holder, |name| name.starts_with(&format!("{holder}:")), |_| false).await
    }

    /// The tag by which we hold it. Another daemon may have a deployment of the same name.
    fn held(&self, id: &str) -> String {
        let id: String = id.trim_start_matches("sha256:").chars().take(ID_LETTERS).collect();
        format!("{id}-{}", self.daemon)
    }
}

impl Engine {
    /// The name stands for this image from now on.
    pub async fn point(&self, reference: &str, id: &str) -> Result<(), VerbError> {
        let whole = with_tag(reference);
        let (repository, tag) = whole.rsplit_once(':').unwrap_or((&whole, "latest"));
        self.tag(id, repository, tag).await
    }

    async fn tag(&self, id: &str, repository: &str, tag: &str) -> Result<(), VerbError> {
        let options = TagImageOptionsBuilder::default().repo(repository).tag(tag).build();
        self.docker().await?.tag_image(id, Some(options)).await.map_err(|error| match self.failed(&error) {
            VerbError::NotFound(_) => {
                VerbError::NotFound(format!("the image `{id}`, which `{repository}:{tag}` stood for, is gone"))
            }
            other => other,
        })
    }
}

/// Of no two deployments the same: a name that can't stand in an image's own as it is has its digest beneath it.
fn holder(deployment: &str) -> String {
    let lower = deployment.to_ascii_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let plain: String = words.collect::<Vec<_>>().join("-").chars().take(LONGEST_NAME).collect();
    if plain == deployment {
        return format!("upgraded/{plain}");
    }
    let digest = Sha256::digest(deployment);
    let digest: String = digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("upgraded/{}/{digest}", plain.trim_end_matches('-')).replace("//", "/")
}

/// Without one it would be all of them.
pub fn with_tag(reference: &str) -> String {
    let name = reference.rsplit('/').next().unwrap_or(reference);
    if name.contains([':', '@']) { reference.to_owned() } else { format!("{reference}:latest") }
}

fn check(reference: &str) -> Result<(), VerbError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "./:@-_".contains(c);
    if reference.is_empty() || reference.len() > 512 || !reference.chars().all(fits) || reference.contains("..") {
        return Err(VerbError::Invalid(format!("`{reference}` is no name of an image")));
    }
    Ok(())
}

fn image(reference: &str, found: ImageInspect) -> Image {
    let repository = with_tag(reference);
    let repository = repository.split('@').next().unwrap_or_default();
    let repository = repository.rsplit_once(':').map_or(repository, |(repository, _)| repository);
    let digests = found.repo_digests.unwrap_or_default();
    let digest = digests.iter().find_map(|known| {
        let (of, digest) = known.split_once('@')?;
        (familiar(of) == familiar(repository)).then(|| digest.to_owned())
    });
    let platform = platform(found.os.as_deref(), found.architecture.as_deref(), found.variant.as_deref());
    Image { reference: reference.to_owned(), id: found.id.unwrap_or_default(), digest, platform }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_tag_is_the_latest() {
        assert_eq!(with_tag("127.0.0.1:5000/shop/web"), "127.0.0.1:5000/shop/web:latest");
        assert_eq!(with_tag("shop/web:1"), "shop/web:1");
        assert_eq!(with_tag("shop/web@sha256:00"), "shop/web@sha256:00");
    }

    #[test]
    fn no_two_deployments_share_what_holds_their_images() {
        assert_eq!(holder("shop-2"), "upgraded/shop-2");
        let alike = ["shop.2", "shop_2", "Shop-2", "shop--2", "-shop-2", "shop-2-", "shop 2"].map(holder);
        for (at, name) in alike.iter().enumerate() {
            assert!(name.starts_with("upgraded/shop-2/") && !alike[..at].contains(name), "{alike:?}");
        }
        let long = "a".repeat(250);
        for odd in ["\u{e4}", "...", &long] {
            let holder = holder(odd);
            assert!(holder.len() < 150 && check(&holder).is_ok() && !holder.contains("//"), "{holder}");
        }
    }

    #[test]
    fn no_name_leads_elsewhere() {
        for wrong in ["", "a b", "../images", "a?b", "a/../b"] {
            assert!(check(wrong).is_err(), "{wrong}");
        }
    }
}
