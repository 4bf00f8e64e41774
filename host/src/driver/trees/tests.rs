//! Tests of trees.

mod entries;

use super::*;
use crate::driver::beside::testing::{Bench, call, cancelled_soon, drill, names};
use crate::driver::beside::{escape, is_mounted, look};
use proptest::prelude::*;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::Ordering::SeqCst;

fn trees(bench: &Bench) -> Trees {
    Trees::new(BTreeMap::from([("data".into(), bench.path("data"))]), BTreeMap::new(), bench.vault.clone())
}

/// A bit of everything that a tree may hold.
fn furnish(root: &Path) {
    fs::create_dir_all(root.join("a/empty")).unwrap();
    fs::write(root.join("a/text"), "hello").unwrap();
    fs::write(root.join("nothing"), "").unwrap();
    fs::write(root.join(OsStr::from_bytes(b"not \xff utf-8\nand\ttwo lines %")), "odd").unwrap();
    fs::write(root.join("..."), "dots").unwrap();
    symlink("a/./text//x", root.join("link")).unwrap();
    symlink("/nowhere", root.join("dangling")).unwrap();
    symlink("l".repeat(300), root.join("long link")).unwrap();
    let deep = root.join("n".repeat(90)).join("m".repeat(200)).join("..k");
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("f".repeat(255)), vec![7; 3_000_000]).unwrap();
    fs::hard_link(root.join("a/text"), root.join("twin")).unwrap();
    fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o2750)).unwrap();
    let sparse = fs::File::create(root.join("sparse")).unwrap();
    sparse.set_len(50 << 20).unwrap();
    std::os::unix::fs::FileExt::write_at(&sparse, b"end", (50 << 20) - 3).unwrap();
    rustix::fs::lsetxattr(root.join("a"), "user.note", b"kept\nas it is\0", rustix::fs::XattrFlags::empty()).unwrap();
    if manifest::owners_count() {
        fs::set_permissions(root.join("nothing"), fs::Permissions::from_mode(0o000)).unwrap();
        std::os::unix::fs::lchown(root.join("link"), Some(1234), Some(4321)).unwrap();
        std::os::unix::fs::lchown(root.join("a/text"), Some(1234), Some(2_000_000_000)).unwrap();
    }
    let old = fs::File::options().write(true).open(root.join("...")).unwrap();
    old.set_modified(std::time::UNIX_EPOCH - std::time::Duration::from_millis(1500)).unwrap();
}

