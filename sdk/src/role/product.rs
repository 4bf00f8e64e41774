//! The product: what is installed, which way leads to what is wanted, and whether it stands.

use crate::bindings::{meta, product, types};
use crate::{Call, Edit, Finding, Hop, Installed, Need, ProductHost, Release, Result, Role};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use std::marker::PhantomData;

/// A fresh instance answers every call: nothing is kept between two.
pub trait Product {
    /// Give it `#[serde(deny_unknown_fields, rename_all = "kebab-case")]`; its comments become the schema's descriptions.
    type Settings: DeserializeOwned + JsonSchema;
    const NAME: &'static str;
    /// Mostly `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;

    fn needs() -> Vec<Need> {
        Vec::new()
    }
    /// Every release that there is, for `upgradectl releases`.
    fn releases(_call: &Call<Self::Settings>, _host: &ProductHost) -> Result<Vec<Release>> {
        Ok(Vec::new())
    }
    /// From the running system and not from memory.
    fn detect(call: &Call<Self::Settings>, host: &ProductHost) -> Result<Installed>;
    /// The hops from what is installed to what is wanted, or a refusal that names the rule ([`crate::rules`]).
    fn path(call: &Call<Self::Settings>, host: &ProductHost, installed: &Installed, wanted: &str) -> Result<Vec<Hop>>;
    fn preflight(_call: &Call<Self::Settings>, _host: &ProductHost, _hop: &Hop) -> Result<Vec<Finding>> {
        Ok(Vec::new())
    }
    /// Changes to the project's files; the host shows and writes them.
    fn edits(_call: &Call<Self::Settings>, _host: &ProductHost, _hop: &Hop) -> Result<Vec<Edit>> {
        Ok(Vec::new())
    }
    /// As a client from outside would; must find `release` running and right. Asked while a hop's gate is shut, and before a
    /// run while it is open: use an address behind the gate.
    fn verify(call: &Call<Self::Settings>, host: &ProductHost, release: &str) -> Result<Vec<Finding>>;
}

#[doc(hidden)]
pub struct ProductAdapter<P>(PhantomData<P>);

impl<P: Product> ProductAdapter<P> {
    /// Can be named where `P` has everything that a product needs.
    pub const COMPLETE: () = ();
}

impl<P: Product> meta::Guest for ProductAdapter<P> {
    fn describe() -> meta::Info {
        super::info::<P::Settings>(P::NAME, P::VERSION, Role::Product, P::needs())
    }
}

impl<P: Product> product::Guest for ProductAdapter<P> {
    fn releases(c: types::Call) -> Result<Vec<Release>> {
        P::releases(&Call::read(c)?, &ProductHost::imported())
    }
    fn detect(c: types::Call) -> Result<Installed> {
        P::detect(&Call::read(c)?, &ProductHost::imported())
    }
    fn path(c: types::Call, installed: Installed, wanted: String) -> Result<Vec<Hop>> {
        P::path(&Call::read(c)?, &ProductHost::imported(), &installed, &wanted)
    }
    fn preflight(c: types::Call, h: Hop) -> Result<Vec<Finding>> {
        P::preflight(&Call::read(c)?, &ProductHost::imported(), &h)
    }
    fn edits(c: types::Call, h: Hop) -> Result<Vec<Edit>> {
        P::edits(&Call::read(c)?, &ProductHost::imported(), &h)
    }
    fn verify(c: types::Call, release: String) -> Result<Vec<Finding>> {
        P::verify(&Call::read(c)?, &ProductHost::imported(), &release)
    }
}
