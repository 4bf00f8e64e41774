//! What running services may write to, seen from outside, for the check that every store belongs to a datastore.
//!
//! Found are:
//! - regular files that a process of a service has open for writing, or mapped writable and shared, but for the
//!   service's log, files of a process's number, `/dev`, `/proc`, `/sys`, deleted files and what the daemon itself keeps;
//! - folders right beneath the deployment's `directory` in which the account of a running service may write to
//!   anything, whether or not it did lately: what a product keeps there it may change tomorrow. `releases`, `current` and `.upgraded`
//!   are no data. Where a datastore's path lies deeper, the folders on the way to it are opened and their other entries
//!   are found instead;
//! - files there that the account may write to and that changed since the oldest of its processes started, but for
//!   settings: `.env` files, and what has the ending of a format that people write by hand.
//!
//! A service's processes are those of its unit, those that carry its mark, and those whose program or working folder
//! lies in the deployment's directory, or that have a file beneath it open for writing: what a boot script started has no
//! mark. A store that a service has closed and that lies elsewhere can't be seen.

use super::service::{SERVICE_VARIABLE, Service, Status};
use crate::config::ServiceControl;
use crate::driver::process::MARK_VARIABLE;
use crate::driver::process::proc::{self, Identity};
use crate::driver::release::Layout;
use crate::model::VerbError;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Of one folder, looked at for a place to write to.
const WALK_ENTRIES: u32 = 5000;

/// Something writable that a service has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpenFile {
    pub path: PathBuf,
    /// What `paths` and `disposable` call it where it has a name: `volume:NAME` of an engine, `claim:NAME` of a cluster.
    pub store: Option<String>,
    /// `<platform>/<service>`, or the process that no service could be named for.
    pub service: String,
}

/// What has to be asked before `/proc` is looked at.
pub struct Look {
    service: String,
    mark: String,
    running: bool,
    pids: Vec<i32>,
    log: Option<PathBuf>,
    /// What the daemon itself keeps of services.
    kept: PathBuf,
}

impl Look {
    pub async fn at(service: &Service<'_>) -> Result<Self, VerbError> {
        let pids = match &service.config.control {
            ServiceControl::Unit(unit) => {
                let unit = service.machine.systemd.show(unit).await?;
                let mut pids = unit.cgroup.as_deref().map(processes_of).unwrap_or_default();
                if let (true, Some(main)) = (pids.is_empty(), unit.main_pid) {
                    pids.push(main);
                    pids.extend(proc::descendants(&[main]).iter().map(|process| process.pid));
                }
                pids
            }
            ServiceControl::Commands { .. } => Vec::new(),
        };
        Ok(Self {
            service: service.name.to_string(),
            mark: service.mark(),
            running: service.status().await? == Status::Running,
            pids,
            log: service.log_file().and_then(|log| log.canonicalize().ok()),
            kept: service.machine.state.join("services"),
        })
    }
}

/// Blocks.
pub fn find(deployment: &str, looks: Vec<Look>, layouts: &[Layout], stores: &[PathBuf]) -> Vec<OpenFile> {
    let folders: Vec<PathBuf> = layouts.iter().filter_map(|layout| layout.directory.canonicalize().ok()).collect();
    let processes = processes(deployment, &looks, &folders);
    let mut found = BTreeSet::new();
    for (pid, service) in &processes {
        // What is known by a file beneath the directory alone may be anybody's: its other files are its own.
        let theirs = is_of_a_service(*pid, &looks, &folders);
        let files = files_of(*pid).into_iter().filter(|path| theirs || is_beneath(path, &folders));
        found.extend(files.map(|path| OpenFile { path, store: None, service: service.clone() }));
    }
    let writers: Vec<Writer> = processes.iter().filter_map(|(pid, service)| Writer::of(*pid, service)).collect();
    for layout in layouts {
        let own = [layout.releases(), layout.current(), layout.own()];
        entries(&layout.directory, &own, &writers, stores, &mut found);
    }
    let known = |path: &Path| {
        looks.iter().any(|look| look.log.as_deref() == Some(path) || path.starts_with(&look.kept))
            || names_one_of(path, &processes)
    };
    found.into_iter().filter(|file| !known(&file.path)).collect()
}