fn times(root: &Path) -> Vec<(PathBuf, i64, i64)> {
    let mut found = Vec::new();
    let pulse = Pulse::new(&crate::activity::Activity::silent());
    walk::walk(root, &pulse, &mut |entry| {
        found.push((entry.relative, entry.metadata.mtime(), entry.metadata.mtime_nsec()));
        Ok(())
    })
    .unwrap();
    found
}
#[tokio::test]
async fn a_tree_comes_back_as_it_was() {
    let bench = Bench::new();
    let trees = trees(&bench);
    furnish(&bench.path("data"));
    let before = times(&bench.path("data"));
    let manifest = trees.manifest(&call("r1-backup"), "data", None).await.unwrap();
    let key = trees.save(&call("r1-backup"), "data", None).await.unwrap();
    assert_eq!(key, "shop/r1-backup/main/data");
    assert_eq!(bench.vault.read_bytes(&format!("{key}.manifest")).unwrap(), manifest.as_bytes());

    fs::write(bench.path("data/a/text"), "the new version wrote this").unwrap();
    fs::write(bench.path("data/more"), "and this").unwrap();
    trees.put_back(&call("r1-restore"), "data", &key).await.unwrap();
    assert_eq!(trees.manifest(&call("r1-restore"), "data", None).await.unwrap(), manifest);
    assert_eq!(times(&bench.path("data")), before);
    assert_eq!(fs::read(bench.path("data.upgraded-r1-restore/more")).unwrap(), b"and this");
    let sparse = fs::metadata(bench.path("data/sparse")).unwrap();
    assert!(sparse.blocks() * 512 < 1 << 20, "{} blocks", sparse.blocks());
    let (text, twin) =
        (fs::metadata(bench.path("data/a/text")).unwrap(), fs::metadata(bench.path("data/twin")).unwrap());
    assert_eq!(text.ino(), twin.ino());
    assert_eq!(bench.names("data"), ["data", "data.upgraded-r1-restore"]);
}
#[tokio::test]
async fn a_drill_builds_its_double_and_leaves_the_live_one() {
    let bench = Bench::new();
    let trees = trees(&bench);
    furnish(&bench.path("data"));
    let key = trees.save(&call("r1-backup"), "data", None).await.unwrap();
    let mark = trees.mark(&call("r1-drill"), "data").await.unwrap();
    let root = bench.path("scratch/r1-drill");
    trees.put_back(&drill("r1-drill", &root), "data", &key).await.unwrap();
    let double = trees.manifest(&drill("r1-drill", &root), "data", None).await.unwrap();
    assert_eq!(double, trees.manifest(&call("r1-drill"), "data", None).await.unwrap());
    assert_eq!(trees.mark(&call("r1-drill"), "data").await.unwrap(), mark);
    assert_eq!(names(&root, ""), ["data", "data.upgraded-r1-drill.none"]);
}
#[tokio::test]
async fn a_frozen_copy_takes_the_live_name_and_goes_when_discarded() {
    let bench = Bench::new();
    let trees = trees(&bench);
    furnish(&bench.path("data"));
    let manifest = trees.manifest(&call("r1-look"), "data", None).await.unwrap();
    trees.freeze(&call("r1-freeze"), "data").await.unwrap();
    assert_eq!(trees.manifest(&call("r1-look"), "data", Some("r1-freeze")).await.unwrap(), manifest);
    assert_eq!(times(&bench.path("data")), times(&bench.path("data.upgraded-r1-freeze")));
    let key = trees.save(&call("r1-backup"), "data", Some("r1-freeze")).await.unwrap();

    fs::remove_dir_all(bench.path("data/a")).unwrap();
    let broken = trees.manifest(&call("r1-look"), "data", None).await.unwrap();
    for _ in 0..2 {
        trees.swap(&call("r1-restore"), "data", "r1-freeze").await.unwrap();
        assert_eq!(trees.manifest(&call("r1-look"), "data", None).await.unwrap(), manifest);
        assert_eq!(trees.manifest(&call("r1-look"), "data", Some("r1-restore")).await.unwrap(), broken);
    }
    // Another step may ask for the same copy: it is live still.
    trees.swap(&call("r1-again"), "data", "r1-freeze").await.unwrap();
    assert_eq!(trees.manifest(&call("r1-look"), "data", None).await.unwrap(), manifest);
    // Once something was written, the vault has it.
    fs::write(bench.path("data/new"), "x").unwrap();
    if look(&bench.path("data.upgraded-r1-freeze")).unwrap().is_none() {
        let error = trees.swap(&call("r1-third"), "data", "r1-freeze").await.unwrap_err();
        assert!(error.to_string().contains("restore the backup"), "{error}");
    }
    trees.put_back(&call("r1-third"), "data", &key).await.unwrap();
    assert_eq!(trees.manifest(&call("r1-look"), "data", None).await.unwrap(), manifest);

    for step in ["r1-freeze", "r1-restore", "r1-again", "r1-third", "r1-never"] {
        trees.discard(&call("r1-clean"), "data", step).await.unwrap();
    }
    assert_eq!(bench.names("data"), ["data"]);
    let gone = trees.swap(&call("r1-late"), "data", "r1-freeze").await.unwrap_err();
    assert!(matches!(gone, VerbError::NotFound(_)), "{gone}");
}
#[tokio::test]
async fn what_did_not_exist_does_not_exist_again() {
    let bench = Bench::new();
    let path = bench.path("not/yet/there");
    let trees = Trees::new(BTreeMap::from([("data".into(), path.clone())]), BTreeMap::new(), bench.vault.clone());
    let empty = trees.manifest(&call("r1-look"), "data", None).await.unwrap();
    assert_eq!(empty, ".\t0\tabsent\n");
    let error = trees.mark(&call("r1-look"), "data").await.unwrap_err();
    assert!(matches!(error, VerbError::NotFound(_)), "{error}");
    trees.freeze(&call("r1-freeze"), "data").await.unwrap();
    let key = trees.save(&call("r1-backup"), "data", Some("r1-freeze")).await.unwrap();
    assert_eq!(trees.manifest(&call("r1-look"), "data", Some("r1-freeze")).await.unwrap(), empty);

    furnish(&path);
    trees.swap(&call("r1-restore"), "data", "r1-freeze").await.unwrap();
    assert!(look(&path).unwrap().is_none());
    // Back and forth.
    trees.swap(&call("r2-restore"), "data", "r1-restore").await.unwrap();
    assert!(look(&path.join("a/text")).unwrap().is_some());
    trees.put_back(&call("r3-restore"), "data", &key).await.unwrap();
    assert!(look(&path).unwrap().is_none());
}

