//! Services of Cloud Run: revisions, traffic, and what their addresses answer.

use super::{FakeHost, State};
use crate::{Answer, CloudService, CloudVariable, Difference, Error, Result, Share};
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Region {
    services: Vec<CloudService>,
    /// An image's digest by its name.
    registry: BTreeMap<String, String>,
    /// The image of each revision.
    images: BTreeMap<String, String>,
    tagged: BTreeMap<String, String>,
    answers: BTreeMap<String, Answer>,
    /// By service.
    variables: BTreeMap<String, Vec<CloudVariable>>,
}

impl FakeHost {
    /// A service of Cloud Run: its only revision is `NAME-1`, which serves whoever asks.
    pub fn cloud_service(&self, name: &str, image: &str) {
        let mut region = self.state.0.cloud_run.borrow_mut();
        let revision = format!("{name}-1");
        region.images.insert(revision.clone(), image.into());
        region.services.push(CloudService {
            name: name.into(),
            uri: format!("https://{name}.example.com"),
            image: image.into(),
            shares: vec![Share { revision: None, percent: 100 }],
            latest_ready: revision,
            stopped: false,
            why: None,
            last_modifier: "operator@example.com".into(),
            fingerprint: "1".into(),
        });
    }
    /// An image that its registry has.
    pub fn registered(&self, image: &str, pinned: &str) {
        self.state.0.cloud_run.borrow_mut().registry.insert(image.into(), pinned.into());
    }
    /// What containers of an image answer to every path.
    pub fn image_answers(&self, image: &str, status: u16, body: &str) {
        let answer = Answer { status, body: body.into() };
        self.state.0.cloud_run.borrow_mut().answers.insert(image.into(), answer);
    }
    /// A variable that the next revision of a service has otherwise.
    pub fn cloud_variable(&self, service: &str, name: &str, difference: Difference) {
        let mut region = self.state.0.cloud_run.borrow_mut();
        region.variables.entry(service.into()).or_default().push(CloudVariable { name: name.into(), difference });
    }
    /// Somebody else changes a service.
    pub fn edit_cloud_service(&self, name: &str) {
        let mut region = self.state.0.cloud_run.borrow_mut();
        for service in region.services.iter_mut().filter(|service| service.name == name) {
            service.fingerprint.push('+');
            service.last_modifier = "somebody@example.com".into();
        }
    }
    /// Where a service's traffic goes: revisions by name.
    pub fn traffic(&self, name: &str) -> Vec<(String, u32)> {
        let region = self.state.0.cloud_run.borrow();
        let service = region.services.iter().find(|service| service.name == name);
        let shares = service.into_iter().flat_map(|service| service.shares.iter().map(move |share| (service, share)));
        let named = |(service, share): (&CloudService, &Share)| {
            (share.revision.clone().unwrap_or_else(|| service.latest_ready.clone()), share.percent)
        };
        shares.map(named).collect()
    }
}

impl Region {
    fn find(&mut self, name: &str) -> Result<&mut CloudService> {
        let found = self.services.iter_mut().find(|service| service.name == name);
        found.ok_or_else(|| Error::not_found(format!("there is no service `{name}`")))
    }
}

pub fn names(state: &State) -> Result<Vec<String>> {
    state.reading("cloud-run.names", &[])?;
    Ok(state.0.cloud_run.borrow().services.iter().map(|service| service.name.clone()).collect())
}

pub fn look(state: &State, service: &str) -> Result<CloudService> {
    state.reading("cloud-run.look", &[service])?;
    state.0.cloud_run.borrow_mut().find(service).cloned()
}

pub fn pin(state: &State, image: &str) -> Result<String> {
    state.reading("cloud-run.pin", &[image])?;
    let pinned = state.0.cloud_run.borrow().registry.get(image).cloned();
    pinned.ok_or_else(|| Error::not_found(format!("the registry has no image `{image}`")))
}

pub fn would_take(state: &State, service: &str, image: &str) -> Result<()> {
    state.reading("cloud-run.would-take", &[service, image])?;
    state.0.cloud_run.borrow_mut().find(service).map(drop)
}

pub fn variables(state: &State, service: &str) -> Result<Vec<CloudVariable>> {
    state.reading("cloud-run.variables", &[service])?;
    Ok(state.0.cloud_run.borrow().variables.get(service).cloned().unwrap_or_default())
}

pub fn deploy(state: &State, service: &str, image: &str) -> Result<String> {
    state.changing("cloud-run.deploy", &[service, image])?;
    let mut region = state.0.cloud_run.borrow_mut();
    let revision = format!("{service}-{}", image.rsplit([':', '@']).next().unwrap_or_default());
    region.images.insert(revision.clone(), image.into());
    region.tagged.insert(service.into(), revision.clone());
    let found = region.find(service)?;
    let serving = found.latest_ready.clone();
    for share in found.shares.iter_mut().filter(|share| share.revision.is_none()) {
        share.revision = Some(serving.clone());
    }
    found.latest_ready.clone_from(&revision);
    found.image = image.into();
    Ok(revision)
}

pub fn route(state: &State, service: &str, shares: &[Share], tagged: Option<&str>) -> Result<()> {
    let text = |share: &Share| format!("{}={}", share.revision.as_deref().unwrap_or("latest"), share.percent);
    let all = shares.iter().map(text).collect::<Vec<_>>().join(",");
    state.changing("cloud-run.route", &[service, &all])?;
    let mut region = state.0.cloud_run.borrow_mut();
    region.find(service)?.shares = shares.to_vec();
    match tagged {
        Some(revision) => region.tagged.insert(service.into(), revision.into()),
        None => region.tagged.remove(service),
    };
    Ok(())
}

pub fn ask(state: &State, service: &str, by_tag: bool, path: &str) -> Result<Answer> {
    state.reading("cloud-run.ask", &[service, if by_tag { "tag" } else { "main" }, path])?;
    let mut region = state.0.cloud_run.borrow_mut();
    let found = region.find(service)?.clone();
    let first = found.shares.first().and_then(|share| share.revision.clone()).unwrap_or(found.latest_ready);
    let revision = if by_tag { region.tagged.get(service).cloned() } else { Some(first) };
    let revision = revision.ok_or_else(|| Error::not_found(format!("`{service}` has no tag of ours")))?;
    let image = region.images.get(&revision).cloned().unwrap_or_default();
    let answer = region.answers.get(&image).cloned();
    Ok(answer.unwrap_or(Answer { status: 200, body: b"{\"status\":\"ok\"}".to_vec() }))
}

pub fn run_job(state: &State, job: &str, image: Option<&str>, args: &[String]) -> Result<()> {
    state.changing("cloud-run.run-job", &[job, image.unwrap_or("own"), &args.join(" ")])
}
