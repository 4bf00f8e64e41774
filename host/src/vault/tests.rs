//! Tests of vault.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        Vault::make_key(&place.key()).unwrap();
        place
    }
    fn key(&self) -> PathBuf {
        self.folder.path().join("keys/vault.key")
    }
    fn vault_folder(&self) -> PathBuf {
        self.folder.path().join("vault")
    }
    fn open(&self) -> Vault {
        Vault::open(&self.vault_folder(), &self.key()).unwrap()
    }
    fn packs_bytes(&self) -> u64 {
        let storage = Folder::new(&self.vault_folder());
        use rustic_core::ReadBackend;
        storage.list_with_size(FileType::Pack).unwrap().iter().map(|(_, size)| u64::from(*size)).sum()
    }
}

/// Bytes that don't compress, the same for the same seed.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

#[test]
fn a_stream_comes_back_after_the_vault_was_opened_anew() {
    let place = Place::new();
    let bytes = noise(1, 5_300_000);
    let saved = place.open().save("shop/r1-backup-main/main/data", io::Cursor::new(bytes.clone())).unwrap();
    assert_eq!(saved.size_bytes, 5_300_000);
    assert_eq!(saved.digest, hex(&sha2::Sha256::digest(&bytes)));

    let vault = place.open();
    assert_eq!(vault.find("shop/r1-backup-main/main/data").unwrap(), saved);
    assert_eq!(vault.list("shop/").unwrap(), [saved]);
    assert!(vault.list("shop2/").unwrap().is_empty());
    vault.check("shop/r1-backup-main/main/data").unwrap();
    assert!(vault.read_bytes("shop/r1-backup-main/main/data").unwrap() == bytes);
}

#[test]
fn a_vault_that_is_opened_later_reads_what_is_there_and_is_never_made() {
    let place = Place::new();
    let later = || Vault::later(&place.vault_folder(), &place.key());
    assert!(later().list("").is_err());
    assert!(!place.vault_folder().exists());
    place.open().save_bytes("a/b/c/d", b"bytes").unwrap();
    let vault = later();
    assert_eq!(vault.read_bytes("a/b/c/d").unwrap(), b"bytes");
    // An empty mount point is not taken for it.
    fs::rename(place.vault_folder(), place.folder.path().join("away")).unwrap();
    fs::create_dir(place.vault_folder()).unwrap();
    assert!(matches!(later().save_bytes("a/b/c/d", b"other"), Err(VaultError::Missing { .. })));
    assert_eq!(fs::read_dir(place.vault_folder()).unwrap().count(), 0);
}

#[test]
fn a_vault_that_was_there_is_not_made_anew_where_its_disk_is_not_mounted() {
    let place = Place::new();
    let note = place.folder.path().join("vault-folder");
    let open = |folder: &Path| Vault::open_noted(folder, &place.key(), &note);
    let folder = place.vault_folder();
    open(&folder).unwrap().save_bytes("a/b", b"bytes").unwrap();
    let away = place.folder.path().join("away");
    fs::rename(&folder, &away).unwrap();
    for made in [false, true] {
        if made {
            fs::create_dir(&folder).unwrap();
        }
        let error = open(&folder).err().unwrap();
        assert!(matches!(error, VaultError::Gone { .. }) && error.to_string().contains("vault-folder"), "{error}");
        assert!(!folder.join("config").exists());
    }
    fs::remove_dir(&folder).unwrap();
    fs::rename(&away, &folder).unwrap();
    assert_eq!(open(&folder).unwrap().read_bytes("a/b").unwrap(), b"bytes");
    // A vault elsewhere is a new one.
    open(&place.folder.path().join("other")).unwrap();
}

#[test]
fn a_vault_that_takes_the_place_of_another_is_opened() {
    let place = Place::new();
    let vault = place.open();
    vault.save_bytes("a/b", b"bytes").unwrap();
    fs::rename(place.vault_folder(), place.folder.path().join("away")).unwrap();
    place.open().save_bytes("a/b", b"others").unwrap();
    assert!(vault.list("").is_err(), "its key is the other's");
    assert_eq!(vault.read_bytes("a/b").unwrap(), b"others");
}

