//! Behind `cloud-run` and `cloud-sql`, and behind `services` and `control` for a platform on Cloud Run: thin verbs over
//! the crate `upgraded-google`, which talks to Google and knows how to find again what it began.
//!
//! A login is resolved when something is asked for the first time; a token never leaves that crate.

mod environment;
pub mod named;
mod orchestrator;
mod region;
mod store;

pub use region::Region;
pub use store::Store;

use crate::activity::Level;
use crate::config::{GoogleConfig, GoogleLogin};
use crate::context::StepContext;
use crate::model::VerbError;
use std::sync::Mutex;
use upgraded_google::{Error, Login, Place};

fn place(config: &GoogleConfig) -> Result<Place, VerbError> {
    let login = match &config.login {
        GoogleLogin::Key(source) => {
            let key = source.resolve().map_err(|error| VerbError::Denied(error.to_string()))?;
            Login::Key(key.reveal().to_owned())
        }
        GoogleLogin::Default => Login::Default,
        GoogleLogin::Machine => Login::Machine { metadata: None },
    };
    let (project, region, endpoint) = (config.project.clone(), config.region.clone(), config.endpoint.clone());
    Ok(Place { project, region, login, endpoint })
}

impl From<Error> for VerbError {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound(text) => Self::NotFound(text),
            Error::Denied(text) => Self::Denied(text),
            Error::Conflict(text) => Self::Conflict(text),
            Error::Invalid(text) => Self::Invalid(text),
            Error::Unavailable(text) => Self::Unavailable(text),
            Error::Failed(text) => Self::other("google", text),
        }
    }
}

/// Each change of state at Google's is a line, and what is heard again a sign of life.
fn heard(cx: &StepContext) -> impl Fn(&str) + Send + Sync + '_ {
    let last = Mutex::new(String::new());
    move |state| {
        let mut last = last.lock().expect("no panic holds this lock");
        if *last == state {
            cx.activity.touch();
        } else {
            state.clone_into(&mut last);
            cx.activity.line(Level::Debug, state);
        }
    }
}

/// Or the nearest that there is. `place`: where it was looked for.
fn missing(what: &str, name: &str, place: &str, known: &[String]) -> String {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let there = match crate::config::nearest(name, known.iter().copied()) {
        Some(near) => format!("the nearest is `{near}`"),
        None if known.is_empty() => "there is none at all".into(),
        None => format!("there are: {}", crate::config::listed(known)),
    };
    format!("there is no {what} `{name}` {place}; {there}")
}
