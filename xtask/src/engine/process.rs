//! Programs that go on running after us, known by the file that they run.

use crate::interrupt::pause;
use anyhow::{Context, Result, bail};
use scratch_docker::Own;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

pub struct Program {
    pub name: &'static str,
    pub file: PathBuf,
    pub arguments: Vec<OsString>,
    pub answers: Box<dyn Fn() -> bool>,
}

/// Until it answers. One that runs already is only waited for.
pub fn start(own: &Own, program: &Program) -> Result<()> {
    let name = program.name;
    let log = own.folder().join(format!("{name}.log"));
    let mut child = None;
    if !is_running(&program.file) {
        let file = File::create(&log).with_context(|| format!("`{}`", log.display()))?;
        // A session of its own: it outlives the terminal.
        let mut command = Command::new("setsid");
        command.arg(&program.file).args(&program.arguments).env("PATH", path(own)).current_dir(own.folder());
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        child = Some(command.spawn().with_context(|| format!("`{}`", program.file.display()))?);
    }
    let began = Instant::now();
    while !(program.answers)() {
        let ended = match &mut child {
            Some(child) => child.try_wait()?.is_some(),
            None => !is_running(&program.file),
        };
        if ended || began.elapsed() > PATIENCE {
            let why = if ended { "ended" } else { "does not answer" };
            bail!("{name} {why}; `{}` ends with:\n{}", log.display(), tail(&log));
        }
        pause();
    }
    if child.is_some_and(|mut child| child.try_wait().is_ok_and(|status| status.is_some())) {
        bail!("{name} ended, and something else answers in its place:\n{}", tail(&log));
    }
    Ok(())
}

/// Its own programs first, then the machine's, those for administrators too.
fn path(own: &Own) -> OsString {
    let mut path = OsString::new();
    for folder in ["engine/usr/sbin", "engine/usr/bin", "base/usr/sbin"] {
        path.push(own.folder().join(folder));
        path.push(":");
    }
    path.push(std::env::var_os("PATH").unwrap_or_default());
    path.push(":/usr/sbin:/sbin");
    path
}

/// Politely, then not.
pub fn stop(file: &Path) -> Result<()> {
    for signal in ["-TERM", "-KILL"] {
        let began = Instant::now();
        let pids = running(file);
        if pids.is_empty() {
            return Ok(());
        }
        // One that ended meanwhile is no failure.
        Command::new("kill").arg(signal).args(&pids).stderr(Stdio::null()).status().context("`kill`")?;
        while is_running(file) && began.elapsed() < PATIENCE {
            pause();
        }
    }
    if !is_running(file) { Ok(()) } else { bail!("`{}` does not end", file.display()) }
}

pub fn is_running(file: &Path) -> bool {
    !running(file).is_empty()
}

/// Processes that run this file, also one that was replaced since.
fn running(file: &Path) -> Vec<String> {
    // The system names it without links.
    let folder = file.parent().and_then(|folder| folder.canonicalize().ok());
    let file = &folder.zip(file.file_name()).map_or_else(|| file.to_owned(), |(folder, name)| folder.join(name));
    let mut replaced = file.as_os_str().to_owned();
    replaced.push(" (deleted)");
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ours = processes.filter(|process| {
        fs::read_link(process.path().join("exe")).is_ok_and(|exe| exe == *file || exe.as_os_str() == replaced)
    });
    ours.filter_map(|process| process.file_name().into_string().ok()).collect()
}

fn tail(log: &Path) -> String {
    let log = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder, reached by a link, with a copy of a program, known by its file from every other that runs it.
    fn with_copy(name: &str, arguments: &[&str], test: impl FnOnce(&Own, Program)) {
        let whole = std::env::temp_dir().join(format!("upgraded-process-{name}-{}", std::process::id()));
        fs::create_dir_all(whole.join("real")).unwrap();
        let folder = whole.join("link");
        std::os::unix::fs::symlink("real", &folder).unwrap();
        let file = folder.join(name);
        fs::copy(Path::new("/bin").join(name), &file).unwrap();
        let arguments = arguments.iter().map(OsString::from).collect();
        let answering = file.clone();
        let answers = Box::new(move || is_running(&answering));
        test(&Own::at(folder).unwrap(), Program { name: "program", file, arguments, answers });
        fs::remove_dir_all(&whole).unwrap();
    }

    #[test]
    fn a_program_is_started_once_and_stopped() {
        with_copy("sleep", &["60"], |own, program| {
            start(own, &program).unwrap();
            let first = running(&program.file);
            start(own, &program).unwrap();
            assert_eq!((first.len(), running(&program.file)), (1, first));
            // An unpacked folder takes another one's place while its programs run.
            fs::remove_file(&program.file).unwrap();
            assert_eq!(running(&program.file).len(), 1);
            stop(&program.file).unwrap();
            assert!(!is_running(&program.file));
        });
    }

    #[test]
    fn a_program_that_ends_says_why() {
        with_copy("ls", &["/nonexistent"], |own, program| {
            let program = Program { answers: Box::new(|| false), ..program };
            let why = start(own, &program).unwrap_err().to_string();
            assert!(why.starts_with("program ended; ") && why.contains("/nonexistent"), "{why}");
        });
    }
}
