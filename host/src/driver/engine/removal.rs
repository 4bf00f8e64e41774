//! Removing volumes and networks: nothing where one is gone, a conflict where something still uses it.

use super::{Engine, NO_SUCH, status};
use crate::activity::Level;
use crate::context::StepContext;
use crate::model::VerbError;
use bollard::errors::Error;
use bollard::query_parameters::RemoveVolumeOptions;

const FORBIDDEN: u16 = 403;
const CONFLICT: u16 = 409;

impl Engine {
    pub async fn remove_volume(&self, name: &str) -> Result<(), VerbError> {
        let removed = self.docker().await?.remove_volume(name, None::<RemoveVolumeOptions>).await;
        self.removed(removed)
    }

    pub async fn remove_network(&self, name: &str) -> Result<(), VerbError> {
        let removed = self.docker().await?.remove_network(name).await;
        self.removed(removed)
    }

    fn removed(&self, outcome: Result<(), Error>) -> Result<(), VerbError> {
        match outcome {
            Err(error) if status(&error) == Some(NO_SUCH) => Ok(()),
            Err(error) => Err(match in_use(&error) {
                Some(why) => VerbError::Conflict(why.to_owned()),
                None => self.failed(&error),
            }),
            Ok(()) => Ok(()),
        }
    }
}

/// What something still uses is left, and that is said.
pub fn unless_used(cx: &StepContext, what: &str, removed: Result<(), VerbError>) -> Result<(), VerbError> {
    match removed {
        Err(VerbError::Conflict(why)) => cx.activity.line(Level::Info, format!("{what} is left for now: {why}")),
        other => {
            other?;
            cx.activity.touch();
        }
    }
    Ok(())
}

/// What the engine says of something that is used. What else it forbids, an authorization's plugin may have refused.
fn in_use(error: &Error) -> Option<&str> {
    let Error::DockerResponseServerError { status_code, message } = error else { return None };
    let used = match *status_code {
        CONFLICT => true,
        FORBIDDEN => message.contains("active endpoints"),
        // podman, of a network.
        _ => message.ends_with("is being used"),
    };
    used.then_some(message.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_is_told_from_what_is_refused() {
        let in_use = |status_code, message: &str| {
            in_use(&Error::DockerResponseServerError { status_code, message: message.into() }).is_some()
        };
        assert!(in_use(409, "remove shop_data: volume is in use - [5ed4]"));
        assert!(in_use(403, "error while removing network: network shop id 5ed4 has active endpoints (name:\"web\")"));
        assert!(in_use(500, "\"shop\" has associated containers with it: network is being used"));
        assert!(!in_use(403, "authorization denied by plugin opa"));
        assert!(!in_use(500, "the database is locked"));
    }
}
