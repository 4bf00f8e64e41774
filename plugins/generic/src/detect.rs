//! What is installed: what the running product answers, or what is active.

use crate::settings::Settings;
use crate::{field, releases, smoke};
use serde_json::Value;
use upgraded_sdk::prelude::*;

pub fn installed(call: &Call<Settings>, host: &ProductHost) -> Result<Installed> {
    let settings = &call.settings;
    let active = active(settings, host);
    match &settings.version_url {
        Some(url) => {
            // Detection comes often and may fail: verification is where waiting pays.
            let hasty = Settings { attempts: settings.attempts.min(3), ..settings.clone() };
            let version = running(&hasty, host, url)?;
            let components = active.ok().flatten().map(|active| active.component);
            Ok(Installed { components: components.into_iter().collect(), ..Installed::new(version) })
        }
        None => match active {
            Ok(Some(active)) => Ok(Installed { components: vec![active.component], ..Installed::new(active.version) }),
            // A platform without releases of its own.
            Ok(None) | Err(Error::Denied(_)) => by_image(call, host),
            Err(error) => Err(error),
        },
    }
}

/// By the tag of the image that the first service runs.
fn by_image(call: &Call<Settings>, host: &ProductHost) -> Result<Installed> {
    let Some(first) = call.settings.services.first() else {
        return Err(Error::not_found(
            "nothing is installed: no release is active, and no `version-url` says what runs",
        ));
    };
    let name = call.service(first)?;
    let running = host.services().list()?.into_iter().find(|service| service.name == name);
    match running.and_then(|service| service.version) {
        Some(tag) => {
            let version = releases::version_of(&call.settings.tag, &tag).unwrap_or(&tag);
            Ok(Installed::new(version))
        }
        None => Err(Error::not_found(format!(
            "nothing says which version is installed: no release is active, `{first}`, the first of `services`, runs no \
             image with a tag, and there is no `version-url`"
        ))),
    }
}

/// A product that answers with another version than the one whose code is active can't be put back.
pub fn disagreement(settings: &Settings, host: &ProductHost) -> Result<Option<Finding>> {
    let Some(url) = &settings.version_url else { return Ok(None) };
    let Ok(Some(active)) = active(settings, host) else { return Ok(None) };
    let running = running(settings, host, url)?;
    if !active.tagged || active.version == running {
        return Ok(None);
    }
    let message = format!("`{running}` runs, and the active release is `{}`", active.version);
    Ok(Some(Finding::blocker("version-differs", message).hint("restart the product, or look at `version-field`")))
}

/// The version that the product answers with.
pub fn running(settings: &Settings, host: &ProductHost, url: &str) -> Result<String> {
    let request = smoke::request(settings, "GET", url);
    let response = smoke::persist(settings, host, || {
        let response = host.http().send(&request)?;
        match response.status {
            200..300 => Ok(response),
            status => Err(Error::unavailable(format!("it answers {status}"))),
        }
    });
    let response = response.map_err(|error| error.about(format!("`{url}` does not say which version runs")))?;
    let text = response.text();
    let said = match &settings.version_field {
        None => Some(text.trim().to_owned()),
        Some(name) => {
            let value: Value = serde_json::from_str(&text)
                .map_err(|e| Error::invalid(format!("`{url}` answers with no JSON to find `{name}` in: {e}")))?;
            field::find(&value, name).and_then(|value| match value {
                Value::String(text) => Some(text.clone()),
                Value::Number(number) => Some(number.to_string()),
                _ => None,
            })
        }
    };
    let said = said.filter(|said| !said.is_empty() && said.len() <= 100 && !said.contains('\n'));
    let said = said.ok_or_else(|| match &settings.version_field {
        Some(name) => Error::invalid(format!("`{url}` has no version in its field `{name}`")),
        None => Error::invalid(format!("`{url}` answers with no version; `version-field` names a field of its JSON")),
    })?;
    // A product may call itself by its tag.
    Ok(releases::version_of(&settings.tag, &said).unwrap_or(&said).to_owned())
}

struct Active {
    version: String,
    tagged: bool,
    component: Component,
}

fn active(settings: &Settings, host: &ProductHost) -> Result<Option<Active>> {
    let Some((commit, tag)) = host.checkout().active()? else { return Ok(None) };
    let named = tag.as_deref().and_then(|tag| releases::version_of(&settings.tag, tag));
    let version = named.unwrap_or(&commit).to_owned();
    let component = Component { digest: Some(commit.clone()), ..Component::new("source", version.clone()) };
    Ok(Some(Active { tagged: named.is_some(), version, component }))
}
