//! The simulator's plugins and hands: every change goes through the same effect wrapper as the real drivers'.

use super::world::{Behaviour, Data, World};
use crate::activity::Activity;
use crate::context::{Site, StepContext};
use crate::driver::Doubled;
use crate::model::*;
use crate::phase::hands::{Hands, Moment};
use crate::plan::event::{Effect, Verdict};
use crate::plan::{FileBack, Plan, PlannedEdit, Rehearsed};
use crate::plugin::roles::*;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

#[derive(Clone)]
pub struct Sim {
    pub world: Arc<Mutex<World>>,
    pub behaviour: Behaviour,
    /// Every effect's work is done twice.
    pub doubled: bool,
    pub can_freeze: bool,
    /// Whether the migration may be run again.
    pub repeatable: bool,
    /// The old version does not verify on new data: code alone is no way back.
    pub strict_schema: bool,
}

fn refused(function: &'static str) -> impl Fn(VerbError) -> CallError {
    move |error| CallError::Refused { plugin: "sim".into(), function, error }
}

fn version(text: &str) -> u32 {
    text.parse().expect("the story's versions are numbers")
}

impl Sim {
    async fn change(
        &self, cx: &StepContext, verb: &str, repeatable: bool, work: impl Fn(&mut World) -> Result<(), String>,
    ) -> Result<(), VerbError> {
        let done = async {
            let mut world = self.world.lock().unwrap();
            if world.asleep > 0 {
                world.asleep -= 1;
                return Err(VerbError::Unavailable("it is starting up".into()));
            }
            let times = if self.doubled && repeatable { 2 } else { 1 };
            let mut result = Ok(());
            for _ in 0..times {
                result = work(&mut world).map_err(|why| VerbError::other("sim", why));
            }
            world.users_write();
            result
        };
        cx.effects.perform(verb, &cx.step, &cx.binding.name, repeatable, done).await
    }

    fn findings(&self, release: u32) -> Vec<Finding> {
        let world = self.world.lock().unwrap();
        let mut findings = Vec::new();
        let mut blocker = |id: &str, message: String| findings.push(Finding::blocker("sim", id, message));
        if world.running != Some(release) {
            blocker("not-running", format!("{:?} runs instead of {release}", world.running));
        }
        let right = |schema: u32| if self.strict_schema { schema == release } else { schema >= release };
        if world.data.values().any(|data| data.half || !right(data.schema)) {
            blocker("data", "the data is not what this release needs".into());
        }
        if world.file != format!("setting of version {release}") {
            blocker("file", format!("the file says `{}`", world.file));
        }
        if release > 1 && matches!(self.behaviour, Behaviour::WrongOnVerify | Behaviour::RebuildFails) {
            blocker("wrong", "it answers nonsense".into());
        }
        findings
    }
}

#[async_trait]
impl Product for Sim {
    async fn releases(&self, _: &StepContext) -> Answer<Vec<Release>> {
        Ok(Vec::new())
    }
    async fn detect(&self, _: &StepContext) -> Answer<Installed> {
        unreachable!("the story begins with a plan")
    }
    async fn path(&self, _: &StepContext, _: &Installed, _: &str) -> Answer<Vec<Hop>> {
        unreachable!("the story begins with a plan")
    }
    async fn preflight(&self, _: &StepContext, _: &Hop) -> Answer<Vec<Finding>> {
        Ok(Vec::new())
    }
    async fn edits(&self, _: &StepContext, _: &Hop) -> Answer<Vec<Edit>> {
        Ok(Vec::new())
    }
    async fn verify(&self, _: &StepContext, release: &str) -> Answer<Vec<Finding>> {
        Ok(self.findings(version(release)))
    }
}

