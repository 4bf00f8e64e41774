//! What one instance owns in the host: its bounds, its voice, its grants, and the way to the drivers.

use super::grants::Granted;
use super::limits::Limits;
use super::post::{Jobs, Post, Work, post};
use super::resources::{Hit, Resources};
use super::voice::Voice;
use super::{bindings::types, wasi};
use crate::activity::Activity;
use crate::model::VerbError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

pub struct Guest {
    pub(super) table: ResourceTable,
    pub(super) voice: Voice,
    pub(super) granted: Arc<Granted>,
    pub(super) sessions_left: usize,
    activity: Activity,
    wasi: WasiCtx,
    post: Post,
    resources: Resources,
    verb_grace: Duration,
    idle: Arc<Idle>,
}

/// How long the call may be silent now: what it was given, or what the pending verb allows where that is more.
pub struct Idle {
    base: Duration,
    verb_ms: AtomicU64,
}

/// A verb's own deadline ends the verb, and only then the call: it comes first by this much.
const AFTER_THE_VERB: Duration = Duration::from_secs(5);

impl Idle {
    pub fn now(&self) -> Duration {
        match self.verb_ms.load(Ordering::Relaxed) {
            0 => self.base,
            verb => self.base.max(Duration::from_millis(verb).saturating_add(AFTER_THE_VERB)),
        }
    }
}

impl Guest {
    pub fn new(
        limits: &Limits, granted: Arc<Granted>, activity: Activity, idle: Duration, hit: Arc<OnceLock<Hit>>,
    ) -> (Self, Jobs) {
        let voice = Voice::new(activity.clone(), limits);
        let (post, jobs) = post();
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        let guest = Self {
            table,
            wasi: wasi::context(&voice),
            voice,
            granted,
            activity,
            post,
            sessions_left: limits.sessions,
            resources: Resources::new(limits, hit),
            verb_grace: limits.verb_grace,
            idle: Arc::new(Idle { base: idle, verb_ms: AtomicU64::new(0) }),
        };
        (guest, jobs)
    }

    pub fn idle(&self) -> Arc<Idle> {
        self.idle.clone()
    }

    pub fn voice(&self) -> Voice {
        self.voice.clone()
    }

    pub fn resources(&mut self) -> &mut Resources {
        &mut self.resources
    }

    pub(super) fn cancelled(&self) -> bool {
        self.activity.cancelled()
    }

    /// Has a driver do a verb that was granted.
    pub(super) async fn verb<T: Send + 'static>(
        &mut self, granted: Result<(), VerbError>, work: impl Work<T>,
    ) -> Result<T, types::Error> {
        self.verb_for(granted, 0, work).await
    }

    /// The same, where the guest named the verb's own idle deadline.
    pub(super) async fn verb_for<T: Send + 'static>(
        &mut self, granted: Result<(), VerbError>, idle_ms: u64, work: impl Work<T>,
    ) -> Result<T, types::Error> {
        granted?;
        if self.cancelled() {
            return Err(types::Error::Cancelled);
        }
        self.activity.touch();
        self.idle.verb_ms.store(idle_ms, Ordering::Relaxed);
        let outcome = self.post.send(work, self.verb_grace).await;
        self.idle.verb_ms.store(0, Ordering::Relaxed);
        self.activity.touch();
        Ok(outcome?)
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl types::Host for Guest {}
