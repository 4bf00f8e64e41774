//! Between the contract's types and the model's. What comes from a plugin is only translated here; whether it makes sense
//! is [`super::answer`]'s question.

use crate::capability::bindings::datastore::exports::upgraded::plugin::datastore as stores;
use crate::capability::bindings::product::exports::upgraded::plugin::meta;
use crate::capability::bindings::types as wit;
use crate::config::scratch_settings;
use crate::context::{Site, StepContext};
use crate::model;
use serde_json::Value;

pub fn call(cx: &StepContext, settings: &Value, schema: &str) -> wit::Call {
    wit::Call {
        deployment: cx.deployment.clone(),
        binding: cx.binding.name.clone(),
        config: config(settings, schema, &cx.site),
        bindings: all(cx.bindings.iter().cloned()),
        run: cx.run.clone(),
        step: cx.step.clone(),
        attempt: cx.attempt,
    }
}

/// The settings as the plugin is to see them: away from the live site, what its schema marks as a name on a server is the
/// site's.
fn config(settings: &Value, schema: &str, site: &Site) -> String {
    match site {
        Site::Live => settings.to_string(),
        Site::Drill { name, .. } => scratch(settings, schema, name).to_string(),
    }
}

fn scratch(settings: &Value, schema: &str, name: &str) -> Value {
    // It was parsed when the component described itself.
    let schema = serde_json::from_str(schema).unwrap_or_default();
    scratch_settings(settings, &schema, name)
}

pub fn all<A, B: From<A>>(items: impl IntoIterator<Item = A>) -> Vec<B> {
    items.into_iter().map(B::from).collect()
}

pub fn findings(said: Vec<wit::Finding>, cx: &StepContext) -> Vec<model::Finding> {
    let finding = |wit::Finding { id, severity, message, hint }| {
        let severity = match severity {
            wit::Severity::Info => model::Severity::Info,
            wit::Severity::Warning => model::Severity::Warning,
            wit::Severity::Blocker => model::Severity::Blocker,
        };
        model::Finding { id, severity, message, hint, source: cx.binding.name.clone() }
    };
    said.into_iter().map(finding).collect()
}

/// `mysql`: what its imports say.
pub fn info(said: meta::Info, mysql: bool) -> model::Info {
    let need = |meta::Need { role, plugins, optional }| model::Need { role: role_of(role), plugins, optional };
    model::Info {
        name: said.name,
        version: said.version,
        role: role_of(said.role),
        needs: said.needs.into_iter().map(need).collect(),
        config_schema: said.config_schema,
        mysql,
    }
}

pub fn origin(origin: model::Origin) -> stores::Origin {
    match origin {
        model::Origin::Backup(model::BackupRef { artifacts, manifest }) => {
            stores::Origin::Backup(stores::BackupRef { artifacts, manifest })
        }
        model::Origin::Frozen(step) => stores::Origin::Frozen(step),
    }
}

fn role_of(role: wit::Role) -> model::Role {
    match role {
        wit::Role::Product => model::Role::Product,
        wit::Role::Platform => model::Role::Platform,
        wit::Role::Datastore => model::Role::Datastore,
    }
}

impl From<model::Binding> for wit::Binding {
    fn from(binding: model::Binding) -> Self {
        let role = match binding.role {
            model::Role::Product => wit::Role::Product,
            model::Role::Platform => wit::Role::Platform,
            model::Role::Datastore => wit::Role::Datastore,
        };
        Self { name: binding.name, role, plugin: binding.plugin }
    }
}

impl From<stores::BackupRef> for model::BackupRef {
    fn from(said: stores::BackupRef) -> Self {
        Self { artifacts: said.artifacts, manifest: said.manifest }
    }
}

/// Records with the same fields on both sides.
macro_rules! same {
    ($($name:ident { $($field:ident),* })*) => {$(
        impl From<wit::$name> for model::$name {
            fn from(it: wit::$name) -> Self {
                Self { $($field: it.$field),* }
            }
        }
        impl From<model::$name> for wit::$name {
            fn from(it: model::$name) -> Self {
                Self { $($field: it.$field),* }
            }
        }
    )*};
}

same! {
    Component { name, version, digest }
    Release { version, published, breaking, notes, url }
    Requirement { component, range }
}

impl From<wit::Installed> for model::Installed {
    fn from(it: wit::Installed) -> Self {
        Self { version: it.version, components: all(it.components) }
    }
}

impl From<model::Installed> for wit::Installed {
    fn from(it: model::Installed) -> Self {
        Self { version: it.version, components: all(it.components) }
    }
}

impl From<wit::Edit> for model::Edit {
    fn from(it: wit::Edit) -> Self {
        let change = match it.change {
            wit::Change::Content(bytes) => model::Change::Content(bytes),
            wit::Change::Program(bytes) => model::Change::Program(bytes),
            wit::Change::Set(values) => model::Change::Set(values),
            wit::Change::Remove => model::Change::Remove,
        };
        Self { path: it.path, change, why: it.why }
    }
}

/// The hop's own types, both ways: the product proposes it, and every plugin is handed the same.
macro_rules! hop {
    ($from:ident, $to:ident) => {
        impl From<$from::Once> for $to::Once {
            fn from(it: $from::Once) -> Self {
                let $from::Once { service, argv, success, repeatable, idle_ms } = it;
                Self { service: service.into(), argv, success, repeatable, idle_ms }
            }
        }
        impl From<$from::Wave> for $to::Wave {
            fn from(it: $from::Wave) -> Self {
                Self { services: all(it.services), rolling: it.rolling, follow: all(it.follow) }
            }
        }
        impl From<$from::Act> for $to::Act {
            fn from(it: $from::Act) -> Self {
                match it {
                    $from::Act::Command(once) => Self::Command(once.into()),
                    $from::Act::Wave(wave) => Self::Wave(wave.into()),
                }
            }
        }
        impl From<$from::Undo> for $to::Undo {
            fn from(it: $from::Undo) -> Self {
                match it {
                    $from::Undo::CodeOnly => Self::CodeOnly,
                    $from::Undo::Rebuild(once) => Self::Rebuild(once.into()),
                    $from::Undo::RestoreData => Self::RestoreData,
                }
            }
        }
        impl From<$from::Hop> for $to::Hop {
            fn from(it: $from::Hop) -> Self {
                Self {
                    source: it.source,
                    target: it.target,
                    breaking: it.breaking,
                    acts: all(it.acts),
                    undo: all(it.undo),
                    expand_only: it.expand_only,
                    rest: it.rest,
                    quiesce: all(it.quiesce),
                    gate: all(it.gate),
                    requires: all(it.requires),
                    expected_seconds: it.expected_seconds,
                    notes: it.notes,
                }
            }
        }
    };
}

hop!(wit, model);
hop!(model, wit);