#[async_trait]
impl Platform for Sim {
    async fn components(&self, _: &StepContext) -> Answer<Vec<Component>> {
        Ok(Vec::new())
    }
    async fn preflight(&self, _: &StepContext, _: &Hop) -> Answer<Vec<Finding>> {
        Ok(Vec::new())
    }
    async fn stage(&self, cx: &StepContext, hop: &Hop) -> Answer<String> {
        self.change(cx, "sim.stage", true, |_| Ok(())).await.map_err(refused("stage"))?;
        Ok(format!("{}..{}", hop.source, hop.target))
    }
    async fn edits(&self, _: &StepContext, _: &Hop) -> Answer<Vec<Edit>> {
        Ok(Vec::new())
    }
    async fn quiesce(&self, cx: &StepContext, hop: &Hop) -> Answer<()> {
        if hop.quiesce.is_empty() {
            return Ok(());
        }
        let stop = |world: &mut World| {
            (world.gate, world.held, world.running) = (false, true, None);
            Ok(())
        };
        self.change(cx, "sim.stop", true, stop).await.map_err(refused("quiesce"))
    }
    async fn apply(&self, cx: &StepContext, hop: &Hop, staged: &str, act: u32) -> Answer<()> {
        assert!(!staged.is_empty(), "what is applied was staged");
        let (to, behaviour) = (version(&hop.target), self.behaviour);
        let result = match &hop.acts[act as usize] {
            Act::Command(_) => self.change(cx, "sim.migrate", self.repeatable, |w| w.migrate(to, behaviour)).await,
            Act::Wave(_) => {
                let start = |world: &mut World| {
                    if behaviour == Behaviour::NeverStarts {
                        return Err("it never starts".into());
                    }
                    (world.held, world.running) = (false, Some(to));
                    Ok(())
                };
                self.change(cx, "sim.start", true, start).await
            }
        };
        result.map_err(refused("apply"))
    }
    async fn verify(&self, _: &StepContext, hop: &Hop, _: Option<u32>) -> Answer<Vec<Finding>> {
        let running = self.world.lock().unwrap().running;
        let right = running == Some(version(&hop.target));
        Ok(if right { Vec::new() } else { vec![Finding::blocker("sim", "not-running", format!("{running:?} runs"))] })
    }
    async fn admit(&self, cx: &StepContext, _: &Hop) -> Answer<()> {
        let open = |world: &mut World| {
            world.gate = true;
            Ok(())
        };
        self.change(cx, "sim.admit", true, open).await.map_err(refused("admit"))
    }
    async fn revert(&self, cx: &StepContext, hop: &Hop, _: &str) -> Answer<()> {
        let from = version(&hop.source);
        let start = |world: &mut World| {
            (world.held, world.running) = (false, Some(from));
            Ok(())
        };
        self.change(cx, "sim.revert", true, start).await.map_err(refused("revert"))
    }
}

