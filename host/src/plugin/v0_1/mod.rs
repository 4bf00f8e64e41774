//! Version 0.1 of the contract: its generated types are named here and in `capability`, and nowhere else. Makes a loaded
//! component into the pipeline's roles; a later contract is another module beside this one.

mod adapter;
mod answer;
mod call;
mod convert;
mod datastore;
mod describe;
mod meter;
mod platform;
mod product;

pub use adapter::{Adapter, Parts};
pub use describe::describe;

use crate::capability::bindings::datastore::DatastorePluginPre;
use crate::capability::bindings::platform::PlatformPluginPre;
use crate::capability::bindings::product::ProductPluginPre;
use crate::capability::bindings::{datastore as stores, platform as platforms, product as products};
use crate::capability::{Guest, link_wasi};
use crate::model::Role;
use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};

/// A component, linked: everything of an instance that is the same for all of them.
pub enum Pre {
    Product(ProductPluginPre<Guest>),
    Platform(PlatformPluginPre<Guest>),
    Datastore(DatastorePluginPre<Guest>),
}

impl Pre {
    pub fn new(linker: &Linker<Guest>, component: &Component, role: Role) -> wasmtime::Result<Self> {
        let linked = linker.instantiate_pre(component)?;
        Ok(match role {
            Role::Product => Self::Product(ProductPluginPre::new(linked)?),
            Role::Platform => Self::Platform(PlatformPluginPre::new(linked)?),
            Role::Datastore => Self::Datastore(DatastorePluginPre::new(linked)?),
        })
    }

    fn instance(&self) -> &InstancePre<Guest> {
        match self {
            Self::Product(pre) => pre.instance_pre(),
            Self::Platform(pre) => pre.instance_pre(),
            Self::Datastore(pre) => pre.instance_pre(),
        }
    }
}

/// What a component of this role may import.
pub fn link(engine: &Engine, role: Role) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    link_wasi(&mut linker)?;
    match role {
        Role::Product => products::ProductPlugin::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?,
        Role::Platform => platforms::PlatformPlugin::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?,
        Role::Datastore => stores::DatastorePlugin::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?,
    }
    Ok(linker)
}
