//! Services that systemd runs: asked and told through `systemctl`, held by a condition in a drop-in.

use super::Status;
use super::hold::Hold;
use crate::driver::durable;
use crate::driver::process::io_error;
use crate::driver::process::log::last_lines;
use crate::model::VerbError;
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// No question to systemd takes so long unless something is broken.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(250);

/// Where systemd is on this machine.
#[derive(Debug, Clone)]
pub struct Systemd {
    pub systemctl: PathBuf,
    pub journalctl: PathBuf,
    /// Where drop-ins go.
    pub units: PathBuf,
    /// Where those are that podman makes units of.
    pub quadlets: Vec<PathBuf>,
}

impl Default for Systemd {
    fn default() -> Self {
        Self {
            systemctl: "systemctl".into(),
            journalctl: "journalctl".into(),
            units: "/etc/systemd/system".into(),
            quadlets: ["/etc", "/run", "/usr/share"].map(|at| Path::new(at).join("containers/systemd")).into(),
        }
    }
}

/// What `systemctl show` says of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub active: String,
    pub loaded: bool,
    /// A start or stop of it waits or goes on.
    pub pending: bool,
    pub main_pid: Option<i32>,
    pub cgroup: Option<String>,
    /// It ended, and systemd starts it again after a moment.
    pub again: bool,
    /// How often it did since somebody started it.
    pub restarts: u32,
    /// The machine's monotonic time at which it last became active; none where it never was.
    active_since: Option<Duration>,
    /// The commands that start it, each with its arguments.
    pub commands: Vec<String>,
    /// Its files are others than those that systemd has read.
    pub stale: bool,
}

impl Unit {
    pub fn is_at_rest(&self) -> bool {
        matches!(self.status(), Status::Stopped | Status::Failed)
    }

    pub fn status(&self) -> Status {
        match self.active.as_str() {
            "active" | "reloading" | "refreshing" => Status::Running,
            "failed" => Status::Failed,
            "activating" | "deactivating" => Status::Between,
            _ if self.pending => Status::Between,
            _ => Status::Stopped,
        }
    }

    /// Of one that runs.
    pub fn active_for(&self) -> Option<Duration> {
        self.active_since.map(|since| monotonic().saturating_sub(since))
    }
}

/// Of the clock that systemd tells `Monotonic` times of.
fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

impl Systemd {
    pub async fn show(&self, unit: &str) -> Result<Unit, VerbError> {
        let unit_state = self.look(unit).await?;
        match unit_state.loaded {
            true => Ok(unit_state),
            false => Err(VerbError::NotFound(format!("systemd has no unit `{unit}`"))),
        }
    }

    /// The same, also of one that systemd does not have.
    pub async fn look(&self, unit: &str) -> Result<Unit, VerbError> {
        let properties = "--property=ActiveState,SubState,LoadState,Job,MainPID,ControlGroup,NRestarts,ExecStart,\
                          NeedDaemonReload,ActiveEnterTimestampMonotonic";
        self.ask(&self.systemctl, &["show", properties, "--", unit]).await.map(|shown| parse(&shown))
    }

