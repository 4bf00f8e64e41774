//! What keeps a stopped service stopped, a reboot included: a file for each, that a unit's condition and
//! `upgradectl guard` look for.

use crate::driver::durable;
use crate::model::ServiceRef;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The exit code of a guard that refused: try again later.
pub const HELD: i32 = 75;
const CANNOT_EXECUTE: i32 = 126;

/// `<state>/hold/<deployment>/<platform>.<service>`
#[derive(Debug, Clone)]
pub struct Hold(PathBuf);

impl Hold {
    pub fn new(state: &Path, deployment: &str, service: &ServiceRef) -> Self {
        Self(folder(state, deployment).join(format!("{}.{}", service.platform, service.name)))
    }

    /// The files of all that is held of a deployment.
    pub fn all(state: &Path, deployment: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder(state, deployment)).into_iter().flatten().flatten();
        let is_hold = |file: &PathBuf| file.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.'));
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_hold).collect();
        files.sort();
        files
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn is_set(&self) -> bool {
        self.0.exists()
    }

    /// Durable when it returns. `why` is for who finds the file.
    pub fn set(&self, why: &str) -> io::Result<()> {
        if let Some(folder) = self.0.parent() {
            durable::make_folder(folder)?;
        }
        durable::write(&self.0, why.as_bytes())
    }

    pub fn release(&self) -> io::Result<()> {
        durable::remove(&self.0)?;
        durable::remove_parts(&self.0)
    }
}

/// What a machine's boot scripts start a service with: `upgradectl guard DEPLOYMENT/SERVICE -- command…`. Becomes the
/// command unless the service is held; returns an exit code where it doesn't. `service` is `DEPLOYMENT/SERVICE`, or
/// `DEPLOYMENT/PLATFORM.SERVICE` where two platforms have a service of that name.
pub fn guard(state: &Path, service: &str, argv: &[OsString]) -> i32 {
    let Some((program, arguments)) = argv.split_first() else {
        eprintln!("`upgradectl guard {service} --` lacks the command that starts the service");
        return 2;
    };
    match find(state, service) {
        Ok(None) => {
            let error = Command::new(program).args(arguments).exec();
            eprintln!("`{}` can't be run: {error}", program.to_string_lossy());
            CANNOT_EXECUTE
        }
        Ok(Some(hold)) => {
            let why = std::fs::read_to_string(&hold).unwrap_or_default();
            eprintln!("`{service}` is held: {}", why.trim());
            HELD
        }
        Err(error) => {
            eprintln!("whether `{service}` is held can't be seen, so it is not started: {error}");
            if error.kind() == io::ErrorKind::PermissionDenied {
                eprintln!("only root can see it: `upgradectl guard {service} -- runuser -u ACCOUNT -- …`, as root");
            }
            HELD
        }
    }
}

fn find(state: &Path, service: &str) -> io::Result<Option<PathBuf>> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidInput, "DEPLOYMENT/SERVICE names one");
    let (deployment, name) = service.split_once('/').ok_or_else(wrong)?;
    let plain = |text: &str| !text.is_empty() && !text.contains('/') && !text.starts_with('.');
    if !plain(deployment) || !plain(name) {
        return Err(wrong());
    }
    let entries = match std::fs::read_dir(folder(state, deployment)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if file == name
            || file.split_once('.').is_some_and(|(platform, service)| !platform.is_empty() && service == name)
        {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

fn folder(state: &Path, deployment: &str) -> PathBuf {
    state.join("hold").join(deployment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_hold_that_was_cut_off_nothing_is_left_once_it_is_released() {
        let state = tempfile::tempdir().unwrap();
        let name = |name: &str| ServiceRef { platform: "main".into(), name: name.into() };
        let (web, worker) = (name("web"), name("web2"));
        let [hold, other] = [web, worker].map(|name| Hold::new(state.path(), "shop", &name));
        hold.release().unwrap();
        hold.set("r1-quiesce").unwrap();
        let part = |hold: &Hold| {
            let name = hold.path().file_name().unwrap().to_string_lossy().into_owned();
            hold.path().with_file_name(format!(".{name}.7-1.part"))
        };
        for hold in [&hold, &other] {
            std::fs::write(part(hold), "r1-qui").unwrap();
        }
        hold.release().unwrap();
        assert!(!hold.is_set() && !part(&hold).exists());
        assert!(part(&other).exists(), "of another service");
    }

    #[test]
    fn a_guard_starts_what_is_not_held_and_refuses_what_is() {
        let state = tempfile::tempdir().unwrap();
        let name = ServiceRef { platform: "main".into(), name: "web".into() };
        let hold = Hold::new(state.path(), "shop", &name);
        let argv = [OsString::from("/no/such/program")];
        assert_eq!(guard(state.path(), "shop/web", &argv), CANNOT_EXECUTE);
        hold.set("r1-quiesce").unwrap();
        assert_eq!(guard(state.path(), "shop/web", &argv), HELD);
        assert_eq!(guard(state.path(), "shop/main.web", &argv), HELD);
        assert_eq!(guard(state.path(), "shop/worker", &argv), CANNOT_EXECUTE);
        assert_eq!(guard(state.path(), "../hold/shop/web", &argv), HELD);
        assert_eq!(Hold::all(state.path(), "shop"), [hold.path()]);
        assert!(Hold::all(state.path(), "blog").is_empty());
        hold.release().unwrap();
        hold.release().unwrap();
        assert_eq!(guard(state.path(), "shop/web", &argv), CANNOT_EXECUTE);
    }
}
