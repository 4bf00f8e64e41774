//! The engine, and the components that are in memory. Both come with the first call and go when none came for a while: a
//! daemon at rest has neither. One thread of its own moves the epoch on while calls run, and tidies up after them.

use super::error::PluginError;
use super::v0_1;
use crate::capability::Guest;
use crate::effect::hex;
use crate::model::Role;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use wasmtime::component::Linker;
use wasmtime::{Config, Engine};

/// How often a running guest is looked at: its CPU time checked, and the thread given to others.
pub const TICK: Duration = Duration::from_millis(10);

/// Holds the runtime while somebody uses it.
pub struct Machine(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    keep_loaded: Duration,
}

struct State {
    runtime: Option<Arc<Runtime>>,
    users: usize,
    last_use: Instant,
    keeper: Option<JoinHandle<()>>,
    closed: bool,
}

/// The right to use the runtime; it lives as long as one of these does.
pub struct Pass {
    pub runtime: Arc<Runtime>,
    shared: Arc<Shared>,
}

impl Machine {
    pub fn new(keep_loaded: Duration) -> Self {
        let state = State { runtime: None, users: 0, last_use: Instant::now(), keeper: None, closed: false };
        Self(Arc::new(Shared { state: Mutex::new(state), wake: Condvar::new(), keep_loaded }))
    }

    pub fn enter(&self) -> Result<Pass, PluginError> {
        let mut state = self.0.lock();
        let runtime = match &state.runtime {
            Some(runtime) => runtime.clone(),
            None => state.runtime.insert(Arc::new(Runtime::new()?)).clone(),
        };
        if state.keeper.is_none() {
            let shared = self.0.clone();
            let keeper = std::thread::Builder::new().name("plugins".into()).spawn(move || shared.keep());
            state.keeper = Some(keeper.map_err(|error| PluginError::Engine(error.to_string()))?);
        }
        state.users += 1;
        if state.users == 1 {
            self.0.wake.notify_one();
        }
        Ok(Pass { runtime, shared: self.0.clone() })
    }

    #[cfg(test)]
    pub fn is_running(&self) -> bool {
        self.0.lock().runtime.is_some()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let keeper = {
            let mut state = self.0.lock();
            state.closed = true;
            self.0.wake.notify_one();
            state.keeper.take()
        };
        if let Some(keeper) = keeper {
            // It has nothing to say.
            let _ = keeper.join();
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.users -= 1;
        state.last_use = Instant::now();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic holds this lock")
    }

    fn keep(&self) {
        let mut state = self.lock();
        while !state.closed {
            if state.users > 0 {
                let engine = state.runtime.as_ref().map(|runtime| runtime.engine.clone());
                drop(state);
                std::thread::sleep(TICK);
                engine.iter().for_each(Engine::increment_epoch);
                state = self.lock();
                continue;
            }
            let Some(left) = self.keep_loaded.checked_sub(state.last_use.elapsed()) else {
                state.keeper = None;
                let runtime = state.runtime.take();
                drop(state);
                // Unmapping takes its time, and nobody has to wait for it.
                drop(runtime);
                crate::memory::give_back();
                return;
            };
            if let Some(runtime) = &state.runtime {
                runtime.forget_unused(self.keep_loaded);
            }
            state = self.wake.wait_timeout(state, left).expect("no panic holds this lock").0;
        }
    }
}

/// One engine, what it links, and what it has loaded.
pub struct Runtime {
    pub engine: Engine,
    /// Names native code that this engine can run, and no other.
    pub compatibility: String,
    linkers: [Linker<Guest>; 3],
    loaded: Mutex<HashMap<String, (Arc<Loaded>, Instant)>>,
}

/// A component, compiled and linked, of which instances are made.
pub struct Loaded {
    pub role: Role,
    /// It works with servers of MySQL or MariaDB.
    pub mysql: bool,
    pub pre: v0_1::Pre,
}

impl Runtime {
    fn new() -> Result<Self, PluginError> {
        let failed = |error: wasmtime::Error| PluginError::Engine(format!("{error:#}"));
        let engine = Engine::new(&config()).map_err(failed)?;
        let mut compatibility = Fingerprint(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut compatibility);
        let link = |role| v0_1::link(&engine, role).map_err(failed);
        let linkers = [link(Role::Product)?, link(Role::Platform)?, link(Role::Datastore)?];
        let compatibility = hex(&compatibility.0.finalize()[..8]);
        Ok(Self { engine, compatibility, linkers, loaded: Mutex::default() })
    }

    pub fn linker(&self, role: Role) -> &Linker<Guest> {
        match role {
            Role::Product => &self.linkers[0],
            Role::Platform => &self.linkers[1],
            Role::Datastore => &self.linkers[2],
        }
    }

    pub fn loaded(&self, digest: &str) -> Option<Arc<Loaded>> {
        let mut all = self.loaded.lock().expect("no panic holds this lock");
        let (loaded, used) = all.get_mut(digest)?;
        *used = Instant::now();
        Some(loaded.clone())
    }

    pub fn remember(&self, digest: &str, loaded: Arc<Loaded>) {
        let mut all = self.loaded.lock().expect("no panic holds this lock");
        all.insert(digest.into(), (loaded, Instant::now()));
    }

    fn forget_unused(&self, after: Duration) {
        self.loaded.lock().expect("no panic holds this lock").retain(|_, (_, used)| used.elapsed() < after);
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        // Frames have no names in components as they are shipped; the last log lines say more.
        .wasm_backtrace_max_frames(None)
        .generate_address_map(false)
        // What no component of the contract needs is not there to be attacked.
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false);
    config
}

struct Fingerprint(Sha256);

impl Hasher for Fingerprint {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
    fn finish(&self) -> u64 {
        unreachable!("the whole digest is taken")
    }
}
