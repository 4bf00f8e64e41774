//! Backups that are seen to be good, restores that are followed, a throw-away instance.

use crate::{make_instance, nobody, with_instance};
use scratch_google::{Fault, Folder, Refusal};
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use upgraded_google::Error;

#[tokio::test]
async fn a_backup_is_made_once_and_brought_back() {
    let (google, sql) = with_instance().await;
    let folder = tempfile::tempdir().unwrap();
    let row = folder.path().join("row");
    google.attach("acme", "main", Arc::new(Folder::at(folder.path())));
    fs::write(&row, "old").unwrap();
    let faults = [
        Fault::lost_answer("backupRuns.insert"),
        Fault::refused("backupRuns.insert", Refusal::in_progress()),
        Fault::refused_after_success("backupRuns.insert", Refusal::unavailable()),
        Fault::refused("backupRuns.list", Refusal::unavailable()),
        Fault::refused("operations.list", Refusal::unavailable()),
    ];
    let count = faults.len();
    let mut first = None;
    for (number, fault) in faults.into_iter().enumerate() {
        let what = format!("{fault:?}");
        google.inject(fault);
        let description = format!("upgraded r1-backup-{number}");
        let made = sql.back_up(&description, &nobody).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(sql.back_up(&description, &nobody).await.unwrap(), made, "{what}");
        assert_eq!(sql.find(&description).await.unwrap().as_ref(), Some(&made));
        first.get_or_insert(made);
    }
    let inserted =
        google.exchanges().iter().filter(|e| e.method.ends_with("backupRuns.insert") && e.status != 409).count();
    assert!(inserted <= count + 1, "{inserted}");
    let first = first.unwrap();
    for fault in [
        Fault::lost_answer("instances.restoreBackup"),
        Fault::refused("instances.restoreBackup", Refusal::in_progress()),
        Fault::refused_after_success("instances.restoreBackup", Refusal::unavailable()),
    ] {
        fs::write(&row, "new").unwrap();
        google.inject(fault);
        sql.restore(first.id, &nobody).await.unwrap();
        assert_eq!(fs::read_to_string(&row).unwrap(), "old");
    }
    assert_eq!(sql.backups(&nobody).await.unwrap().len(), count);
    google.inject(Fault::failed_operation("instances.restoreBackup", "The disk is gone."));
    let failed = sql.restore(first.id, &nobody).await.unwrap_err();
    assert!(matches!(&failed, Error::Failed(text) if text.contains("The disk is gone.")), "{failed}");
    google.inject(Fault::failed_operation("backupRuns.insert", "no space"));
    assert!(matches!(sql.back_up("upgraded r2", &nobody).await, Err(Error::Failed(_))));
    google.inject(Fault::lost_answer("backupRuns.delete"));
    for _ in 0..2 {
        sql.delete(&first, &nobody).await.unwrap();
    }
    assert!(!sql.has(first.id).await.unwrap());
    google.assert_held_to_the_documents();
}

#[tokio::test]
async fn a_restore_under_way_is_followed_and_not_begun_again() {
    let (google, sql) = with_instance().await;
    let backup = sql.back_up("upgraded r1", &nobody).await.unwrap();
    let aside = sql.back_up("upgraded r2, set aside", &nobody).await.unwrap();
    google.inject(Fault::stuck_operation("instances.restoreBackup"));
    let looks = AtomicU32::new(0);
    let heard = |state: &str| {
        looks.fetch_add(u32::from(state.ends_with("is Running")), Ordering::SeqCst);
    };
    let hangs = sql.restore(backup.id, &heard);
    assert!(tokio::time::timeout(Duration::from_secs(2), hangs).await.is_err());
    assert!(looks.load(Ordering::SeqCst) > 1, "what runs is alive");
    // The next try finds what the first set aside, though the instance is busy.
    assert_eq!(sql.back_up("upgraded r2, set aside", &nobody).await.unwrap(), aside);
    let (again, ()) = tokio::join!(sql.restore(backup.id, &nobody), async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        google.end_stuck_operations();
    });
    again.unwrap();
    assert_eq!(google.exchanges().iter().filter(|e| e.method.ends_with("restoreBackup")).count(), 1);
}

#[tokio::test]
async fn a_throw_away_instance_is_made_restored_into_and_deleted() {
    let (google, sql) = with_instance().await;
    let (live, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    google.attach("acme", "main", Arc::new(Folder::at(live.path())));
    let double = folder.path().to_owned();
    google.make_disks_by(move |_| Arc::new(Folder::at(double.clone())));
    fs::write(live.path().join("row"), "old").unwrap();
    let backup = sql.back_up("upgraded r1", &nobody).await.unwrap();
    google.inject(Fault::lost_answer("instances.insert"));
    let made = sql.double("r1-drill-main", &nobody).await.unwrap();
    assert!(made.name.starts_with("main-up-"));
    sql.restore_double("r1-drill-main", backup.id, &nobody).await.unwrap();
    assert_eq!((made.tier.as_str(), made.runnable), ("db-custom-1-3840", true));
    assert_eq!(fs::read_to_string(folder.path().join("row")).unwrap(), "old");
    assert_eq!(sql.databases(Some(&made.name)).await.unwrap(), sql.databases(None).await.unwrap());
    google.inject(Fault::lost_answer("instances.delete"));
    for _ in 0..2 {
        sql.clear("r1-drill-main", &nobody).await.unwrap();
    }
    make_instance(&google, "others").await;
    sql.clear("r1-drill-main", &nobody).await.unwrap();
    assert_eq!(sql.names().await.unwrap(), ["main", "others"]);
    google.assert_held_to_the_documents();
}
