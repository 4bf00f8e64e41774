//! Images of an engine and of a registry.

use super::{FakeHost, State};
use crate::{Error, Image, Registered, Result};

#[derive(Default)]
pub struct Store {
    here: Vec<Image>,
    registry: Vec<(String, Registered)>,
}

const PLATFORM: &str = "linux/amd64";

impl FakeHost {
    /// An image that the registry has; what is pulled gets `id`.
    pub fn published(&self, reference: &str, id: &str) {
        self.published_for(reference, id, &[PLATFORM]);
    }
    /// The same, for other platforms.
    pub fn published_for(&self, reference: &str, id: &str, platforms: &[&str]) {
        let mut store = self.state.0.images.borrow_mut();
        store.registry.retain(|(known, _)| known != reference);
        let platforms = platforms.iter().map(|platform| (*platform).to_owned()).collect();
        store.registry.push((reference.into(), Registered { digest: id.into(), platforms }));
    }
    /// An image that is here; a name that stood for another stands for this one.
    pub fn image(&self, reference: &str, id: &str) {
        self.state.0.images.borrow_mut().name(reference, id);
    }
}

impl Store {
    pub fn name(&mut self, reference: &str, id: &str) {
        self.here.retain(|image| image.reference != reference);
        let (reference, id) = (reference.to_owned(), id.to_owned());
        self.here.push(Image { reference, id, digest: None, platform: PLATFORM.into() });
    }
    pub fn id_of(&self, reference: &str) -> Option<String> {
        self.here.iter().find(|image| image.reference == reference).map(|image| image.id.clone())
    }
}

pub fn platform(state: &State) -> Result<String> {
    state.reading("images.platform", &[])?;
    Ok(PLATFORM.into())
}

pub fn find(state: &State, reference: &str) -> Result<Option<Image>> {
    state.reading("images.find", &[reference])?;
    Ok(state.0.images.borrow().here.iter().find(|image| image.reference == reference).cloned())
}

pub fn look_up(state: &State, reference: &str) -> Result<Registered> {
    state.reading("images.look-up", &[reference])?;
    let store = state.0.images.borrow();
    let found = store.registry.iter().find(|(known, _)| known == reference);
    found.map(|(_, image)| image.clone()).ok_or_else(|| Error::not_found(format!("`{reference}`: manifest unknown")))
}

pub fn pull(state: &State, reference: &str) -> Result<Image> {
    state.changing("images.pull", &[reference])?;
    let mut store = state.0.images.borrow_mut();
    let found = store.registry.iter().find(|(known, _)| known == reference).map(|(_, image)| image.digest.clone());
    let id = found.ok_or_else(|| Error::not_found(format!("`{reference}`: manifest unknown")))?;
    store.name(reference, &id);
    Ok(Image { reference: reference.into(), id, digest: None, platform: PLATFORM.into() })
}

pub fn hold(state: &State, id: &str) -> Result<()> {
    state.changing("images.hold", &[id])
}

pub fn point(state: &State, reference: &str, id: &str) -> Result<()> {
    state.changing("images.point", &[reference, id])?;
    state.0.images.borrow_mut().name(reference, id);
    Ok(())
}
