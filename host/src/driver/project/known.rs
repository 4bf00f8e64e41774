//! Values that stand where placeholders do in files of the project's own repository. They lie beside its mirror, which
//! holds them anyway, so that a file of a release can be put into the project.

use super::mask::values;
use crate::driver::durable;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Mutex;

const FILE: &str = "values.json";

/// `own`: the daemon's folder in the project's.
pub fn remember(own: &Path, path: &str, raw: &[u8]) -> io::Result<()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let new = values(path, raw);
    if new.is_empty() {
        return Ok(());
    }
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut all = known(own)?;
    let before = all.len();
    all.extend(new);
    if all.len() == before {
        return Ok(());
    }
    durable::make_folder(own)?;
    durable::write(&own.join(FILE), &serde_json::to_vec(&all)?)
}

/// By placeholder.
pub fn known(own: &Path) -> io::Result<BTreeMap<String, String>> {
    let text = durable::read(&own.join(FILE))?;
    Ok(text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default())
}
