//! Who may write, and what the mark says.

use super::*;

#[tokio::test]
async fn the_fence_keeps_others_from_writing_and_lets_us_read() {
    for mode in ["wal", "delete"] {
        let bench = Bench::new();
        let sqlite = sqlite(&bench);
        let live = bench.path("app.db");
        drop(furnish(&live, mode));
        let mark = sqlite.fence(&call("r1-fence"), "db").await.unwrap();
        assert_eq!(sqlite.fence(&call("r1-fence"), "db").await.unwrap(), mark);
        assert!(by_another(&live, "DELETE FROM people").contains("locked"), "{mode}");
        assert_eq!(by_another(&live, "SELECT * FROM people"), "");

        let manifest = sqlite.manifest(&call("r1-look"), "db", None).await.unwrap();
        sqlite.check(&call("r1-look"), "db", None).await.unwrap();
        sqlite.freeze(&call("r1-freeze"), "db").await.unwrap();
        assert_eq!(sqlite.save(&call("r1-backup"), "db", Some("r1-freeze")).await.unwrap().1, manifest);
        sqlite.save(&call("r1-live"), "db", None).await.unwrap();
        assert_eq!(sqlite.mark(&call("r1-look"), "db").await.unwrap(), mark, "our own reading is no write ({mode})");
        assert!(by_another(&live, "DELETE FROM people").contains("locked"), "reading let go of the lock ({mode})");

        for _ in 0..2 {
            sqlite.unfence(&call("r1-unfence"), "db").await.unwrap();
        }
        assert_eq!(sqlite.mark(&call("r1-look"), "db").await.unwrap(), mark);
        assert_eq!(by_another(&live, "UPDATE people SET born = 1 WHERE id = 1"), "");
        assert_ne!(sqlite.mark(&call("r1-look"), "db").await.unwrap(), mark, "{mode}");
    }
}

#[tokio::test]
async fn a_write_while_the_fence_was_down_moves_the_mark() {
    for mode in ["wal", "delete"] {
        let bench = Bench::new();
        let sqlite = sqlite(&bench);
        let live = bench.path("app.db");
        drop(furnish(&live, mode));
        let mark = sqlite.fence(&call("r1-fence"), "db").await.unwrap();
        // The host restarts: its lock goes with it, and is taken again.
        fence::release(&live);
        assert_eq!(sqlite.fence(&call("r1-fence"), "db").await.unwrap(), mark, "{mode}");
        fence::release(&live);
        by_another(&live, "UPDATE people SET name = 'Eve' WHERE id = 1");
        assert_ne!(sqlite.fence(&call("r1-fence"), "db").await.unwrap(), mark, "{mode}");
        fence::release(&live);
    }
}

#[tokio::test]
async fn a_fence_waits_for_a_writer_and_says_who_is_in_the_way() {
    let bench = Bench::new();
    let sqlite = sqlite(&bench);
    let live = bench.path("app.db");
    drop(furnish(&live, "wal"));
    let mut other = Other::new(&live);
    other.say("BEGIN IMMEDIATE; UPDATE people SET name = 'Bob'");
    let error = sqlite.fence(&cancelled_soon("r1-fence"), "db").await.unwrap_err();
    assert_eq!(error, VerbError::Cancelled);
    other.say("COMMIT");
    sqlite.fence(&call("r1-fence"), "db").await.unwrap();
    assert_eq!(other.say("SELECT name FROM people LIMIT 1"), "Bob\n");
    other.kill();
    fence::release(&live);
}

#[tokio::test]
async fn a_frozen_copy_is_swapped_back_under_the_fence() {
    for mode in ["wal", "delete"] {
        let bench = Bench::new();
        let sqlite = sqlite(&bench);
        let live = bench.path("app.db");
        drop(furnish(&live, mode));
        note(&live);
        sqlite.fence(&call("r1-fence"), "db").await.unwrap();
        let manifest = sqlite.manifest(&call("r1-look"), "db", None).await.unwrap();
        sqlite.freeze(&call("r1-freeze"), "db").await.unwrap();
        sqlite.unfence(&call("r1-unfence"), "db").await.unwrap();
        by_another(&live, "DROP TABLE people; CREATE TABLE later (x)");
        let later = sqlite.manifest(&call("r1-look"), "db", None).await.unwrap();

        sqlite.fence(&call("r1-fence2"), "db").await.unwrap();
        for step in ["r1-restore", "r1-restore", "r1-other"] {
            sqlite.swap(&call(step), "db", "r1-freeze").await.unwrap();
            assert_eq!(sqlite.manifest(&call("r1-look"), "db", None).await.unwrap(), manifest, "{mode}");
            assert!(by_another(&live, "DELETE FROM people").contains("locked"), "the fence holds what came into place");
            assert!(has_note(&live), "{mode}");
        }
        assert_eq!(sqlite.manifest(&call("r1-look"), "db", Some("r1-restore")).await.unwrap(), later);
        sqlite.unfence(&call("r1-unfence"), "db").await.unwrap();
        assert_eq!(by_another(&live, "DELETE FROM people"), "");
        // And what was set aside comes back too.
        sqlite.swap(&call("r2-restore"), "db", "r1-restore").await.unwrap();
        assert_eq!(sqlite.manifest(&call("r1-look"), "db", None).await.unwrap(), later);
        for step in ["r1-freeze", "r1-restore", "r1-other", "r2-restore"] {
            sqlite.discard(&call("r2-clean"), "db", step).await.unwrap();
        }
        assert!(bench.names("app.db.upgraded").is_empty(), "{:?}", bench.names("app.db"));
    }
}

/// The new version moved it away, or died in the midst of its own work on it.
#[tokio::test]
async fn what_takes_the_place_of_a_lost_or_damaged_database_is_fenced() {
    for (left, code) in [(None, "not-found"), (Some(vec![7_u8; 8192]), "damaged")] {
        let bench = Bench::new();
        let sqlite = sqlite(&bench);
        let live = bench.path("app.db");
        drop(furnish(&live, "delete"));
        let before = sqlite.manifest(&call("r1-look"), "db", None).await.unwrap();
        sqlite.freeze(&call("r1-freeze"), "db").await.unwrap();
        match &left {
            None => fs::remove_file(&live).unwrap(),
            Some(bytes) => fs::write(&live, bytes).unwrap(),
        }
        assert_eq!(sqlite.fence(&call("r1-fence"), "db").await.unwrap_err().code(), code);
        sqlite.swap(&call("r1-restore"), "db", "r1-freeze").await.unwrap();
        assert_eq!(sqlite.manifest(&call("r1-look"), "db", None).await.unwrap(), before);
        assert!(by_another(&live, "DELETE FROM people").contains("locked"), "{code}");
        sqlite.unfence(&call("r1-unfence"), "db").await.unwrap();
        assert_eq!(by_another(&live, "DELETE FROM people"), "", "{code}");
    }
}
