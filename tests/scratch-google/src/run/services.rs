//! Services: what their methods answer. What follows a change is `reconcile`'s.

use super::front::Front;
use super::reconcile::{Change, reconcile};
use super::state::{Service, State, any, etag, generation, time, touch, uid, version};
use super::{conditions, mask, operations, resource_of, revisions, spec};
use crate::core::Core;
use crate::discovery::Call;
use crate::fault::Fate;
use crate::paging::page;
use crate::refusal::Refusal;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) fn get(core: &Core, call: &Call) -> Result<Value, Refusal> {
    let name = resource_of(call);
    let state = core.run.state();
    state.services.get(&name).map(|service| service.value.clone()).ok_or_else(|| missing("SERVICE", &name))
}

pub(super) fn list(core: &Core, call: &Call) -> Result<Value, Refusal> {
    let place = resource_of(call);
    let state = core.run.state();
    let all = state.services.values().map(|service| &service.value);
    let page = page(in_place(all, &place, "services"), call.number("pageSize"), 100, call.text("pageToken"))?;
    let mut answer = json!({ "services": page.items });
    if let Some(next) = page.next {
        answer["nextPageToken"] = next.into();
    }
    Ok(answer)
}

/// What a client wants a service to be.
#[derive(Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub name: &'a str,
    pub body: &'a Value,
    pub mask: &'a str,
    pub only_asks: bool,
    pub forces_revision: bool,
    pub may_create: bool,
    pub caller: &'a str,
}

pub(super) fn create(core: &Arc<Core>, call: &Call, caller: &str, fate: Fate) -> Result<Value, Refusal> {
    let id = call.text("serviceId");
    if id.is_empty() || id.len() >= 50 {
        return Err(Refusal::invalid("service_id: must begin with letter and contain fewer than 50 characters."));
    }
    make(core, wish(call, &format!("{}/services/{id}", resource_of(call)), caller), fate)
}

pub(super) fn patch(core: &Arc<Core>, call: &Call, caller: &str, fate: Fate) -> Result<Value, Refusal> {
    change(core, wish(call, &resource_of(call), caller), fate)
}

fn wish<'a>(call: &'a Call, name: &'a str, caller: &'a str) -> Wish<'a> {
    Wish {
        name,
        body: &call.body,
        mask: call.text("updateMask"),
        only_asks: call.is_set("validateOnly"),
        forces_revision: call.is_set("forceNewRevision"),
        may_create: call.is_set("allowMissing"),
        caller,
    }
}

/// The answer is the operation.
pub(crate) fn change(core: &Arc<Core>, wish: Wish<'_>, fate: Fate) -> Result<Value, Refusal> {
    let mut state = core.run.state();
    let Some(service) = state.services.get(wish.name) else {
        drop(state);
        return if wish.may_create { make(core, wish, fate) } else { Err(missing("SERVICE", wish.name)) };
    };
    same_version(&service.value, wish.body)?;
    let mut wanted = mask::apply(&service.value, wish.body, wish.mask, spec::SERVICE)?;
    check(core, &mut wanted)?;
    let is_new = wish.forces_revision || revisions::needed(service, &wanted["template"]);
    let is_changed = spec::SERVICE.iter().any(|field| wanted[field] != service.value[field]) || is_new;
    let revision = is_new.then(|| revisions::name(service, &wanted["template"])).transpose()?;
    if wish.only_asks {
        return Ok(validated(&wanted));
    }
    let now = state.now();
    if is_changed {
        wanted["generation"] = (generation(&wanted) + 1).to_string().into();
        wanted["lastModifier"] = wish.caller.into();
        touch(&mut wanted, now);
    }
    begin(core, &mut state, wanted, revision, now, fate)
}

pub(super) fn delete(core: &Arc<Core>, call: &Call, fate: Fate) -> Result<Value, Refusal> {
    let name = resource_of(call);
    let mut state = core.run.state();
    let service = state.services.get(&name).ok_or_else(|| missing("SERVICE", &name))?;
    let mut gone = service.value.clone();
    if !matches!(call.text("etag"), "" | "*") {
        same_version(&gone, &json!({ "etag": call.text("etag") }))?;
    }
    if call.is_set("validateOnly") {
        return Ok(validated(&gone));
    }
    let now = state.now();
    gone["deleteTime"] = time(now);
    let operation = state.start(&name, any("Service", &gone));
    let id = operation["name"].as_str().unwrap_or_default().to_owned();
    let task = Arc::clone(core);
    core.spawn(async move {
        use crate::core::Verdict;
        let outcome = match task.endure(&fate, task.pace().run).await {
            Verdict::GoOn => Ok(any("Service", &gone)),
            Verdict::Fail(message) => Err(operations::Failure { code: operations::code::INTERNAL, message }),
            Verdict::Stop => return,
        };
        let mut state = task.run.state();
        let removed = if outcome.is_ok() { state.services.remove(&name) } else { None };
        state.finish(&id, outcome);
        drop(state);
        drop(removed);
        operations::ended(&task);
    });
    Ok(operation)
}

