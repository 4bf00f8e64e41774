//! The throw-away double of a server that runs in a container or a pod: a drill restores into it under the live names, and
//! nobody else knows of it.

use super::{Around, Server};
use crate::context::{Site, StepContext};
use crate::driver::compose::{broken_how, will_not_stand};
use crate::driver::durable::free_bytes;
use crate::driver::engine::{Container, State};
use crate::model::VerbError;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::AsyncWriteExt;

const POLL: Duration = Duration::from_millis(250);
/// Of its log, where it does not come up.
const LINES: u32 = 5;
/// What a server takes before anything is in it, and its own log of what is restored.
const EMPTY_BYTES: u64 = 256 << 20;
const COPIES: u64 = 2;

/// A shell's functions: what an image's variable says, or the file that `…_FILE` names; and waiting for a server that
/// listens, but for a moment turns connections away.
pub const SHELL: &str = r#"said() { eval "f=\${$1_FILE:-}"; if [ -n "$f" ]; then cat "$f"; else eval "printf %s \"\${$1:-}\""; fi; }
comes_up() { n=0; until "$@" < /dev/null > /dev/null 2>&1 || [ "$n" -ge 20 ]; do n=$((n + 1)); sleep 0.5; done; }"#;

impl Server {
    /// Starts a double of the server, which holds `bytes`, and waits until it answers: its container, or its pod. Its
    /// error says why there is none.
    pub async fn start_double(&self, cx: &StepContext, bytes: u64) -> Result<String, VerbError> {
        if let (Some(service), Some(release)) = (&self.config.service, &self.release) {
            return release.start_double(cx, &service.name, self.config.port).await;
        }
        let (around, service) = self.doubled()?;
        let live = self.located(&Site::Live).await?.container;
        let live = live.ok_or_else(|| VerbError::Invalid("the server runs in no container".into()))?;
        has_room(around, bytes).await?;
        let made = around.start_alone(cx, service, &live).await?;
        Ok(self.answers(cx, &made).await?.id)
    }

    /// Nothing is left of the step's double. Converges.
    pub async fn discard_double(&self, step: &str) -> Result<(), VerbError> {
        if let Some(release) = &self.release {
            return release.discard_double(step).await;
        }
        match self.doubled() {
            Ok((around, _)) => around.discard_alone(step).await,
            // There never was one.
            Err(_) => Ok(()),
        }
    }

    /// Hands the shell of a new server's container or pod a script, and what it reads; `secret` stands in no error.
    pub async fn tell(
        &self, container: &str, script: &str, input: &str, secret: Option<&str>,
    ) -> Result<(), VerbError> {
        let refused = |said: &str| {
            let hidden = secret.filter(|secret| !secret.is_empty());
            let said = hidden.map_or(said.to_owned(), |secret| said.replace(secret, "***"));
            let message = format!("the new server does not take the old one's accounts: {}", said.trim());
            VerbError::other("double", message)
        };
        if let Some(release) = &self.release {
            let said = release.tell(container, self.config.port, script, input).await?;
            return if said.succeeded { Ok(()) } else { Err(refused(&said.err)) };
        }
        let failed = |error: std::io::Error| VerbError::other("io", format!("`docker exec` can't be run: {error}"));
        let mut command = self.around()?.client(&["exec", "--interactive", container, "sh", "-c", script]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A client that ended early says why itself.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        let output = child.wait_with_output().await.map_err(failed)?;
        match output.status.success() {
            true => Ok(()),
            false => Err(refused(&String::from_utf8_lossy(&output.stderr))),
        }
    }

    /// What a script says in the shell of the server that runs.
    pub async fn ask(&self, script: &str) -> Result<String, VerbError> {
        let refused =
            |said: &str| VerbError::other("accounts", format!("the server's accounts can't be read: {}", said.trim()));
        let live = self.live().await?;
        if let Some(release) = &self.release {
            let said = release.tell(&live, self.config.port, script, "").await?;
            return if said.succeeded { Ok(said.out) } else { Err(refused(&said.err)) };
        }
        let output = self.around()?.client(&["exec", &live, "sh", "-c", script]).output().await;
        let output = output.map_err(|error| VerbError::other("io", format!("`docker exec` can't be run: {error}")))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(refused(&String::from_utf8_lossy(&output.stderr))),
        }
    }

    /// The container or the pod in which it runs.
    pub async fn live(&self) -> Result<String, VerbError> {
        if let (Some(service), Some(release)) = (&self.config.service, &self.release) {
            return release.server_pod(service).await;
        }
        let live = self.located(&Site::Live).await?.container;
        live.map(|live| live.id).ok_or_else(|| VerbError::Invalid("the server runs in no container".into()))
    }

    /// What its container is part of, and its service there.
    fn doubled(&self) -> Result<(&Around, &str), VerbError> {
        match (&self.config.service, self.client()) {
            (Some(service), Some(around)) => Ok((around, &service.name)),
            _ => Err(VerbError::Invalid("the server is no service of a platform with an `engine`".into())),
        }
    }

    /// While an image sets its server up, that listens to nobody but the image.
    pub async fn answers(&self, cx: &StepContext, id: &str) -> Result<Container, VerbError> {
        let around = self.around()?;
        let mut heard = String::new();
        loop {
            let container = around.engine().container(id).await?;
            let container =
                container.ok_or_else(|| VerbError::NotFound("the new server's container is gone".into()))?;
            let said = around.engine().tail(id, LINES).await;
            let ended = matches!(container.state, State::Exited | State::Restarting);
            if ended || will_not_stand(&container) {
                return Err(VerbError::other("server", format!("the new server {}:\n{said}", broken_how(&container))));
            }
            if said != heard {
                heard = said;
                cx.activity.touch();
            }
            if around.engine().listens(&container, self.config.port).await? {
                return Ok(container);
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

async fn has_room(around: &Around, bytes: u64) -> Result<(), VerbError> {
    let (place, needed) = (around.engine().folder().await?, bytes.saturating_mul(COPIES).saturating_add(EMPTY_BYTES));
    match free_bytes(&place) {
        Some(free) if free < needed => {
            let mib = |bytes: u64| bytes.div_ceil(1 << 20);
            let (needed, free) = (mib(needed), mib(free));
            let place = place.display();
            Err(VerbError::other(
                "space",
                format!("it may need {needed} MiB on the file system of `{place}`, which has {free} MiB free"),
            ))
        }
        _ => Ok(()),
    }
}
