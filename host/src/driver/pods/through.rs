//! A service whose pods a unit of systemd starts is started and stopped through that unit: what runs is the unit's, as it was
//! before, and nothing runs beside it. It plays the file as it stands, without a label of ours, so that what a pod was made
//! from is noted by the pod's ID.

use super::control::runs;
use super::look::{missing, redactor};
use super::units::UNIT_LABEL;
use super::{Checks, Declaration, Pods, Standing};
use crate::context::StepContext;
use crate::driver::durable;
use crate::driver::engine::PodSeen;
use crate::driver::process::io_error;
use crate::driver::services::Status;
use crate::model::{ServiceRef, VerbError};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

const POLL: Duration = Duration::from_millis(250);
/// A pod whose images are here.
const MADE_WITHIN: Duration = Duration::from_secs(10);
/// Of a unit that ends and is started again, while its pods are waited for.
const STARTS: u32 = 3;
const TAIL_LINES: u32 = 12;

/// Of a service's pods by their names: the ID, and a digest of what it was made from.
type Note = BTreeMap<String, (String, String)>;

impl Pods {
    /// Returns when the unit has made the pods that the file declares. Touches nothing where they are there. Converges.
    pub(super) async fn start_by(
        &self, cx: &StepContext, declaration: &Declaration, name: &ServiceRef, unit: &str,
    ) -> Result<(), VerbError> {
        let systemd = &self.machine.systemd;
        // What was begun goes on; what ends again and again is begun anew.
        systemd.settled(unit).await?;
        let standing = self.of_service(declaration, &name.name, Checks::Leave).await?;
        let stands = standing.iter().all(|standing| standing.other.is_none() && runs(standing));
        if stands && missing(declaration, self, name, &standing)?.is_none() {
            return self.hold(name).release().map_err(io_error("release a service"));
        }
        self.stop_unit(cx, declaration, name, unit).await?;
        let mut left = self.pods_by(unit).await?;
        left.extend(self.pods_of(declaration, name).await?);
        self.end(cx, &left).await?;
        cx.activity.touch();
        if systemd.show(unit).await?.status() == Status::Failed {
            systemd.reset(unit).await?;
        }
        self.hold(name).release().map_err(io_error("release a service"))?;
        systemd.start(unit).await?;
        let standing = self.come(cx, declaration, name, unit).await?;
        if let Some(why) = standing.into_iter().find_map(|standing| standing.other) {
            let message = format!("the unit `{unit}` made something else than its file says: {why}");
            return Err(VerbError::other("unit", message));
        }
        self.engine.keep_bridge_addresses(declaration.networks()).await?;
        cx.activity.touch();
        self.note(declaration, name).await
    }

