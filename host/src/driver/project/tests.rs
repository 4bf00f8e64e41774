//! Files in real folders, links that lead out among them.

use super::*;
use crate::driver::testing;
use crate::plan::Replaced;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use tempfile::TempDir;

struct Shop {
    folder: TempDir,
    project: Project,
    cx: StepContext,
}

fn shop(text: &str) -> Shop {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(".env"), text).unwrap();
    let project = Project::new(Some(folder.path().to_owned()));
    Shop { project, cx: testing::changing(folder.path(), "r1-edits"), folder }
}

impl Shop {
    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.folder.path().join(path)).unwrap()
    }
    async fn put(&self, path: &str, expected: Option<&[u8]>, new: Option<&[u8]>) -> Result<(), VerbError> {
        self.project.put(&self.cx, path, expected.map(Project::digest).as_deref(), new, Rights::AsBefore).await
    }
}

#[tokio::test]
async fn an_edit_goes_in_with_its_secrets_and_again_and_back() {
    let shop = shop("VERSION=1\nTOKEN=s3cr3t\n");
    fs::set_permissions(shop.folder.path().join(".env"), fs::Permissions::from_mode(0o640)).unwrap();
    let before = shop.project.read(&shop.cx, ".env").await.unwrap();
    assert!(!String::from_utf8_lossy(&before).contains("s3cr3t"));
    let change = Change::Set(vec![("VERSION".into(), "2".into())]);
    let after = Project::render(".env", Some(&before), &change).unwrap().unwrap();
    for _ in 0..2 {
        shop.put(".env", Some(&before), Some(&after)).await.unwrap();
        assert_eq!(shop.text(".env"), "VERSION=2\nTOKEN=s3cr3t\n");
    }
    assert_eq!(fs::metadata(shop.folder.path().join(".env")).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read_dir(shop.folder.path()).unwrap().count(), 1);
    shop.put(".env", Some(&after), Some(b"VERSION=1\nTOKEN=s3cr3t\n")).await.unwrap();
    assert_eq!(shop.text(".env"), "VERSION=1\nTOKEN=s3cr3t\n");
}

#[tokio::test]
async fn a_file_that_was_not_replaced_is_known_by_its_digest_and_rights() {
    let shop = shop("VERSION=1\nTOKEN=s3cr3t\n");
    let before = shop.project.read(&shop.cx, ".env").await.unwrap();
    let owned = shop.project.mode_and_owner(".env").await.unwrap().unwrap();
    let old = Replaced { digest: Project::digest(&before), owned };
    assert!(shop.project.is_still(&shop.cx, ".env", &old).await.unwrap());
    let executable = Replaced { owned: ModeAndOwner { mode: 0o755, ..owned }, ..old.clone() };
    assert!(!shop.project.is_still(&shop.cx, ".env", &executable).await.unwrap());
    shop.put(".env", Some(&before), Some(b"VERSION=2\n")).await.unwrap();
    assert!(!shop.project.is_still(&shop.cx, ".env", &old).await.unwrap());
    shop.put(".env", Some(b"VERSION=2\n"), None).await.unwrap();
    assert!(!shop.project.is_still(&shop.cx, ".env", &old).await.unwrap());
}

#[tokio::test]
async fn a_change_by_somebody_else_is_a_conflict() {
    let shop = shop("VERSION=1\nTOKEN=s3cr3t\n");
    let before = shop.project.read(&shop.cx, ".env").await.unwrap();
    fs::write(shop.folder.path().join(".env"), "VERSION=1\nTOKEN=other\n").unwrap();
    let result = shop.put(".env", Some(&before), Some(b"VERSION=2\n")).await;
    assert!(matches!(result, Err(VerbError::Conflict(_))), "{result:?}");
    assert!(matches!(shop.put(".env", None, Some(b"VERSION=2\n")).await, Err(VerbError::Conflict(_))));
    assert_eq!(shop.text(".env"), "VERSION=1\nTOKEN=other\n");
}

#[tokio::test]
async fn a_file_is_made_and_removed() {
    let shop = shop("");
    fs::set_permissions(shop.folder.path(), fs::Permissions::from_mode(0o757)).unwrap();
    for _ in 0..2 {
        shop.put("config/shop/new.toml", None, Some(b"a = 1\n")).await.unwrap();
    }
    assert_eq!(shop.text("config/shop/new.toml"), "a = 1\n");
    let mode = |path: &str| fs::metadata(shop.folder.path().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("config"), mode("config/shop")), (0o757, 0o757), "as open as the folder above");
    for _ in 0..2 {
        shop.put("config/shop/new.toml", Some(b"a = 1\n"), None).await.unwrap();
    }
    assert!(!shop.folder.path().join("config/shop/new.toml").exists());
}

