//! Tests of files.

use super::*;
use serde_json::json;
use upgraded_sdk::Severity;
use upgraded_sdk::fake::FakeHost;

fn fake() -> FakeHost {
    let fake = FakeHost::new();
    fake.tree("avatars", "a.png\t1\taa\n");
    fake.tree("uploads", "u.pdf\t1\tuu\n");
    fake
}

fn call(fake: &FakeHost) -> Call<Settings> {
    fake.call(json!({ "paths": ["uploads", "avatars"] }))
}

#[test]
fn a_backup_has_an_artifact_for_each_path_and_goes_back_to_where_it_came_from() {
    let fake = fake();
    let backup = FilesStore::backup(&call(&fake), &fake.datastore(), None).unwrap();
    assert_eq!(backup.artifacts, ["artifact-1", "artifact-2"]);
    assert_eq!(backup.manifest, "avatars:a.png\t1\taa\nuploads:u.pdf\t1\tuu\n");

    fake.tree("uploads", "migrated\t9\tff\n");
    fake.step("r2-restore");
    let origin = Origin::Backup(backup.clone());
    FilesStore::restore(&call(&fake), &fake.datastore(), &origin).unwrap();
    assert_eq!(FilesStore::manifest(&call(&fake), &fake.datastore(), None).unwrap(), backup.manifest);
    assert_eq!(
        FilesStore::manifest(&call(&fake), &fake.datastore(), Some("r2-restore")).unwrap(),
        "avatars:a.png\t1\taa\nuploads:migrated\t9\tff\n",
        "what was there is set aside under the step of the restore"
    );
}

#[test]
fn a_frozen_copy_is_swapped_back_and_a_second_attempt_changes_nothing() {
    let fake = fake();
    fake.step("r1-freeze");
    assert!(FilesStore::freeze(&call(&fake), &fake.datastore()).unwrap());
    fake.tree("avatars", "new\t1\tnn\n");
    fake.step("r1-restore");
    for _ in 0..2 {
        FilesStore::restore(&call(&fake), &fake.datastore(), &Origin::Frozen("r1-freeze".into())).unwrap();
        assert_eq!(fake.content("avatars").unwrap(), "a.png\t1\taa\n");
    }
    FilesStore::discard(&call(&fake), &fake.datastore(), "r1-restore").unwrap();
    assert!(fake.frozen().is_empty());
}

#[test]
fn a_restore_that_is_cut_in_the_middle_is_finished_by_the_next_attempt() {
    let fake = fake();
    let backup = FilesStore::backup(&call(&fake), &fake.datastore(), None).unwrap();
    fake.tree("avatars", "new\t1\tnn\n");
    fake.tree("uploads", "new\t1\tnn\n");
    fake.step("r1-restore");
    let origin = Origin::Backup(backup);
    fake.fail_once("trees.put-back", Error::unavailable("the disk is away"));
    assert!(FilesStore::restore(&call(&fake), &fake.datastore(), &origin).is_err());
    FilesStore::restore(&call(&fake), &fake.datastore(), &origin).unwrap();
    assert_eq!(fake.content("uploads").unwrap(), "u.pdf\t1\tuu\n");
}

#[test]
fn the_copies_that_are_there_are_saved_where_another_is_not() {
    let fake = fake();
    fake.step("r1-freeze");
    FilesStore::freeze(&call(&fake), &fake.datastore()).unwrap();
    fake.tree("a-new-one", "n\t1\tnn\n");
    let error = FilesStore::backup(&call(&fake), &fake.datastore(), Some("r1-freeze")).unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{}", error.text());
    for saved in ["trees.save avatars r1-freeze", "trees.save uploads r1-freeze"] {
        assert!(fake.calls().contains(&saved.to_owned()), "{:?}", fake.calls());
    }
}

#[test]
fn a_tree_that_is_written_to_is_saved_from_a_copy() {
    let fake = fake();
    fake.writes_while_saving("uploads", "u.pdf\t1\tuu\nv.pdf\t1\tvv\n");
    let backup = FilesStore::backup(&call(&fake), &fake.datastore(), None).unwrap();
    assert_eq!(backup.manifest, "avatars:a.png\t1\taa\nuploads:u.pdf\t1\tuu\nuploads:v.pdf\t1\tvv\n");
    assert!(fake.calls().contains(&"trees.save uploads r1-test".to_owned()), "{:?}", fake.calls());
    assert!(fake.frozen().is_empty(), "the copy goes once it is saved");
}

#[test]
fn the_mark_of_the_fence_moves_with_a_write() {
    let fake = fake();
    let fenced = FilesStore::fence(&call(&fake), &fake.datastore()).unwrap();
    assert_eq!(FilesStore::mark(&call(&fake), &fake.datastore()).unwrap(), fenced);
    fake.tree("uploads", "more\t1\tmm\n");
    assert_ne!(FilesStore::mark(&call(&fake), &fake.datastore()).unwrap(), fenced);
    FilesStore::unfence(&call(&fake), &fake.datastore()).unwrap();
}

#[test]
fn preflight_names_the_path_that_is_not_there_and_only_reads() {
    let fake = fake();
    fake.read_only(true);
    let hop = Hop::new("1.0.0", "1.1.0");
    assert!(FilesStore::preflight(&call(&fake), &fake.datastore(), &hop).unwrap().is_empty());
    fake.fail_once("trees.mark", Error::not_found("no such folder"));
    let findings = FilesStore::preflight(&call(&fake), &fake.datastore(), &hop).unwrap();
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].id.as_str(), findings[0].severity), ("path-missing", Severity::Blocker));
    assert_eq!(findings[0].message, "`avatars` is not there");
}

#[test]
fn a_backup_of_other_paths_is_not_put_anywhere() {
    let fake = fake();
    let backup = BackupRef { artifacts: vec!["artifact-1".into()], manifest: String::new() };
    let error = FilesStore::restore(&call(&fake), &fake.datastore(), &Origin::Backup(backup)).unwrap_err();
    assert!(matches!(error, Error::Conflict(_)));
    assert!(!fake.calls().iter().any(|call| call.starts_with("trees.put-back")));
}
