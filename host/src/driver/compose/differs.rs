//! Which containers are not what the files say.
//!
//! `docker compose` itself is asked, since how it compares is nobody else's to know. But it compares networks by ID, and
//! podman before 5 calls a network of a container by its name there: then every container that runs differs. Of such a
//! container it is looked at here what else could differ.

use super::{Compose, Declaration, of_service};
use crate::context::StepContext;
use crate::driver::engine::Container;
use crate::model::{ServiceRef, VerbError};
use bollard::errors::Error;
use std::collections::{BTreeMap, BTreeSet};

/// What Compose made a container from.
const HASH_LABEL: &str = "com.docker.compose.config-hash";

/// Names of containers.
#[derive(Default)]
struct Differing {
    replaced: BTreeSet<String>,
    /// Those that Compose would make anew for nothing.
    mistaken: BTreeSet<String>,
}

impl Compose {
    /// The names of containers that differ from what the files say. `there`: so many that services have, of which none is
    /// too many, whatever the files say.
    pub(super) async fn replaced(&self, there: &[(&str, usize)]) -> Result<BTreeSet<String>, VerbError> {
        Ok(self.differing(there).await?.replaced)
    }

    /// `docker compose up` of these services alone; what is as the files say stays.
    pub(super) async fn up_what_differs(
        &self, cx: &StepContext, declaration: &Declaration, names: &[ServiceRef],
    ) -> Result<(), VerbError> {
        let services = |names: &[&ServiceRef]| names.iter().map(|name| name.name.clone()).collect::<Vec<_>>();
        let all: Vec<&ServiceRef> = names.iter().collect();
        if !self.engine.is_podman().await? {
            return self.up(cx, &declaration.name, &[], &services(&all)).await;
        }
        let Differing { replaced, mistaken } = self.differing(&[]).await?;
        let containers = self.engine.containers(&declaration.name).await?;
        let has = |name: &ServiceRef, among: &BTreeSet<String>| {
            of_service(&containers, &name.name).iter().any(|container| among.contains(&container.name))
        };
        let stays = |name: &&ServiceRef| has(name, &mistaken) && !has(name, &replaced);
        let (stay, rest): (Vec<&ServiceRef>, Vec<&ServiceRef>) = all.into_iter().partition(stays);
        if !rest.is_empty() {
            self.up(cx, &declaration.name, &[], &services(&rest)).await?;
        }
        if !stay.is_empty() {
            self.up(cx, &declaration.name, &["--no-recreate"], &services(&stay)).await?;
        }
        Ok(())
    }

    async fn differing(&self, there: &[(&str, usize)]) -> Result<Differing, VerbError> {
        let there = there.iter().filter(|(_, number)| *number > 0);
        let scale: Vec<String> = there.map(|(service, number)| format!("{service}={number}")).collect();
        let mut question = vec!["--dry-run", "create", "--no-build", "--pull", "never"];
        question.extend(scale.iter().flat_map(|scale| ["--scale", scale]));
        let output = self.answer(None, &question).await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let names = said.lines().filter_map(|line| {
            let (_, rest) = line.split_once(" Container ")?;
            let mut words = rest.split_whitespace();
            let (name, what) = (words.next()?, words.next()?);
            (what == "Recreate").then(|| name.to_owned())
        });
        let replaced: BTreeSet<String> = names.collect();
        if replaced.is_empty() || !self.engine.is_podman().await? {
            return Ok(Differing { replaced, ..Differing::default() });
        }
        self.second_look(replaced).await
    }

    async fn second_look(&self, mut replaced: BTreeSet<String>) -> Result<Differing, VerbError> {
        let declaration = self.declaration().await?;
        let hashes = self.hashes().await?;
        let mut mistaken = BTreeSet::new();
        for container in self.engine.containers(&declaration.name).await? {
            let suspected = replaced.contains(&container.name) && names_networks(&container);
            if suspected && self.is_as_declared(&declaration, &hashes, &container).await? {
                replaced.remove(&container.name);
                mistaken.insert(container.name);
            }
        }
        Ok(Differing { replaced, mistaken })
    }

    /// Of each service, what Compose would make its containers from.
    async fn hashes(&self) -> Result<BTreeMap<String, String>, VerbError> {
        let output = self.answer(None, &["config", "--hash", "*"]).await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let pairs = said.lines().filter_map(|line| line.trim().split_once(' '));
        Ok(pairs.map(|(service, hash)| (service.to_owned(), hash.trim().to_owned())).collect())
    }

    /// Its configuration, image, networks and volumes.
    async fn is_as_declared(
        &self, declaration: &Declaration, hashes: &BTreeMap<String, String>, container: &Container,
    ) -> Result<bool, VerbError> {
        let Some(service) = declaration.services.iter().find(|service| service.name == container.service) else {
            return Ok(false);
        };
        let hash = container.labels.get(HASH_LABEL);
        let volumes = service.mounts.iter().filter(|mount| mount.kind == "volume" && !mount.source.is_empty());
        let mounts = |name: &String| container.mounts.iter().any(|mount| mount.volume.as_ref() == Some(name));
        let same = hash.is_some()
            && hash == hashes.get(&container.service)
            && service.networks.iter().all(|network| container.networks.contains_key(network))
            && volumes.map(|mount| &mount.source).all(mounts);
        Ok(same && self.id_of(&container.image).await?.is_some_and(|id| id == container.image_id))
    }

    /// The image that the name stands for.
    pub(super) async fn id_of(&self, image: &str) -> Result<Option<String>, VerbError> {
        match self.engine.docker().await?.inspect_image(image).await {
            Ok(found) => Ok(found.id),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(error) => Err(self.engine.failed(&error)),
        }
    }
}

/// In the place of IDs.
fn names_networks(container: &Container) -> bool {
    container.networks.iter().any(|(name, id)| name == id)
}
