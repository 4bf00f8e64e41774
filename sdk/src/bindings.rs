//! Generated from `wit/upgraded.wit`: the words, what the host offers, and the exports of each role.
//!
//! The exports stand in worlds of their own and share one set of words. A component imports what its code calls and
//! nothing else: the linker drops what is not called, so no verb may be reached through a table of functions.

#[allow(missing_docs)]
mod imports {
    wit_bindgen::generate!({
        path: "wit",
        inline: "
            package upgraded:sdk;
            world imports {
                import upgraded:plugin/run@0.1.0;
                import upgraded:plugin/files@0.1.0;
                import upgraded:plugin/services@0.1.0;
                import upgraded:plugin/control@0.1.0;
                import upgraded:plugin/process@0.1.0;
                import upgraded:plugin/images@0.1.0;
                import upgraded:plugin/compose@0.1.0;
                import upgraded:plugin/helm@0.1.0;
                import upgraded:plugin/cloud-run@0.1.0;
                import upgraded:plugin/cloud-sql@0.1.0;
                import upgraded:plugin/pods@0.1.0;
                import upgraded:plugin/checkout@0.1.0;
                import upgraded:plugin/trees@0.1.0;
                import upgraded:plugin/sqlite@0.1.0;
                import upgraded:plugin/postgres@0.1.0;
                import upgraded:plugin/mysql@0.1.0;
                import upgraded:plugin/http@0.1.0;
            }
        ",
        generate_all,
        generate_unused_types: true,
        additional_derives: [PartialEq, Eq],
        pub_export_macro: true,
    });
}

pub mod raw {
    pub mod meta {
        wit_bindgen::generate!({
            path: "wit",
            inline: "package upgraded:sdk; world meta { export upgraded:plugin/meta@0.1.0; }",
            world: "upgraded:sdk/meta",
            with: { "upgraded:plugin/types@0.1.0": crate::bindings::imports::upgraded::plugin::types },
            generate_all,
            additional_derives: [PartialEq, Eq],
            pub_export_macro: true,
            default_bindings_module: "upgraded_sdk::__private::meta",
        });
    }
    pub mod product {
        wit_bindgen::generate!({
            path: "wit",
            inline: "package upgraded:sdk; world product { export upgraded:plugin/product@0.1.0; }",
            world: "upgraded:sdk/product",
            with: { "upgraded:plugin/types@0.1.0": crate::bindings::imports::upgraded::plugin::types },
            generate_all,
            additional_derives: [PartialEq, Eq],
            pub_export_macro: true,
            default_bindings_module: "upgraded_sdk::__private::product",
        });
    }
    pub mod platform {
        wit_bindgen::generate!({
            path: "wit",
            inline: "package upgraded:sdk; world platform { export upgraded:plugin/platform@0.1.0; }",
            world: "upgraded:sdk/platform",
            with: { "upgraded:plugin/types@0.1.0": crate::bindings::imports::upgraded::plugin::types },
            generate_all,
            additional_derives: [PartialEq, Eq],
            pub_export_macro: true,
            default_bindings_module: "upgraded_sdk::__private::platform",
        });
    }
    pub mod datastore {
        wit_bindgen::generate!({
            path: "wit",
            inline: "package upgraded:sdk; world datastore { export upgraded:plugin/datastore@0.1.0; }",
            world: "upgraded:sdk/datastore",
            with: { "upgraded:plugin/types@0.1.0": crate::bindings::imports::upgraded::plugin::types },
            generate_all,
            additional_derives: [PartialEq, Eq],
            pub_export_macro: true,
            default_bindings_module: "upgraded_sdk::__private::datastore",
        });
    }
}

pub use imports::upgraded::plugin::{
    checkout, cloud_run, cloud_sql, compose, helm, http, images, pods, postgres, process, run, services, types,
};
#[cfg(target_arch = "wasm32")]
pub use imports::upgraded::plugin::{control, files, mysql, sqlite, trees};
pub use raw::datastore::exports::upgraded::plugin::datastore;
pub use raw::meta::exports::upgraded::plugin::meta;
pub use raw::platform::exports::upgraded::plugin::platform;
pub use raw::product::exports::upgraded::plugin::product;
