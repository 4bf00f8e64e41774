//! An engine that runs as an ordinary user. The addresses of its containers are in networks of its own, to which no route
//! leads from here, and what only the daemon may read its containers can't be given. No route leads to a container in no
//! network either, whosever its engine is.
//!
//! A connection is made by a thread that enters the container's network, and does nothing else any more: whoever has the
//! connection has it everywhere. Others come to it by a port of 127.0.0.1, as long as the engine's driver stands.

use super::{Container, Engine, Kind, OK, nonsense};
use crate::driver::durable;
use crate::driver::process::io_error;
use crate::model::VerbError;
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

const CONNECT_WITHIN: Duration = Duration::from_secs(15);
const GREETS_WITHIN: Duration = Duration::from_secs(5);
/// A route to it tells which address is a container's own; nothing is sent there.
const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);

/// By container and port.
pub(super) type Ways = BTreeMap<(String, u16), Way>;

/// From a port of 127.0.0.1 to one of a container; there until it is dropped.
pub(super) struct Way {
    /// Of the container when the way was made.
    process: u32,
    reached: Reached,
    _end: DropGuard,
}

struct Inside {
    /// With the process that it is of.
    network: Option<(u32, Network)>,
    place: SocketAddr,
}

/// Where a port of a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// For this machine.
    pub here: SocketAddr,
    /// For what is in a network with the container.
    pub inside: SocketAddr,
}

/// An account of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Account {
    user: u32,
    group: u32,
}

impl Engine {
    /// It runs as an ordinary user.
    pub async fn is_rootless(&self) -> Result<bool, VerbError> {
        self.rootless.get_or_try_init(|| self.ask_whether_rootless()).await.copied()
    }

    async fn ask_whether_rootless(&self) -> Result<bool, VerbError> {
        if *self.kind().await? == Kind::Docker {
            let info = self.docker().await?.info().await.map_err(|error| self.failed(&error))?;
            return Ok(info.security_options.unwrap_or_default().iter().any(|option| option.contains("name=rootless")));
        }
        match self.get(&self.libpod("/info").await?, &[]).await? {
            (OK, body) => {
                serde_json::from_slice::<Info>(&body).map(|info| info.host.security.rootless).map_err(|e| nonsense(&e))
            }
            (status, body) => Err(self.refused(status, &body)),
        }
    }

    /// A container's port; none where the container has no address. Whoever connects to `here` learns only afterwards that
    /// nobody listens: [`Engine::listens`] says it.
    pub async fn reach(&self, container: &Container, port: u16) -> Result<Option<Reached>, VerbError> {
        let key = (container.id.clone(), port);
        let mut ways = self.ways.lock().await;
        if let Some(way) = ways.get(&key).filter(|way| Some(way.process) == container.process) {
            return Ok(Some(way.reached));
        }
        let Some(Inside { network, place }) = self.inside(container, port).await? else { return Ok(None) };
        let Some((process, network)) = network else { return Ok(Some(Reached { here: place, inside: place })) };
        // A way holds the network of a container that may be gone.
        ways.retain(|_, way| Path::new("/proc").join(way.process.to_string()).exists());
        let way = lead(network, process, place).await.map_err(|error| no_entry(container, &error))?;
        let reached = way.reached;
        ways.insert(key, way);
        Ok(Some(reached))
    }

    /// Whether somebody takes a connection to a container's port.
    pub async fn listens(&self, container: &Container, port: u16) -> Result<bool, VerbError> {
        let Some(Inside { network, place }) = self.inside(container, port).await? else { return Ok(false) };
        let greets = move || TcpStream::connect_timeout(&place, GREETS_WITHIN);
        let greeted = match network {
            Some((_, network)) => network.within(greets).await,
            None => tokio::task::spawn_blocking(greets).await.unwrap_or_else(|error| Err(io::Error::other(error))),
        };
        Ok(greeted.is_ok())
    }