#[test]
fn equal_names_and_sizes_are_no_reason_to_skip_a_stream() {
    let place = Place::new();
    let vault = place.open();
    for seed in 1..4 {
        vault.save("a/b/c/d", io::Cursor::new(noise(seed, 100_000))).unwrap();
        assert!(vault.read_bytes("a/b/c/d").unwrap() == noise(seed, 100_000));
    }
    assert_eq!(vault.list("").unwrap().len(), 1);
}

#[test]
fn an_empty_stream_is_an_artifact_too() {
    let vault = Place::new();
    let vault = vault.open();
    assert_eq!(vault.save_bytes("a/empty", b"").unwrap().size_bytes, 0);
    assert_eq!(vault.read_bytes("a/empty").unwrap(), b"");
    vault.check("a/empty").unwrap();
}

#[test]
fn what_is_not_there_and_what_is_no_key_is_said() {
    let place = Place::new();
    let vault = place.open();
    assert!(matches!(vault.find("no/such"), Err(VaultError::NotFound(_))));
    assert!(matches!(vault.open_artifact("no/such").err(), Some(VaultError::NotFound(_))));
    for key in ["", "/a", "a//b", "a/../b", "a/\n"] {
        assert!(matches!(vault.save_bytes(key, b"x"), Err(VaultError::BadKey(_))), "{key:?}");
    }
}

/// Fails or ends after some bytes.
struct Breaking(io::Cursor<Vec<u8>>);

impl Read for Breaking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("the dump broke off")),
            read => Ok(read),
        }
    }
}

#[test]
fn a_stream_that_fails_leaves_nothing() {
    let place = Place::new();
    let vault = place.open();
    vault.save_bytes("a/kept", b"kept").unwrap();
    let before = place.packs_bytes();
    let error = vault.save("a/broken", Breaking(io::Cursor::new(noise(7, 3_000_000)))).unwrap_err();
    assert!(matches!(&error, VaultError::Stream { .. }), "{error}");
    assert!(error.to_string().contains("the dump broke off"), "{error}");
    assert!(matches!(vault.find("a/broken"), Err(VaultError::NotFound(_))));
    vault.forget(&[], || true).unwrap();
    assert_eq!(place.packs_bytes(), before);
    assert_eq!(vault.read_bytes("a/kept").unwrap(), b"kept");
}

#[test]
fn forgetting_frees_space_and_spares_the_others() {
    let place = Place::new();
    let vault = place.open();
    let shared = noise(1, 2 << 20);
    let own = [shared.clone(), noise(2, 3 << 20)].concat();
    vault.save("a/r1/main/one", io::Cursor::new(own.clone())).unwrap();
    vault.save("a/r1/main/one.manifest", io::Cursor::new(b"lines".to_vec())).unwrap();
    vault.save("a/r2/main/two", io::Cursor::new([shared.clone(), noise(3, 1 << 20)].concat())).unwrap();
    assert!(place.packs_bytes() > 5 << 20);

    assert!(!vault.forget(&["a/r1/main/one".into()], || false).unwrap());
    assert_eq!(vault.list("").unwrap().len(), 3);
    assert!(vault.forget(&["a/r1/main/one".into(), "never/was".into()], || true).unwrap());
    assert_eq!(vault.list("").unwrap().len(), 1);
    assert!(place.packs_bytes() < (7 << 20) / 2, "{}", place.packs_bytes());
    vault.check("a/r2/main/two").unwrap();
    vault.forget(&["a/r1/main/one".into()], || true).unwrap();
    vault.check("a/r2/main/two").unwrap();
}

#[test]
fn a_prune_that_was_cut_off_is_made_up_for() {
    let place = Place::new();
    let vault = place.open();
    vault.save("a/r1/main/one", io::Cursor::new(noise(1, 3 << 20))).unwrap();
    let repository = vault.connect(&vault.storage()).unwrap();
    let all: Vec<SnapshotId> = repository.get_all_snapshots().unwrap().iter().map(|snapshot| snapshot.id).collect();
    repository.delete_snapshots(&all).unwrap();
    vault.forget(&[], || true).unwrap();
    assert!(place.packs_bytes() > 3 << 20, "nothing is owed");
    let owed = OwedPrune::of(&place.vault_folder());
    owed.begin();
    vault.forget(&[], || true).unwrap();
    assert!(place.packs_bytes() < 1 << 20, "{}", place.packs_bytes());
    assert!(!owed.is_owed());
}

