//! What a component says of itself. Nothing is granted while it does.

use super::call::Visit;
use super::convert::info;
use crate::activity::Activity;
use crate::capability::bindings::product::exports::upgraded::plugin::meta::GuestIndices;
use crate::capability::{Granted, Limits};
use crate::model::Info;
use crate::plugin::engine::{Loaded, Pass};
use std::sync::Arc;

/// Longer names fit no table of a deployment's file.
const NAME_BYTES: usize = 64;

pub async fn describe(pass: &Pass, loaded: &Loaded, limits: &Limits) -> Result<Info, String> {
    let activity = Activity::silent();
    let visit = Visit {
        engine: &pass.runtime.engine,
        limits,
        granted: Arc::new(Granted::nothing()),
        activity: &activity,
        idle: limits.idle,
        served: None,
    };
    let said = visit
        .run(|mut store| async move {
            let pre = loaded.pre.instance();
            let instance = pre.instantiate_async(&mut store).await?;
            // The export is the same in every world.
            let meta = GuestIndices::new(pre)?.load(&mut store, &instance)?;
            meta.call_describe(&mut store).await
        })
        .await;
    let info = info(said.map_err(|broken| with_tail(broken.message, &activity))?, loaded.mysql);
    sound(&info, loaded)?;
    Ok(info)
}

fn sound(info: &Info, loaded: &Loaded) -> Result<(), String> {
    let word = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if info.name.is_empty() || info.name.len() > NAME_BYTES || !word(&info.name) {
        let name: String = info.name.chars().take(NAME_BYTES).collect();
        return Err(format!(
            "its name `{name}` is not one of lower-case letters, digits and `-`, {NAME_BYTES} at most"
        ));
    }
    if semver::Version::parse(&info.version).is_err() {
        let version: String = info.version.chars().take(NAME_BYTES).collect();
        return Err(format!("its version `{version}` is not a semantic version like `1.4.0`"));
    }
    if info.role != loaded.role {
        return Err(format!("it says that it is a {}, and exports the role of a {}", info.role, loaded.role));
    }
    if info.needs.len() > 100 || info.needs.iter().any(|need| need.plugins.len() > 100) {
        return Err("it needs more than 100 things".into());
    }
    Ok(())
}

fn with_tail(message: String, activity: &Activity) -> String {
    match activity.tail() {
        lines if lines.is_empty() => message,
        lines => format!("{message}; its last lines: {}", lines.join(" | ")),
    }
}
