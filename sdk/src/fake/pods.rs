//! Files of pods, a pod each, and pods that are made from them.

use super::{FakeHost, State};
use crate::Result;
use crate::pods::{Container, Declared, DeclaredContainer, DeclaredPod, MountKind, Pod, State as Is};

#[derive(Default)]
pub struct Engine {
    declared: Vec<Declared>,
    planned: Option<Vec<Declared>>,
    standing: Vec<Pod>,
    volumes: Vec<String>,
    /// Volumes of pods that are there, by their services.
    used: Vec<(String, String)>,
}

impl FakeHost {
    /// A service of the platform `main`, whose pod of the same name runs; its containers by name and image, which is here.
    pub fn pod(&self, service: &str, containers: &[(&str, &str)]) {
        for (_, image) in containers {
            self.image(image, &format!("id of {image}"));
        }
        self.service("main", service);
        let mut engine = self.state.0.pods.borrow_mut();
        engine.declared.push(declared(service, containers));
        engine.make(service, |image| Some(format!("id of {image}")));
    }
    /// What the file of a service says from now on.
    pub fn pod_file(&self, service: &str, containers: &[(&str, &str)]) {
        let mut engine = self.state.0.pods.borrow_mut();
        engine.declared.retain(|known| known.service != service);
        engine.declared.push(declared(service, containers));
        let others = engine.standing.iter_mut().filter(|pod| pod.service == service);
        others.for_each(|pod| pod.other = Some(format!("the pod `{service}` was made from another file")));
    }
    /// What the files will say with the edits of the plan.
    pub fn planned_pods(&self, services: &[(&str, &[(&str, &str)])]) {
        let planned = services.iter().map(|(service, containers)| declared(service, containers)).collect();
        self.state.0.pods.borrow_mut().planned = Some(planned);
    }
    /// Changes what the files say of a service, now and with the edits of the plan.
    pub fn on_declared_pods(&self, service: &str, change: impl Fn(&mut Declared)) {
        let mut engine = self.state.0.pods.borrow_mut();
        let Engine { declared, planned, .. } = &mut *engine;
        declared.iter_mut().chain(planned.iter_mut().flatten()).filter(|one| one.service == service).for_each(change);
    }
    /// Changes the pods of a service that are there.
    pub fn on_pod(&self, service: &str, change: impl Fn(&mut Pod)) {
        self.state.0.pods.borrow_mut().standing.iter_mut().filter(|pod| pod.service == service).for_each(change);
    }
    /// A named volume that is there.
    pub fn pod_volume(&self, name: &str) {
        self.state.0.pods.borrow_mut().volumes.push(name.into());
    }
    /// `core/runtime id`, of every container that is there.
    pub fn pod_images(&self) -> Vec<String> {
        let engine = self.state.0.pods.borrow();
        let of = |pod: &Pod| -> Vec<String> {
            pod.containers.iter().map(|one| format!("{}/{} {}", pod.service, one.name, one.image_id)).collect()
        };
        engine.standing.iter().flat_map(of).collect()
    }
}

fn declared(service: &str, containers: &[(&str, &str)]) -> Declared {
    let container = |(name, image): &(&str, &str)| DeclaredContainer {
        name: (*name).into(),
        image: (*image).into(),
        init: false,
        checked: true,
        mounts: Vec::new(),
    };
    let pod = DeclaredPod { name: service.into(), containers: containers.iter().map(container).collect() };
    Declared { service: service.into(), file: format!("pod-{service}.yaml"), pods: vec![pod] }
}

impl Engine {
    /// As `control.start` does: the pods become what the file says.
    pub fn make(&mut self, service: &str, id_of: impl Fn(&str) -> Option<String>) {
        let Some(declared) = self.declared.iter().find(|known| known.service == service).cloned() else { return };
        self.end(service);
        let mounts = declared.pods.iter().flat_map(|pod| &pod.containers).flat_map(|container| &container.mounts);
        let volumes = mounts.filter(|mount| mount.kind == MountKind::Volume);
        self.used.extend(volumes.map(|mount| (service.to_owned(), mount.source.clone())));
        for pod in declared.pods {
            let container = |one: DeclaredContainer| Container {
                id: format!("c-{service}-{}", one.name),
                image_id: id_of(&one.image).unwrap_or_default(),
                name: one.name,
                image: one.image,
                state: Is::Running,
                exit_code: 0,
                healthy: Some(true),
            };
            let containers = pod.containers.into_iter().map(container).collect();
            self.standing.push(Pod { service: service.into(), name: pod.name, other: None, containers });
        }
    }

    pub fn end(&mut self, service: &str) {
        self.standing.retain(|pod| pod.service != service);
        self.used.retain(|(user, _)| user != service);
    }
}

pub fn services(state: &State, planned: bool) -> Result<Vec<Declared>> {
    state.reading("pods.services", if planned { &["planned"] } else { &[] })?;
    let engine = state.0.pods.borrow();
    Ok(engine.planned.as_ref().filter(|_| planned).unwrap_or(&engine.declared).clone())
}

pub fn standing(state: &State) -> Result<Vec<Pod>> {
    state.reading("pods.standing", &[])?;
    Ok(state.0.pods.borrow().standing.clone())
}

pub fn volumes(state: &State, names: &[String]) -> Result<Vec<String>> {
    state.reading("pods.volumes", &[&names.join(" ")])?;
    let engine = state.0.pods.borrow();
    Ok(names.iter().filter(|name| engine.volumes.contains(name)).cloned().collect())
}

pub fn remove(state: &State, volumes: &[String]) -> Result<()> {
    state.changing("pods.remove", &[&volumes.join(" ")])?;
    let mut engine = state.0.pods.borrow_mut();
    let declared: Vec<String> = engine.declared.iter().map(|declared| declared.service.clone()).collect();
    engine.standing.retain(|pod| declared.contains(&pod.service));
    engine.used.retain(|(service, _)| declared.contains(service));
    let used: Vec<String> = engine.used.iter().map(|(_, volume)| volume.clone()).collect();
    engine.volumes.retain(|there| !volumes.contains(there) || used.contains(there));
    Ok(())
}