#[test]
fn nothing_is_forgotten_while_restic_is_at_work() {
    let place = Place::new();
    let vault = place.open();
    vault.save_bytes("a/b", b"bytes").unwrap();
    let lock = place.vault_folder().join("locks/0123");
    fs::create_dir_all(place.vault_folder().join("locks")).unwrap();
    fs::write(&lock, "").unwrap();
    let error = vault.forget(&["a/b".into()], || true).unwrap_err();
    assert!(matches!(error, VaultError::Busy { .. }), "{error}");
    assert_eq!(vault.list("").unwrap().len(), 1);
    let file = File::options().write(true).open(&lock).unwrap();
    file.set_modified(std::time::SystemTime::now() - RESTIC_LOCKS).unwrap();
    vault.forget(&["a/b".into()], || true).unwrap();
    assert!(vault.list("").unwrap().is_empty());
}

#[test]
fn damage_is_found() {
    let place = Place::new();
    let vault = place.open();
    vault.save("a/data", io::Cursor::new(noise(5, 3 << 20))).unwrap();
    let mut biggest: Option<(u64, PathBuf)> = None;
    for entry in fs::read_dir(place.vault_folder().join("data")).unwrap() {
        for file in fs::read_dir(entry.unwrap().path()).unwrap() {
            let file = file.unwrap();
            let size = file.metadata().unwrap().len();
            if biggest.as_ref().is_none_or(|(other, _)| size > *other) {
                biggest = Some((size, file.path()));
            }
        }
    }
    let path = biggest.unwrap().1;
    let mut bytes = fs::read(&path).unwrap();
    bytes[1_500_000] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(matches!(vault.check("a/data"), Err(VaultError::Damaged { .. })));
    assert!(vault.read_bytes("a/data").is_err());
}

#[test]
fn several_save_at_once_and_forgetting_waits_for_them() {
    let place = Place::new();
    let vault = place.open();
    std::thread::scope(|scope| {
        for number in 0..4_u64 {
            let vault = vault.clone();
            scope.spawn(move || {
                for round in 0..3_u64 {
                    let key = format!("dep{number}/r{round}/main/data");
                    // The same bytes from everybody, so that they would share packs.
                    let bytes = [noise(round, 1 << 20), noise(number, 500_000)].concat();
                    vault.save(&key, io::Cursor::new(bytes)).unwrap();
                }
            });
        }
        let vault = vault.clone();
        scope.spawn(move || (0..3).for_each(|_| assert!(vault.forget(&["other/key".into()], || true).unwrap())));
    });
    let all = vault.list("").unwrap();
    assert_eq!(all.len(), 12);
    all.iter().for_each(|artifact| vault.check(&artifact.key).unwrap());
}

#[test]
fn a_reader_may_be_dropped_early() {
    let place = Place::new();
    let vault = place.open();
    vault.save("a/data", io::Cursor::new(noise(5, 9 << 20))).unwrap();
    let mut reader = vault.open_artifact("a/data").unwrap();
    let mut some = [0; 100];
    reader.read_exact(&mut some).unwrap();
    drop(reader);
    vault.forget(&["a/data".into()], || true).unwrap();
}

#[test]
fn a_key_that_does_not_fit_or_that_others_read_is_refused() {
    let place = Place::new();
    place.open();
    let other = place.folder.path().join("other.key");
    Vault::make_key(&other).unwrap();
    let error = Vault::open(&place.vault_folder(), &other).err().unwrap();
    assert!(matches!(&error, VaultError::Key { .. }), "{error}");

    fs::set_permissions(place.key(), fs::Permissions::from_mode(0o640)).unwrap();
    let error = Vault::open(&place.vault_folder(), &place.key()).err().unwrap();
    assert!(error.to_string().contains("chmod 600"), "{error}");

    assert!(Vault::make_key(&place.key()).is_err(), "a key is never replaced");
    let missing = Vault::open(&place.vault_folder(), &place.folder.path().join("none")).err().unwrap();
    assert!(missing.to_string().contains("none"), "{missing}");
}

