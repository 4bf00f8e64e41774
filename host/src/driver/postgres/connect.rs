//! Opens connections. Each one's task ends with its guard, and gives up a statement that is under way then.

use super::failure::connection_failure;
use crate::config::ServerConfig;
use crate::driver::server::check_transport;
use crate::model::VerbError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_postgres::{CancelToken, Client, Config, NoTls};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// How long a server may take to greet.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the server may take to hear that a statement is given up.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection and what holds it.
pub struct Connection {
    pub client: Client,
    /// To be set while a statement was sent and has not ended.
    pub busy: Arc<AtomicBool>,
    _end: DropGuard,
}

impl Connection {
    /// Has the server give up what runs.
    pub async fn give_up(&self) {
        give_up(&self.client.cancel_token()).await;
    }
}

pub async fn open(
    server: &ServerConfig, database: &str, mark: &str, tasks: &TaskTracker,
) -> Result<Connection, VerbError> {
    check_transport(server)?;
    let mut config = Config::new();
    config
        .user(&server.user)
        .dbname(database)
        .port(server.port)
        .application_name(mark)
        .connect_timeout(CONNECT_TIMEOUT);
    match server.host.starts_with('/') {
        true => config.host_path(&server.host),
        false => config.host(&server.host),
    };
    if let Some(password) = &server.password {
        let secret = password.resolve().map_err(|error| VerbError::Denied(error.to_string()))?;
        config.password(secret.reveal());
    }
    let (client, connection) = match tokio::time::timeout(CONNECT_TIMEOUT, config.connect(NoTls)).await {
        Ok(answer) => answer.map_err(|error| connection_failure(server, database, &error))?,
        Err(_) => return Err(VerbError::Unavailable(format!("the server at `{}` does not answer", server.host))),
    };
    let (end, busy) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
    let (ended, under_way, cancel) = (end.clone(), busy.clone(), client.cancel_token());
    tasks.spawn(async move {
        tokio::select! {
            // How a connection broke, its next statement says.
            _ = connection => {}
            () = ended.cancelled() => {
                if under_way.load(Ordering::Acquire) {
                    give_up(&cancel).await;
                }
            }
        }
    });
    Ok(Connection { client, busy, _end: end.drop_guard() })
}

async fn give_up(token: &CancelToken) {
    let _ = tokio::time::timeout(CANCEL_TIMEOUT, token.cancel_query(NoTls)).await;
}