#[tokio::test]
async fn one_file_is_a_tree_too_and_a_link_leads_to_the_data() {
    let bench = Bench::new();
    fs::create_dir(bench.path("disk")).unwrap();
    fs::write(bench.path("disk/store"), "old").unwrap();
    symlink("disk/store", bench.path("data")).unwrap();
    let trees = trees(&bench);
    let key = trees.save(&call("r1-backup"), "data", None).await.unwrap();
    fs::write(bench.path("data"), "new").unwrap();
    trees.put_back(&call("r1-restore"), "data", &key).await.unwrap();
    assert_eq!(fs::read(bench.path("data")).unwrap(), b"old");
    assert_eq!(fs::read_link(bench.path("data")).unwrap(), Path::new("disk/store"));
    assert_eq!(fs::read(bench.path("disk/store.upgraded-r1-restore")).unwrap(), b"new");
}

#[tokio::test]
async fn any_write_moves_the_mark_and_no_reading_does() {
    let bench = Bench::new();
    let trees = trees(&bench);
    furnish(&bench.path("data"));
    let mark = async || trees.mark(&call("r1-look"), "data").await.unwrap();
    let first = mark().await;
    trees.manifest(&call("r1-look"), "data", None).await.unwrap();
    trees.save(&call("r1-backup"), "data", None).await.unwrap();
    trees.freeze(&call("r1-freeze"), "data").await.unwrap();
    assert_eq!(mark().await, first);
    let text = bench.path("data/a/text");
    let modified = fs::metadata(&text).unwrap().modified().unwrap();
    fs::write(&text, "HELLO").unwrap();
    fs::File::options().write(true).open(&text).unwrap().set_modified(modified).unwrap();
    assert_ne!(mark().await, first, "same size and time, other bytes");
}

#[tokio::test]
async fn a_cancelled_run_ends_and_leaves_no_half() {
    let bench = Bench::new();
    let trees = trees(&bench);
    fs::create_dir(bench.path("data")).unwrap();
    for number in 0..20 {
        fs::write(bench.path("data").join(number.to_string()), vec![number; 2 << 20]).unwrap();
    }
    let error = trees.save(&cancelled_soon("r1-backup"), "data", None).await.unwrap_err();
    assert_eq!(error, VerbError::Cancelled);
    assert!(bench.vault.list("").unwrap().is_empty());
    let key = trees.save(&call("r1-backup"), "data", None).await.unwrap();
    let error = trees.put_back(&cancelled_soon("r1-restore"), "data", &key).await.unwrap_err();
    assert_eq!(error, VerbError::Cancelled);
    assert!(look(&bench.path("data.upgraded-r1-restore")).unwrap().is_none());
    trees.put_back(&call("r1-restore"), "data", &key).await.unwrap();
    assert_eq!(bench.names("data"), ["data", "data.upgraded-r1-restore"]);
}

