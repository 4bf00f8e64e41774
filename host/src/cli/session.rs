//! What every command is handed: the terminal, the client, and whether JSON is wanted.

use super::arguments::Global;
use super::exit::Exit;
use super::failure::Failure;
use super::terminal::Terminal;
use crate::api::{Client, ClientError, Deployment, ErrorCode};
use crate::config::{Diagnostics, Settings};
use serde::Serialize;
use std::path::{Path, PathBuf};

pub struct Session<'t> {
    pub terminal: &'t mut Terminal,
    pub client: Client,
    pub json: bool,
    /// The daemon's; the defaults where the file in its usual place can't be read.
    pub settings: Settings,
    /// Why it can't be: asking the daemon works all the same.
    pub unread: Option<Diagnostics>,
}

impl<'t> Session<'t> {
    pub fn new(global: Global, terminal: &'t mut Terminal) -> Result<Self, Failure> {
        let named = global.config.or_else(|| std::env::var_os("UPGRADED_CONFIG").map(PathBuf::from));
        let (settings, unread) = settings(named.as_deref(), Path::new(Settings::PATH))?;
        let socket = global.socket.or_else(|| std::env::var_os("UPGRADED_SOCKET").map(PathBuf::from));
        let client = Client::new(socket.unwrap_or_else(|| settings.socket.clone())).tidy(!global.json);
        Ok(Self { terminal, client, json: global.json, settings, unread })
    }

    /// The answer as JSON where that is wanted, else what `text` makes of it.
    pub fn answer<T: Serialize>(
        &mut self, value: &T, exit: Exit, text: impl FnOnce(&Terminal) -> String,
    ) -> Result<Exit, Failure> {
        if self.json {
            self.terminal.json(value)?;
        } else {
            let text = text(self.terminal);
            self.terminal.text(&text)?;
        }
        Ok(exit)
    }

    /// An error about a deployment that isn't there says which one is.
    pub async fn of_deployment<T>(&self, name: &str, result: Result<T, ClientError>) -> Result<T, Failure> {
        match result {
            Err(ClientError::Api(error)) if error.code == ErrorCode::NotFound && error.hint.is_none() => {
                let known = self.client.deployments().await.unwrap_or_default();
                let hint = there_is(name, &known);
                Err(Failure::Client(ClientError::Api(error)).hint(hint))
            }
            result => Ok(result?),
        }
    }

    pub async fn deployment(&self, name: &str) -> Result<Deployment, Failure> {
        let result = self.client.deployment(name).await;
        self.of_deployment(name, result).await
    }
}

fn settings(named: Option<&Path>, usual: &Path) -> Result<(Settings, Option<Diagnostics>), Failure> {
    match (named, Settings::load(named.unwrap_or(usual))) {
        (_, Ok(settings)) => Ok((settings, None)),
        (Some(file), Err(diagnostics)) => Err(Failure::mistakes(file, diagnostics)),
        // A mistake in it is the daemon's to tell: asking must work for those who can't read it, too.
        (None, Err(diagnostics)) => Ok((Settings::default(), Some(diagnostics))),
    }
}

fn there_is(name: &str, known: &[Deployment]) -> String {
    let nearest = known.iter().map(|deployment| (strsim::damerau_levenshtein(name, &deployment.name), deployment));
    let near_enough = name.chars().count().max(3) / 2;
    match nearest.min_by_key(|(distance, _)| *distance) {
        Some((distance, deployment)) if distance <= near_enough => format!("did you mean `{}`?", deployment.name),
        Some(_) => {
            let names: Vec<_> = known.iter().map(|deployment| format!("`{}`", deployment.name)).collect();
            format!("there are {}", names.join(", "))
        }
        None => "there are none yet; `upgradectl init /opt/shop` writes the file of what is in that folder".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_cannot_be_read_are_not_taken_for_the_defaults_in_silence() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("upgraded.toml");
        std::fs::write(&file, "state = \"/srv/upgraded\"\n").unwrap();
        let (read, unread) = settings(None, &file).ok().unwrap();
        assert!(read.state == Path::new("/srv/upgraded") && unread.is_none());
        std::fs::write(&file, "state = \"/srv/upgraded\"\nparalel = 3\n").unwrap();
        let (read, unread) = settings(None, &file).ok().unwrap();
        assert!(read == Settings::default() && unread.is_some());
        assert!(settings(Some(&file), Path::new(Settings::PATH)).is_err());
    }
}
