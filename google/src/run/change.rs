//! The one way to change a service: look, say what it is to become with the etag of that look, look again.

use super::{CloudRun, look};
use crate::pause::Pauses;
use crate::{Error, Heard, Result, Revision};
use google_cloud_run_v2::model::{RevisionTemplate, Service};
use google_cloud_wkt::FieldMask;

/// Changes that are refused although nobody edited: quota, and what else passes.
const TRIES: u32 = 20;

type Edit<'a> = &'a (dyn Fn(&Service) -> Result<Option<Service>> + Send + Sync);

impl CloudRun {
    pub(super) async fn get(&self, name: &str) -> Result<Service> {
        let get = self.clients().await?.services.get_service().set_name(self.path(name));
        get.send().await.map_err(|error| Error::of(&self.about(name), &error))
    }

    /// Looks again where Google is away for a moment.
    async fn see(&self, name: &str, pauses: &mut Pauses<'_>) -> Result<Service> {
        let mut tries = 0;
        loop {
            match self.get(name).await {
                Err(Error::Unavailable(why)) if tries < TRIES => pauses.pause(&why).await,
                other => return other,
            }
            tries += 1;
        }
    }

    /// Waits until nothing is under way.
    pub(super) async fn settled(&self, name: &str, heard: Heard<'_>) -> Result<Service> {
        let mut pauses = Pauses::new(heard);
        loop {
            let service = self.see(name, &mut pauses).await?;
            if !look::is_changing(&service) {
                return Ok(service);
            }
            pauses.pause(&format!("`{name}` is changing, generation {}", service.generation)).await;
        }
    }

    /// Until `edit` has nothing to say; then until nothing is under way. Whatever the answer to a change was, the service
    /// itself says whether it was made. One that somebody edits between look and change is a conflict.
    pub(super) async fn change(
        &self, name: &str, fields: &[&str], edit: Edit<'_>, heard: Heard<'_>,
    ) -> Result<Service> {
        let mut pauses = Pauses::new(heard);
        let mut current = self.settled(name, heard).await?;
        let mut refused: Option<Error> = None;
        for number in 0..TRIES {
            let wanted = match edit(&current)? {
                Some(wanted) => wanted,
                None if !look::is_behind(&current) => return Ok(current),
                // Given up before we came: once more.
                None if number == 0 => current.clone(),
                None => {
                    let message = format!("{} could not be changed: {}", self.about(name), look::last_word(&current));
                    return Err(Error::Failed(message));
                }
            };
            // What was refused was refused for this etag: another one is somebody else's.
            if let Some(refusal @ Error::Conflict(_)) = refused {
                return Err(refusal.with(&format!("`{}` changed it meanwhile, and that stays", current.last_modifier)));
            }
            let etag = current.etag.clone();
            let request = self.clients().await?.services.update_service();
            let request = request.set_service(only(&wanted, fields).set_etag(&etag)).set_update_mask(mask(fields));
            refused = match request.send().await {
                Ok(_) => None,
                Err(error) => match Error::of(&self.about(name), &error) {
                    error @ (Error::Conflict(_) | Error::Unavailable(_)) => Some(error),
                    error => return Err(error),
                },
            };
            if let Some(error) = &refused {
                pauses.pause(&error.to_string()).await;
            }
            current = self.settled(name, heard).await?;
            if let (Some(Error::Unavailable(_)), false) = (&refused, current.etag == etag)
                && edit(&current)?.is_some()
            {
                let message =
                    format!("`{}` changed {} meanwhile, and that stays", current.last_modifier, self.about(name));
                return Err(Error::Conflict(message));
            }
        }
        Err(refused
            .unwrap_or_else(|| Error::Unavailable(format!("{} does not become what was asked for", self.about(name)))))
    }

    /// Waits for the revision's own word.
    pub(super) async fn until_ready(&self, service: &str, name: &str, heard: Heard<'_>) -> Result<Revision> {
        let mut pauses = Pauses::new(heard);
        loop {
            let state = match self.revision(service, name).await {
                Ok(Some(Revision { why: Some(why), .. })) => {
                    return Err(Error::Failed(format!("the revision `{name}` does not start: {why}")));
                }
                Ok(Some(revision)) if revision.ready => return Ok(revision),
                Ok(Some(_)) => format!("`{name}` is starting"),
                Ok(None) => return Err(Error::NotFound(format!("{} has no revision `{name}`", self.about(service)))),
                Err(Error::Unavailable(why)) => why,
                Err(error) => return Err(error),
            };
            pauses.pause(&state).await;
        }
    }
}

pub(super) fn mask(fields: &[&str]) -> FieldMask {
    FieldMask::default().set_paths(fields.iter().map(|field| (*field).to_owned()))
}

pub(super) fn with_template(current: &Service, template: RevisionTemplate) -> Service {
    Service::new().set_name(&current.name).set_template(template)
}

/// What the mask names, and nothing else.
fn only(wanted: &Service, fields: &[&str]) -> Service {
    let mut sent = Service::new().set_name(&wanted.name);
    for field in fields {
        match *field {
            "template" => sent.template.clone_from(&wanted.template),
            "traffic" => sent.traffic.clone_from(&wanted.traffic),
            "scaling" => sent.scaling.clone_from(&wanted.scaling),
            "annotations" => sent.annotations.clone_from(&wanted.annotations),
            other => unreachable!("no change of a service sets `{other}`"),
        }
    }
    sent
}
