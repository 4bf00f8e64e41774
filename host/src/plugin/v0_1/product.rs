//! The product's role over a component.

use super::adapter::Adapter;
use super::convert;
use crate::capability::bindings::types as wit;
use crate::context::StepContext;
use crate::model::{Edit, Finding, Hop, Installed, Release};
use crate::plugin::roles::{Answer, Product};
use async_trait::async_trait;

#[async_trait]
impl Product for Adapter {
    async fn releases(&self, cx: &StepContext) -> Answer<Vec<Release>> {
        let said = self.product(cx, "releases", |store, it, call| Box::pin(it.call_releases(store, call))).await?;
        self.sound(cx, "releases", self.checks(cx).count("releases", said.len()))?;
        let releases = convert::all(said);
        self.sound(cx, "releases", self.checks(cx).releases(&releases))?;
        Ok(releases)
    }

    async fn detect(&self, cx: &StepContext) -> Answer<Installed> {
        let said = self.product(cx, "detect", |store, it, call| Box::pin(it.call_detect(store, call))).await?;
        let installed = Installed::from(said);
        self.sound(cx, "detect", self.checks(cx).installed(&installed))?;
        Ok(installed)
    }

    async fn path(&self, cx: &StepContext, installed: &Installed, wanted: &str) -> Answer<Vec<Hop>> {
        let (asked, to) = (wit::Installed::from(installed.clone()), wanted.to_owned());
        let said = self
            .product(cx, "path", move |store, it, call| {
                Box::pin(async move { it.call_path(store, call, &asked, &to).await })
            })
            .await?;
        let hops = convert::all(said);
        self.sound(cx, "path", self.checks(cx).path(&hops, &installed.version, wanted))?;
        Ok(hops)
    }

    async fn preflight(&self, cx: &StepContext, hop: &Hop) -> Answer<Vec<Finding>> {
        let hop = wit::Hop::from(hop.clone());
        let said = self
            .product(cx, "preflight", move |store, it, call| {
                Box::pin(async move { it.call_preflight(store, call, &hop).await })
            })
            .await?;
        let findings = convert::findings(said, cx);
        self.sound(cx, "preflight", self.checks(cx).findings(&findings))?;
        Ok(findings)
    }

    async fn edits(&self, cx: &StepContext, hop: &Hop) -> Answer<Vec<Edit>> {
        let hop = wit::Hop::from(hop.clone());
        let said = self
            .product(cx, "edits", move |store, it, call| {
                Box::pin(async move { it.call_edits(store, call, &hop).await })
            })
            .await?;
        let edits = convert::all(said);
        self.sound(cx, "edits", self.checks(cx).edits(&edits))?;
        Ok(edits)
    }

    async fn verify(&self, cx: &StepContext, release: &str) -> Answer<Vec<Finding>> {
        let release = release.to_owned();
        let said = self
            .product(cx, "verify", move |store, it, call| {
                Box::pin(async move { it.call_verify(store, call, &release).await })
            })
            .await?;
        let findings = convert::findings(said, cx);
        self.sound(cx, "verify", self.checks(cx).findings(&findings))?;
        Ok(findings)
    }
}
