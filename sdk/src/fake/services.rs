//! Services that start and stop, are healthy or not, and log.

use super::{FakeHost, State};
use crate::{Error, Result, Service, ServiceRef, Watch};

#[derive(Default)]
pub struct Machine {
    services: Vec<Service>,
    /// Those that never become healthy, and why.
    sick: Vec<(String, String)>,
    /// What a service logs once it was started.
    lines: Vec<(String, Result<String>)>,
}

impl FakeHost {
    /// A service that runs and is healthy.
    pub fn service(&self, platform: &str, name: &str) {
        let name = ServiceRef::new(platform, name);
        let service = Service { name, version: None, digest: None, replicas: 1, running: 1, healthy: Some(true) };
        self.state.0.services.borrow_mut().services.push(service);
    }
    /// A service that starts and never becomes healthy.
    pub fn sick(&self, name: &str, why: &str) {
        let mut machine = self.state.0.services.borrow_mut();
        for service in machine.services.iter_mut().filter(|service| service.name.name == name) {
            service.healthy = Some(false);
        }
        machine.sick.push((name.into(), why.into()));
    }
    /// What `follow` finds in a service's log: the line of success, or the error.
    pub fn logs(&self, name: &str, found: Result<&str>) {
        let mut machine = self.state.0.services.borrow_mut();
        machine.lines.retain(|(known, _)| known != name);
        machine.lines.push((name.into(), found.map(str::to_owned)));
    }
    /// The names of those that run.
    pub fn running(&self) -> Vec<String> {
        let machine = self.state.0.services.borrow();
        machine.services.iter().filter(|s| s.running > 0).map(|s| s.name.name.clone()).collect()
    }
}

pub fn list(state: &State) -> Result<Vec<Service>> {
    state.reading("services.list", &[])?;
    Ok(state.0.services.borrow().services.clone())
}

pub fn wait_healthy(state: &State, names: &[ServiceRef], _idle_ms: u64) -> Result<Vec<Service>> {
    noted(state, "services.wait-healthy", names, false)?;
    let machine = state.0.services.borrow();
    let named = names.iter().map(|name| machine.find(name)).collect::<Result<Vec<_>>>()?;
    for service in &named {
        if service.running == 0 {
            return Err(Error::other("unhealthy", format!("`{}` does not run", service.name)));
        }
        if let Some((_, why)) = machine.sick.iter().find(|(sick, _)| *sick == service.name.name) {
            return Err(Error::other("unhealthy", format!("`{}` is not healthy: {why}", service.name)));
        }
    }
    Ok(named)
}

pub fn follow(state: &State, watch: &Watch) -> Result<String> {
    state.reading("services.follow", &[&watch.service.to_string()])?;
    let machine = state.0.services.borrow();
    let line = machine.lines.iter().find(|(name, _)| *name == watch.service.name);
    line.map_or(Err(Error::Timeout), |(_, found)| found.clone())
}

pub fn start(state: &State, names: &[ServiceRef]) -> Result<()> {
    noted(state, "control.start", names, true)?;
    for name in names {
        let images = state.0.images.borrow();
        state.0.compose.borrow_mut().make(&name.name, |image| images.id_of(image));
        state.0.pods.borrow_mut().make(&name.name, |image| images.id_of(image));
    }
    set_running(state, names, 1)
}

/// One that gets sick was never let in: the one before it serves on.
pub fn roll(state: &State, names: &[ServiceRef], _idle_ms: u64) -> Result<()> {
    noted(state, "control.roll", names, true)?;
    for name in names {
        if let Some((_, why)) = state.0.services.borrow().sick.iter().find(|(sick, _)| *sick == name.name) {
            return Err(Error::other("unhealthy", format!("`{name}` is not healthy: {why}")));
        }
        let images = state.0.images.borrow();
        state.0.compose.borrow_mut().make(&name.name, |image| images.id_of(image));
        state.0.pods.borrow_mut().make(&name.name, |image| images.id_of(image));
        drop(images);
        set_running(state, std::slice::from_ref(name), 1)?;
    }
    Ok(())
}

pub fn stop(state: &State, names: &[ServiceRef]) -> Result<()> {
    noted(state, "control.stop", names, true)?;
    names.iter().for_each(|name| state.0.pods.borrow_mut().end(&name.name));
    set_running(state, names, 0)
}

fn noted(state: &State, verb: &str, names: &[ServiceRef], changes: bool) -> Result<()> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    if changes { state.changing(verb, &names) } else { state.reading(verb, &names) }
}

fn set_running(state: &State, names: &[ServiceRef], running: u32) -> Result<()> {
    let mut machine = state.0.services.borrow_mut();
    for name in names {
        machine.find(name)?;
        for service in machine.services.iter_mut().filter(|service| service.name == *name) {
            service.running = running;
        }
    }
    Ok(())
}

impl Machine {
    /// The version of a service is its image's tag.
    pub fn tagged(&mut self, name: &str, tag: Option<String>) {
        self.services.iter_mut().filter(|service| service.name.name == name).for_each(|s| s.version.clone_from(&tag));
    }
    pub fn knows(&self, name: &str) -> bool {
        self.services.iter().any(|service| service.name.name == name)
    }
    pub fn halt(&mut self, name: &str) {
        self.services.iter_mut().filter(|service| service.name.name == name).for_each(|service| service.running = 0);
    }
    fn find(&self, name: &ServiceRef) -> Result<Service> {
        let found = self.services.iter().find(|service| service.name == *name);
        found.cloned().ok_or_else(|| Error::not_found(format!("there is no service `{name}`")))
    }
}
