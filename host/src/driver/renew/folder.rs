//! The folders of a server that another takes the place of.

use super::Former;
use crate::context::StepContext;
use crate::driver::beside::is_mounted;
use crate::driver::beside::work::{self, At};
use crate::driver::durable;
use crate::driver::process::io_error;
use crate::driver::trees::copy::{Means, copy_tree, properties_of, settle};
use crate::model::VerbError;
use rustix::fs::Access;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folder itself, wherever a link leads. Something else mounted there would not move with it.
pub fn can_be_set_aside(folder: &Path) -> Result<PathBuf, VerbError> {
    let folder = fs::canonicalize(folder).at("looking for", folder)?;
    let around = folder.parent().unwrap_or(&folder);
    let refused = |why: String| Err(VerbError::Invalid(format!("the data in `{}` {why}", folder.display())));
    if is_mounted(&folder) {
        return refused("is mounted there: a folder inside of what is mounted would be right".into());
    }
    let mine = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
    match [around, &folder].iter().try_for_each(|path| rustix::fs::access(*path, mine)) {
        Ok(()) => Ok(folder),
        Err(error) => refused(format!("can't be set aside by the daemon's account: {error}")),
    }
}

/// What the old server wrote stands beside; where it wrote there is an empty folder, or a copy.
pub async fn set_aside(cx: &StepContext, former: &Former) -> Result<(), VerbError> {
    let former = former.clone();
    work::run(cx, former.folder.clone(), move |pulse| {
        let at = |what| io_error(what);
        let Former { folder, beside, .. } = &former;
        if former.accounts.is_none() {
            if !beside.exists() {
                let unfinished = unfinished(beside);
                remove(&unfinished).map_err(at("remove an unfinished copy"))?;
                copy_tree(folder, &unfinished, Means::Any, pulse)?;
                fs::rename(&unfinished, beside).map_err(at("name the copy of the old server's data"))?;
            }
            let around = folder.parent().unwrap_or(folder);
            return durable::sync_folder(around).map_err(at("sync the copy's folder"));
        }
        if !beside.exists() {
            fs::rename(folder, beside).map_err(at("set the old server's data aside"))?;
        }
        remove(folder).map_err(at("empty the new server's folder"))?;
        fs::create_dir(folder).map_err(at("make the new server's folder"))?;
        settle(folder, &properties_of(beside)?, false)?;
        durable::sync_folder(folder.parent().unwrap_or(folder)).map_err(at("sync the new server's folder"))
    })
    .await
}

/// The copy of the old server's data, until it is whole.
fn unfinished(beside: &Path) -> PathBuf {
    beside.with_added_extension("part")
}

/// Where what the new server holds stays, once users have written to it.
pub fn since(beside: &Path) -> PathBuf {
    beside.with_added_extension("since")
}

/// What the new server holds goes, or is `kept` beside.
pub fn put_back(former: &Former, kept: bool) -> io::Result<()> {
    let Former { folder, beside, .. } = former;
    remove(&unfinished(beside))?;
    if !beside.exists() {
        return Ok(());
    }
    let since = since(beside);
    if kept && !since.exists() && folder.exists() {
        fs::rename(folder, &since)?;
    }
    remove(folder)?;
    fs::rename(beside, folder)?;
    durable::sync_folder(folder.parent().unwrap_or(folder))
}

pub fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_mounted_is_not_set_aside_and_links_lead_to_the_data() {
        let scratch = tempfile::tempdir().unwrap();
        let (data, link) = (scratch.path().join("data"), scratch.path().join("link"));
        fs::create_dir(&data).unwrap();
        std::os::unix::fs::symlink(&data, &link).unwrap();
        assert_eq!(can_be_set_aside(&link).unwrap(), data.canonicalize().unwrap());
        let why = can_be_set_aside(Path::new("/proc")).unwrap_err().to_string();
        assert!(why.contains("the data in `/proc` is mounted there"), "{why}");
        assert!(can_be_set_aside(&scratch.path().join("gone")).is_err());
    }

    fn former(scratch: &Path, image_name: &str, accounts: Option<String>) -> Former {
        Former {
            step: "r5-h0-carry-main".into(),
            folder: scratch.join("_data"),
            beside: scratch.join("_data.upgraded-r5"),
            image_name: image_name.into(),
            image: "sha256:1".into(),
            revision: None,
            accounts,
            replaced: false,
        }
    }

    #[test]
    fn the_old_data_takes_its_place_again_from_wherever_it_was_cut_off() {
        let scratch = tempfile::tempdir().unwrap();
        let former = former(scratch.path(), "postgres:15", Some(String::new()));
        let Former { folder, beside, .. } = &former;
        let old = |path: &Path| fs::read_to_string(path.join("PG_VERSION")).ok();
        for made in [vec![], vec!["_data"], vec!["_data", "_data/new"]] {
            fs::create_dir_all(beside).unwrap();
            fs::write(beside.join("PG_VERSION"), "15").unwrap();
            made.iter().for_each(|name| fs::create_dir(scratch.path().join(name)).unwrap());
            put_back(&former, false).unwrap();
            put_back(&former, false).unwrap();
            assert_eq!((old(folder).as_deref(), beside.exists()), (Some("15"), false));
            fs::remove_dir_all(folder).unwrap();
        }
    }

    #[test]
    fn what_users_wrote_to_the_new_server_stays_beside() {
        let scratch = tempfile::tempdir().unwrap();
        let former = former(scratch.path(), "postgres:15", Some(String::new()));
        let Former { folder, beside, .. } = &former;
        let since = since(beside);
        let version = |path: &Path| fs::read_to_string(path.join("PG_VERSION")).ok();
        // Cut off between the two renames, or not at all.
        for cut in [false, true] {
            for (place, text) in [(if cut { &since } else { folder }, "17"), (beside, "15")] {
                fs::create_dir(place).unwrap();
                fs::write(place.join("PG_VERSION"), text).unwrap();
            }
            put_back(&former, true).unwrap();
            put_back(&former, true).unwrap();
            assert_eq!((version(folder).as_deref(), version(&since).as_deref()), (Some("15"), Some("17")));
            assert!(!beside.exists());
            [folder, &since].iter().for_each(|place| fs::remove_dir_all(place).unwrap());
        }
    }

    #[test]
    fn a_copy_that_was_cut_off_goes_and_the_data_stays() {
        let scratch = tempfile::tempdir().unwrap();
        let former = former(scratch.path(), "mariadb:10.11", None);
        let Former { folder, beside, .. } = &former;
        for place in [folder, &unfinished(beside)] {
            fs::create_dir(place).unwrap();
            fs::write(place.join("ibdata1"), "").unwrap();
        }
        put_back(&former, true).unwrap();
        assert!(folder.join("ibdata1").exists());
        assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 1);
    }
}
