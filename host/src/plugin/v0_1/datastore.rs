//! The datastore's role over a component.

use super::adapter::Adapter;
use super::convert;
use crate::capability::bindings::types as wit;
use crate::context::StepContext;
use crate::model::{BackupRef, Finding, Hop, Origin};
use crate::plugin::roles::{Answer, Datastore};
use async_trait::async_trait;

#[async_trait]
impl Datastore for Adapter {
    async fn preflight(&self, cx: &StepContext, hop: &Hop) -> Answer<Vec<Finding>> {
        let hop = wit::Hop::from(hop.clone());
        let said = self
            .datastore(cx, "preflight", move |store, it, call| {
                Box::pin(async move { it.call_preflight(store, call, &hop).await })
            })
            .await?;
        let findings = convert::findings(said, cx);
        self.sound(cx, "preflight", self.checks(cx).findings(&findings))?;
        Ok(findings)
    }

    async fn fence(&self, cx: &StepContext) -> Answer<String> {
        let mark = self.datastore(cx, "fence", |store, it, call| Box::pin(it.call_fence(store, call))).await?;
        self.sound(cx, "fence", self.checks(cx).some_text("mark", &mark))?;
        Ok(mark)
    }

    async fn mark(&self, cx: &StepContext) -> Answer<String> {
        let mark = self.datastore(cx, "mark", |store, it, call| Box::pin(it.call_mark(store, call))).await?;
        self.sound(cx, "mark", self.checks(cx).some_text("mark", &mark))?;
        Ok(mark)
    }

    async fn unfence(&self, cx: &StepContext) -> Answer<()> {
        self.datastore(cx, "unfence", |store, it, call| Box::pin(it.call_unfence(store, call))).await
    }

    async fn freeze(&self, cx: &StepContext) -> Answer<bool> {
        self.datastore(cx, "freeze", |store, it, call| Box::pin(it.call_freeze(store, call))).await
    }

    async fn backup(&self, cx: &StepContext, frozen: Option<&str>) -> Answer<BackupRef> {
        let frozen = frozen.map(str::to_owned);
        let said = self
            .datastore(cx, "backup", move |store, it, call| {
                Box::pin(async move { it.call_backup(store, call, frozen.as_deref()).await })
            })
            .await?;
        let backup = BackupRef::from(said);
        self.sound(cx, "backup", self.checks(cx).backup(&backup, &cx.binding))?;
        Ok(backup)
    }

    async fn manifest(&self, cx: &StepContext, frozen: Option<&str>) -> Answer<String> {
        let frozen = frozen.map(str::to_owned);
        let manifest = self
            .datastore(cx, "manifest", move |store, it, call| {
                Box::pin(async move { it.call_manifest(store, call, frozen.as_deref()).await })
            })
            .await?;
        self.sound(cx, "manifest", self.checks(cx).manifest(&manifest))?;
        Ok(manifest)
    }

    async fn restore(&self, cx: &StepContext, origin: &Origin) -> Answer<()> {
        let origin = convert::origin(origin.clone());
        self.datastore(cx, "restore", move |store, it, call| {
            Box::pin(async move { it.call_restore(store, call, &origin).await })
        })
        .await
    }

    async fn discard(&self, cx: &StepContext, frozen: &str) -> Answer<()> {
        let frozen = frozen.to_owned();
        self.datastore(cx, "discard", move |store, it, call| {
            Box::pin(async move { it.call_discard(store, call, &frozen).await })
        })
        .await
    }
}