/// A file of a process's number is no data.
fn names_one_of(path: &Path, processes: &BTreeMap<i32, String>) -> bool {
    let short = fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() < 16);
    let text = if short { fs::read_to_string(path).unwrap_or_default() } else { String::new() };
    text.trim().parse().is_ok_and(|pid| processes.contains_key(&pid))
}

/// The processes of all services, each with whose it is.
fn processes(deployment: &str, looks: &[Look], folders: &[PathBuf]) -> BTreeMap<i32, String> {
    let mut processes = BTreeMap::new();
    let running: Vec<&Look> = looks.iter().filter(|look| look.running).collect();
    if running.is_empty() {
        return processes;
    }
    let jobs = format!("{deployment}/");
    for pid in proc::all() {
        if pid == std::process::id().cast_signed()
            || variable(pid, MARK_VARIABLE).is_some_and(|mark| mark.starts_with(&jobs))
        {
            continue;
        }
        if let Some(look) = named(pid, &running) {
            processes.insert(pid, look.service.clone());
        } else if lives_beneath(pid, folders) || writes_beneath(pid, folders) {
            processes.insert(pid, unnamed(pid, &running));
        }
    }
    processes
}

fn is_of_a_service(pid: i32, looks: &[Look], folders: &[PathBuf]) -> bool {
    let running: Vec<&Look> = looks.iter().filter(|look| look.running).collect();
    named(pid, &running).is_some() || lives_beneath(pid, folders)
}

/// The service whose unit or mark the process has.
fn named<'a>(pid: i32, running: &[&'a Look]) -> Option<&'a Look> {
    let mark = variable(pid, SERVICE_VARIABLE);
    running.iter().copied().find(|look| look.pids.contains(&pid) || mark.as_ref() == Some(&look.mark))
}

/// Of a process's environment.
fn variable(pid: i32, name: &str) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let mut entries = environment.split(|byte| *byte == 0).filter_map(|entry| std::str::from_utf8(entry).ok());
    entries.find_map(|entry| Some(entry.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
}

fn lives_beneath(pid: i32, folders: &[PathBuf]) -> bool {
    ["cwd", "exe"].iter().any(|link| {
        let target = fs::read_link(format!("/proc/{pid}/{link}"));
        target.is_ok_and(|target| is_beneath(&target, folders))
    })
}

fn is_beneath(path: &Path, folders: &[PathBuf]) -> bool {
    folders.iter().any(|folder| path.starts_with(folder))
}

fn writes_beneath(pid: i32, folders: &[PathBuf]) -> bool {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    descriptors.flatten().any(|descriptor| {
        let target = fs::read_link(descriptor.path()).unwrap_or_default();
        is_beneath(&target, folders) && is_open_for_writing(pid, &descriptor.file_name().to_string_lossy())
    })
}

fn unnamed(pid: i32, running: &[&Look]) -> String {
    match running {
        [only] => only.service.clone(),
        _ => {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("process {pid} ({})", name.trim())
        }
    }
}

fn processes_of(cgroup: &str) -> Vec<i32> {
    let relative = cgroup.trim_start_matches('/');
    for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"] {
        if let Ok(text) = fs::read_to_string(Path::new(root).join(relative).join("cgroup.procs")) {
            return text.lines().filter_map(|line| line.parse().ok()).collect();
        }
    }
    Vec::new()
}

/// The regular files that a process may write to through what it has open or mapped.
fn files_of(pid: i32) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return files };
    for descriptor in descriptors.flatten() {
        let number = descriptor.file_name().to_string_lossy().into_owned();
        let written = is_open_for_writing(pid, &number);
        let regular = fs::metadata(descriptor.path()).is_ok_and(|file| file.is_file() && file.nlink() > 0);
        if written
            && regular
            && let Ok(path) = fs::read_link(descriptor.path())
        {
            files.insert(path);
        }
    }
    files.extend(mapped(pid));
    files.retain(|path| path.is_absolute() && !["/dev", "/proc", "/sys"].iter().any(|root| path.starts_with(root)));
    files
}