    /// Where it is for those in its network, and which that is where no route leads there.
    async fn inside(&self, container: &Container, port: u16) -> Result<Option<Inside>, VerbError> {
        if container.isolated {
            let Some(process) = container.process else { return Ok(None) };
            let network = self.network_of(container, process).await?;
            let place = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
            return Ok(Some(Inside { network: Some((process, network)), place }));
        }
        let address = container.addresses.first().copied();
        if !self.is_rootless().await? {
            return Ok(address.map(|address| Inside { network: None, place: SocketAddr::new(address, port) }));
        }
        let Some(process) = container.process else { return Ok(None) };
        let network = self.network_of(container, process).await?;
        let address = match address {
            Some(address) => address,
            None => network.within(own_address).await.map_err(|error| no_entry(container, &error))?,
        };
        Ok(Some(Inside { network: Some((process, network)), place: SocketAddr::new(address, port) }))
    }

    /// Of the process that the container has: another could have its number by now.
    async fn network_of(&self, container: &Container, process: u32) -> Result<Network, VerbError> {
        let file = File::open(format!("/proc/{process}/ns/net")).map_err(|error| no_entry(container, &error))?;
        match self.container(&container.id).await? {
            Some(now) if now.process == Some(process) => Ok(Network(Arc::new(file))),
            _ => Err(VerbError::Unavailable(format!("the container `{}` does not run any more", container.name))),
        }
    }

    /// For what is to be given to containers, in place of this folder of the daemon's state, which is closed to the account
    /// of a rootless engine: one beside the state that is open to that account alone.
    pub async fn open_folder(&self, folder: &Path) -> Result<PathBuf, VerbError> {
        let Some(account) = self.stranger().await? else { return Ok(folder.to_owned()) };
        let (state, name) = (folder.parent().unwrap_or(folder), folder.file_name().unwrap_or_default());
        let open = beside(state).join(account.user.to_string());
        open_to(&open, account).map_err(io_error("make a folder for the engine's account"))?;
        let folder = open.join(name);
        durable::make_passage(&folder).map_err(io_error("make a folder for the engine's account"))?;
        Ok(folder)
    }

    /// Gives a file in such a folder to the engine's account.
    pub async fn give(&self, file: &Path) -> Result<(), VerbError> {
        match self.stranger().await? {
            Some(account) => chown(file, Some(account.user), Some(account.group))
                .map_err(io_error("give a file to the engine's account")),
            None => Ok(()),
        }
    }

    /// The engine's account, where it is not the daemon's own.
    async fn stranger(&self) -> Result<Option<Account>, VerbError> {
        let own = rustix::process::geteuid().as_raw();
        Ok(self.account().await?.filter(|account| account.user != own))
    }

    /// The number of the user that a rootless engine runs as.
    pub async fn user(&self) -> Result<Option<u32>, VerbError> {
        Ok(self.account().await?.map(|account| account.user))
    }

    async fn account(&self) -> Result<Option<Account>, VerbError> {
        if !self.is_rootless().await? {
            return Ok(None);
        }
        let stream = UnixStream::connect(&self.config.socket).await;
        // Of who listens: a socket's own group may be one that is known inside alone.
        let listener = stream.and_then(|stream| stream.peer_cred()).map_err(io_error("ask whose the engine is"))?;
        Ok(Some(Account { user: listener.uid(), group: listener.gid() }))
    }
}

/// `/var/lib/upgraded-rootless`
fn beside(state: &Path) -> PathBuf {
    let name = state.file_name().unwrap_or_default().to_string_lossy();
    state.with_file_name(format!("{name}-rootless"))
}

/// Root's, so that the account can change nothing of it; and its group's to pass through.
fn open_to(folder: &Path, account: Account) -> io::Result<()> {
    durable::make_passage(folder)?;
    let set = |mode| fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(mode));
    chown(folder, None, Some(account.group))?;
    set(0o710)
}

#[derive(Deserialize)]
struct Info {
    host: InfoHost,
}