#[tokio::test]
async fn nothing_leads_out_of_the_folder() {
    let shop = shop("");
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("passwd"), "root").unwrap();
    symlink(outside.path().join("passwd"), shop.folder.path().join("link")).unwrap();
    symlink(outside.path(), shop.folder.path().join("folder")).unwrap();
    for path in ["../passwd", "/etc/passwd", "link", "folder/passwd", "a/../../passwd", "", "."] {
        assert!(shop.project.read(&shop.cx, path).await.is_err(), "{path}");
        assert!(shop.put(path, None, Some(b"mine")).await.is_err(), "{path}");
    }
    assert_eq!(fs::read_to_string(outside.path().join("passwd")).unwrap(), "root");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn the_daemons_own_folder_is_nobody_elses() {
    let shop = shop("");
    let own = shop.folder.path().join(".upgraded");
    fs::create_dir_all(own.join("repository.git")).unwrap();
    fs::write(own.join("values.json"), "{}").unwrap();
    symlink(".upgraded/values.json", shop.folder.path().join("link")).unwrap();
    symlink(".upgraded/repository.git", shop.folder.path().join("folder")).unwrap();
    for path in [".upgraded/values.json", "./.Upgraded/values.json", "a/.upgraded/lock", "link", "folder/config"] {
        let read = shop.project.read(&shop.cx, path).await;
        assert!(matches!(read, Err(VerbError::Denied(_))), "{path}: {read:?}");
        for new in ["folder/info/attributes", path] {
            let put = shop.put(new, None, Some(b"mine")).await;
            assert!(matches!(put, Err(VerbError::Denied(_))), "{new}: {put:?}");
        }
    }
    assert_eq!(fs::read_dir(own.join("repository.git")).unwrap().count(), 0);
    assert!(Project::render(".upgraded/repository.git/config", None, &Change::Content(b"x".to_vec())).is_err());
}

#[tokio::test]
async fn a_link_within_the_folder_stays_a_link() {
    let shop = shop("");
    fs::create_dir(shop.folder.path().join("shared")).unwrap();
    fs::write(shop.folder.path().join("shared/.env"), "VERSION=1\n").unwrap();
    fs::remove_file(shop.folder.path().join(".env")).unwrap();
    symlink("shared/.env", shop.folder.path().join(".env")).unwrap();
    shop.put(".env", Some(b"VERSION=1\n"), Some(b"VERSION=2\n")).await.unwrap();
    assert_eq!(shop.text("shared/.env"), "VERSION=2\n");
    assert!(shop.folder.path().join(".env").is_symlink());
}

#[tokio::test]
async fn the_overlay_is_read_first_and_nothing_is_put_while_reading() {
    let shop = shop("VERSION=1\n");
    shop.project.overlay.lock().unwrap().insert(".env".into(), Some(b"VERSION=2\n".to_vec()));
    assert_eq!(shop.project.read(&shop.cx, ".env").await.unwrap(), b"VERSION=2\n");
    let reading = testing::reading(shop.folder.path());
    let result = shop.project.put(&reading, ".env", None, Some(b""), Rights::AsBefore).await;
    assert!(matches!(result, Err(VerbError::Denied(_))), "{result:?}");
    let nowhere = Project::new(None);
    assert!(matches!(nowhere.read(&shop.cx, ".env").await, Err(VerbError::Denied(_))));
}

#[tokio::test]
async fn a_program_and_a_removed_file_go_back_with_their_mode() {
    let shop = shop("A=1\n");
    let folder = shop.folder.path().to_owned();
    let mode = |path: &str| fs::metadata(folder.join(path)).unwrap().permissions().mode() & 0o7777;
    fs::write(folder.join("run.sh"), "old").unwrap();
    fs::set_permissions(folder.join("run.sh"), fs::Permissions::from_mode(0o640)).unwrap();
    let owned = shop.project.mode_and_owner("run.sh").await.unwrap().unwrap();
    let digest = Project::digest(b"old");
    for _ in 0..2 {
        shop.project.put(&shop.cx, "run.sh", Some(&digest), Some(b"new"), Rights::Executable).await.unwrap();
        assert_eq!((shop.text("run.sh").as_str(), mode("run.sh")), ("new", 0o750));
    }
    let back = async |afters: &[&[u8]]| {
        let afters: Vec<String> = afters.iter().map(|after| Project::digest(after)).collect();
        shop.project.put_back(&shop.cx, "run.sh", &afters, Some((b"old", owned))).await.unwrap()
    };
    for _ in 0..2 {
        assert_eq!(back(&[b"new"]).await, None);
        assert_eq!((shop.text("run.sh").as_str(), mode("run.sh")), ("old", 0o640));
    }
    shop.put("run.sh", Some(b"old"), None).await.unwrap();
    assert!(!folder.join("run.sh").exists());
    assert_eq!(back(&[]).await, None);
    assert_eq!((shop.text("run.sh").as_str(), mode("run.sh")), ("old", 0o640));
    // Only the mode was changed.
    fs::set_permissions(folder.join("run.sh"), fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(back(&[]).await, None);
    assert_eq!((mode("run.sh"), fs::read_dir(&folder).unwrap().count()), (0o640, 2));
}