#[async_trait]
impl Datastore for Sim {
    async fn preflight(&self, _: &StepContext, _: &Hop) -> Answer<Vec<Finding>> {
        Ok(Vec::new())
    }
    async fn fence(&self, cx: &StepContext) -> Answer<String> {
        let name = cx.binding.name.clone();
        let fence = |world: &mut World| {
            world.fenced.insert(name.clone(), true);
            Ok(())
        };
        self.change(cx, "sim.fence", true, fence).await.map_err(refused("fence"))?;
        Datastore::mark(self, cx).await
    }
    async fn mark(&self, cx: &StepContext) -> Answer<String> {
        Ok(self.world.lock().unwrap().mark(&cx.binding.name))
    }
    async fn unfence(&self, cx: &StepContext) -> Answer<()> {
        let open = |world: &mut World| {
            world.fenced.remove(&cx.binding.name);
            Ok(())
        };
        self.change(cx, "sim.unfence", true, open).await.map_err(refused("unfence"))
    }
    async fn freeze(&self, cx: &StepContext) -> Answer<bool> {
        if !self.can_freeze {
            return Ok(false);
        }
        let copy = |world: &mut World| {
            let data = world.data[&cx.binding.name].clone();
            world.copies.insert((cx.binding.name.clone(), cx.step.clone()), data);
            Ok(())
        };
        self.change(cx, "sim.freeze", true, copy).await.map_err(refused("freeze"))?;
        Ok(true)
    }
    async fn backup(&self, cx: &StepContext, frozen: Option<&str>) -> Answer<BackupRef> {
        let key = format!("{}/{}", cx.step, cx.binding.name);
        let save = |world: &mut World| {
            let data = match frozen {
                Some(step) => world.copies[&(cx.binding.name.clone(), step.to_owned())].clone(),
                None => world.data[&cx.binding.name].clone(),
            };
            world.vault.insert(key.clone(), data);
            Ok(())
        };
        self.change(cx, "sim.backup", true, save).await.map_err(refused("backup"))?;
        let manifest = World::manifest(&self.world.lock().unwrap().vault[&key]);
        Ok(BackupRef { artifacts: vec![key], manifest })
    }
    async fn manifest(&self, cx: &StepContext, frozen: Option<&str>) -> Answer<String> {
        let world = self.world.lock().unwrap();
        let data = match (frozen, &cx.site) {
            (Some(step), _) => &world.copies[&(cx.binding.name.clone(), step.to_owned())],
            (None, Site::Drill { name, .. }) => &world.copies[&("drill".to_owned(), name.clone())],
            (None, Site::Live) => &world.data[&cx.binding.name],
        };
        Ok(World::manifest(data))
    }
    async fn restore(&self, cx: &StepContext, origin: &Origin) -> Answer<()> {
        let restore = |world: &mut World| {
            let data = match origin {
                Origin::Backup(backup) => world.vault[&backup.artifacts[0]].clone(),
                Origin::Frozen(step) => world.copies[&(cx.binding.name.clone(), step.clone())].clone(),
            };
            match &cx.site {
                Site::Drill { name, .. } => {
                    world.left_drills += 1;
                    world.copies.insert(("drill".into(), name.clone()), data);
                }
                Site::Live => {
                    let fresh = world.beside.contains_key(&cx.binding.name);
                    assert!(fresh || world.fenced.get(&cx.binding.name) == Some(&true), "a restore is fenced");
                    assert_eq!(world.running, None, "nothing runs on data that is restored");
                    world.data.insert(cx.binding.name.clone(), data);
                }
            }
            Ok(())
        };
        self.change(cx, "sim.restore", true, restore).await.map_err(refused("restore"))
    }
    async fn discard(&self, _: &StepContext, _: &str) -> Answer<()> {
        Ok(())
    }
}

