//! `upgraded job <folder>`: watches over one command so that neither it nor its exit is lost when the daemon is. It takes
//! in the command's streams, and when the command is over ends whatever it left running, so that an exit on disk means
//! that nothing of the job runs any more.
//!
//! It never decides anything else, and never reads settings: all it knows stands in the job's folder, and the secrets come
//! through its standard input.

use super::folder::{Exit, Folder, MARK_VARIABLE, Spec};
use super::launch::Secrets;
use super::log::Writer;
use super::proc::{self, Identity};
use super::redact::Redactor;
use super::{GRACE, claim_error};
use crate::journal::{is_full, with_reserve};
use std::io::{self, PipeReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::unix::pipe::Receiver;
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

/// How long streams may stay open when nothing that we know of holds them.
const DRAIN: Duration = Duration::from_secs(2);
/// Between two attempts at a full disk.
const AGAIN: Duration = Duration::from_secs(1);
const FAILED: i32 = 70;

/// What the binary calls for `upgraded job <folder>`; its exit code.
pub fn run_job(folder: &Path) -> i32 {
    let _ = rustix::thread::set_name(c"upgraded");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.and_then(|runtime| runtime.block_on(supervise(&Folder::new(folder))));
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("upgraded job {}: {error}", folder.display());
            FAILED
        }
    }
}

async fn supervise(folder: &Folder) -> io::Result<()> {
    // Whatever the command leaves behind becomes our child, and is found.
    rustix::process::set_child_subreaper(rustix::process::Pid::from_raw(1))?;
    let own = std::process::id().cast_signed();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let identity = Identity::of(own).ok_or(io::ErrorKind::NotFound)?;
    let state = folder.of_daemon();
    if !with_reserve(state, || folder.claim(&identity))? {
        return Err(claim_error());
    }
    let spec = folder.spec()?.ok_or(io::ErrorKind::NotFound)?;
    let mut daemon = BufReader::new(Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?);
    let secrets = tokio::select! {
        secrets = read_secrets(&mut daemon) => secrets?,
        _ = terminate.recv() => return Ok(()),
    };
    let began = Instant::now();
    let log = with_reserve(state, || Writer::create(folder.path()))?;
    with_reserve(state, || folder.write_started())?;
    let (mut child, output) = match start(&spec, &secrets) {
        Ok(started) => started,
        Err(error) => {
            let why = format!("`{}` can't be started: {error}", spec.launch.argv[0]);
            let exit = Exit { code: FAILED, elapsed_ms: 0, unstartable: Some(why), unheard: false };
            return write_exit(folder, &exit).await;
        }
    };
    let mut streams = Streams::new(log, &secrets, output)?;
    drop(secrets);
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            read = streams.pass_on(), if streams.open => read?,
            () = gone(&mut daemon), if spec.tied => break end(&mut child, &mut streams, &spec, own).await?,
            _ = terminate.recv() => break end(&mut child, &mut streams, &spec, own).await?,
            _ = interrupt.recv() => break end(&mut child, &mut streams, &spec, own).await?,
        }
    };
    let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let leftovers = proc::end_all(GRACE, || remains(&spec, own));
    streams.pass_on_while(leftovers).await?;
    streams.drain().await?;
    write_exit(folder, &Exit { code: code(status), elapsed_ms, unstartable: None, unheard: streams.unheard }).await
}

/// Where the disk is full, once there is room: nothing else tells how the command ended.
async fn write_exit(folder: &Folder, exit: &Exit) -> io::Result<()> {
    loop {
        match with_reserve(folder.of_daemon(), || folder.write_exit(exit)) {
            Err(error) if is_full(&error) => tokio::time::sleep(AGAIN).await,
            written => return written,
        }
    }
}

/// One line of JSON, written whole before the command starts: a daemon that dies before has started nothing.
async fn read_secrets(daemon: &mut BufReader<Receiver>) -> io::Result<Secrets> {
    let mut line = String::new();
    daemon.read_line(&mut line).await?;
    if !line.ends_with('\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_str(&line)?)
}

/// Returns when the daemon has closed its end.
async fn gone(daemon: &mut BufReader<Receiver>) {
    let mut byte = [0];
    while daemon.read(&mut byte).await.is_ok_and(|count| count > 0) {}
}

fn start(spec: &Spec, secrets: &Secrets) -> io::Result<(Child, PipeReader)> {
    let (output, input) = io::pipe()?;
    let mut command = spec.launch.command(secrets);
    command.env(MARK_VARIABLE, &spec.mark).stdin(Stdio::null()).stdout(input.try_clone()?).stderr(input);
    Ok((tokio::process::Command::from(command).spawn()?, output))
}

async fn end(child: &mut Child, streams: &mut Streams, spec: &Spec, own: i32) -> io::Result<ExitStatus> {
    streams.pass_on_while(proc::end_all(GRACE, || remains(spec, own))).await?;
    child.wait().await
}

fn remains(spec: &Spec, own: i32) -> Vec<Identity> {
    let mut remains = proc::descendants(&[own]);
    for marked in proc::with_environment(MARK_VARIABLE, &spec.mark) {
        if marked.pid != own && !remains.contains(&marked) {
            remains.push(marked);
        }
    }
    remains
}

fn code(status: ExitStatus) -> i32 {
    status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(FAILED)
}

/// From the command's pipe into the log, secrets blotted out. The log is for people: what can't be written is lost, and the
/// command goes on.
struct Streams {
    output: Receiver,
    log: Writer,
    redactor: Redactor,
    open: bool,
    unheard: bool,
    buffer: Vec<u8>,
}

impl Streams {
    fn new(log: Writer, secrets: &Secrets, output: PipeReader) -> io::Result<Self> {
        let hidden = secrets.variables.values().chain(&secrets.others);
        Ok(Self {
            output: Receiver::from_owned_fd(OwnedFd::from(output))?,
            log,
            redactor: Redactor::new(hidden.map(String::as_str)),
            open: true,
            unheard: false,
            buffer: vec![0; 64 << 10],
        })
    }

    /// Cancel-safe: what was read is written.
    async fn pass_on(&mut self) -> io::Result<()> {
        let count = self.output.read(&mut self.buffer).await?;
        self.open = count > 0;
        let shown = if self.open { self.redactor.push(&self.buffer[..count]) } else { self.redactor.finish() };
        self.unheard |= self.log.write(&shown).is_err();
        Ok(())
    }

    async fn pass_on_while(&mut self, work: impl Future<Output = ()>) -> io::Result<()> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                () = &mut work => return Ok(()),
                read = self.pass_on(), if self.open => read?,
            }
        }
    }

    async fn drain(&mut self) -> io::Result<()> {
        let until = tokio::time::Instant::now() + DRAIN;
        while self.open {
            match tokio::time::timeout_at(until, self.pass_on()).await {
                Ok(read) => read?,
                Err(_) => {
                    self.open = false;
                    let rest = self.redactor.finish();
                    self.unheard |= self.log.write(&rest).is_err();
                }
            }
        }
        self.unheard |= self.log.sync().is_err();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[tokio::test]
    async fn a_command_whose_lines_find_no_room_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", folder.path().join("log.000000")).unwrap();
        let (output, mut input) = io::pipe().unwrap();
        let log = Writer::create(folder.path()).unwrap();
        let mut streams = Streams::new(log, &Secrets::default(), output).unwrap();
        input.write_all(b"one\n").unwrap();
        streams.pass_on().await.unwrap();
        input.write_all(b"two\n").unwrap();
        drop(input);
        streams.drain().await.unwrap();
        assert!(streams.unheard && !streams.open);
    }
}
