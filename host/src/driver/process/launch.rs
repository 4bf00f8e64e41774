//! Turns a command of the deployment's file into a process: its own session, a small environment of its own, the
//! account that the operator named. Of the daemon's environment it sees nothing but the path, the language and the zone.

use super::account::Account;
use crate::config::{CommandConfig, EnvironmentValue};
use crate::model::VerbError;
use rustix::fs::Mode;
use rustix::io::FdFlags;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

/// Everything of a process that may be written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    pub argv: Vec<String>,
    pub directory: PathBuf,
    pub environment: BTreeMap<String, String>,
    pub account: Option<Account>,
}

/// What is never written down. No `Debug`.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Secrets {
    /// Values that the process is handed.
    #[serde(flatten)]
    pub variables: BTreeMap<String, String>,
    /// Others that it may print. No variable is called so.
    #[serde(rename = "=", default)]
    pub others: Vec<String>,
}

/// Names the release's folder to every command.
pub const RELEASE_VARIABLE: &str = "UPGRADED_RELEASE";

impl Launch {
    /// Resolves `config`; it runs in `directory` where it names no folder of its own.
    pub async fn resolve(
        config: &CommandConfig, arguments: &[String], directory: &Path,
    ) -> Result<(Self, Secrets), VerbError> {
        let argv: Vec<String> = config.argv.iter().chain(arguments).cloned().collect();
        if argv.is_empty() || argv.iter().any(|argument| argument.contains('\0')) {
            return Err(VerbError::Invalid("a command needs a program, and arguments have no zero byte".into()));
        }
        let account = match &config.user {
            Some(user) => Some(Account::find(user).await?),
            None => None,
        };
        let mut environment = surroundings(account.as_ref());
        environment.insert(RELEASE_VARIABLE.into(), directory.display().to_string());
        let mut secrets = Secrets::default();
        for (name, value) in &config.environment {
            match value {
                EnvironmentValue::Plain(value) => {
                    environment.insert(name.clone(), value.clone());
                }
                EnvironmentValue::Secret(source) => {
                    let secret = source.resolve().map_err(|error| VerbError::Unavailable(error.to_string()))?;
                    secrets.variables.insert(name.clone(), secret.reveal().to_owned());
                }
            }
        }
        let directory = config.directory.clone().unwrap_or_else(|| directory.to_owned());
        Ok((Self { argv, directory, environment, account }, secrets))
    }

    /// In a session of its own. The caller chooses where its streams go.
    pub fn command(&self, secrets: &Secrets) -> Command {
        keep_descriptors();
        let mut command = Command::new(&self.argv[0]);
        command.args(&self.argv[1..]).current_dir(&self.directory).env_clear();
        command.envs(&self.environment).envs(&secrets.variables);
        let account = self.account.clone();
        let groups = account.as_ref().map(Account::group_ids).unwrap_or_default();
        // SAFETY: between fork and exec only system calls are made, and nothing is allocated.
        unsafe {
            command.pre_exec(move || {
                rustix::process::setsid()?;
                rustix::process::umask(Mode::WGRP | Mode::WOTH);
                match &account {
                    Some(account) => account.become_it(&groups),
                    None => Ok(()),
                }
            })
        };
        command
    }
}

/// What this process was handed open when it began goes to no command. All that we open ourselves is closed anyway.
pub fn keep_descriptors() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
        let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        for number in numbers.collect::<Vec<_>>().into_iter().filter(|number| *number > 2) {
            // SAFETY: it may be closed by now, which the system says, and nothing is done with it but this.
            let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
            let _ = rustix::io::fcntl_setfd(descriptor, FdFlags::CLOEXEC);
        }
    });
}

/// What a process is told of where it runs.
pub fn surroundings(account: Option<&Account>) -> BTreeMap<String, String> {
    const KEPT: [&str; 7] = ["PATH", "LANG", "LC_ALL", "TZ", "HOME", "USER", "LOGNAME"];
    let kept = |name: &&str| std::env::var(name).ok().map(|value| ((*name).to_owned(), value));
    let mut environment: BTreeMap<String, String> = KEPT.iter().filter_map(kept).collect();
    environment
        .entry("PATH".into())
        .or_insert_with(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
    if let Some(account) = account {
        environment.insert("HOME".into(), account.home.clone());
        environment.insert("USER".into(), account.name.clone());
        environment.insert("LOGNAME".into(), account.name.clone());
    }
    environment
}
