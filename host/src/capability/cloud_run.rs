//! `cloud-run`: services and jobs of Google Cloud Run. Granted by `google` in the platform's table.

use super::bindings::cloud_run::{Answer, Difference, Host, Service, Share, Variable};
use super::bindings::types::Error;
use super::guest::Guest;
use crate::driver::Drivers;
use crate::driver::google::Region;
use crate::model::VerbError;

fn region(drivers: &Drivers) -> Result<&Region, VerbError> {
    drivers.cloud_run.as_deref().ok_or_else(|| VerbError::Denied("no `google` is granted to this platform".into()))
}

impl Host for Guest {
    async fn names(&mut self) -> Result<Vec<String>, Error> {
        let granted = self.granted.google("cloud-run.names");
        self.verb(granted, |_, drivers| Box::pin(async move { Ok(region(drivers)?.names()) })).await
    }

    async fn look(&mut self, service: String) -> Result<Service, Error> {
        let granted = self.granted.google("cloud-run.look");
        let seen = self
            .verb(granted, move |cx, drivers| Box::pin(async move { region(drivers)?.look(cx, &service).await }))
            .await?;
        Ok(seen.into())
    }

    async fn pin(&mut self, image: String) -> Result<String, Error> {
        let granted = self.granted.google("cloud-run.pin");
        self.verb(granted, move |cx, drivers| Box::pin(async move { region(drivers)?.pin(cx, &image).await })).await
    }

    async fn would_take(&mut self, service: String, image: String) -> Result<(), Error> {
        let granted = self.granted.google("cloud-run.would-take");
        self.verb(granted, move |cx, drivers| {
            Box::pin(async move { region(drivers)?.would_take(cx, &service, &image).await })
        })
        .await
    }

    async fn variables(&mut self, service: String) -> Result<Vec<Variable>, Error> {
        let granted = self.granted.google("cloud-run.variables");
        let differences = self
            .verb(granted, move |cx, drivers| Box::pin(async move { region(drivers)?.differences(cx, &service).await }))
            .await?;
        Ok(differences.into_iter().map(|(name, difference)| Variable { name, difference: difference.into() }).collect())
    }

    async fn deploy(&mut self, service: String, image: String) -> Result<String, Error> {
        let granted = self.granted.google("cloud-run.deploy");
        self.verb(granted, move |cx, drivers| {
            Box::pin(async move { region(drivers)?.deploy(cx, &service, &image).await })
        })
        .await
    }

    async fn route(&mut self, service: String, shares: Vec<Share>, tagged: Option<String>) -> Result<(), Error> {
        let granted = self.granted.google("cloud-run.route");
        let shares: Vec<upgraded_google::Share> = shares.into_iter().map(Into::into).collect();
        self.verb(granted, move |cx, drivers| {
            Box::pin(async move { region(drivers)?.route(cx, &service, &shares, tagged.as_deref()).await })
        })
        .await
    }

    async fn ask(&mut self, service: String, by_tag: bool, path: String) -> Result<Answer, Error> {
        let granted = self.granted.google("cloud-run.ask");
        let answer = self
            .verb(granted, move |cx, drivers| {
                Box::pin(async move { region(drivers)?.ask(cx, &service, by_tag, &path).await })
            })
            .await?;
        Ok(Answer { status: answer.status, body: answer.body })
    }

    async fn run_job(&mut self, job: String, image: Option<String>, args: Vec<String>) -> Result<(), Error> {
        let granted = self.granted.google("cloud-run.run-job");
        self.verb(granted, move |cx, drivers| {
            Box::pin(async move { region(drivers)?.run_job(cx, &job, image.as_deref(), &args).await })
        })
        .await
    }
}

impl From<upgraded_google::Difference> for Difference {
    fn from(difference: upgraded_google::Difference) -> Self {
        match difference {
            upgraded_google::Difference::New => Self::New,
            upgraded_google::Difference::Other => Self::Other,
            upgraded_google::Difference::Gone => Self::Gone,
            upgraded_google::Difference::Bound => Self::Bound,
        }
    }
}

impl From<Share> for upgraded_google::Share {
    fn from(Share { revision, percent }: Share) -> Self {
        Self { revision, percent }
    }
}

impl From<upgraded_google::Service> for Service {
    fn from(seen: upgraded_google::Service) -> Self {
        let share = |share: upgraded_google::Share| Share { revision: share.revision, percent: share.percent };
        Self {
            name: seen.name,
            uri: seen.uri,
            image: seen.image,
            shares: seen.shares.into_iter().map(share).collect(),
            latest_ready: seen.latest_ready,
            stopped: seen.stopped,
            why: seen.why,
            last_modifier: seen.last_modifier,
            fingerprint: seen.fingerprint,
        }
    }
}
