//! What a rehearsal makes a throw-away double of.

use super::compose::double::Double;
use super::kubernetes::{Behind, Kubernetes};
use super::server::Around;
use crate::context::StepContext;
use crate::model::{ServiceRef, VerbError, whole};
use reqwest::Url;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FOLDER: &str = "rehearsals";

#[derive(Clone)]
pub enum Rehearsable {
    Containers(Around),
    Release(Arc<Kubernetes>),
}

impl Rehearsable {
    /// An error where no double can be made, as far as that is known before anything is.
    pub async fn has_a_place(&self) -> Result<(), VerbError> {
        match self {
            Self::Containers(_) => Ok(()),
            Self::Release(release) => release.place_of_rehearsals().await.map(drop),
        }
    }

    /// Under which doubles lie: in the daemon's state, or beside it where an engine can't look into that.
    pub async fn folder(&self, state: &Path) -> Result<PathBuf, VerbError> {
        match self {
            Self::Containers(around) => around.engine().open_folder(&state.join(FOLDER)).await,
            Self::Release(_) => Ok(state.join(FOLDER)),
        }
    }

    /// Where its own data lies beside that folder, as far as it is this machine's.
    pub async fn place(&self) -> Result<Option<PathBuf>, VerbError> {
        match self {
            Self::Containers(around) => around.engine().folder().await.map(Some),
            Self::Release(_) => Ok(None),
        }
    }

    /// What its services are put into: volumes, networks, and what is made before it starts.
    pub async fn lay_out(&self, cx: &StepContext) -> Result<(), VerbError> {
        match self {
            Self::Containers(around) => around.lay_out(cx).await,
            Self::Release(release) => release.lay_out(cx).await,
        }
    }

    /// Everything that is declared; its services.
    pub async fn start_all(&self, cx: &StepContext) -> Result<Vec<ServiceRef>, VerbError> {
        match self {
            Self::Containers(around) => around.start_all(cx).await,
            Self::Release(release) => release.start_all(cx).await,
        }
    }

    /// Nothing of the double is left. Converges.
    pub async fn discard(&self, double: &Double) -> Result<(), VerbError> {
        match self {
            Self::Containers(around) => around.discard(double).await,
            Self::Release(release) => release.discard(double).await,
        }
    }

    /// Where in the double that listens which users of what is live have at this address.
    pub async fn behind(&self, url: &Url) -> Result<Option<Behind>, VerbError> {
        let around = match self {
            Self::Release(release) => return release.behind(url).await,
            Self::Containers(around) => around,
        };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let local = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        let Some(port) = url.port_or_known_default().filter(|_| local) else { return Ok(None) };
        Ok(around.behind(port).await?.map(|address| Behind { address, plain: false }))
    }

    /// What is started so that a server runs.
    pub fn whole(&self, server: &ServiceRef) -> ServiceRef {
        match self {
            Self::Containers(_) => whole(server),
            Self::Release(_) => server.clone(),
        }
    }
}
