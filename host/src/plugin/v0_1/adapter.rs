//! A binding's component as the pipeline sees it: every call in a fresh instance, every answer held against sense.

use super::call::{Broken, Visit};
use super::{Pre, answer, convert};
use crate::capability::bindings::types::{Call, Error};
use crate::capability::bindings::{datastore as stores, platform as platforms, product as products};
use crate::capability::{Granted, Guest};
use crate::context::StepContext;
use crate::driver::Drivers;
use crate::model::{Info, VerbError};
use crate::plugin::engine::{Loaded, Pass};
use crate::plugin::library::Library;
use crate::plugin::roles::{Answer, CallError};
use futures::future::BoxFuture;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::Store;

pub use platforms::exports::upgraded::plugin::platform::Guest as PlatformGuest;
pub use products::exports::upgraded::plugin::product::Guest as ProductGuest;
pub use stores::exports::upgraded::plugin::datastore::Guest as DatastoreGuest;

/// One binding of one deployment. Loads its component when it is called.
pub struct Adapter(Parts);

pub struct Parts {
    pub library: Arc<Library>,
    /// SHA-256 of the component.
    pub digest: String,
    pub info: Arc<Info>,
    /// The name that the deployment's file calls it by.
    pub plugin: String,
    pub settings: Value,
    pub granted: Arc<Granted>,
    /// None in tests of what needs none.
    pub drivers: Option<Arc<Drivers>>,
    pub idle: Duration,
}

/// What one function answered: the plugin's own error, or what the call was for.
type Said<T> = wasmtime::Result<Result<T, Error>>;

/// A call of one function: the arguments are in it, converted.
pub trait Ask<G, T>: for<'s> FnOnce(&'s mut Store<Guest>, &'s G, &'s Call) -> BoxFuture<'s, Said<T>> + Send {}

impl<G, T, A> Ask<G, T> for A where
    A: for<'s> FnOnce(&'s mut Store<Guest>, &'s G, &'s Call) -> BoxFuture<'s, Said<T>> + Send
{
}

impl Adapter {
    pub fn new(parts: Parts) -> Self {
        Self(parts)
    }

    pub(super) async fn product<T: Send>(
        &self, cx: &StepContext, function: &'static str, ask: impl Ask<ProductGuest, T>,
    ) -> Answer<T> {
        let (pass, loaded) = self.ready(function).await?;
        let Pre::Product(pre) = &loaded.pre else { return Err(self.other_role(function, &loaded)) };
        let call = self.call(cx);
        let said = self.visit(cx, &pass).run(|mut store| async move {
            let instance = pre.instantiate_async(&mut store).await?;
            ask(&mut store, instance.upgraded_plugin_product(), &call).await
        });
        self.answer(cx, function, said.await)
    }

    pub(super) async fn platform<T: Send>(
        &self, cx: &StepContext, function: &'static str, ask: impl Ask<PlatformGuest, T>,
    ) -> Answer<T> {
        let (pass, loaded) = self.ready(function).await?;
        let Pre::Platform(pre) = &loaded.pre else { return Err(self.other_role(function, &loaded)) };
        let call = self.call(cx);
        let said = self.visit(cx, &pass).run(|mut store| async move {
            let instance = pre.instantiate_async(&mut store).await?;
            ask(&mut store, instance.upgraded_plugin_platform(), &call).await
        });
        self.answer(cx, function, said.await)
    }

    pub(super) async fn datastore<T: Send>(
        &self, cx: &StepContext, function: &'static str, ask: impl Ask<DatastoreGuest, T>,
    ) -> Answer<T> {
        let (pass, loaded) = self.ready(function).await?;
        let Pre::Datastore(pre) = &loaded.pre else { return Err(self.other_role(function, &loaded)) };
        let call = self.call(cx);
        let said = self.visit(cx, &pass).run(|mut store| async move {
            let instance = pre.instantiate_async(&mut store).await?;
            ask(&mut store, instance.upgraded_plugin_datastore(), &call).await
        });
        self.answer(cx, function, said.await)
    }

    /// An answer that makes no sense is the plugin's failure, and nothing is done with it.
    pub(super) fn sound(&self, cx: &StepContext, function: &'static str, sense: answer::Sense) -> Answer<()> {
        sense.map_err(|why| {
            let message = format!("its answer makes no sense: {why}");
            self.broken(function, Broken { code: "nonsense", message }, cx.activity.tail())
        })
    }

    pub(super) fn checks<'a>(&'a self, cx: &'a StepContext) -> answer::Checks<'a> {
        answer::Checks { limits: &self.0.library.limits, deployment: &cx.deployment, bindings: &cx.bindings }
    }

    async fn ready(&self, function: &'static str) -> Answer<(Pass, Arc<Loaded>)> {
        let ready = self.0.library.ready(&self.0.digest, &self.0.plugin).await;
        ready.map_err(|error| self.broken(function, Broken { code: "plugin", message: error.to_string() }, Vec::new()))
    }

    fn visit<'a>(&'a self, cx: &'a StepContext, pass: &'a Pass) -> Visit<'a> {
        Visit {
            engine: &pass.runtime.engine,
            limits: &self.0.library.limits,
            granted: self.0.granted.clone(),
            activity: &cx.activity,
            idle: self.0.idle,
            served: self.0.drivers.as_deref().map(|drivers| (cx, drivers)),
        }
    }

    fn call(&self, cx: &StepContext) -> Call {
        convert::call(cx, &self.0.settings, &self.0.info.config_schema)
    }

    fn answer<T>(&self, cx: &StepContext, function: &'static str, said: Result<Result<T, Error>, Broken>) -> Answer<T> {
        match said {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                let error = answer::bounded(VerbError::from(error), &self.0.library.limits);
                Err(CallError::Refused { plugin: self.0.plugin.clone(), function, error })
            }
            Err(broken) => Err(self.broken(function, broken, cx.activity.tail())),
        }
    }

    fn other_role(&self, function: &'static str, loaded: &Loaded) -> CallError {
        let message = format!("it is a {}", loaded.role);
        self.broken(function, Broken { code: "plugin", message }, Vec::new())
    }

    fn broken(&self, function: &'static str, broken: Broken, last_lines: Vec<String>) -> CallError {
        let Broken { code, message } = broken;
        CallError::Broken { plugin: self.0.plugin.clone(), function, code: code.into(), message, last_lines }
    }
}
