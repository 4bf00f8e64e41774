//! A copy of a project's folder without its data.

use crate::driver::beside::work::{At, Pulse};
use crate::driver::durable;
use crate::driver::trees::copy::{Means, copy_tree, properties_of, settle};
use crate::model::VerbError;
use std::fs;
use std::path::{Path, PathBuf};

/// Copies `from` to `to`, where nothing may be. Folders among `apart` stay empty, with their owner and mode; what is no
/// file, folder or link is left out.
pub fn copy_project(from: &Path, to: &Path, apart: &[PathBuf], pulse: &Pulse) -> Result<(), VerbError> {
    durable::make_passage(to.parent().unwrap_or(to)).at("making", to)?;
    copy(from, to, apart, pulse)
}

fn copy(from: &Path, to: &Path, apart: &[PathBuf], pulse: &Pulse) -> Result<(), VerbError> {
    pulse.alive()?;
    let found = from.symlink_metadata().at("reading", from)?;
    if !found.is_dir() {
        let copied = found.is_file() || found.is_symlink();
        return if copied { copy_tree(from, to, Means::Any, pulse).map(drop) } else { Ok(()) };
    }
    let empty = apart.iter().any(|path| path == from);
    if !empty && !apart.iter().any(|path| path.starts_with(from)) && !holds_something_special(from) {
        return copy_tree(from, to, Means::Any, pulse).map(drop);
    }
    fs::create_dir(to).at("making", to)?;
    if !empty {
        for entry in fs::read_dir(from).at("reading", from)? {
            let entry = entry.at("reading", from)?;
            copy(&entry.path(), &to.join(entry.file_name()), apart, pulse)?;
        }
    }
    settle(to, &properties_of(from)?, false)
}

/// A socket, a pipe or a device, for example one that a service listens on.
fn holds_something_special(folder: &Path) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => holds_something_special(&entry.path()),
        Ok(kind) => !kind.is_file() && !kind.is_symlink(),
        Err(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::Activity;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn data_and_sockets_are_left_out() {
        let scratch = tempfile::tempdir().unwrap();
        let (from, to) = (scratch.path().join("shop"), scratch.path().join("rehearsals/shop/project"));
        fs::create_dir_all(from.join("data/files")).unwrap();
        fs::create_dir_all(from.join("conf/run")).unwrap();
        fs::write(from.join("compose.yaml"), "services: {}").unwrap();
        fs::write(from.join("data/files/big"), "bytes").unwrap();
        fs::write(from.join("data/notes"), "kept").unwrap();
        fs::set_permissions(from.join("data/files"), fs::Permissions::from_mode(0o750)).unwrap();
        let _listener = std::os::unix::net::UnixListener::bind(from.join("conf/run/socket")).unwrap();
        copy_project(&from, &to, &[from.join("data/files")], &Pulse::new(&Activity::silent())).unwrap();
        assert_eq!(fs::read_to_string(to.join("compose.yaml")).unwrap(), "services: {}");
        assert_eq!(fs::read_to_string(to.join("data/notes")).unwrap(), "kept");
        assert_eq!(fs::read_dir(to.join("data/files")).unwrap().count(), 0);
        assert_eq!(to.join("data/files").metadata().unwrap().permissions().mode() & 0o777, 0o750);
        assert!(!to.join("conf/run/socket").exists() && to.join("conf/run").is_dir());
    }
}
