//! A call that does nothing in the plugin, through all that the host puts round it, against the same call of the same
//! component with wasmtime alone; and what a load from the cache adds to wasmtime's own.

use crate::timed;
use anyhow::{Context, Result};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Runtime;
use upgraded::activity::Activity;
use upgraded::config::{Approve, BindingConfig, Deployment, Drill, DrillIn, Grants, Policy};
use upgraded::context::{Site, StepContext};
use upgraded::driver::{Drivers, Environment, Machine, services::Systemd};
use upgraded::effect::Effects;
use upgraded::model::{Binding, Hop, Role};
use upgraded::plugin::Plugins;
use upgraded::vault::Vault;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};

const PLUGIN: &str = "decisiongraph";
const CALLS: u32 = 300;
const LOADS: u32 = 20;

pub fn run(runtime: &Runtime, components: &Path, rounds: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let plugins = Plugins::new(components.to_owned(), &folder.path().join("state"));
    let deployment = deployment(folder.path());
    let environment = environment(folder.path())?;
    let make = |config: &BindingConfig| Drivers::build(&deployment, config, &environment).into();
    let bound = runtime.block_on(plugins.bind(&deployment, make))?;
    let (binding, product) = bound.product;
    let context = context(&binding);
    let ours = || runtime.block_on(product.edits(&context, &hop())).context("the call through the host");
    let component = std::fs::read(components.join(PLUGIN).with_added_extension("wasm"))?;
    let alone = Bare::new(&component).map_err(of_wasmtime)?;
    let settings = settings().to_string();
    let bare = || alone.edits(&settings).map_err(of_wasmtime);
    // Compiled, loaded, warm.
    ours()?;
    bare()?;
    for _ in 0..rounds {
        timed("call/bare", CALLS, || (0..CALLS).try_for_each(|_| bare()))?;
        timed("call/ours", CALLS, || (0..CALLS).try_for_each(|_| ours().map(drop)))?;
    }
    let cached = plugins.cached_blocking(PLUGIN)?;
    let code = cached.code()?;
    for _ in 0..rounds {
        timed("load/bare", LOADS, || (0..LOADS).try_for_each(|_| Ok(cached.deserialize(&code)?)))?;
        timed("load/ours", LOADS, || (0..LOADS).try_for_each(|_| Ok(cached.load()?)))?;
    }
    Ok(())
}

mod generated {
    wasmtime::component::bindgen!({ world: "product-plugin", path: "../wit" });
}

use generated::ProductPluginPre;
use generated::upgraded::plugin::types as wit;

/// As somebody would do it who trusts the component: the default engine, no limits, no verbs, and for each call an
/// instance as fresh as ours.
struct Bare {
    engine: Engine,
    pre: ProductPluginPre<()>,
}

impl Bare {
    fn new(component: &[u8]) -> wasmtime::Result<Self> {
        let engine = Engine::default();
        let component = Component::from_binary(&engine, component)?;
        let mut linker = Linker::new(&engine);
        linker.define_unknown_imports_as_traps(&component)?;
        let pre = ProductPluginPre::new(linker.instantiate_pre(&component)?)?;
        Ok(Self { engine, pre })
    }

    fn edits(&self, settings: &str) -> wasmtime::Result<()> {
        let mut store = Store::new(&self.engine, ());
        let instance = self.pre.instantiate(&mut store)?;
        let call = wit::Call {
            deployment: "shop".into(),
            binding: "product".into(),
            config: settings.into(),
            bindings: Vec::new(),
            run: "1".into(),
            step: "r1-edits".into(),
            attempt: 1,
        };
        let hop = wit::Hop {
            source: "1.0.0".into(),
            target: "1.1.0".into(),
            breaking: false,
            acts: Vec::new(),
            undo: Vec::new(),
            expand_only: false,
            rest: false,
            quiesce: Vec::new(),
            gate: Vec::new(),
            requires: Vec::new(),
            expected_seconds: None,
            notes: Vec::new(),
        };
        let answer = instance.upgraded_plugin_product().call_edits(&mut store, &call, &hop)?;
        answer.map(drop).map_err(|error| wasmtime::Error::msg(format!("{error:?}")))
    }
}

fn of_wasmtime(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}

fn hop() -> Hop {
    Hop {
        source: "1.0.0".into(),
        target: "1.1.0".into(),
        breaking: false,
        acts: Vec::new(),
        undo: Vec::new(),
        expand_only: false,
        rest: false,
        quiesce: Vec::new(),
        gate: Vec::new(),
        requires: Vec::new(),
        expected_seconds: None,
        notes: Vec::new(),
    }
}

fn settings() -> serde_json::Value {
    let secret = |name: &str| json!({ "secret": name });
    json!({ "url": "http://127.0.0.1:4000", "token": secret("token"), "admin-token": secret("admin-token") })
}

fn deployment(folder: &Path) -> Deployment {
    let binding = Binding { name: "product".into(), role: Role::Product, plugin: PLUGIN.into() };
    Deployment {
        name: "shop".into(),
        file: folder.join("shop.toml"),
        version: "1.1.0".into(),
        product: BindingConfig { binding, named: PLUGIN.into(), settings: settings(), grants: Grants::default() },
        platforms: Vec::new(),
        datastores: Vec::new(),
        policy: policy(),
    }
}

pub fn policy() -> Policy {
    Policy {
        window: Vec::new(),
        approve: Approve::Never,
        drill: Drill::Off,
        drill_in: DrillIn::Server,
        rehearse: false,
        disposable: Vec::new(),
        keep_backups: 1,
        keep_frozen: Duration::ZERO,
        idle: Duration::from_secs(600),
    }
}

/// A vault and a state folder of its own.
pub fn environment(folder: &Path) -> Result<Environment> {
    let key = folder.join("key");
    Vault::make_key(&key)?;
    let machine = Machine {
        state: folder.join("state"),
        job_program: std::env::current_exe()?,
        systemd: Systemd::default(),
        leaving: Default::default(),
    };
    let vault = Vault::open(&folder.join("vault"), &key)?;
    Ok(Environment { machine, vault, double: None, engines: Default::default() })
}

fn context(binding: &Binding) -> StepContext {
    StepContext {
        deployment: "shop".into(),
        binding: binding.clone(),
        bindings: vec![binding.clone()],
        run: "1".into(),
        step: "r1-edits".into(),
        attempt: 1,
        site: Site::Live,
        effects: Effects::reading(),
        activity: Activity::silent(),
    }
}