/// Somebody writes all the time: the archive must be whole, and its manifest that of its bytes.
#[tokio::test]
async fn a_tree_that_is_written_to_is_saved_as_something_whole() {
    let bench = Bench::new();
    let trees = trees(&bench);
    let root = bench.path("data");
    fs::create_dir(&root).unwrap();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (root, stop) = (root.clone(), stop.clone());
        move || {
            for round in 0_u64.. {
                let path = root.join((round % 50).to_string());
                fs::write(&path, vec![round as u8; (round * 7919 % 200_000) as usize]).unwrap();
                if round % 3 == 0 {
                    fs::remove_file(&path).unwrap();
                }
                if stop.load(SeqCst) {
                    break;
                }
            }
        }
    });
    let mut keys = Vec::new();
    for number in 0..5 {
        trees.manifest(&call(&format!("r{number}-backup")), "data", None).await.unwrap();
        keys.push(trees.save(&call(&format!("r{number}-backup")), "data", None).await.unwrap());
        trees.freeze(&call(&format!("r{number}-freeze")), "data").await.unwrap();
    }
    stop.store(true, SeqCst);
    writer.join().unwrap();
    for (number, key) in keys.iter().enumerate() {
        trees.put_back(&call(&format!("r{number}-restore")), "data", key).await.unwrap();
    }
}

fn tar_with(build: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    build(&mut tar);
    tar.into_inner().unwrap()
}

fn entry(tar: &mut tar::Builder<Vec<u8>>, kind: tar::EntryType, name: &str, link: &str, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1);
    header.set_size(content.len() as u64);
    header.set_link_name_literal(link).unwrap();
    header.set_cksum();
    tar.append(&header, content).unwrap();
}

#[test]
fn nothing_is_unpacked_outside() {
    use tar::EntryType as Kind;
    let folder = tempfile::tempdir().unwrap();
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("victim"), "safe").unwrap();
    let outside_text = outside.to_str().unwrap();
    let cases: Vec<Vec<(Kind, String, String)>> = vec![
        vec![(Kind::Regular, format!("{outside_text}/victim"), String::new())],
        vec![(Kind::Regular, "tree/../outside/victim".into(), String::new())],
        vec![(Kind::Regular, "tree/..".into(), String::new())],
        vec![(Kind::Regular, "tree//victim".into(), String::new())],
        vec![(Kind::Regular, "other".into(), String::new())],
        vec![
            (Kind::Symlink, "tree/out".into(), outside_text.into()),
            (Kind::Regular, "tree/out/victim".into(), String::new()),
        ],
        vec![
            (Kind::Symlink, "tree/out".into(), outside_text.into()),
            (Kind::Regular, "tree/out".into(), String::new()),
        ],
        vec![(Kind::Link, "tree/hard".into(), format!("{outside_text}/victim"))],
        vec![(Kind::Link, "tree/hard".into(), "tree/../outside/victim".into())],
        vec![
            (Kind::Symlink, "tree/out".into(), format!("{outside_text}/victim")),
            (Kind::Link, "tree/hard".into(), "tree/out".into()),
        ],
        vec![(Kind::Char, "tree/device".into(), String::new())],
        vec![(Kind::Fifo, "tree/pipe".into(), String::new())],
    ];
    let pulse = Pulse::new(&crate::activity::Activity::silent());
    for (number, case) in cases.into_iter().enumerate() {
        let bytes = tar_with(|tar| {
            entry(tar, Kind::Directory, "tree", "", b"");
            for (kind, name, link) in &case {
                let content: &[u8] = if *kind == Kind::Regular { b"changed" } else { b"" };
                entry(tar, *kind, name, link, content);
            }
        });
        let to = folder.path().join(format!("to-{number}"));
        let outcome = archive::unpack(&bytes[..], &to, &pulse);
        assert!(outcome.is_err(), "{case:?}");
        assert_eq!(fs::read(outside.join("victim")).unwrap(), b"safe", "{case:?}");
        assert_eq!(names(&outside, ""), ["victim"], "{case:?}");
        assert_eq!(fs::metadata(outside.join("victim")).unwrap().nlink(), 1, "{case:?}");
    }
}

