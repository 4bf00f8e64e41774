//! Services of Cloud Run in one region.
//!
//! A service is *stopped* by what Google calls disabling it: scaled by hand to no instance. Its address then answers 503,
//! nothing of it runs, and no revision is made. How it was scaled stands in an annotation of the service until it is
//! started again, so that whoever finds it stopped can tell, and nothing is remembered elsewhere.

mod change;
mod environment;
mod jobs;
mod look;
mod traffic;

pub use environment::{Difference, Environment, Variables};
pub use look::{Revision, Service, Share, Tagged};

use crate::pause::Pauses;
use crate::place::backoff;
use crate::{Error, Heard, Place, Result, registry};
use google_cloud_auth::credentials::AccessTokenCredentials;
use google_cloud_auth::credentials::idtoken::IDTokenCredentials;
use google_cloud_run_v2::client;
use google_cloud_run_v2::model;
use std::time::Duration;
use tokio::sync::OnceCell;

/// Of the revision that is not verified yet.
pub const TAG: &str = "upgraded";
/// Holds how a stopped service was scaled.
const KEPT: &str = "upgraded-scaling";
const ASK_WITHIN: Duration = Duration::from_secs(20);
/// Of a question that changes nothing.
const TRIES: u32 = 5;
const ANSWER_BYTES: usize = 64 * 1024;

pub struct CloudRun {
    place: Place,
    clients: OnceCell<Clients>,
}

struct Clients {
    services: client::Services,
    revisions: client::Revisions,
    jobs: client::Jobs,
    executions: client::Executions,
    tokens: AccessTokenCredentials,
    http: reqwest::Client,
}

/// What an address answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The first 64 KiB.
    pub body: Vec<u8>,
}

impl CloudRun {
    /// Asks nobody yet.
    pub fn new(place: Place) -> Self {
        Self { place, clients: OnceCell::new() }
    }

    /// `projects/…/services/NAME`
    fn path(&self, service: &str) -> String {
        format!("{}/services/{service}", self.place.parent())
    }

    fn about(&self, service: &str) -> String {
        format!("the service `{service}` in `{}` of the project `{}`", self.place.region, self.place.project)
    }

