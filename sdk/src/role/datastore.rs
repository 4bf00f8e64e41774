//! The datastore: it fences, freezes, saves, counts and puts back.

use crate::bindings::{datastore, meta, types};
use crate::{BackupRef, Call, DatastoreHost, Finding, Hop, Need, Origin, Result, Role};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

/// A fresh instance answers every call: nothing is kept between two. Every function states what is wanted and converges:
/// after a crash it is called again. The same calls come for a drill's site; a plugin can't tell.
pub trait Datastore {
    /// Give it `#[serde(deny_unknown_fields, rename_all = "kebab-case")]`; its comments become the schema's descriptions.
    type Settings: DeserializeOwned + JsonSchema;
    const NAME: &'static str;
    /// Mostly `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;

    fn needs() -> Vec<Need> {
        Vec::new()
    }
    fn preflight(_call: &Call<Self::Settings>, _host: &DatastoreHost, _hop: &Hop) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
    /// Nobody but the host writes, reboot or not; returns the mark.
    fn fence(call: &Call<Self::Settings>, host: &DatastoreHost) -> Result<String>;
    /// Evidence of the last write.
    fn mark(call: &Call<Self::Settings>, host: &DatastoreHost) -> Result<String>;
    fn unfence(call: &Call<Self::Settings>, host: &DatastoreHost) -> Result<()>;
    /// A local copy in moments, where it can; false where it can't.
    fn freeze(_call: &Call<Self::Settings>, _host: &DatastoreHost) -> Result<bool> {
        Ok(false)
    }
    /// Of the frozen copy that the named step made, or of what is live.
    fn backup(call: &Call<Self::Settings>, host: &DatastoreHost, frozen: Option<&str>) -> Result<BackupRef>;
    /// Sorted lines, `id<TAB>count<TAB>digest`, in one snapshot; of the frozen copy or of what is live.
    fn manifest(call: &Call<Self::Settings>, host: &DatastoreHost, frozen: Option<&str>) -> Result<String>;
    /// Builds beside the live name, then flips; what was there becomes the frozen copy of this step.
    fn restore(call: &Call<Self::Settings>, host: &DatastoreHost, origin: &Origin) -> Result<()>;
    /// Drops the frozen copy that the named step made, where there is one.
    fn discard(_call: &Call<Self::Settings>, _host: &DatastoreHost, _frozen: &str) -> Result<()> {
        Ok(())
    }
}

#[doc(hidden)]
pub struct DatastoreAdapter<P>(PhantomData<P>);

impl<P: Datastore> DatastoreAdapter<P> {
    /// Can be named where `P` has everything that a datastore needs.
    pub const COMPLETE: () = ();
}

impl<P: Datastore> meta::Guest for DatastoreAdapter<P> {
    fn describe() -> meta::Info {
        super::info::<P::Settings>(P::NAME, P::VERSION, Role::Datastore, P::needs())
    }
}

impl<P: Datastore> datastore::Guest for DatastoreAdapter<P> {
    fn preflight(c: types::Call, h: Hop) -> Result<Vec<Finding>> {
        P::preflight(&Call::read(c)?, &DatastoreHost::imported(), &h)
    }
    fn fence(c: types::Call) -> Result<String> {
        P::fence(&Call::read(c)?, &DatastoreHost::imported())
    }
    fn mark(c: types::Call) -> Result<String> {
        P::mark(&Call::read(c)?, &DatastoreHost::imported())
    }
    fn unfence(c: types::Call) -> Result<()> {
        P::unfence(&Call::read(c)?, &DatastoreHost::imported())
    }
    fn freeze(c: types::Call) -> Result<bool> {
        P::freeze(&Call::read(c)?, &DatastoreHost::imported())
    }
    fn backup(c: types::Call, frozen: Option<String>) -> Result<BackupRef> {
        P::backup(&Call::read(c)?, &DatastoreHost::imported(), frozen.as_deref())
    }
    fn manifest(c: types::Call, frozen: Option<String>) -> Result<String> {
        P::manifest(&Call::read(c)?, &DatastoreHost::imported(), frozen.as_deref())
    }
    fn restore(c: types::Call, o: Origin) -> Result<()> {
        P::restore(&Call::read(c)?, &DatastoreHost::imported(), &o)
    }
    fn discard(c: types::Call, frozen: String) -> Result<()> {
        P::discard(&Call::read(c)?, &DatastoreHost::imported(), &frozen)
    }
}
