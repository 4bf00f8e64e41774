//! The call that a test hands to a plugin.

use crate::bindings::types;
use crate::{Binding, Call, Role};
use serde::de::DeserializeOwned;

pub(super) fn call<S: DeserializeOwned>(step: &str, settings: serde_json::Value) -> Call<S> {
    let binding = |name: &str, role: Role, plugin: &str| Binding { name: name.into(), role, plugin: plugin.into() };
    let call = types::Call {
        deployment: "shop".into(),
        binding: "main".into(),
        config: settings.to_string(),
        bindings: vec![
            binding("product", Role::Product, "generic"),
            binding("main", Role::Platform, "source"),
            binding("main", Role::Datastore, "files"),
        ],
        run: "1".into(),
        step: step.into(),
        attempt: 1,
    };
    match Call::read(call) {
        Ok(call) => call,
        Err(error) => panic!("{}", error.text()),
    }
}
