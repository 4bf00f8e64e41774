//! The name server that all podmans of root on a machine share: one of before 2.0 ends where a network goes while it reads
//! what networks there are, and the next pod alone starts another. A machine has one podman, and there that is rare; the
//! tests have many, so that it is started again here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Once;
use std::time::Duration;

const NETWORKS: &str = "/run/containers/networks/aardvark-dns";
const PROCESS: &str = "aardvark.pid";
/// Twice in a row: a podman that is just about to start it has done so by then.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// For as long as this process is there. `program`: the name server's.
pub fn are_served(program: PathBuf) {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        std::thread::spawn(move || {
            let mut was_gone = false;
            loop {
                std::thread::sleep(LOOK_EVERY);
                let is_gone = has_networks() && !runs(&program);
                if is_gone && was_gone {
                    start(&program);
                }
                was_gone = is_gone;
            }
        });
    });
}

fn has_networks() -> bool {
    let mut files = fs::read_dir(NETWORKS).into_iter().flatten().flatten();
    files.any(|file| file.file_name() != PROCESS)
}

fn runs(program: &Path) -> bool {
    let Ok(process) = fs::read_to_string(Path::new(NETWORKS).join(PROCESS)) else { return false };
    let line = fs::read(format!("/proc/{}/cmdline", process.trim())).unwrap_or_default();
    let name = program.file_name().unwrap_or_default().as_encoded_bytes();
    line.windows(name.len()).any(|part| part == name)
}

/// As podman does.
fn start(program: &Path) {
    let mut server = Command::new(program);
    server.args(["--config", NETWORKS, "-p", "53", "run"]);
    server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // It goes on by itself; what is wrong, the next look finds.
    let _ = server.status();
}
