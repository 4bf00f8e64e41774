//! What of a tree is saved, and what is refused by name.

use super::*;

#[tokio::test]
async fn what_can_not_be_saved_is_named() {
    let bench = Bench::new();
    let trees = trees(&bench);
    fs::create_dir(bench.path("data")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(bench.path("data/app.sock")).unwrap();
    let failures = [
        trees.manifest(&call("r1-look"), "data", None).await.map(drop).unwrap_err(),
        trees.save(&call("r1-backup"), "data", None).await.map(drop).unwrap_err(),
        trees.freeze(&call("r1-freeze"), "data").await.unwrap_err(),
    ];
    for error in failures {
        assert!(error.to_string().contains("app.sock` is a socket"), "{error}");
    }
    drop(socket);
    assert!(bench.vault.list("").unwrap().is_empty());
    let denied = trees.manifest(&call("r1-look"), "other", None).await.unwrap_err();
    assert!(matches!(denied, VerbError::Denied(_)), "{denied}");
    let foreign = trees.put_back(&call("r1-restore"), "data", "shop/r1-backup/main/media").await.unwrap_err();
    assert!(foreign.to_string().contains("is none of `data`"), "{foreign}");
    for step in ["../x", "a/b", "", "a.none"] {
        let error = trees.discard(&call("r1-clean"), "data", step).await.unwrap_err();
        assert!(matches!(error, VerbError::Invalid(_)), "{error}");
    }
}

/// Whoever writes to the tree may change what was listed.
#[test]
fn only_the_file_that_was_listed_is_read() {
    let bench = Bench::new();
    fs::write(bench.path("file"), "bytes").unwrap();
    symlink("file", bench.path("link")).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(bench.path("pipe")).status().unwrap();
    assert!(pipe.success());
    let _socket = std::os::unix::net::UnixListener::bind(bench.path("socket")).unwrap();
    assert!(copy::open_listed(&bench.path("file")).unwrap().is_some());
    for other in ["link", "pipe", "socket", "gone"] {
        assert!(copy::open_listed(&bench.path(other)).unwrap().is_none(), "{other}");
    }
}

/// `setfacl -d -m u:1234:rwx` of the folder above, after the data was made.
#[tokio::test]
async fn a_copy_does_not_begin_with_the_access_list_of_the_folder_above() {
    let bench = Bench::new();
    let trees = trees(&bench);
    furnish(&bench.path("data"));
    let entry =
        |tag: u16, mode: u16, id: u32| [&tag.to_le_bytes()[..], &mode.to_le_bytes(), &id.to_le_bytes()].concat();
    let (version, all) = (2_u32.to_le_bytes().to_vec(), u32::MAX);
    let entries = [entry(1, 7, all), entry(2, 7, 1234), entry(4, 5, all), entry(16, 7, all), entry(32, 5, all)];
    let list = [version, entries.concat()].concat();
    let nothing = rustix::fs::XattrFlags::empty();
    rustix::fs::lsetxattr(bench.folder.path(), "system.posix_acl_default", &list, nothing).unwrap();
    let before = trees.manifest(&call("r1-look"), "data", None).await.unwrap();
    trees.freeze(&call("r1-freeze"), "data").await.unwrap();
    assert_eq!(trees.manifest(&call("r1-look"), "data", Some("r1-freeze")).await.unwrap(), before);
    let key = trees.save(&call("r1-backup"), "data", None).await.unwrap();
    trees.put_back(&call("r1-restore"), "data", &key).await.unwrap();
    assert_eq!(trees.manifest(&call("r1-look"), "data", None).await.unwrap(), before);
}

#[tokio::test]
async fn a_mount_point_is_refused() {
    let bench = Bench::new();
    let trees = Trees::new(BTreeMap::from([("data".into(), "/proc".into())]), BTreeMap::new(), bench.vault.clone());
    let error = trees.mark(&call("r1-look"), "data").await.unwrap_err();
    assert!(error.to_string().contains("mount point"), "{error}");
    // The kernel says it, whatever the devices are.
    assert!(is_mounted(Path::new("/proc")) && !is_mounted(Path::new("/proc/self")));
    assert!(!is_mounted(&bench.path("")) && !is_mounted(&bench.path("data")));
}