/// Cut after each change of the disk and repeated: the end is always the same, and nothing is lost on the way.
#[test]
fn a_restore_that_is_cut_anywhere_ends_when_repeated() {
    let bench = Bench::new();
    let activity = crate::activity::Activity::silent();
    let key = "shop/r1-backup/main/data";
    let place = |root: &Path| Place { name: "data".into(), live: root.join("data") };
    let fresh = |number: u32, verb: &str| {
        let root = bench.path(&format!("{verb}-{number}"));
        fs::create_dir_all(root.join("data/inner")).unwrap();
        fs::write(root.join("data/inner/file"), "old").unwrap();
        root
    };
    let source = fresh(0, "source");
    save(Some(source.join("data")), &bench.vault, key, &Pulse::new(&activity)).unwrap();
    for verb in ["put-back", "swap", "swap-nothing", "over-nothing"] {
        for cut in 0.. {
            assert!(cut < 200, "{verb} never ends");
            let root = fresh(cut, verb);
            match verb {
                "swap" => freeze(place(&root), "r1-freeze", &Pulse::new(&activity)).unwrap(),
                "swap-nothing" => fs::write(root.join("data.upgraded-r1-freeze.none"), "").unwrap(),
                _ => {}
            }
            fs::write(root.join("data/inner/file"), "new").unwrap();
            if verb == "over-nothing" {
                fs::remove_dir_all(root.join("data")).unwrap();
            }
            let run = |pulse: &Pulse| match verb {
                "swap" | "swap-nothing" => swap::swap(&place(&root), "r1-freeze", "r1-restore", pulse),
                _ => put_back(place(&root), &bench.vault, key, "r1-restore", pulse),
            };
            let pulse = Pulse::new(&activity);
            pulse.cuts.store(cut, SeqCst);
            let first = run(&pulse);
            // Between the attempts, everything is somewhere.
            let all = names(&root, "data")
                .iter()
                .map(|name| fs::read_to_string(root.join(name).join("inner/file")))
                .collect::<Vec<_>>();
            if verb != "over-nothing" {
                assert!(
                    all.iter().flatten().any(|text| text == "new"),
                    "{verb} cut at {cut}: {:?}",
                    names(&root, "data")
                );
            }
            run(&Pulse::new(&activity)).unwrap();
            run(&Pulse::new(&activity)).unwrap();
            let live = fs::read_to_string(root.join("data/inner/file"));
            let aside = fs::read_to_string(root.join("data.upgraded-r1-restore/inner/file"));
            if verb == "swap-nothing" {
                assert!(look(&root.join("data")).unwrap().is_none());
            } else {
                assert_eq!(live.unwrap(), "old", "{verb} cut at {cut}");
            }
            if verb == "over-nothing" {
                assert!(look(&root.join("data.upgraded-r1-restore.none")).unwrap().is_some());
            } else {
                assert_eq!(aside.unwrap(), "new", "{verb} cut at {cut}");
            }
            assert!(names(&root, "data").iter().all(|name| !name.contains(".new") && !name.contains(".part")));
            if first.is_ok() {
                assert!(cut > 2, "{verb} was never cut");
                break;
            }
        }
    }
}

/// Where blocks are not shared, the frozen copy itself is what comes into place.
#[tokio::test]
async fn what_was_about_to_be_put_in_place_is_not_taken_for_nothing() {
    let bench = Bench::new();
    let trees = trees(&bench);
    let code = async || trees.save(&call("r1-let-go"), "data", Some("r1-restore")).await.unwrap_err().code().to_owned();
    assert_eq!(code().await, "not-found");
    fs::write(bench.path("data.upgraded-r1-restore.new.part"), "half").unwrap();
    assert_eq!(code().await, "not-found");
    fs::write(bench.path("data.upgraded-r1-restore.new"), "whole").unwrap();
    assert_eq!(code().await, "conflict");
}

