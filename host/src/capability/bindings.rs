//! What `bindgen!` makes of `wit/upgraded.wit`: named here, in `capability` and in `plugin::v0_1`, and nowhere else.
//!
//! Each interface that the host offers is generated once; the later worlds refer to the earlier ones'.

pub mod product {
    wasmtime::component::bindgen!({
        world: "product-plugin",
        path: "../wit",
        imports: { default: async },
        exports: { default: async },
    });
}

pub mod platform {
    wasmtime::component::bindgen!({
        world: "platform-plugin",
        path: "../wit",
        imports: { default: async },
        exports: { default: async },
        with: {
            "upgraded:plugin/types": super::product::upgraded::plugin::types,
            "upgraded:plugin/run": super::product::upgraded::plugin::run,
            "upgraded:plugin/files": super::product::upgraded::plugin::files,
            "upgraded:plugin/services": super::product::upgraded::plugin::services,
            "upgraded:plugin/checkout": super::product::upgraded::plugin::checkout,
            "upgraded:plugin/process": super::product::upgraded::plugin::process,
            "upgraded:plugin/http": super::product::upgraded::plugin::http,
        },
    });
}

pub mod datastore {
    wasmtime::component::bindgen!({
        world: "datastore-plugin",
        path: "../wit",
        imports: { default: async },
        exports: { default: async },
        with: {
            "upgraded:plugin/types": super::product::upgraded::plugin::types,
            "upgraded:plugin/run": super::product::upgraded::plugin::run,
            "upgraded:plugin/services": super::product::upgraded::plugin::services,
            "upgraded:plugin/http": super::product::upgraded::plugin::http,
            "upgraded:plugin/postgres.session": crate::capability::postgres::Session,
        },
    });
}

pub use datastore::upgraded::plugin::{cloud_sql, mysql, postgres, sqlite, trees};
pub use platform::upgraded::plugin::{cloud_run, compose, control, helm, images, pods};
pub use product::upgraded::plugin::{checkout, files, http, process, run, services, types};
