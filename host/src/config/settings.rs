//! The daemon's own settings, `upgraded.toml`.

use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Settings {
    pub deployments: PathBuf,
    pub plugins: PathBuf,
    pub state: PathBuf,
    pub vault: PathBuf,
    /// The vault's key; made at first start. Outside `state` and `vault`.
    pub vault_key: PathBuf,
    pub socket: PathBuf,
    /// Group that may use the socket beside root and the daemon's own account.
    pub socket_group: Option<String>,
    /// Runs at once.
    pub parallel: usize,
    pub debounce: Duration,
    /// How often deployments are looked at without an event.
    pub poll: Duration,
}