    /// Once it neither starts nor stops, or has ended and waits to be started again.
    pub async fn settled(&self, unit: &str) -> Result<Unit, VerbError> {
        loop {
            let seen = self.show(unit).await?;
            if seen.status() != Status::Between || seen.again {
                return Ok(seen);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    pub async fn start(&self, unit: &str) -> Result<(), VerbError> {
        self.ask(&self.systemctl, &["start", "--no-block", "--", unit]).await.map(|_| ())
    }

    pub async fn stop(&self, unit: &str) -> Result<(), VerbError> {
        self.ask(&self.systemctl, &["stop", "--no-block", "--", unit]).await.map(|_| ())
    }

    /// Forgets an earlier failure, and with it a limit of starts that it has used up.
    pub async fn reset(&self, unit: &str) -> Result<(), VerbError> {
        self.ask(&self.systemctl, &["reset-failed", "--", unit]).await.map(|_| ())
    }

    /// From now on systemd starts the unit only where the hold is not set, whatever asks it to.
    pub async fn respect(&self, unit: &str, hold: &Hold) -> Result<(), VerbError> {
        if unit.contains('/') || unit.starts_with('.') {
            return Err(VerbError::Invalid(format!("`{unit}` is no name of a unit")));
        }
        let folder = self.units.join(format!("{unit}.d"));
        let file = folder.join("90-upgraded.conf");
        let text = drop_in(hold.path());
        let write = || -> std::io::Result<()> {
            if durable::read(&file)?.as_deref() != Some(text.as_bytes()) {
                std::fs::create_dir_all(&folder)?;
                durable::sync_folder(&self.units)?;
                durable::write(&file, text.as_bytes())?;
            }
            std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644))
        };
        write().map_err(io_error("write a unit's drop-in"))?;
        // Always: a crash may have come between the file and this.
        self.ask(&self.systemctl, &["daemon-reload"]).await.map(|_| ())
    }

    pub async fn last_lines(&self, unit: &str) -> String {
        let lines = self.ask(&self.journalctl, &["--no-pager", "--output=cat", "--lines=20", "--unit", unit]).await;
        last_lines(lines.unwrap_or_default().as_bytes())
    }

    async fn ask(&self, program: &Path, arguments: &[&str]) -> Result<String, VerbError> {
        let verb = format!("{} {}", program.display(), arguments.first().unwrap_or(&""));
        let output = Command::new(program)
            .args(arguments)
            .env("LC_ALL", "C")
            .env("SYSTEMD_PAGER", "")
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(ANSWER_WITHIN, output)
            .await
            .map_err(|_| VerbError::Unavailable(format!("`{verb}` gives no answer")))?
            .map_err(|error| VerbError::Unavailable(format!("`{verb}` can't be run: {error}")))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(VerbError::Unavailable(format!("`{verb}` failed: {}", last_lines(&output.stderr))))
    }
}

/// The text of the drop-in that makes a unit respect a hold.
pub fn drop_in(hold: &Path) -> String {
    let path = hold.display().to_string().replace('%', "%%");
    format!("# By upgraded: while this file is there, nothing starts the unit.\n[Unit]\nConditionPathExists=!{path}\n")
}

fn parse(shown: &str) -> Unit {
    let properties: BTreeMap<&str, &str> = shown.lines().filter_map(|line| line.split_once('=')).collect();
    let property = |name| properties.get(name).copied().unwrap_or_default();
    Unit {
        active: property("ActiveState").to_owned(),
        loaded: !matches!(property("LoadState"), "not-found" | ""),
        pending: !matches!(property("Job"), "" | "0"),
        main_pid: property("MainPID").parse().ok().filter(|pid| *pid > 0),
        cgroup: Some(property("ControlGroup").to_owned()).filter(|group| !group.is_empty()),
        again: property("SubState") == "auto-restart",
        restarts: property("NRestarts").parse().unwrap_or(0),
        active_since: microseconds(property("ActiveEnterTimestampMonotonic")),
        commands: shown.lines().filter_map(command).collect(),
        stale: property("NeedDaemonReload") == "yes",
    }
}

fn microseconds(text: &str) -> Option<Duration> {
    text.parse::<u64>().ok().filter(|microseconds| *microseconds > 0).map(Duration::from_micros)
}

/// `/usr/bin/podman kube play a.yaml` of `ExecStart={ path=/usr/bin/podman ; argv[]=/usr/bin/podman kube play a.yaml ; … }`.
fn command(line: &str) -> Option<String> {
    let (_, said) = line.strip_prefix("ExecStart=")?.split_once("argv[]=")?;
    Some(said.split_once(" ; ").map_or(said, |(command, _)| command).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_says_is_read() {
        let text =
            "ActiveState=inactive\nLoadState=loaded\nJob=412\nMainPID=0\nControlGroup=/system.slice/shop.service\n";
        let unit = parse(text);
        assert_eq!(unit.status(), Status::Between);
        assert_eq!((unit.main_pid, unit.cgroup.as_deref()), (None, Some("/system.slice/shop.service")));
        assert!(!parse("LoadState=not-found\n").loaded);
        assert!(unit.commands.is_empty() && !unit.again && !unit.stale && unit.active_for().is_none());
        let began = monotonic() - Duration::from_millis(700);
        let active_for = parse(&format!("ActiveEnterTimestampMonotonic={}\n", began.as_micros())).active_for().unwrap();
        assert!((Duration::from_millis(700)..Duration::from_secs(60)).contains(&active_for), "{active_for:?}");
        assert!(parse("ActiveEnterTimestampMonotonic=0\n").active_for().is_none());
    }

    #[test]
    fn what_a_unit_starts_is_read() {
        let text = "NRestarts=2\nExecStart={ path=/usr/bin/podman ; argv[]=/usr/bin/podman kube play --replace \
                    /opt/pod-core.yaml ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 }\nLoadState=loaded\n\
                    ActiveState=activating\nSubState=auto-restart\nNeedDaemonReload=yes\n";
        let unit = parse(text);
        assert_eq!(unit.commands, ["/usr/bin/podman kube play --replace /opt/pod-core.yaml"]);
        assert!(unit.again && unit.stale && unit.restarts == 2 && !unit.is_at_rest());
    }

    /// systemd's own judgement of the drop-in; `apt install systemd` brings the program.
    #[test]
    fn systemd_accepts_the_drop_in() {
        let folder = tempfile::tempdir().unwrap();
        let unit = folder.path().join("shop.service");
        std::fs::write(&unit, "[Unit]\nDescription=Shop\n[Service]\nExecStart=/bin/true\n").unwrap();
        let drop_ins = folder.path().join("shop.service.d");
        std::fs::create_dir(&drop_ins).unwrap();
        let verify = || {
            let output = std::process::Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output();
            let output = output.expect("`systemd-analyze` is there: `apt install systemd`");
            (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
        };
        let about_us = |said: &str| said.contains("90-upgraded.conf");
        std::fs::write(drop_ins.join("90-upgraded.conf"), drop_in(Path::new("/var/lib/up graded/100%/main.web")))
            .unwrap();
        let (fine, said) = verify();
        assert!(fine && !about_us(&said), "{said}");
        std::fs::write(drop_ins.join("90-upgraded.conf"), "[Unit]\nConditionPathExists=!relative\n").unwrap();
        assert!(about_us(&verify().1), "the check sees a drop-in that is wrong");
    }
}
