//! The platform's role over a component.

use super::adapter::Adapter;
use super::convert;
use crate::capability::bindings::types as wit;
use crate::context::StepContext;
use crate::model::{Component, Edit, Finding, Hop};
use crate::plugin::roles::{Answer, Platform};
use async_trait::async_trait;

#[async_trait]
impl Platform for Adapter {
    async fn components(&self, cx: &StepContext) -> Answer<Vec<Component>> {
        let said = self.platform(cx, "components", |store, it, call| Box::pin(it.call_components(store, call))).await?;
        let components = convert::all(said);
        self.sound(cx, "components", self.checks(cx).components(&components))?;
        Ok(components)
    }

    async fn preflight(&self, cx: &StepContext, hop: &Hop) -> Answer<Vec<Finding>> {
        let hop = wit::Hop::from(hop.clone());
        let said = self
            .platform(cx, "preflight", move |store, it, call| {
                Box::pin(async move { it.call_preflight(store, call, &hop).await })
            })
            .await?;
        let findings = convert::findings(said, cx);
        self.sound(cx, "preflight", self.checks(cx).findings(&findings))?;
        Ok(findings)
    }

    async fn stage(&self, cx: &StepContext, hop: &Hop) -> Answer<String> {
        let hop = wit::Hop::from(hop.clone());
        let token = self
            .platform(cx, "stage", move |store, it, call| {
                Box::pin(async move { it.call_stage(store, call, &hop).await })
            })
            .await?;
        self.sound(cx, "stage", self.checks(cx).some_text("token", &token))?;
        Ok(token)
    }

    async fn edits(&self, cx: &StepContext, hop: &Hop) -> Answer<Vec<Edit>> {
        let hop = wit::Hop::from(hop.clone());
        let said = self
            .platform(cx, "edits", move |store, it, call| {
                Box::pin(async move { it.call_edits(store, call, &hop).await })
            })
            .await?;
        let edits = convert::all(said);
        self.sound(cx, "edits", self.checks(cx).edits(&edits))?;
        Ok(edits)
    }

    async fn quiesce(&self, cx: &StepContext, hop: &Hop) -> Answer<()> {
        let hop = wit::Hop::from(hop.clone());
        self.platform(cx, "quiesce", move |store, it, call| {
            Box::pin(async move { it.call_quiesce(store, call, &hop).await })
        })
        .await
    }

    async fn apply(&self, cx: &StepContext, hop: &Hop, staged: &str, act: u32) -> Answer<()> {
        let (hop, staged) = (wit::Hop::from(hop.clone()), staged.to_owned());
        self.platform(cx, "apply", move |store, it, call| {
            Box::pin(async move { it.call_apply(store, call, &hop, &staged, act).await })
        })
        .await
    }

    async fn verify(&self, cx: &StepContext, hop: &Hop, act: Option<u32>) -> Answer<Vec<Finding>> {
        let hop = wit::Hop::from(hop.clone());
        let said = self
            .platform(cx, "verify", move |store, it, call| {
                Box::pin(async move { it.call_verify(store, call, &hop, act).await })
            })
            .await?;
        let findings = convert::findings(said, cx);
        self.sound(cx, "verify", self.checks(cx).findings(&findings))?;
        Ok(findings)
    }

    async fn admit(&self, cx: &StepContext, hop: &Hop) -> Answer<()> {
        let hop = wit::Hop::from(hop.clone());
        self.platform(cx, "admit", move |store, it, call| {
            Box::pin(async move { it.call_admit(store, call, &hop).await })
        })
        .await
    }

    async fn revert(&self, cx: &StepContext, hop: &Hop, staged: &str) -> Answer<()> {
        let (hop, staged) = (wit::Hop::from(hop.clone()), staged.to_owned());
        self.platform(cx, "revert", move |store, it, call| {
            Box::pin(async move { it.call_revert(store, call, &hop, &staged).await })
        })
        .await
    }
}