    async fn come(
        &self, cx: &StepContext, declaration: &Declaration, name: &ServiceRef, unit: &str,
    ) -> Result<Vec<Standing>, VerbError> {
        let (mut last, mut said) = (None, String::new());
        loop {
            let seen = self.machine.systemd.show(unit).await?;
            let standing = self.of_service(declaration, &name.name, Checks::Leave).await?;
            // What ends goes with its pod, and its log as well.
            for container in standing.iter().flat_map(|standing| &standing.containers) {
                let tail = self.engine.tail(&container.id, TAIL_LINES).await;
                said = if tail.is_empty() { said } else { tail };
            }
            let status = seen.status();
            match missing(declaration, self, name, &standing)? {
                // One whose command ends with the pods there has done its work.
                None if matches!(status, Status::Running | Status::Stopped) => return Ok(standing),
                missing if (seen.again && seen.restarts >= STARTS) || seen.is_at_rest() => {
                    let tail = [self.machine.systemd.last_lines(unit).await, said].join("\n");
                    let tail = redactor(declaration).text(tail.trim());
                    let tail = if tail.is_empty() { tail } else { format!(":\n{tail}") };
                    let lacks = missing.map(|missing| format!(", and there is no `{missing}`")).unwrap_or_default();
                    let message = format!("the unit `{unit}` of the service `{name}` does not start{lacks}{tail}");
                    return Err(VerbError::other("unit", message));
                }
                _ => {}
            }
            let state = Some((status, seen.restarts, standing.len()));
            if last != state {
                cx.activity.touch();
                last = state;
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether the service's unit goes on making its pods, within reason, once they are gone.
    pub(super) async fn is_made_again(&self, name: &ServiceRef) -> Result<bool, VerbError> {
        let Some(unit) = self.units().await?.remove(&name.name) else { return Ok(false) };
        let seen = self.machine.systemd.show(&unit).await?;
        Ok(!seen.is_at_rest() && seen.restarts < STARTS)
    }

    /// Each of its pods takes its grace period.
    pub(super) async fn stop_unit(
        &self, cx: &StepContext, declaration: &Declaration, name: &ServiceRef, unit: &str,
    ) -> Result<(), VerbError> {
        let systemd = &self.machine.systemd;
        // A podman that is ended while it makes a pod leaves rules of the firewall behind: the next pod at the same port of the
        // machine would not be reached.
        if let Ok(seen) = tokio::time::timeout(MADE_WITHIN, systemd.settled(unit)).await
            && seen?.is_at_rest()
        {
            return Ok(());
        }
        // It only says how long silence is no wonder.
        let within = self.unit_ends_within(declaration, name, unit).await.unwrap_or_default();
        let stop = async {
            systemd.stop(unit).await?;
            while !systemd.show(unit).await?.is_at_rest() {
                tokio::time::sleep(POLL).await;
            }
            Ok(())
        };
        cx.activity.alive_for(within, stop).await
    }

    /// The sum over its pods: one may wait for another.
    async fn unit_ends_within(
        &self, declaration: &Declaration, name: &ServiceRef, unit: &str,
    ) -> Result<Duration, VerbError> {
        let mut pods = BTreeSet::from_iter(self.pods_by(unit).await?);
        pods.extend(self.pods_of(declaration, name).await?);
        let mut within = Duration::ZERO;
        for pod in &pods {
            if let Some(seen) = self.engine.pod(pod).await? {
                within += self.ends_within(&seen).await?;
            }
        }
        Ok(within)
    }

    /// Pods that a unit made, also such as its file no longer has.
    pub(super) async fn pods_by(&self, unit: &str) -> Result<Vec<String>, VerbError> {
        let own = self.engine.labelled(&[format!("{UNIT_LABEL}={unit}")]).await?;
        let mut pods = Vec::new();
        if own.is_empty() {
            return Ok(pods);
        }
        for name in self.engine.pods_labelled(&[]).await? {
            let seen = self.engine.pod(&name).await?;
            let is_own = |seen: &PodSeen| seen.containers.iter().any(|id| own.contains(id));
            pods.extend(seen.filter(is_own).map(|seen| seen.name));
        }
        Ok(pods)
    }

    async fn note(&self, declaration: &Declaration, name: &ServiceRef) -> Result<(), VerbError> {
        let service = declaration.service(self, &name.name)?;
        let mut note = Note::new();
        for pod in &service.file.pods {
            if let Some(seen) = self.engine.pod(&pod.name).await? {
                note.insert(seen.name, (seen.id, declaration.digest(service, pod)));
            }
        }
        let file = self.note_of(&name.name);
        let text = serde_json::to_vec(&note).map_err(|error| VerbError::other("io", error.to_string()))?;
        let folder = file.parent().unwrap_or(&self.machine.state);
        durable::make_folder(folder).map_err(io_error("make the folder of notes"))?;
        durable::write(&file, &text).map_err(io_error("note what a pod was made from"))
    }

    /// None: nothing is known of a pod with this ID.
    pub(super) fn noted(&self, service: &str, pod: &str, id: &str) -> Option<String> {
        let text = durable::read(&self.note_of(service)).ok().flatten()?;
        let mut note: Note = serde_json::from_slice(&text).ok()?;
        note.remove(pod).filter(|(known, _)| known == id).map(|(_, digest)| digest)
    }

    fn note_of(&self, service: &str) -> PathBuf {
        let name = format!("{}.{service}.json", self.platform);
        self.machine.state.join("played").join(&self.deployment).join(name)
    }
}
