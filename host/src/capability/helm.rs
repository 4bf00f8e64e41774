//! `helm`: the deployment's release. Granted by `kubernetes` in the platform's table.

use super::bindings::helm::{Chart, Host, Outlook, Reconciler, Revision, Workload};
use super::bindings::types::Error;
use super::guest::Guest;
use crate::driver::Drivers;
use crate::driver::kubernetes::{self, Kubernetes};
use crate::model::VerbError;

fn release(drivers: &Drivers) -> Result<&Kubernetes, VerbError> {
    drivers.kubernetes.as_deref().ok_or_else(|| VerbError::Denied("no `kubernetes` is granted to this platform".into()))
}

impl Host for Guest {
    async fn history(&mut self) -> Result<Vec<Revision>, Error> {
        let granted = self.granted.cluster("helm.history");
        let all =
            self.verb(granted, |cx, drivers| Box::pin(async move { release(drivers)?.history(cx).await })).await?;
        let revision = |revision: kubernetes::Revision| Revision {
            number: revision.number,
            status: revision.status,
            chart: revision.chart,
            version: revision.chart_version,
            app_version: revision.app_version,
            held: revision.held.is_some(),
        };
        Ok(all.into_iter().map(revision).collect())
    }

    async fn workloads(&mut self) -> Result<Vec<Workload>, Error> {
        let granted = self.granted.cluster("helm.workloads");
        let all =
            self.verb(granted, |cx, drivers| Box::pin(async move { release(drivers)?.workloads(cx).await })).await?;
        Ok(all.into_iter().map(Workload::from).collect())
    }

    async fn missing_rights(&mut self) -> Result<Vec<String>, Error> {
        let granted = self.granted.cluster("helm.missing-rights");
        self.verb(granted, |cx, drivers| Box::pin(async move { release(drivers)?.missing_rights(cx).await })).await
    }

    async fn look_ahead(&mut self, version: String) -> Result<Outlook, Error> {
        let granted = self.granted.cluster("helm.look-ahead");
        let outlook = self
            .verb(granted, move |cx, drivers| Box::pin(async move { release(drivers)?.outlook(cx, &version).await }))
            .await?;
        let kubernetes::Outlook { chart, workloads, diff, removed_definitions } = outlook;
        let workloads = workloads.into_iter().map(Workload::from).collect();
        Ok(Outlook { chart: chart.into(), workloads, diff, removed_definitions })
    }

    async fn pull(&mut self, version: String) -> Result<Chart, Error> {
        let granted = self.granted.cluster("helm.pull");
        let chart = self
            .verb(granted, move |cx, drivers| Box::pin(async move { release(drivers)?.pull(cx, &version).await }))
            .await?;
        Ok(chart.into())
    }

    async fn upgrade(&mut self, digest: String, hold: Vec<String>, idle_ms: u64) -> Result<(), Error> {
        let granted = self.granted.cluster("helm.upgrade");
        self.verb_for(granted, idle_ms, move |cx, drivers| {
            Box::pin(async move { release(drivers)?.upgrade(cx, &digest, &hold, idle_ms).await })
        })
        .await
    }

    async fn back(&mut self, revision: u32, hold: Vec<String>) -> Result<(), Error> {
        let granted = self.granted.cluster("helm.back");
        self.verb(granted, move |cx, drivers| {
            Box::pin(async move { release(drivers)?.back(cx, revision, &hold).await })
        })
        .await
    }

    async fn settle(&mut self) -> Result<(), Error> {
        let granted = self.granted.cluster("helm.settle");
        self.verb(granted, |cx, drivers| Box::pin(async move { release(drivers)?.settle(cx).await })).await
    }

    async fn drift(&mut self) -> Result<Vec<String>, Error> {
        let granted = self.granted.cluster("helm.drift");
        self.verb(granted, |cx, drivers| Box::pin(async move { release(drivers)?.drift(cx).await })).await
    }

    async fn reconcilers(&mut self) -> Result<Vec<Reconciler>, Error> {
        let granted = self.granted.cluster("helm.reconcilers");
        let all =
            self.verb(granted, |cx, drivers| Box::pin(async move { release(drivers)?.reconcilers(cx).await })).await?;
        let reconciler = |reconciler: kubernetes::Reconciler| Reconciler {
            name: reconciler.name,
            suspended: reconciler.suspended,
            hint: reconciler.hint,
        };
        Ok(all.into_iter().map(reconciler).collect())
    }
}

impl From<kubernetes::Chart> for Chart {
    fn from(chart: kubernetes::Chart) -> Self {
        let kubernetes::Chart { name, version, digest, .. } = chart;
        Self { name, version, digest }
    }
}

impl From<kubernetes::Shown> for Workload {
    fn from(workload: kubernetes::Shown) -> Self {
        let kubernetes::Shown { name, kind, image, hook, held } = workload;
        Self { name, kind, image, hook, held }
    }
}
