//! The example products as their operators installed them: their images, files and secrets, and the deployment's file.

pub mod evose;
pub mod replicas;
pub mod tessallite;

use crate::Engine;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

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

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
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
