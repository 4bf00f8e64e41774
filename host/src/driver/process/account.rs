//! The account that a command runs under.

use crate::model::VerbError;
use rustix::process::{Gid, Uid};
use serde::{Deserialize, Serialize};
use std::io;
use tokio::process::Command;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    pub home: String,
}

impl Account {
    /// Asks the system's own programs, so that accounts of a directory service are found too. An error where this
    /// daemon may not become it.
    pub async fn find(name: &str) -> Result<Self, VerbError> {
        let unknown = || VerbError::NotFound(format!("no account is named `{name}`"));
        let passwd = ask("getent", &["passwd", "--", name]).await?.ok_or_else(unknown)?;
        let fields: Vec<&str> = passwd.split(':').collect();
        let [name, _, uid, gid, _, home, ..] = fields[..] else { return Err(unknown()) };
        let groups = ask("id", &["-G", "--", name]).await?.unwrap_or_default();
        let account = Self {
            name: name.into(),
            uid: uid.parse().map_err(|_| unknown())?,
            gid: gid.parse().map_err(|_| unknown())?,
            groups: groups.split_whitespace().filter_map(|group| group.parse().ok()).collect(),
            home: home.into(),
        };
        let own = rustix::process::geteuid();
        if !own.is_root() && own.as_raw() != account.uid {
            return Err(VerbError::Denied(format!(
                "the command is to run as `{name}`, and only a daemon that runs as root can do that"
            )));
        }
        Ok(account)
    }

    /// Between fork and exec: makes no allocation.
    pub fn become_it(&self, groups: &[Gid]) -> io::Result<()> {
        if !rustix::process::geteuid().is_root() {
            return Ok(());
        }
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        rustix::thread::set_thread_groups(groups)?;
        rustix::thread::set_thread_res_gid(gid, gid, gid)?;
        rustix::thread::set_thread_res_uid(uid, uid, uid)?;
        Ok(())
    }

    pub fn group_ids(&self) -> Vec<Gid> {
        self.groups.iter().map(|group| Gid::from_raw(*group)).collect()
    }
}

async fn ask(program: &str, arguments: &[&str]) -> Result<Option<String>, VerbError> {
    let output = Command::new(program)
        .args(arguments)
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| VerbError::Unavailable(format!("`{program}` can't be run: {error}")))?;
    Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned()))
}
