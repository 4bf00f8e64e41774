//! The platform: it owns services, brings a release's code here and runs the acts of a hop.

use crate::bindings::{meta, platform, types};
use crate::{Call, Component, Edit, Finding, Hop, Need, PlatformHost, Result, Role};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

/// A fresh instance answers every call: nothing is kept between two. Every function states what is wanted and converges:
/// after a crash it is called again.
pub trait Platform {
    /// Give it `#[serde(deny_unknown_fields, rename_all = "kebab-case")]`; its comments become the schema's descriptions.
    type Settings: DeserializeOwned + JsonSchema;
    const NAME: &'static str;
    /// Mostly `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;

    fn needs() -> Vec<Need> {
        Vec::new()
    }
    /// What runs, to hold against the record.
    fn components(_call: &Call<Self::Settings>, _host: &PlatformHost) -> Result<Vec<Component>> {
        Ok(Vec::new())
    }
    fn preflight(_call: &Call<Self::Settings>, _host: &PlatformHost, _hop: &Hop) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
    /// Brings everything of the target here while the old version serves; a token that pins it.
    fn stage(_call: &Call<Self::Settings>, _host: &PlatformHost, hop: &Hop) -> Result<String> {
        Ok(hop.target.clone())
    }
    /// Sees the product's.
    fn edits(_call: &Call<Self::Settings>, _host: &PlatformHost, _hop: &Hop) -> Result<Vec<Edit>> {
        Ok(Vec::new())
    }
    /// Shuts the gate and stops who writes, reboot or not; on the way back, stops what is new.
    fn quiesce(call: &Call<Self::Settings>, host: &PlatformHost, hop: &Hop) -> Result<()>;
    /// One act of the hop, by its number.
    fn apply(call: &Call<Self::Settings>, host: &PlatformHost, hop: &Hop, staged: &str, act: u32) -> Result<()>;
    /// None: the whole, with the gate shut; an act's number: the services of that wave.
    fn verify(call: &Call<Self::Settings>, host: &PlatformHost, hop: &Hop, act: Option<u32>) -> Result<Vec<Finding>>;
    /// Opens the gate.
    fn admit(call: &Call<Self::Settings>, host: &PlatformHost, hop: &Hop) -> Result<()>;
    /// Puts the source's code back and starts it, gate still shut.
    fn revert(call: &Call<Self::Settings>, host: &PlatformHost, hop: &Hop, staged: &str) -> Result<()>;
}

#[doc(hidden)]
pub struct PlatformAdapter<P>(PhantomData<P>);

impl<P: Platform> PlatformAdapter<P> {
    /// Can be named where `P` has everything that a platform needs.
    pub const COMPLETE: () = ();
}

impl<P: Platform> meta::Guest for PlatformAdapter<P> {
    fn describe() -> meta::Info {
        super::info::<P::Settings>(P::NAME, P::VERSION, Role::Platform, P::needs())
    }
}

impl<P: Platform> platform::Guest for PlatformAdapter<P> {
    fn components(c: types::Call) -> Result<Vec<Component>> {
        P::components(&Call::read(c)?, &PlatformHost::imported())
    }
    fn preflight(c: types::Call, h: Hop) -> Result<Vec<Finding>> {
        P::preflight(&Call::read(c)?, &PlatformHost::imported(), &h)
    }
    fn stage(c: types::Call, h: Hop) -> Result<String> {
        P::stage(&Call::read(c)?, &PlatformHost::imported(), &h)
    }
    fn edits(c: types::Call, h: Hop) -> Result<Vec<Edit>> {
        P::edits(&Call::read(c)?, &PlatformHost::imported(), &h)
    }
    fn quiesce(c: types::Call, h: Hop) -> Result<()> {
        P::quiesce(&Call::read(c)?, &PlatformHost::imported(), &h)
    }
    fn apply(c: types::Call, h: Hop, staged: String, act: u32) -> Result<()> {
        P::apply(&Call::read(c)?, &PlatformHost::imported(), &h, &staged, act)
    }
    fn verify(c: types::Call, h: Hop, act: Option<u32>) -> Result<Vec<Finding>> {
        P::verify(&Call::read(c)?, &PlatformHost::imported(), &h, act)
    }
    fn admit(c: types::Call, h: Hop) -> Result<()> {
        P::admit(&Call::read(c)?, &PlatformHost::imported(), &h)
    }
    fn revert(c: types::Call, h: Hop, staged: String) -> Result<()> {
        P::revert(&Call::read(c)?, &PlatformHost::imported(), &h, &staged)
    }
}
