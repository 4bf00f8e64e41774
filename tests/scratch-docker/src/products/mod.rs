//! The example products as their operators installed them: their images, files and secrets, and the deployment's file.

pub mod evose;
pub mod replicas;
pub mod tessallite;

use crate::Engine;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Mutex;

/// An example's deployment file with other places instead of its own; each has to be there.
pub fn with_places(example: &str, places: &[(&str, String)]) -> String {
    places.iter().fold(example.to_owned(), |text, (theirs, ours)| {
        assert!(text.contains(theirs), "the example says `{theirs}`");
        text.replace(theirs, ours)
    })
}

/// The engine, and the folder of secrets.
pub fn common_places(engine: &Engine, secrets: &Path) -> [(&'static str, String); 2] {
    let engine = format!("engine = \"unix://{}\"", engine.socket().display());
    [("engine = \"unix:///var/run/docker.sock\"", engine), ("/etc/upgraded/secrets", secrets.display().to_string())]
}

/// That nobody but the daemon reads.
pub fn write_secret(folder: &Path, name: &str, value: &str) -> Result<(), String> {
    let file = folder.join(name);
    write(&file, value)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).map_err(said(&file))
}

/// Between those that need rights and those that Kubernetes and the kernel give to others.
const PORTS: Range<u16> = 20_000..30_000;

/// It is this process's until that ends: what is stopped gets it again when it is started.
pub fn free_port() -> u16 {
    static OURS: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let user = fs::metadata("/proc/self").expect("`/proc`").uid();
    let folder = std::env::temp_dir().join(format!("upgraded-ports-{user}"));
    fs::create_dir_all(&folder).expect("a folder of ports");
    // What an earlier program left in the firewall would lead away who asks the same ports.
    let first = std::process::id() % u32::try_from(PORTS.len()).expect("a few");
    let first = PORTS.start + u16::try_from(first).expect("one of them");
    for port in (first..PORTS.end).chain(PORTS.start..first) {
        let held = File::create(folder.join(port.to_string())).expect("a file of a port");
        if held.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            OURS.lock().expect("no panic while it is held").push(held);
            return port;
        }
    }
    panic!("none of the ports {PORTS:?} is free")
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(said(file))
}

fn make_folder(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(said(folder))
}

fn said(path: &Path) -> impl Fn(std::io::Error) -> String + use<'_> {
    move |error| format!("`{}`: {error}", path.display())
}
