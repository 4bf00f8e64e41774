//! What every command is handed: the terminal, the client, and whether JSON is wanted.

use super::arguments::Global;
use super::exit::Exit;
use super::failure::Failure;
use super::terminal::Terminal;
use crate::api::{Client, ClientError, Deployment, ErrorCode};
use crate::config::Settings;
use serde::Serialize;
use std::path::{Path, PathBuf};

pub struct Session<'t> {
    pub terminal: &'t mut Terminal,
    pub client: Client,
    pub json: bool,
    /// The daemon's; the defaults where this account can't read the file in its usual place.
    pub settings: Settings,
}

impl<'t> Session<'t> {
    pub fn new(global: Global, terminal: &'t mut Terminal) -> Result<Self, Failure> {
        let named = global.config.or_else(|| std::env::var_os("UPGRADED_CONFIG").map(PathBuf::from));
        let settings = settings(named.as_deref())?;
        let socket = global.socket.or_else(|| std::env::var_os("UPGRADED_SOCKET").map(PathBuf::from));
        let client = Client::new(socket.unwrap_or_else(|| settings.socket.clone())).tidy(!global.json);
        Ok(Self { terminal, client, json: global.json, settings })
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

fn settings(named: Option<&Path>) -> Result<Settings, Failure> {
    match named {
        Some(file) => Settings::load(file).map_err(|diagnostics| Failure::mistakes(file, diagnostics)),
        // A mistake in it is the daemon's to tell: asking must work for those who can't read it, too.
        None => Ok(Settings::load(Path::new(Settings::PATH)).unwrap_or_default()),
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
        None => "there are none yet; `upgradectl init NAME` writes the file of one".into(),
    }
}