#[async_trait]
impl Hands for Sim {
    async fn recheck(&self, _: &Plan, _: &Activity) -> Result<Vec<Finding>, Failure> {
        Ok(Vec::new())
    }
    async fn check_backup(&self, _: &StepContext, backup: &BackupRef) -> Result<(), Failure> {
        assert!(self.world.lock().unwrap().vault.contains_key(&backup.artifacts[0]));
        Ok(())
    }
    async fn rehearse(
        &self, _: &StepContext, _: &Plan, backups: BTreeMap<String, BackupRef>,
    ) -> Result<Rehearsed, Failure> {
        let world = self.world.lock().unwrap();
        assert!(backups.values().all(|backup| world.vault.contains_key(&backup.artifacts[0])));
        Ok(Rehearsed::default())
    }
    fn keep_manifest(&self, manifest: &str) -> Result<String, Failure> {
        let digest = crate::journal::digest(manifest);
        self.world.lock().unwrap().manifests.insert(digest.clone(), manifest.to_owned());
        Ok(digest)
    }
    fn manifest(&self, digest: &str) -> Result<String, Failure> {
        Ok(self.world.lock().unwrap().manifests[digest].clone())
    }
    fn drill_site(&self, step: &str, _: &str) -> Site {
        Site::Drill { root: PathBuf::new(), name: step.into(), server: None }
    }
    async fn hook(&self, _: &StepContext, _: Moment) -> Result<(), Failure> {
        Ok(())
    }
    async fn stop_hooked(&self, _: &StepContext) -> Result<(), Failure> {
        Ok(())
    }
    async fn start_hooked(&self, _: &StepContext, _: &[&str]) -> Result<(), Failure> {
        Ok(())
    }
    async fn drill_double(&self, cx: &StepContext) -> Result<Doubled, Failure> {
        Ok(Doubled { site: cx.site.clone(), why: None })
    }
    async fn clear_drill(&self, _: &StepContext) -> Result<(), Failure> {
        let mut world = self.world.lock().unwrap();
        world.left_drills = 0;
        world.copies.retain(|(name, _), _| name != "drill");
        Ok(())
    }
    async fn renew_server(&self, cx: &StepContext, _: &str) -> Result<bool, Failure> {
        let name = &cx.binding.name;
        let renew = |world: &mut World| {
            assert_eq!(world.running, None, "nothing runs on data that is carried");
            let empty = Data { schema: 0, rows: Vec::new(), half: false };
            let old = world.data.insert(name.clone(), empty).expect("the store is there");
            world.beside.entry(name.clone()).or_insert(old);
            world.servers.insert(name.clone(), 2);
            Ok(())
        };
        self.change(cx, "sim.renew", true, renew).await?;
        Ok(true)
    }
    async fn put_server_back(&self, cx: &StepContext, _: Option<u64>, _: bool) -> Result<(), Failure> {
        let name = &cx.binding.name;
        let back = |world: &mut World| {
            assert_eq!(world.running, None, "nothing runs on data that is carried");
            if let Some(old) = world.beside.remove(name) {
                world.data.insert(name.clone(), old);
            }
            world.servers.insert(name.clone(), 1);
            Ok(())
        };
        Ok(self.change(cx, "sim.put-server-back", true, back).await?)
    }
    async fn let_go_of_server(&self, cx: &StepContext, datastore: &str, _: bool) -> Result<(), Failure> {
        let let_go = |world: &mut World| {
            world.beside.remove(datastore);
            Ok(())
        };
        Ok(self.change(cx, "sim.let-go", true, let_go).await?)
    }
    async fn put_edits(
        &self, cx: &StepContext, edits: &[PlannedEdit], key: &(dyn for<'a> Fn(usize) -> String + Sync),
    ) -> Result<(), Failure> {
        for (number, edit) in edits.iter().enumerate() {
            let content = edit.after.clone().expect("the story's edits remove nothing").content;
            let content = String::from_utf8(content).expect("the story's files are text");
            let put = |world: &mut World| {
                let old = world.file.clone();
                world.old_files.entry(key(number)).or_insert(old);
                world.file.clone_from(&content);
                Ok(())
            };
            self.change(cx, "sim.put", true, put).await?;
        }
        Ok(())
    }
    async fn put_files_back(&self, cx: &StepContext, files: &[FileBack]) -> Result<Vec<String>, Failure> {
        for file in files {
            let (_, key) = file.before.clone().expect("the story's file was there");
            let put = |world: &mut World| {
                if let Some(old) = world.old_files.get(&key) {
                    world.file.clone_from(old);
                }
                Ok(())
            };
            self.change(cx, "sim.put", true, put).await?;
        }
        Ok(Vec::new())
    }
    fn lay_over(&self, _edits: &[&PlannedEdit]) {}

    fn clear_overlay(&self) {}

    fn copy_is_gone(&self, _: &str, _: &str) -> Result<(), Failure> {
        Ok(())
    }

    fn keep_copy(&self, _: &str, _: &str) -> Result<(), Failure> {
        Ok(())
    }
    async fn fence_and_probe(&self, _: &crate::plan::step::Step, _: &Effect) -> Verdict {
        Verdict::Unknown
    }
}
