//! The plugins that ship with the daemon load and describe themselves.

use std::path::PathBuf;
use upgraded::model::Role;
use upgraded::plugin::Plugins;

#[test]
fn shipped_plugins_describe_themselves() {
    let folder = std::env::var_os("UPGRADED_COMPONENTS").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("components"));
    let state = tempfile::tempdir().unwrap();
    let plugins = Plugins::new(folder, state.path());
    let shipped = [
        ("files", Role::Datastore),
        ("generic", Role::Product),
        ("source", Role::Platform),
        ("sqlite", Role::Datastore),
        ("mysql", Role::Datastore),
    ];
    for (name, role) in shipped {
        let described = plugins
            .info_blocking(name)
            .unwrap_or_else(|error| panic!("`{name}`: {error}; `cargo xtask components` builds the components"));
        assert_eq!((described.info.name.as_str(), described.info.role), (name, role));
        let schema: serde_json::Value = serde_json::from_str(&described.info.config_schema).unwrap();
        assert_eq!(schema["additionalProperties"], false, "`{name}`");
    }
}