pub(crate) fn make(core: &Arc<Core>, wish: Wish<'_>, fate: Fate) -> Result<Value, Refusal> {
    let Wish { name, caller, .. } = wish;
    if !core.login.may("run.services.create") {
        return Err(Refusal::denied("run.services.create", name));
    }
    let mut state = core.run.state();
    if state.services.contains_key(name) {
        return Err(Refusal::exists(format!("Resource '{}' already exists.", short(name))));
    }
    let now = state.now();
    let mut value = mask::apply(&json!({}), wish.body, "", spec::SERVICE)?;
    check(core, &mut value)?;
    value["name"] = name.into();
    value["uid"] = uid(name, now).into();
    value["generation"] = "1".into();
    value["createTime"] = time(now);
    value["creator"] = caller.into();
    value["lastModifier"] = caller.into();
    value["observedGeneration"] = "0".into();
    touch(&mut value, now);
    if wish.only_asks {
        return Ok(validated(&value));
    }
    let main =
        Front::open(core, None).map_err(|error| Refusal::internal(format!("a port for the service: {error}")))?;
    value["uri"] = main.url.clone().into();
    value["urls"] = json!([main.url]);
    let service = Service { value: value.clone(), revisions: Vec::new(), made: 0, main, tagged: BTreeMap::new() };
    let revision = revisions::name(&service, &value["template"])?;
    state.services.insert(name.to_owned(), service);
    begin(core, &mut state, value, Some(revision), now, fate)
}

/// Puts the wanted service in place and starts what makes it so.
fn begin(
    core: &Arc<Core>, state: &mut State, mut wanted: Value, revision: Option<String>, now: Timestamp, fate: Fate,
) -> Result<Value, Refusal> {
    let name = wanted["name"].as_str().unwrap_or_default().to_owned();
    wanted["reconciling"] = true.into();
    wanted["terminalCondition"] = conditions::reconciling("Ready", now);
    if let Some(service) = state.services.get_mut(&name) {
        if let Some(revision) = &revision {
            let made = revisions::make(core, &wanted, revision, service.made + 1, now);
            service.made += 1;
            wanted["latestCreatedRevision"] = made.value["name"].clone();
            service.revisions.push(made);
        }
        service.value = wanted.clone();
    }
    let operation = state.start(&name, any("Service", &wanted));
    let change = Change {
        operation: operation["name"].as_str().unwrap_or_default().to_owned(),
        generation: generation(&wanted),
        service: name,
        revision,
        fate,
    };
    let task = Arc::clone(core);
    core.spawn(async move { reconcile(&task, change).await });
    Ok(operation)
}

fn check(core: &Core, wanted: &mut Value) -> Result<(), Refusal> {
    spec::complete_service(wanted);
    spec::check_containers(&wanted["template"])?;
    spec::check_traffic(wanted)?;
    let account = wanted["template"]["serviceAccount"].as_str().unwrap_or_default();
    let permission = "iam.serviceaccounts.actAs";
    if core.login.may(permission) { Ok(()) } else { Err(Refusal::denied(permission, account)) }
}

/// An etag that is sent has to be the current one.
pub(super) fn same_version(current: &Value, sent: &Value) -> Result<(), Refusal> {
    let etag = sent["etag"].as_str().unwrap_or_default();
    if etag.is_empty() || current["etag"] == etag {
        return Ok(());
    }
    let name = current["name"].as_str().unwrap_or_default();
    let current = version(current["etag"].as_str().unwrap_or_default());
    Err(Refusal::edited(short(name), &version(etag), &current))
}

/// The answer to a request that only asks whether it would do.
pub(super) fn validated(value: &Value) -> Value {
    let place = value["name"].as_str().unwrap_or_default().split('/').take(4).collect::<Vec<_>>().join("/");
    let name = format!("{place}/operations/{}", uid(&etag(&place, Timestamp::now()), Timestamp::now()));
    json!({ "name": name, "done": true, "response": any("Service", value) })
}

pub(super) fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

pub(super) fn missing(kind: &str, name: &str) -> Refusal {
    let parts: Vec<&str> = name.split('/').collect();
    let part = |index: usize| parts.get(index).copied().unwrap_or_default();
    Refusal::not_found(format!(
        "Resource '{}' of kind '{kind}' in region '{}' in project '{}' does not exist.",
        short(name),
        part(3),
        part(1)
    ))
}

/// Those of one region, or of all where the region is `-`.
pub(super) fn in_place<'v>(all: impl Iterator<Item = &'v Value>, place: &str, kind: &str) -> Vec<Value> {
    let wanted: Vec<&str> = place.split('/').collect();
    let fits = |value: &&Value| {
        let name: Vec<&str> = value["name"].as_str().unwrap_or_default().split('/').collect();
        name.len() > wanted.len() && name[4] == kind && wanted.iter().zip(&name).all(|(w, n)| w == n || *w == "-")
    };
    all.filter(fits).cloned().collect()
}
