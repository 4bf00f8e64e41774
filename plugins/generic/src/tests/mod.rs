//! Tests of the plugin.

mod detect;
mod path;
mod settings;
mod smoke;

use crate::{Generic, Settings};
use upgraded_sdk::fake::FakeHost;
use upgraded_sdk::prelude::*;

/// Settings as they stand in a deployment's file.
fn call(fake: &FakeHost, settings: &str) -> Call<Settings> {
    let value: serde_json::Value = toml::from_str(settings).unwrap();
    fake.call(value)
}

fn invalid<T: std::fmt::Debug>(result: Result<T>) -> String {
    match result {
        Err(Error::Invalid(text)) => text,
        other => panic!("{other:?}"),
    }
}