fn is_open_for_writing(pid: i32, descriptor: &str) -> bool {
    let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{descriptor}")).unwrap_or_default();
    let flags = info.lines().find_map(|line| u32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok());
    // O_WRONLY is 1, O_RDWR is 2.
    flags.is_some_and(|flags| matches!(flags & 0o3, 1 | 2))
}

fn mapped(pid: i32) -> Vec<PathBuf> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let writable = |line: &str| {
        let mut fields = line.splitn(6, ' ');
        let permissions = fields.nth(1)?;
        let path = fields.nth(3)?.trim();
        let fits = permissions.starts_with("rw") && permissions.ends_with('s') && path.starts_with('/');
        (fits && !path.ends_with(" (deleted)")).then(|| PathBuf::from(path))
    };
    maps.lines().filter_map(writable).collect()
}

/// The account of a process, and since when it runs.
struct Writer {
    service: String,
    uid: u32,
    groups: Vec<u32>,
    since: SystemTime,
}

impl Writer {
    fn of(pid: i32, service: &str) -> Option<Self> {
        let since = began(&Identity::of(pid).filter(Identity::alive)?)?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let numbers = |name: &str| -> Vec<u32> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().split_whitespace().filter_map(|number| number.parse().ok()).collect()
        };
        // Real, effective, saved, and that of the file system, which counts.
        let uid = *numbers("Uid:").get(3)?;
        let mut groups = numbers("Groups:");
        groups.extend(numbers("Gid:").get(3));
        Some(Self { service: service.to_owned(), uid, groups, since })
    }

    /// Gives up with yes: better a folder too many.
    fn may_write_beneath(&self, folder: &Path, left: &mut u32) -> bool {
        let Ok(metadata) = fs::symlink_metadata(folder) else { return false };
        if *left == 0 || (!metadata.is_symlink() && self.may_write(&metadata)) {
            return true;
        }
        *left -= 1;
        // A link's own mode says nothing: what it leads to counts, and of that only the folder itself.
        if metadata.is_symlink() {
            return fs::metadata(folder).is_ok_and(|target| self.may_write(&target));
        }
        let Ok(entries) = fs::read_dir(folder).map(Iterator::flatten) else { return false };
        let mut entries = entries.filter(|_| metadata.is_dir());
        entries.any(|entry| self.may_write_beneath(&entry.path(), left))
    }

    fn may_write(&self, entry: &Metadata) -> bool {
        let mode = entry.mode();
        match () {
            () if self.uid == 0 => true,
            () if self.uid == entry.uid() => mode & 0o200 != 0,
            () if self.groups.contains(&entry.gid()) => mode & 0o020 != 0,
            () => mode & 0o002 != 0,
        }
    }
}

/// When a process started.
fn began(process: &Identity) -> Option<SystemTime> {
    const TICKS_PER_SECOND: u64 = 100;
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let boot_s: u64 = stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(UNIX_EPOCH + Duration::from_secs(boot_s) + Duration::from_millis(process.start * 1000 / TICKS_PER_SECOND))
}

fn entries(folder: &Path, own: &[PathBuf], writers: &[Writer], stores: &[PathBuf], found: &mut BTreeSet<OpenFile>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if own.contains(&path) {
            continue;
        }
        if metadata.is_dir() && stores.iter().any(|store| *store != path && store.starts_with(&path)) {
            self::entries(&path, own, writers, stores, found);
            continue;
        }
        let settings = is_settings(&path);
        let writer = writers.iter().find(|writer| {
            let changed = || metadata.modified().is_ok_and(|changed| changed >= writer.since);
            match () {
                () if metadata.is_dir() => writer.may_write_beneath(&path, &mut WALK_ENTRIES.to_owned()),
                () => metadata.is_file() && !settings && writer.may_write(&metadata) && changed(),
            }
        });
        if let Some(writer) = writer {
            found.insert(OpenFile { path, store: None, service: writer.service.clone() });
        }
    }
}

fn is_settings(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // The latter is what a run kept beside a file that it put back.
    let known = name.starts_with(".env") || name.contains(".changed-during-");
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    known || ["toml", "yaml", "yml", "ini", "conf", "cfg"].contains(&ending)
}
