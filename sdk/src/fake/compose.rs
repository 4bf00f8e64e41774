//! A Compose project: files that say something, and containers that are made from them.

use super::{FakeHost, State};
use crate::{Container, ContainerState, Declared, Exit, OneOff, Result};

#[derive(Default)]
pub struct Project {
    declared: Vec<Declared>,
    planned: Option<Vec<Declared>>,
    containers: Vec<Container>,
    resources: Vec<String>,
    /// Volumes of containers, by their services.
    used: Vec<(String, String)>,
    exits: Vec<(String, Exit)>,
    /// What a build of a service makes.
    built: Vec<(String, String)>,
}

impl FakeHost {
    /// A service of the project `main`, which runs from an image that is here under this name.
    pub fn composed(&self, name: &str, image: &str, id: &str) {
        self.image(image, id);
        self.service("main", name);
        self.state.0.services.borrow_mut().tagged(name, tag(image));
        let mut project = self.state.0.compose.borrow_mut();
        project.declared.push(declared(name, image));
        project.containers.push(container(name, image, id));
    }
    /// What the files say from now on, as service and image.
    pub fn compose_files(&self, services: &[(&str, &str)]) {
        let mut project = self.state.0.compose.borrow_mut();
        project.declared = services.iter().map(|(name, image)| declared(name, image)).collect();
        project.planned = None;
        let stale: Vec<String> = project.declared.iter().filter_map(|service| service.image.clone()).collect();
        project.containers.iter_mut().for_each(|container| container.current = stale.contains(&container.image));
        for (name, _) in services {
            let known = self.state.0.services.borrow().knows(name);
            if !known {
                self.service("main", name);
                self.state.0.services.borrow_mut().halt(name);
            }
        }
    }
    /// What they will say with the edits of the plan.
    pub fn planned_files(&self, services: &[(&str, &str)]) {
        let planned = services.iter().map(|(name, image)| declared(name, image)).collect();
        self.state.0.compose.borrow_mut().planned = Some(planned);
    }
    /// Changes what the files say of a service, now and with the edits of the plan.
    pub fn on_declared(&self, service: &str, change: impl Fn(&mut Declared)) {
        let mut project = self.state.0.compose.borrow_mut();
        let Project { declared, planned, .. } = &mut *project;
        declared.iter_mut().chain(planned.iter_mut().flatten()).filter(|one| one.name == service).for_each(change);
    }
    /// A service is built from now on, which gives its image's name to this image.
    pub fn builds(&self, service: &str, id: &str) {
        self.on_declared(service, |declared| declared.builds = true);
        let mut project = self.state.0.compose.borrow_mut();
        project.built.retain(|(name, _)| name != service);
        project.built.push((service.into(), id.into()));
    }
    /// Changes the containers of a service.
    pub fn on_container(&self, service: &str, change: impl Fn(&mut Container)) {
        let mut project = self.state.0.compose.borrow_mut();
        project.containers.iter_mut().filter(|container| container.service == service).for_each(change);
    }
    /// `network:NAME`, `volume:NAME`.
    pub fn resource(&self, resource: &str) {
        self.state.0.compose.borrow_mut().resources.push(resource.into());
    }
    /// A container of a service that is in no file.
    pub fn stray(&self, service: &str) {
        self.state.0.compose.borrow_mut().containers.push(container(service, "stray:1", "i-stray"));
    }
    /// How a one-off command of a service ends.
    pub fn one_off(&self, service: &str, code: i32, tail: &str) {
        let exit = Exit { code, tail: tail.into(), elapsed_ms: 1 };
        self.state.0.compose.borrow_mut().exits.push((service.into(), exit));
    }
    /// The image that each service's container runs.
    pub fn running_images(&self) -> Vec<String> {
        let project = self.state.0.compose.borrow();
        project.containers.iter().map(|container| format!("{} {}", container.service, container.image_id)).collect()
    }
}

