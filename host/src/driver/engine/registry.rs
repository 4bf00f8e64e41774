//! What a registry says through the engine: errors told apart, and how far a pull has come.

use crate::model::VerbError;
use bollard::models::CreateImageInfo;
use std::collections::BTreeMap;

pub fn registry_error(reference: &str, error: &bollard::errors::Error) -> VerbError {
    let said = match error {
        bollard::errors::Error::DockerResponseServerError { message, .. } => message.clone(),
        bollard::errors::Error::DockerStreamError { error } => error.clone(),
        other => other.to_string(),
    };
    registry_said(reference, &said)
}

/// What it means.
pub fn registry_said(reference: &str, said: &str) -> VerbError {
    let message = format!("`{reference}`: {said}");
    let lower = said.to_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if says(&["no space left on device"]) {
        VerbError::other("no-space", format!("{message}: the container engine's folder is full"))
    } else if says(&["manifest unknown", "not found", "no such manifest", "does not exist"]) {
        VerbError::NotFound(message)
    } else if says(&["unauthorized", "denied", "authentication required", "no basic auth"]) {
        VerbError::Denied(message)
    } else if says(&["no matching manifest"]) {
        VerbError::Invalid(message)
    } else {
        VerbError::Unavailable(message)
    }
}

/// For example `linux/amd64`; a variant is part of it where it tells two apart.
pub fn platform(os: Option<&str>, architecture: Option<&str>, variant: Option<&str>) -> String {
    let (os, architecture) = (os.unwrap_or("linux"), architecture.unwrap_or("unknown"));
    match variant.filter(|variant| !variant.is_empty() && architecture == "arm") {
        Some(variant) => format!("{os}/{architecture}/{variant}"),
        None => format!("{os}/{architecture}"),
    }
}

/// This machine's, as images name it; none: one whose name there is not known here.
pub fn architecture_here() -> Option<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Some("amd64"),
        "aarch64" => Some("arm64"),
        same @ ("riscv64" | "s390x") => Some(same),
        _ => None,
    }
}

/// Bytes of the layers under way, by layer.
#[derive(Default)]
pub struct Layers(BTreeMap<String, (u64, u64)>);

impl Layers {
    pub fn hear(&mut self, news: &CreateImageInfo) {
        let (Some(layer), Some(status)) = (&news.id, &news.status) else { return };
        let detail = news.progress_detail.as_ref();
        let number = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
        match (status.as_str(), detail.and_then(|d| number(d.current).zip(number(d.total)))) {
            ("Downloading", Some((done, total))) if total > 0 => {
                self.0.insert(layer.clone(), (done, total));
            }
            ("Download complete" | "Pull complete", _) => {
                self.0.entry(layer.clone()).and_modify(|(done, total)| *done = *total);
            }
            _ => {}
        }
    }

    pub fn bytes(&self) -> Option<(u64, u64)> {
        let sum = |pick: fn(&(u64, u64)) -> u64| self.0.values().map(pick).sum::<u64>();
        (!self.0.is_empty()).then(|| (sum(|layer| layer.0), sum(|layer| layer.1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_says_is_told_apart() {
        let of = |status_code, message: &str| {
            let error = bollard::errors::Error::DockerResponseServerError { status_code, message: message.into() };
            registry_error("shop:1", &error).code().to_owned()
        };
        assert_eq!(of(404, "manifest for shop:1 not found: manifest unknown"), "not-found");
        assert_eq!(of(500, "write /var/lib/docker/tmp/x: no space left on device"), "no-space");
        assert_eq!(of(401, "unauthorized: authentication required"), "denied");
        assert_eq!(of(500, "Get \"http://r:5000/v2/\": dial tcp: connect: connection refused"), "unavailable");
    }
}
