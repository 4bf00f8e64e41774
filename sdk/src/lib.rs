//! What the author of an `upgraded` plugin depends on: a trait for each role, the host's verbs, rules for paths, and a fake
//! host for tests.
//!
//! A plugin implements one of [`Product`], [`Platform`] and [`Datastore`] and hands the type to [`export!`]. Nothing here
//! reaches outside the contract in `wit/`: what a plugin can do is what its role's host offers.

#[doc = include_str!("../README.md")]
#[cfg(doctest)]
struct Readme;

mod bindings;
mod call;
#[cfg(not(target_arch = "wasm32"))]
pub mod fake;
mod hop_services;
mod host;
pub mod joined;
mod nearest;
pub mod pods;
mod role;
pub mod rules;
mod words;

pub use bindings::checkout::Tracked;
pub use bindings::cloud_run::{Answer, Difference, Service as CloudService, Share, Variable as CloudVariable};
pub use bindings::cloud_sql::Instance;
pub use bindings::compose::{Container, ContainerState, Declared, Mount, OneOff};
pub use bindings::datastore::{BackupRef, Origin};
pub use bindings::helm::{Chart, Outlook, Reconciler, Revision, Workload};
pub use bindings::http::{Request, Response, SecretHeader};
pub use bindings::images::{Image, Registered};
pub use bindings::meta::Need;
pub use bindings::postgres::MajorVersions;
pub use bindings::process::{Command, Exit};
pub use bindings::run::Level;
pub use bindings::services::Service;
pub use bindings::types::{
    Act, Binding, Change, Component, Edit, Error, Failure, Finding, Hop, Installed, Once, Release, Requirement, Role,
    ServiceRef, Severity, Undo, Watch, Wave,
};
pub use call::{Call, NoSettings, Paths, Secret};
pub use hop_services::HopServices;
pub use host::{
    Checkout, CloudRun, CloudSql, Compose, Control, DatastoreHost, Files, Helm, Http, Images, Mysql, PlatformHost,
    Pods, Postgres, Process, ProductHost, Services, Session, Sqlite, Trees,
};
pub use nearest::nearest;
pub use role::{Datastore, Platform, Product, schema};
pub use {schemars, serde, serde_json};

/// What a plugin's functions return.
pub type Result<T> = std::result::Result<T, Error>;

/// How long a command may be silent where a plugin has no better idea: as long as the operator's `[policy] idle` says.
pub const IDLE_MS: u64 = 0;

/// What a plugin starts with: `use upgraded_sdk::prelude::*;`
pub mod prelude {
    pub use crate::{
        Act, Call, Component, Datastore, DatastoreHost, Edit, Error, Finding, Hop, Installed, NoSettings, Once, Origin,
        Platform, PlatformHost, Product, ProductHost, Release, Result, Secret, ServiceRef, Undo, Watch, Wave, rules,
    };
}

/// Makes a component of a type: `export!(product Shop)`, `export!(platform Rack)` or `export!(datastore Store)`.
///
/// The exports exist on wasm32 alone, so the crate also builds, and is tested, for the machine that it is written on.
#[macro_export]
macro_rules! export {
    (product $plugin:ty) => {
        $crate::__export!(product, ProductAdapter, $plugin);
    };
    (platform $plugin:ty) => {
        $crate::__export!(platform, PlatformAdapter, $plugin);
    };
    (datastore $plugin:ty) => {
        $crate::__export!(datastore, DatastoreAdapter, $plugin);
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($role:ident, $adapter:ident, $plugin:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            type UpgradedComponent = $crate::__private::$adapter<$plugin>;
    $crate::__private::meta::export!(UpgradedComponent with_types_in $crate::__private::meta);
    $crate::__private::$role::export!(UpgradedComponent with_types_in $crate::__private::$role);
        };
        // On every machine: a type that misses its role's trait is an error at once.
        const _: () = $crate::__private::$adapter::<$plugin>::COMPLETE;
    };
}

#[doc(hidden)]
pub mod __private {
    pub use crate::bindings::raw::*;
    pub use crate::role::{DatastoreAdapter, PlatformAdapter, ProductAdapter};
}
