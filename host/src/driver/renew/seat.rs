//! A server's place, as a step sees it: in a container of an engine, or in a pod of a release.

use super::version::{self, ASK};
use super::{Former, Toward, folder};
use crate::context::{Site, StepContext};
use crate::driver::engine::Container;
use crate::driver::engine::images::Images;
use crate::driver::kubernetes::Kubernetes;
use crate::driver::process::io_error;
use crate::driver::server::{Around, Server, TOOL_LABEL, mount_at, on_the_machine};
use crate::driver::services::Orchestrator;
use crate::driver::{Drivers, durable};
use crate::model::{ServiceRef, VerbError};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::slice::from_ref;
use std::time::Duration;

pub struct Seat<'a> {
    pub server: &'a Server,
    pub service: &'a ServiceRef,
    pub note: PathBuf,
    within: Within<'a>,
}

enum Within<'a> {
    Containers(&'a Around),
    Release(&'a Kubernetes),
}

/// From the server that runs to another one.
pub struct Change {
    pub from: String,
    pub to: String,
    /// As [`Former`] has them.
    pub image_name: String,
    pub image: String,
    pub revision: Option<u32>,
}

impl<'a> Seat<'a> {
    pub fn of(server: &'a Server, cx: &StepContext, state: &Path) -> Result<Self, VerbError> {
        let within = match server.release() {
            Some(release) => Within::Release(release),
            None => Within::Containers(server.around()?),
        };
        let missing = || VerbError::Invalid("the server is no service of a platform".into());
        let service = server.config.service.as_ref().ok_or_else(missing)?;
        let name = format!("r{}-{}.json", cx.run, service.name.replace('/', "."));
        let note = state.join("servers").join(&cx.deployment).join(&service.platform).join(name);
        Ok(Self { server, service, note, within })
    }

    pub fn read(&self) -> Result<Option<Former>, VerbError> {
        let text = durable::read(&self.note).map_err(io_error("read what is known of the old server"))?;
        let read = |text: Vec<u8>| {
            serde_json::from_slice(&text)
                .map_err(|error| VerbError::other("state", format!("`{}` can't be read: {error}", self.note.display())))
        };
        text.map(read).transpose()
    }

    pub fn write(&self, former: &Former) -> Result<(), VerbError> {
        let text = serde_json::to_vec(former).map_err(|error| VerbError::other("io", error.to_string()))?;
        let folder = self.note.parent().unwrap_or(Path::new("/"));
        durable::make_folder(folder).map_err(io_error("make the folder of notes"))?;
        durable::write(&self.note, &text).map_err(io_error("write down what the old server was"))
    }

    /// What a release is to be made of; nothing where the files say it themselves.
    pub async fn then(&self, toward: Toward<'_>) -> Result<Vec<Value>, VerbError> {
        match &self.within {
            Within::Containers(_) => Ok(Vec::new()),
            Within::Release(release) => release.documents(toward).await,
        }
    }

    /// None: what is to stand reads what the one that runs wrote.
    pub async fn change(&self, cx: &StepContext, images: &Images, then: &[Value]) -> Result<Option<Change>, VerbError> {
        let change = match &self.within {
            Within::Containers(around) => self.change_of_container(cx, around, images).await?,
            Within::Release(release) => self.change_of_release(cx, release, then).await?,
        };
        Ok(change.filter(|change| change.from != change.to))
    }

    async fn change_of_container(
        &self, cx: &StepContext, around: &Around, images: &Images,
    ) -> Result<Option<Change>, VerbError> {
        let Some(named) = around.images(cx, false).await?.remove(&self.service.name) else { return Ok(None) };
        let wanted = images.find(cx, &named).await?;
        let wanted = wanted.ok_or_else(|| VerbError::NotFound(format!("the image `{named}` is not here")))?.id;
        let live = self.container(around).await?;
        if live.image_id == wanted {
            return Ok(None);
        }
        let (from, to) = (version_of(around, &live.image_id).await?, version_of(around, &wanted).await?);
        Ok(Some(Change { from, to, image_name: live.image, image: live.image_id, revision: None }))
    }

    async fn change_of_release(
        &self, cx: &StepContext, release: &Kubernetes, then: &[Value],
    ) -> Result<Option<Change>, VerbError> {
        let port = self.server.config.port;
        let Some(renewal) = release.renewal(self.service, port, then).await? else { return Ok(None) };
        let live = release.tell(&release.server_pod(self.service).await?, port, ASK, "").await?;
        let to = release.ask_image(cx, self.service, port, then, ASK).await?;
        let (from, to) = (said(&renewal.image, &live.out)?, said(&renewal.to, &to)?);
        let (image_name, revision) = (renewal.image.clone(), Some(renewal.revision));
        Ok(Some(Change { from, to, image_name, image: renewal.image, revision }))
    }

    /// With what shares its pod.
    pub async fn stop(&self, cx: &StepContext) -> Result<(), VerbError> {
        match &self.within {
            Within::Containers(around) => around.stop(cx, self.service).await,
            Within::Release(release) => release.stop(cx, from_ref(self.service)).await,
        }
    }

    /// As the files say it now, or as `then`; the former one where nothing says otherwise.
    pub async fn start(&self, cx: &StepContext, former: &Former, then: &[Value]) -> Result<(), VerbError> {
        match (&self.within, former.revision) {
            (Within::Containers(around), _) => around.start(cx, self.service).await,
            (Within::Release(release), Some(revision)) => release.put_server(cx, self.service, then, revision).await,
            (Within::Release(_), None) => {
                Err(VerbError::other("state", format!("`{}` names no revision of the release", self.note.display())))
            }
        }
    }

    /// The container or the pod, once the server listens.
    pub async fn answers(&self, cx: &StepContext, idle: Duration) -> Result<String, VerbError> {
        match &self.within {
            Within::Containers(around) => {
                let comes = async {
                    let container = self.container(around).await?;
                    Ok(self.server.answers(cx, &container.id).await?.id)
                };
                cx.activity.watch(idle, comes).await
            }
            Within::Release(release) => release.server_answers(cx, self.service, self.server.config.port).await,
        }
    }

    /// Nothing is left of a question to an image.
    pub async fn forget_image(&self, cx: &StepContext) -> Result<(), VerbError> {
        match &self.within {
            Within::Containers(_) => Ok(()),
            Within::Release(release) => release.forget_image(cx, self.service).await,
        }
    }

    /// Where the server's data lies on this machine, in a folder that can be set aside.
    pub async fn folder(&self, cx: &StepContext, drivers: &Drivers) -> Result<PathBuf, VerbError> {
        let live = cx.reading_at(Site::Live);
        let inside = match drivers.mysql.bound_server() {
            Some(_) => drivers.mysql.data_folder(&live).await?,
            None => drivers.postgres.data_folder(&live).await?,
        };
        let found = match &self.within {
            Within::Containers(around) => self.folder_of_container(around, &inside).await?,
            Within::Release(release) => {
                release.folder_of_server(self.service, self.server.config.port, &inside).await?
            }
        };
        folder::can_be_set_aside(&found)
    }

    async fn folder_of_container(&self, around: &Around, inside: &Path) -> Result<PathBuf, VerbError> {
        let container = self.container(around).await?;
        let stays = match mount_at(&container, inside) {
            Some(mount) => around.outlives(&self.service.name, mount).await?,
            None => false,
        };
        on_the_machine(&container, inside).filter(|_| stays).ok_or_else(|| {
            VerbError::Invalid(format!(
                "`{}` keeps its data in `{}` inside its container: a volume there would be right",
                self.service,
                inside.display()
            ))
        })
    }

    async fn container(&self, around: &Around) -> Result<Container, VerbError> {
        let container = around.container_of(&self.service.name).await?;
        container.ok_or_else(|| VerbError::NotFound(format!("`{}` has no container", self.service)))
    }
}

async fn version_of(around: &Around, image: &str) -> Result<String, VerbError> {
    let label = format!("{TOOL_LABEL}=version");
    let marked = format!("--label={label}");
    let mut ask =
        around.client(&["run", "--rm", "--pull=never", "--network=none", &marked, "--entrypoint=sh", image, "-c", ASK]);
    let asked = async { ask.output().await.map_err(|error| VerbError::other("io", format!("`docker run`: {error}"))) };
    let output = around.engine().while_looking_at(&label, asked).await?;
    said(image, &String::from_utf8_lossy(&output.stdout))
}

fn said(image: &str, text: &str) -> Result<String, VerbError> {
    let unknown =
        || VerbError::other("version", format!("which server is in the image `{image}`? It says `{}`", text.trim()));
    version::read(text).ok_or_else(unknown)
}