#[test]
fn a_key_inside_the_vault_is_refused() {
    let place = Place::new();
    let inside = place.vault_folder().join("vault.key");
    Vault::make_key(&inside).unwrap();
    let error = Vault::open(&place.vault_folder(), &inside).err().unwrap();
    assert!(error.to_string().contains("lies inside"), "{error}");
}

#[test]
fn a_folder_with_something_else_in_it_is_refused() {
    let place = Place::new();
    fs::create_dir(place.vault_folder()).unwrap();
    fs::write(place.vault_folder().join("letter.txt"), "dear").unwrap();
    let error = Vault::open(&place.vault_folder(), &place.key()).err().unwrap();
    assert!(matches!(error, VaultError::NotAVault { .. }), "{error}");
}

#[test]
fn a_start_that_was_cut_before_the_configuration_begins_again() {
    let place = Place::new();
    place.open();
    fs::remove_file(place.vault_folder().join("config")).unwrap();
    let vault = place.open();
    vault.save_bytes("a/b", b"bytes").unwrap();
    assert_eq!(place.open().read_bytes("a/b").unwrap(), b"bytes");
}

#[test]
fn a_partial_snapshot_that_a_crash_left_is_no_artifact() {
    let place = Place::new();
    let vault = place.open();
    vault.save_bytes("a/b", b"bytes").unwrap();
    let repository = vault.connect(&vault.storage()).unwrap();
    let mut snapshot = repository.get_all_snapshots().unwrap().remove(0);
    snapshot.tags = Default::default();
    snapshot.tags.add(PARTIAL.into());
    repository.save_snapshots(vec![snapshot]).unwrap();
    vault.forget(&["a/b".into()], || true).unwrap();
    assert!(vault.list("").unwrap().is_empty());
    assert!(vault.connect(&vault.storage()).unwrap().get_all_snapshots().unwrap().is_empty());
}

/// A file size limit stands for a full disk; it is a whole process's, so that the test runs in a child.
#[test]
fn a_save_onto_a_full_disk_says_so_and_leaves_nothing() {
    let place = Place::new();
    place.open();
    let run = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 4000; exec \"$0\" --exact vault::tests::with_little_space"])
        .arg(std::env::current_exe().unwrap())
        .env("VAULT_PLACE", place.folder.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
}

#[test]
fn with_little_space() {
    // A part of `a_save_onto_a_full_disk_says_so_and_leaves_nothing`, which sets it.
    let Some(root) = std::env::var_os("VAULT_PLACE").map(PathBuf::from) else { return };
    let vault = Vault::open(&root.join("vault"), &root.join("keys/vault.key")).unwrap();
    let error = vault.save("a/data", io::Cursor::new(noise(5, 6 << 20))).unwrap_err();
    assert!(matches!(&error, VaultError::Full { .. }), "{error:?}");
    assert!(vault.list("").unwrap().is_empty());
    let packs = |folder: &str| fs::read_dir(root.join("vault").join(folder)).unwrap().count();
    assert_eq!(packs("snapshots"), 0);
    vault.save_bytes("a/small", b"small").unwrap();
    vault.check("a/small").unwrap();
}

/// restic itself reads what we wrote.
#[test]
fn restic_dumps_an_artifact() {
    let place = Place::new();
    let bytes = noise(9, 3_000_000);
    place.open().save("shop/r1/main/db.dump", io::Cursor::new(bytes.clone())).unwrap();
    let restic = |arguments: &[&str]| {
        Command::new("restic")
            .args(["--no-cache", "--repo"])
            .arg(place.vault_folder())
            .arg("--password-file")
            .arg(place.key())
            .args(arguments)
            .output()
            .expect("`restic` is missing: `apt-get install restic`, or `cargo xtask setup`")
    };
    let dumped = restic(&["dump", "latest", "/shop/r1/main/db.dump"]);
    assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
    assert!(dumped.stdout == bytes);
    let checked = restic(&["check", "--read-data"]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
