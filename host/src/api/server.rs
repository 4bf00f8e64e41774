//! Serves the [`Facade`] on the socket: accepts, asks who it is, and ends with a bound. `daemon` owns it.

use super::facade::Facade;
use super::peer::{Door, Peer};
use super::routes::router;
use super::socket::{Socket, SocketError};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn};
use axum::response::IntoResponse;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Requests are a version or a sentence.
pub(super) const BODY_LIMIT_BYTES: usize = 64 * 1024;
/// Watchers keep theirs open; more than this is a mistake, and the next one waits.
const CONNECTIONS_MAX: usize = 256;
/// For a client to send its request's head, or the next one's on a connection that stays open.
const HEAD_WITHIN: Duration = Duration::from_secs(60);
/// After an `accept` that failed, so that a lack of descriptors is no busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub type ServerError = SocketError;

#[derive(Debug, Clone)]
pub struct ServerOptions {
    pub socket: PathBuf,
    /// Whose members may use the socket, beside root and the daemon's own account.
    pub group: Option<String>,
    /// Between signs of life on a stream of events.
    pub heartbeat: Duration,
    /// How long open requests may go on after the stop.
    pub grace: Duration,
}

impl ServerOptions {
    pub fn new(socket: impl Into<PathBuf>, group: Option<String>) -> Self {
        Self { socket: socket.into(), group, heartbeat: Duration::from_secs(15), grace: Duration::from_secs(5) }
    }
}

/// An open socket that is not served yet, so that a daemon that can't have it ends before it does anything.
pub struct Server {
    socket: Socket,
    door: Door,
    options: ServerOptions,
}

/// What the handlers share.
#[derive(Clone)]
pub(super) struct Shared {
    pub facade: Arc<dyn Facade>,
    pub heartbeat: Duration,
    /// Streams of events end with it.
    pub stopping: CancellationToken,
}

impl Server {
    /// Inside a tokio runtime.
    pub fn open(options: ServerOptions) -> Result<Self, ServerError> {
        let socket = Socket::open(&options.socket, options.group.as_deref())?;
        let door = Door { daemon_uid: rustix::process::geteuid().as_raw(), group: socket.group.clone() };
        Ok(Self { socket, door, options })
    }

    pub fn path(&self) -> &Path {
        self.socket.path()
    }

    /// Until `stop`: then accepts nothing more, lets open requests end within the grace, and cuts the rest.
    pub async fn serve(self, facade: Arc<dyn Facade>, stop: CancellationToken) {
        let shared = Shared { facade, heartbeat: self.options.heartbeat, stopping: stop.clone() };
        let app = router(shared).layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES));
        let mut connections = JoinSet::new();
        let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(ended) = connections.join_next() => log_panic(ended),
                (stream, place) = self.accept(&room) => {
                    let connection = serve_one(stream, app.clone(), self.door.clone(), stop.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(place);
                    });
                }
            }
        }
        let all_ended = async {
            while let Some(ended) = connections.join_next().await {
                log_panic(ended)
            }
        };
        if tokio::time::timeout(self.options.grace, all_ended).await.is_err() {
            let grace_s = self.options.grace.as_secs_f64();
            tracing::warn!(cut = connections.len(), grace_s, "requests did not end in time and are cut");
            connections.shutdown().await;
        }
    }

    async fn accept(&self, room: &Arc<Semaphore>) -> (UnixStream, tokio::sync::OwnedSemaphorePermit) {
        let place = Arc::clone(room).acquire_owned().await.expect("the semaphore is never closed");
        loop {
            match self.socket.listener.accept().await {
                Ok((stream, _)) => return (stream, place),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn serve_one(stream: UnixStream, app: Router, door: Door, stop: CancellationToken) {
    let peer = match Peer::of(stream.as_fd()) {
        Ok(peer) => peer,
        Err(error) => {
            tracing::warn!(%error, "a connection without credentials is closed");
            return;
        }
    };
    let service = TowerToHyperService::new(behind_the_door(app, &door, &peer));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let result = tokio::select! {
        result = connection.as_mut() => result,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(%error, uid = peer.uid, "a connection ended early");
    }
}

/// A connection is of one account: asked once, told to every request.
fn behind_the_door(app: Router, door: &Door, peer: &Peer) -> Router {
    match door.admits(peer) {
        Ok(()) => app.layer(axum::Extension(peer.caller())),
        Err(refusal) => {
            tracing::warn!(uid = peer.uid, "a request was refused: {refusal}");
            app.layer(from_fn(move |_: Request, _: Next| {
                let refusal = refusal.clone();
                async move { refusal.into_response() }
            }))
        }
    }
}

fn log_panic(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a request's task panicked");
    }
}
