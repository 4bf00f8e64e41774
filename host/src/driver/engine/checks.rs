//! An engine checks a container's health at intervals, the first time after one of them: half a minute where nobody said
//! otherwise, in which a service that stands already keeps everybody waiting. The same check is made here meanwhile; to
//! pass once is enough, as it is for the engine.

use super::{Container, Engine, Health};
use bollard::errors::Error;
use bollard::exec::{StartExecOptions, StartExecResults};
use bollard::models::ExecConfig;
use futures::StreamExt;
use futures::future::join_all;
use jiff::Timestamp;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A check that takes longer is left to the engine.
const CHECK_WITHIN: Duration = Duration::from_secs(2);
/// One that was not waited for is not joined by a second before.
const AT_IT_FOR: Duration = Duration::from_secs(30);
const PAUSE_LEAST: Duration = Duration::from_millis(100);
/// Of how long it has run so far: one that starts slowly is asked less and less often.
const PAUSE_SHARE: u32 = 4;
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

/// What was asked, by the container's ID.
#[derive(Default)]
pub(super) struct Checks(Mutex<HashMap<String, Asked>>);

struct Asked {
    started: Option<Timestamp>,
    passed: bool,
    next: Instant,
}

impl Checks {
    /// Whether it passed since it started; none: it is to be asked now, and by nobody else until that is over.
    fn known(&self, container: &Container, now: Instant) -> Option<bool> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, asked| asked.next + FORGOTTEN_AFTER > now);
        match all.get(&container.id).filter(|asked| asked.started == container.started) {
            Some(asked) if asked.passed || asked.next > now => Some(asked.passed),
            _ => {
                let asked = Asked { started: container.started, passed: false, next: now + AT_IT_FOR };
                all.insert(container.id.clone(), asked);
                None
            }
        }
    }

    fn learn(&self, container: &Container, passed: bool, next: Instant) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(container.id.clone(), Asked { started: container.started, passed, next });
    }
}

impl Engine {
    /// Those that the engine has yet to check are healthy where they pass.
    pub(super) async fn check_ahead(&self, containers: &mut [Container]) {
        let starting = containers.iter_mut().filter(|container| container.is_starting());
        let checks = starting.map(async |container| {
            if self.passes(container).await {
                container.health = Some(Health::Healthy);
            }
        });
        join_all(checks).await;
    }

    pub(super) async fn passes(&self, container: &Container) -> bool {
        if let Some(passed) = self.checks.known(container, Instant::now()) {
            return passed;
        }
        let Ok(passed) = tokio::time::timeout(CHECK_WITHIN, self.check(container)).await else { return false };
        // What is wrong with the engine is said by whoever asks it for more.
        let passed = passed.unwrap_or(false);
        let age = container.started.map(|started| Timestamp::now().duration_since(started).unsigned_abs());
        let pause = (age.unwrap_or_default() / PAUSE_SHARE).max(PAUSE_LEAST);
        self.checks.learn(container, passed, Instant::now() + pause);
        passed
    }

    async fn check(&self, container: &Container) -> Result<bool, Error> {
        let (Some(argv), Ok(docker)) = (container.check.clone(), self.docker().await) else { return Ok(false) };
        let config =
            ExecConfig { cmd: Some(argv), attach_stdout: Some(true), attach_stderr: Some(true), ..Default::default() };
        let exec = docker.create_exec(&container.id, config).await?.id;
        let started = docker.start_exec(&exec, None::<StartExecOptions>).await?;
        if let StartExecResults::Attached { mut output, .. } = started {
            while output.next().await.transpose()?.is_some() {}
        }
        Ok(docker.inspect_exec(&exec).await?.exit_code == Some(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_asked_by_one_at_a_time_until_it_passes_and_again_once_it_is_started_anew() {
        let read = |started: &str| {
            Container::read(format!(r#"{{"Id":"1","State":{{"StartedAt":"{started}"}}}}"#).as_bytes()).unwrap()
        };
        let (checks, now) = (Checks::default(), Instant::now());
        let container = read("2026-01-01T00:00:00Z");
        assert_eq!(checks.known(&container, now), None);
        assert_eq!(checks.known(&container, now), Some(false), "somebody asks it");
        assert_eq!(checks.known(&container, now + AT_IT_FOR), None, "who asked it was not heard of again");
        checks.learn(&container, false, now + PAUSE_LEAST);
        assert_eq!(checks.known(&container, now), Some(false), "too early");
        assert_eq!(checks.known(&container, now + PAUSE_LEAST), None);
        checks.learn(&container, true, now);
        assert_eq!(checks.known(&container, now + PAUSE_LEAST), Some(true));
        assert_eq!(checks.known(&read("2026-01-01T00:01:00Z"), now), None);
    }
}