/// `1.4.0` of `registry:5000/shop/web:1.4.0@sha256:…`.
fn tag(image: &str) -> Option<String> {
    let last = image.split('@').next()?.rsplit('/').next()?;
    last.split_once(':').map(|(_, tag)| tag.to_owned())
}

fn declared(name: &str, image: &str) -> Declared {
    Declared {
        name: name.into(),
        image: Some(image.into()),
        builds: false,
        replicas: 1,
        after: Vec::new(),
        mounts: Vec::new(),
        single: None,
    }
}

fn container(name: &str, image: &str, id: &str) -> Container {
    Container {
        service: name.into(),
        id: format!("c-{name}"),
        image: image.into(),
        image_id: id.into(),
        state: ContainerState::Running,
        exit_code: 0,
        healthy: Some(true),
        current: true,
    }
}

impl Project {
    /// As `control.start` does: the container becomes what the files say, with the volumes that it has there.
    pub fn make(&mut self, name: &str, id_of: impl Fn(&str) -> Option<String>) {
        let Some(declared) = self.declared.iter().find(|service| service.name == name) else { return };
        let Some(image) = declared.image.clone() else { return };
        let Some(id) = id_of(&image) else { return };
        let volumes = declared.mounts.iter().filter(|mount| mount.kind == "volume");
        let volumes: Vec<String> = volumes.map(|mount| format!("volume:{}", mount.source)).collect();
        self.remove_containers(|service| service == name);
        self.containers.push(container(name, &image, &id));
        for volume in volumes {
            if !self.resources.contains(&volume) {
                self.resources.push(volume.clone());
            }
            self.used.push((name.into(), volume));
        }
    }

    fn remove_containers(&mut self, of: impl Fn(&str) -> bool) {
        self.containers.retain(|container| !of(&container.service));
        self.used.retain(|(service, _)| !of(service));
    }
}

pub fn services(state: &State, planned: bool) -> Result<Vec<Declared>> {
    state.reading("compose.services", if planned { &["planned"] } else { &[] })?;
    let project = state.0.compose.borrow();
    Ok(project.planned.as_ref().filter(|_| planned).unwrap_or(&project.declared).clone())
}

pub fn containers(state: &State) -> Result<Vec<Container>> {
    state.reading("compose.containers", &[])?;
    Ok(state.0.compose.borrow().containers.clone())
}

pub fn run(state: &State, command: &OneOff) -> Result<Exit> {
    state.changing("compose.run", &[&command.service, &command.argv.join(" ")])?;
    let project = state.0.compose.borrow();
    let exit = project.exits.iter().find(|(service, _)| *service == command.service).map(|(_, exit)| exit.clone());
    Ok(exit.unwrap_or(Exit { code: 0, tail: String::new(), elapsed_ms: 1 }))
}

pub fn build(state: &State, services: &[String]) -> Result<()> {
    state.changing("compose.build", &[&services.join(" ")])?;
    let project = state.0.compose.borrow();
    for service in project.planned.as_ref().unwrap_or(&project.declared).iter().filter(|s| services.contains(&s.name)) {
        let built = project.built.iter().find(|(name, _)| *name == service.name);
        if let (Some((_, id)), Some(image)) = (built, &service.image) {
            state.0.images.borrow_mut().name(image, id);
        }
    }
    Ok(())
}

pub fn resources(state: &State) -> Result<Vec<String>> {
    state.reading("compose.resources", &[])?;
    Ok(state.0.compose.borrow().resources.clone())
}

pub fn remove(state: &State, resources: &[String]) -> Result<()> {
    state.changing("compose.remove", &[&resources.join(" ")])?;
    let mut project = state.0.compose.borrow_mut();
    let declared: Vec<String> = project.declared.iter().map(|service| service.name.clone()).collect();
    let named = |service: &str| resources.contains(&format!("service:{service}"));
    project.remove_containers(|service| named(service) && !declared.iter().any(|name| name == service));
    let used: Vec<String> = project.used.iter().map(|(_, volume)| volume.clone()).collect();
    project.resources.retain(|there| !resources.contains(there) || used.contains(there));
    Ok(())
}
