//! Where the project's own engine lives. `cargo xtask engine` starts and stops what lies there; tests only ask it.

use std::env;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A Docker engine to use instead: `unix:///path`.
pub const GIVEN_ENGINE: &str = "UPGRADED_TEST_DOCKER";
/// The registry that goes with it: `host:port`.
pub const GIVEN_REGISTRY: &str = "UPGRADED_TEST_REGISTRY";
pub const OWN_REGISTRY: &str = "127.0.0.1:5050";

/// Folders beneath the own engine's, of the programs of other engines.
pub const OLD_ENGINE: &str = "docker-20.10";
pub const PODMAN: &str = "podman-4.3";
/// A later podman's, of which nothing is used but the generator of units.
pub const QUADLET: &str = "quadlet-5.4";
/// Of what engines need that an ordinary user starts.
pub const ROOTLESS: &str = "rootless";

/// The folder for everything of the own engine.
const FOLDER: &str = "UPGRADED_ENGINE_DIR";
/// A socket's path has 108 bytes; the longest beneath the folder takes 30.
const LONGEST_FOLDER: usize = 70;

/// The project's own engine: a folder and what lies in it.
#[derive(Clone, Debug)]
pub struct Own {
    folder: PathBuf,
}

impl Own {
    /// `$UPGRADED_ENGINE_DIR`, else beneath the user's cache.
    pub fn of_this_user() -> Result<Self, String> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = || set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
        let folder = set(FOLDER).or_else(|| Some(cache()?.join("upgraded/engine")));
        Self::at(folder.ok_or_else(|| format!("neither {FOLDER} nor HOME says where the engine's folder is"))?)
    }

    pub fn at(folder: PathBuf) -> Result<Self, String> {
        if !folder.is_absolute() {
            return Err(format!("{FOLDER}={}: it has to be an absolute path", folder.display()));
        }
        let length = folder.as_os_str().len();
        if length > LONGEST_FOLDER {
            let folder = folder.display();
            return Err(format!(
                "`{folder}` has {length} bytes, too many for sockets: {FOLDER} can name a shorter one"
            ));
        }
        Ok(Self { folder })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }
    pub fn socket(&self) -> PathBuf {
        self.folder.join("docker.sock")
    }
    /// The folder of `docker`.
    pub fn cli(&self) -> PathBuf {
        self.folder.join("cli")
    }
    /// The command line's settings, with its plugins.
    pub fn config(&self) -> PathBuf {
        self.folder.join("config")
    }
}

/// Whether an engine answers on this socket.
pub fn ping(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok_and(|stream| {
        let _ = stream.set_read_timeout(Some(PATIENCE));
        is_found(stream, "/_ping")
    })
}

/// Whether a registry answers at `host:port`.
pub fn ping_registry(address: &str) -> bool {
    ask_registry(address, "/v2/")
}

/// Whether the registry at `host:port` has this image.
pub fn registry_has(address: &str, repository: &str, tag: &str) -> bool {
    ask_registry(address, &format!("/v2/{repository}/manifests/{tag}"))
}

const PATIENCE: Duration = Duration::from_secs(5);

fn ask_registry(address: &str, path: &str) -> bool {
    TcpStream::connect(address).is_ok_and(|stream| {
        let _ = stream.set_read_timeout(Some(PATIENCE));
        is_found(stream, path)
    })
}

/// Whether a GET is answered with 200.
fn is_found(mut stream: impl Read + Write, path: &str) -> bool {
    let accepted = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json";
    let mut ask = || -> std::io::Result<bool> {
        write!(stream, "GET {path} HTTP/1.0\r\nhost: localhost\r\naccept: {accepted}\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer.starts_with(b"HTTP/1.") && answer.get(8..12) == Some(b" 200"))
    };
    ask().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_leaves_room_for_sockets() {
        assert!(Own::at("/tmp/engine".into()).is_ok());
        assert!(Own::at("engine".into()).unwrap_err().contains("absolute"));
        assert!(Own::at(format!("/{}", "a".repeat(70)).into()).unwrap_err().contains("71 bytes"));
    }

    #[test]
    fn nobody_answers_where_nobody_is() {
        assert!(!ping(Path::new("/nonexistent/docker.sock")));
    }
}