    async fn clients(&self) -> Result<&Clients> {
        self.clients.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Clients> {
        let (credentials, tokens) = self.place.login()?;
        macro_rules! client {
            ($kind:ident) => {{
                let mut builder = client::$kind::builder().with_credentials(credentials.clone());
                if let Some(endpoint) = &self.place.endpoint {
                    builder = builder.with_endpoint(endpoint.clone());
                }
                let built = builder.with_backoff_policy(backoff()?).build().await;
                built.map_err(|error| Error::Denied(format!("there is no client of Cloud Run: {error}")))?
            }};
        }
        let http = reqwest::Client::builder().timeout(ASK_WITHIN).redirect(reqwest::redirect::Policy::none()).build();
        Ok(Clients {
            services: client!(Services),
            revisions: client!(Revisions),
            jobs: client!(Jobs),
            executions: client!(Executions),
            tokens,
            http: http.map_err(|error| Error::Unavailable(format!("a client for the services' addresses: {error}")))?,
        })
    }

    pub async fn service(&self, name: &str) -> Result<Service> {
        Ok(Service::of(&self.get(name).await?))
    }

    /// All in the region, also those of others.
    pub async fn names(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        let mut page = String::new();
        loop {
            let list = self.clients().await?.services.list_services().set_parent(self.place.parent());
            let answer = list.set_page_token(page).send().await;
            let answer = answer.map_err(|error| Error::of("the list of services", &error))?;
            names.extend(answer.services.iter().map(|service| look::short(&service.name).to_owned()));
            page = answer.next_page_token;
            if page.is_empty() {
                return Ok(names);
            }
        }
    }

    /// Newest first.
    pub async fn revisions(&self, service: &str) -> Result<Vec<Revision>> {
        let (mut all, mut page) = (Vec::new(), String::new());
        loop {
            let list = self.clients().await?.revisions.list_revisions().set_parent(self.path(service));
            let answer = list.set_page_token(page).send().await;
            let answer = answer.map_err(|error| Error::of(&format!("revisions of {}", self.about(service)), &error))?;
            all.extend(answer.revisions.iter().map(Revision::of));
            page = answer.next_page_token;
            if page.is_empty() {
                return Ok(all);
            }
        }
    }

    /// None where there is none of this name.
    pub async fn revision(&self, service: &str, name: &str) -> Result<Option<Revision>> {
        let get = self.clients().await?.revisions.get_revision();
        match get.set_name(format!("{}/revisions/{name}", self.path(service))).send().await {
            Ok(revision) => Ok(Some(Revision::of(&revision))),
            Err(error) => match Error::of(&format!("the revision `{name}`"), &error) {
                Error::NotFound(_) => Ok(None),
                error => Err(error),
            },
        }
    }

    /// The image pinned by the digest that its registry has it by; changes nothing.
    pub async fn pinned(&self, image: &str) -> Result<String> {
        registry::digest(&self.place, &self.clients().await?.tokens, image).await
    }

    /// What the next revision with these variables has otherwise than the one that serves; changes nothing.
    pub async fn differences(&self, service: &str, variables: &Variables) -> Result<Vec<(String, Difference)>> {
        let current = self.settled(service, &|_| {}).await?;
        let template = current.template.clone().unwrap_or_default();
        let serving = match Service::of(&current).serving().first() {
            Some((name, _)) => self.revision(service, name).await?,
            None => None,
        };
        let now = serving.map_or_else(|| Environment::of(&template.containers), |serving| serving.environment);
        Ok(now.differs(template, variables))
    }

    /// Whether Cloud Run would take this image and these variables for the service; changes nothing.
    pub async fn would_take(&self, service: &str, image: &str, variables: &Variables) -> Result<()> {
        let mut pauses = Pauses::new(&|_| {});
        let mut refused = None;
        for _ in 0..TRIES {
            let current = self.get(service).await?;
            let wanted = change::with_template(&current, look::template_with(&current, image, variables, None)?);
            let request = self.clients().await?.services.update_service().set_service(wanted);
            let request = request.set_update_mask(change::mask(&["template"])).set_validate_only(true);
            match request.send().await.map_err(|error| Error::of(&self.about(service), &error)) {
                Ok(_) => return Ok(()),
                Err(error @ (Error::Unavailable(_) | Error::Conflict(_))) => {
                    pauses.pause(&error.to_string()).await;
                    refused = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Makes the revision `name` of the service as it stands, but with this image and these variables: no traffic goes to it,
    /// and it is reached by its tag. Returns when it is ready. A revision of that name that is there already is this one.
    pub async fn deploy(
        &self, service: &str, name: &str, image: &str, variables: &Variables, heard: Heard<'_>,
    ) -> Result<Revision> {
        if self.revision(service, name).await?.is_none() {
            let edit = |current: &model::Service| traffic::deployed(current, name, image, variables);
            self.change(service, &["template", "traffic"], &edit, heard).await?;
        }
        let revision = self.until_ready(service, name, heard).await?;
        if revision.image != image {
            let message = format!("the revision `{name}` is there already, with the image `{}`", revision.image);
            return Err(Error::Conflict(message));
        }
        if !revision.environment.has(variables) {
            let message = format!("the revision `{name}` is there already, with other values of its variables");
            return Err(Error::Conflict(message));
        }
        let edit = |current: &model::Service| Ok(traffic::tagged(current, name));
        self.change(service, &["traffic"], &edit, heard).await?;
        Ok(revision)
    }

    /// Sends users to `shares`, which sum to 100. Tags of others stay; ours stays on the revision `tagged` and on no other.
    pub async fn route(
        &self, service: &str, shares: &[Share], tagged: Option<&str>, heard: Heard<'_>,
    ) -> Result<Service> {
        let sum: u32 = shares.iter().map(|share| share.percent).sum();
        if sum != 100 {
            return Err(Error::Invalid(format!("shares of traffic sum to 100, and these to {sum}")));
        }
        let edit = |current: &model::Service| Ok(traffic::routed(current, shares, tagged));
        let changed = self.change(service, &["traffic"], &edit, heard).await?;
        self.stands(&changed)
    }

    /// Nothing of it runs and its address answers 503, until [`CloudRun::start`]. A revision of ours that is not verified
    /// loses its tag, so that it doesn't run either.
    pub async fn stop(&self, service: &str, heard: Heard<'_>) -> Result<()> {
        let edit = |current: &model::Service| traffic::stopped(current);
        self.change(service, &["scaling", "annotations", "traffic"], &edit, heard).await.map(drop)
    }

    /// Scales it as it was before [`CloudRun::stop`]; nothing where we did not stop it.
    pub async fn start(&self, service: &str, heard: Heard<'_>) -> Result<()> {
        let edit = |current: &model::Service| traffic::started(current);
        self.change(service, &["scaling", "annotations"], &edit, heard).await.map(drop)
    }

    /// Waits until nothing is under way; an error where what is wanted of it isn't so.
    pub async fn wait(&self, service: &str, heard: Heard<'_>) -> Result<Service> {
        let settled = self.settled(service, heard).await?;
        self.stands(&settled)
    }

    fn stands(&self, service: &model::Service) -> Result<Service> {
        let service = Service::of(service);
        match &service.why {
            None => Ok(service),
            Some(why) => Err(Error::Failed(format!("{} is not ready: {why}", self.about(&service.name)))),
        }
    }

    /// A `GET` of a path of the service's own address, or of the one that our tag has; as who we are where the service lets
    /// only its invokers in.
    pub async fn ask(&self, service: &str, by_tag: bool, path: &str) -> Result<Answer> {
        if !path.starts_with('/') {
            return Err(Error::Invalid(format!("`{path}` is no path; `/api/health` would be")));
        }
        let seen = self.service(service).await?;
        let uri = match by_tag {
            false => seen.uri.clone(),
            true => {
                let tagged = seen.tagged.into_iter().find(|tagged| tagged.tag == TAG).map(|tagged| tagged.uri);
                tagged.ok_or_else(|| Error::NotFound(format!("{} has no tag `{TAG}`", self.about(service))))?
            }
        };
        let url = format!("{uri}{path}");
        let answer = self.answer(&url, None).await?;
        if !matches!(answer.status, 401 | 403) {
            return Ok(answer);
        }
        // An identity is for the service, whichever of its addresses is asked.
        match self.place.login.identity(&seen.uri) {
            Ok(identity) => self.answer(&url, Some(&identity)).await,
            Err(_) => Ok(answer),
        }
    }

    async fn answer(&self, url: &str, identity: Option<&IDTokenCredentials>) -> Result<Answer> {
        let away = |error: reqwest::Error| Error::Unavailable(format!("`{url}` does not answer: {error}"));
        let mut request = self.clients().await?.http.get(url);
        if let Some(identity) = identity {
            let token = identity.id_token().await;
            request = request.bearer_auth(
                token.map_err(|error| Error::Unavailable(format!("there is no identity for `{url}`: {error}")))?,
            );
        }
        let mut answer = request.send().await.map_err(away)?;
        let (status, mut body) = (answer.status().as_u16(), Vec::new());
        while let Some(bytes) = answer.chunk().await.map_err(away)? {
            body.extend_from_slice(&bytes[..bytes.len().min(ANSWER_BYTES - body.len())]);
            if body.len() == ANSWER_BYTES {
                break;
            }
        }
        Ok(Answer { status, body })
    }
}