#[derive(Deserialize)]
struct InfoHost {
    security: Security,
}

#[derive(Deserialize)]
struct Security {
    rootless: bool,
}

#[derive(Clone)]
struct Network(Arc<File>);

impl Network {
    /// Does `work` in it, on a thread that ends with it: there is no way back out of a network that is another user's.
    async fn within<T: Send + 'static>(&self, work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
        let (network, (tell, told)) = (self.0.clone(), oneshot::channel());
        std::thread::Builder::new().name("inside".into()).spawn(move || {
            let entered = move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network));
            // Nobody listens where the caller gave up.
            let _ = tell.send(entered.map_err(io::Error::from).and_then(|()| work()));
        })?;
        told.await.unwrap_or_else(|_| Err(io::Error::other("the thread in the container's network broke")))
    }
}

/// Of a container whose engine doesn't say it.
fn own_address() -> io::Result<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(ANYWHERE)?;
    Ok(socket.local_addr()?.ip())
}

async fn lead(network: Network, process: u32, inside: SocketAddr) -> io::Result<Way> {
    // Whether it may be entered shows here, and not in what a connection that is closed again is taken for.
    network.within(|| Ok(())).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let (here, end, tasks) = (listener.local_addr()?, CancellationToken::new(), TaskTracker::new());
    let (ended, inner) = (end.clone(), tasks.clone());
    tasks.spawn(end.clone().run_until_cancelled_owned(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let network = network.clone();
            // One that can't be led there is closed: whoever connected says so.
            let led = async move {
                let within = network.within(move || TcpStream::connect_timeout(&inside, CONNECT_WITHIN)).await?;
                within.set_nonblocking(true)?;
                let mut within = tokio::net::TcpStream::from_std(within)?;
                let _ = (stream.set_nodelay(true), within.set_nodelay(true));
                tokio::io::copy_bidirectional(&mut stream, &mut within).await
            };
            inner.spawn(ended.clone().run_until_cancelled_owned(led));
        }
    }));
    Ok(Way { process, reached: Reached { here, inside }, _end: end.drop_guard() })
}

fn no_entry(container: &Container, error: &io::Error) -> VerbError {
    let name = &container.name;
    match Errno::from_io_error(error) {
        Some(Errno::PERM | Errno::ACCESS) => VerbError::Denied(format!(
            "the engine is rootless, and this daemon may not enter the network of its container `{name}`: it has to run as \
             root"
        )),
        _ => VerbError::Unavailable(format!("the network of the container `{name}` can't be entered: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::fs::MetadataExt;

    #[tokio::test]
    async fn a_way_leads_into_a_network_and_ends_with_its_owner() {
        let server = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("an address");
        let inside = server.local_addr().expect("bound");
        std::thread::spawn(move || {
            let (mut one, _) = server.accept().expect("a connection");
            one.write_all(b"hello").expect("written");
        });
        let own = Network(Arc::new(File::open("/proc/self/ns/net").expect("our network")));
        let way = match lead(own, 1, inside).await {
            Ok(way) => way,
            // Not even the network that it is in may be entered by who is not root.
            Err(error) => return assert_eq!(error.kind(), io::ErrorKind::PermissionDenied),
        };
        let here = way.reached.here;
        let read = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            std::net::TcpStream::connect(here)?.read_to_string(&mut text).map(|_| text)
        });
        assert_eq!(read.await.expect("no panic").expect("a greeting"), "hello");
        drop(way);
        while tokio::net::TcpStream::connect(here).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn what_is_open_to_an_account_lies_beside_the_state() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = folder.path().join("state");
        let account = Account { user: 1000, group: rustix::process::getegid().as_raw() };
        let open = beside(&state).join("1000");
        open_to(&open, account).expect("made");
        let mode = |path: &Path| path.metadata().expect("it is there").mode() & 0o777;
        assert_eq!((mode(&open), mode(&beside(&state))), (0o710, 0o711));
    }
}