#[tokio::test]
async fn what_somebody_makes_in_between_is_not_overwritten() {
    let bench = Bench::new();
    let trees = trees(&bench);
    fs::create_dir(bench.path("data")).unwrap();
    let key = trees.save(&call("r1-backup"), "data", None).await.unwrap();
    // A restore that was cut between its two renames, and a service that made its folder meanwhile.
    fs::create_dir(bench.path("data.upgraded-r1-restore")).unwrap();
    fs::create_dir(bench.path("data.upgraded-r1-restore.new")).unwrap();
    fs::write(bench.path("data/session"), "precious").unwrap();
    let error = trees.put_back(&call("r1-restore"), "data", &key).await.unwrap_err();
    assert!(matches!(error, VerbError::Conflict(_)), "{error}");
    assert_eq!(fs::read(bench.path("data/session")).unwrap(), b"precious");
    let error = trees.discard(&call("r1-clean"), "data", "r1-restore").await.unwrap_err();
    assert!(matches!(error, VerbError::Conflict(_)), "{error}");
}

#[derive(Debug, Clone)]
enum Thing {
    File(Vec<u8>, u32),
    Link(Vec<u8>),
    Folder(Vec<(Vec<u8>, Thing)>, u32),
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop_oneof![Just(b'.'), Just(b'\n'), Just(0xff), Just(b'%'), 1_u8..=255], 1..40)
        .prop_filter("a name", |name| !name.contains(&b'/') && name != b"." && name != b"..")
}

fn thing() -> impl Strategy<Value = Thing> {
    let mode = || prop::sample::select(vec![0o600_u32, 0o644, 0o755, 0o400, 0o777, 0o4711]);
    let leaf = prop_oneof![
        (prop::collection::vec(any::<u8>(), 0..3000), mode()).prop_map(|(bytes, mode)| Thing::File(bytes, mode)),
        prop::collection::vec(1_u8..=255, 1..300).prop_map(Thing::Link),
    ];
    leaf.prop_recursive(4, 24, 6, move |inner| {
        let mode = prop::sample::select(vec![0o700_u32, 0o755, 0o1777, 0o2770, 0o500]);
        (prop::collection::vec((name(), inner), 0..6), mode).prop_map(|(entries, mode)| Thing::Folder(entries, mode))
    })
}

fn make(path: &Path, thing: &Thing) {
    let mode = |mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    match thing {
        Thing::File(bytes, bits) => {
            fs::write(path, bytes).unwrap();
            mode(*bits);
        }
        Thing::Link(target) => symlink(OsStr::from_bytes(target), path).unwrap(),
        Thing::Folder(entries, bits) => {
            fs::create_dir(path).unwrap();
            for (name, thing) in entries {
                let path = path.join(OsStr::from_bytes(name));
                if look(&path).unwrap().is_none() {
                    make(&path, thing);
                }
            }
            mode(*bits);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn every_tree_survives_the_archive_and_the_copy(entries in prop::collection::vec((name(), thing()), 0..5)) {
        let folder = tempfile::tempdir().unwrap();
        let pulse = Pulse::new(&crate::activity::Activity::silent());
        let (from, to, copied) = (folder.path().join("from"), folder.path().join("to"), folder.path().join("copied"));
        make(&from, &Thing::Folder(entries, 0o755));
        let mut bytes = Vec::new();
        let packed = archive::pack(&from, &mut bytes, &pulse).unwrap();
        prop_assert_eq!(&packed, &manifest::manifest(&from, &pulse).unwrap());
        archive::unpack(&bytes[..], &to, &pulse).unwrap();
        prop_assert_eq!(&packed, &manifest::manifest(&to, &pulse).unwrap());
        prop_assert_eq!(times(&from), times(&to));
        copy_tree(&from, &copied, Means::Any, &pulse).unwrap();
        prop_assert_eq!(&packed, &manifest::manifest(&copied, &pulse).unwrap());
        prop_assert_eq!(times(&from), times(&copied));
    }

    #[test]
    fn an_escaped_name_is_one_printable_word_and_no_two_are_alike(a in name(), b in name()) {
        prop_assert!(escape(&a).chars().all(|c| !c.is_control()));
        prop_assert_eq!(a == b, escape(&a) == escape(&b));
    }
}
