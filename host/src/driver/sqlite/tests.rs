//! Tests of sqlite.

mod fencing;

use super::*;
use crate::driver::beside::testing::{Bench, call, cancelled_soon, drill, names};
use crate::driver::trees::copy::properties_of;
use rusqlite::{Connection, ErrorCode};
use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

fn sqlite(bench: &Bench) -> Sqlite {
    Sqlite::new(BTreeMap::from([("db".into(), bench.path("app.db"))]), bench.vault.clone())
}

/// A database with a bit of everything; `mode`: its journal.
fn furnish(path: &Path, mode: &str) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = {mode};
             PRAGMA user_version = 7;
             CREATE TABLE people (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, born REAL, face BLOB);
             CREATE TABLE \"odd \"\"name\ttab\" (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID;
             CREATE TABLE sums (a INT, b INT, both INT GENERATED ALWAYS AS (a + b) VIRTUAL, kept INT AS (a * b) STORED);
             CREATE VIRTUAL TABLE notes USING fts5 (title, body);
             CREATE INDEX by_name ON people (name);
             CREATE VIEW adults AS SELECT * FROM people WHERE born < 2000;
             CREATE TRIGGER after_people AFTER INSERT ON people BEGIN SELECT 1; END;
             INSERT INTO people (name, born, face) VALUES ('Ada', 1815.5, x'00ff'), (NULL, NULL, NULL), ('Ada', 1815.5, x'00ff');
             INSERT INTO \"odd \"\"name\ttab\" VALUES (1, 'one'), ('1', 1.0);
             INSERT INTO sums (a, b) VALUES (1, 2), (3, 4);
             INSERT INTO notes VALUES ('first', 'the quick brown fox');"
        ))
        .unwrap();
    connection
}

fn names_of_people(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut select = connection.prepare("SELECT coalesce(name, '-') FROM people ORDER BY id").unwrap();
    select.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// Something beside the mode that belongs to the file.
fn note(path: &Path) {
    rustix::fs::lsetxattr(path, "user.note", b"kept", rustix::fs::XattrFlags::empty()).unwrap();
}

fn has_note(path: &Path) -> bool {
    properties_of(path).unwrap().attributes.contains_key(&b"user.note"[..])
}

fn journal_mode(path: &Path) -> String {
    Connection::open(path).unwrap().query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap()
}

/// Another process that has the database open: `sqlite3` itself, fed by a pipe.
struct Other(Child);

impl Other {
    fn new(path: &Path) -> Self {
        let mut command = Command::new("sqlite3");
        command.arg(path).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Self(command.spawn().expect("`sqlite3` is missing: `apt-get install sqlite3`, or `cargo xtask setup`"))
    }
    /// Feeds the statements and waits for the answer to the last one.
    fn say(&mut self, sql: &str) -> String {
        let input = self.0.stdin.as_mut().unwrap();
        writeln!(input, "{sql};\n.print done").unwrap();
        input.flush().unwrap();
        let mut said = String::new();
        let output = self.0.stdout.as_mut().unwrap();
        while !said.ends_with("done\n") {
            let mut byte = [0];
            output.read_exact(&mut byte).unwrap();
            said.push(char::from(byte[0]));
        }
        said.trim_end_matches("done\n").into()
    }
    /// As a crash does: nothing is closed.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// One statement by another process; what it said on its error stream.
fn by_another(path: &Path, sql: &str) -> String {
    let run = Command::new("sqlite3").arg(path).arg(sql).output().expect("`sqlite3` is missing: `cargo xtask setup`");
    String::from_utf8_lossy(&run.stderr).into_owned()
}

#[tokio::test]
async fn a_live_database_is_saved_and_comes_back() {
    for mode in ["wal", "delete"] {
        let bench = Bench::new();
        let sqlite = sqlite(&bench);
        let live = bench.path("app.db");
        let app = furnish(&live, mode);
        note(&live);
        let manifest = sqlite.manifest(&call("r1-look"), "db", None).await.unwrap();
        let (key, saved) = sqlite.save(&call("r1-backup"), "db", None).await.unwrap();
        assert_eq!((key.as_str(), &saved), ("shop/r1-backup/main/db", &manifest));
        assert_eq!(bench.names("app.db.upgraded"), Vec::<String>::new());

        app.execute_batch("DELETE FROM people; DROP TABLE sums; INSERT INTO people (name) VALUES ('new')").unwrap();
        let changed = sqlite.manifest(&call("r1-look"), "db", None).await.unwrap();
        drop(app);
        for _ in 0..2 {
            sqlite.put_back(&call("r1-restore"), "db", &key).await.unwrap();
            assert_eq!(sqlite.manifest(&call("r1-look"), "db", None).await.unwrap(), manifest, "{mode}");
            assert!(has_note(&live), "{mode}");
        }
        assert_eq!(sqlite.manifest(&call("r1-look"), "db", Some("r1-restore")).await.unwrap(), changed);
        assert_eq!(names_of_people(&live), ["Ada", "-", "Ada"]);
        assert_eq!(journal_mode(&live), mode);
        assert_eq!(sqlite.check(&call("r1-look"), "db", None).await.unwrap(), Vec::<String>::new());
        // The bytes in the vault are a database that anybody opens.
        let plain = bench.path("plain.db");
        fs::write(&plain, bench.vault.read_bytes(&key).unwrap()).unwrap();
        assert_eq!(names_of_people(&plain), ["Ada", "-", "Ada"]);
    }
}

#[tokio::test]
async fn a_manifest_says_what_is_in_it() {
    let bench = Bench::new();
    let sqlite = sqlite(&bench);
    let app = furnish(&bench.path("app.db"), "wal");
    let look = async || sqlite.manifest(&call("r1-look"), "db", None).await.unwrap();
    let first = look().await;
    for start in [
        "pragma:user_version\t1\t7\n",
        "schema:index:by_name\t1\t",
        "schema:view:adults\t1\t",
        "schema:trigger:after_people\t1\t",
        "schema:table:notes\t1\t",
        "table:people\t3\t",
        "table:sqlite_sequence\t1\t",
        "table:odd \"name%09tab\t2\t",
        "table:sums\t2\t",
        "table:notes_content\t1\t",
    ] {
        assert!(first.contains(start), "{start:?} in\n{first}");
    }
    assert!(!first.contains("\ntable:notes\t"));
    assert!(first.lines().is_sorted());
    // The order of rows is no difference; types, values and counts are.
    app.execute_batch("CREATE TABLE bag (x); INSERT INTO bag VALUES (1), (2), ('2')").unwrap();
    let bag = look().await;
    app.execute_batch("DELETE FROM bag; INSERT INTO bag VALUES ('2'), (1), (2)").unwrap();
    assert_eq!(look().await, bag);
    for change in
        ["UPDATE bag SET x = 2.0 WHERE x = 2", "DELETE FROM bag WHERE typeof(x) = 'text'", "CREATE INDEX i ON bag (x)"]
    {
        let before = look().await;
        app.execute_batch(change).unwrap();
        assert_ne!(look().await, before, "{change}");
    }
}

/// The application was killed: its last writes are in a log that nobody brought over.
#[tokio::test]
async fn a_log_that_was_left_belongs_to_what_is_set_aside() {
    let bench = Bench::new();
    let sqlite = sqlite(&bench);
    let live = bench.path("app.db");
    let other = || {
        let mut other = Other::new(&live);
        other.say("PRAGMA wal_autocheckpoint = 0; INSERT INTO people (name) VALUES ('late')");
        other.kill();
        assert!(fs::metadata(bench.path("app.db-wal")).unwrap().len() > 0);
    };
    drop(furnish(&live, "wal"));
    let (key, before) = sqlite.save(&call("r1-backup"), "db", None).await.unwrap();
    other();
    let mark = sqlite.mark(&call("r1-look"), "db").await.unwrap();
    let late = sqlite.manifest(&call("r1-look"), "db", None).await.unwrap();
    assert_ne!(late, before);
    assert_eq!(sqlite.mark(&call("r1-look"), "db").await.unwrap(), mark, "reading a log is no write");
    assert_eq!(sqlite.save(&call("r2-backup"), "db", None).await.unwrap().1, late, "a log's writes are saved");

    sqlite.put_back(&call("r2-restore"), "db", &key).await.unwrap();
    assert_eq!(sqlite.manifest(&call("r2-look"), "db", None).await.unwrap(), before);
    assert_eq!(names_of_people(&live), ["Ada", "-", "Ada"]);
    assert_eq!(sqlite.manifest(&call("r2-look"), "db", Some("r2-restore")).await.unwrap(), late);
    // A log that was left without its database, or beside a restore that was cut, is not applied to another one.
    other();
    fs::rename(&live, bench.path("app.db.upgraded-r3-restore")).unwrap();
    fs::write(bench.path("app.db.upgraded-r3-restore.new"), bench.vault.read_bytes(&key).unwrap()).unwrap();
    sqlite.put_back(&call("r3-restore"), "db", &key).await.unwrap();
    assert_eq!(names_of_people(&live), ["Ada", "-", "Ada"]);
    assert_eq!(sqlite.manifest(&call("r3-look"), "db", None).await.unwrap(), before);
    assert_eq!(sqlite.manifest(&call("r3-look"), "db", Some("r3-restore")).await.unwrap(), late);
}

/// In a rollback journal: what a killed writer left half done is rolled back, live and in what was set aside.
#[tokio::test]
async fn a_hot_journal_is_rolled_back() {
    let bench = Bench::new();
    let sqlite = sqlite(&bench);
    let live = bench.path("app.db");
    drop(furnish(&live, "delete"));
    let before = sqlite.manifest(&call("r1-look"), "db", None).await.unwrap();
    let crash = || {
        let mut other = Other::new(&live);
        other.say("PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN; CREATE TABLE big (x)");
        other.say("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO big SELECT randomblob(500) FROM n");
        other.kill();
        assert!(fs::metadata(bench.path("app.db-journal")).unwrap().len() > 0);
    };
    crash();
    let (key, saved) = sqlite.save(&call("r1-backup"), "db", None).await.unwrap();
    assert_eq!(saved, before);
    crash();
    sqlite.put_back(&call("r1-restore"), "db", &key).await.unwrap();
    assert_eq!(sqlite.manifest(&call("r1-look"), "db", None).await.unwrap(), before);
    assert_eq!(sqlite.manifest(&call("r1-look"), "db", Some("r1-restore")).await.unwrap(), before);
}

/// Each transaction moves an amount between two rows: a copy of one moment has the same sum always.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_written_to_is_saved_as_of_one_moment() {
    for mode in ["wal", "delete"] {
        let bench = Bench::new();
        let sqlite = sqlite(&bench);
        let live = bench.path("app.db");
        let app = furnish(&live, mode);
        app.execute_batch(
            "CREATE TABLE money (id INTEGER PRIMARY KEY, amount INT, filler BLOB);
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)
             INSERT INTO money SELECT i, 100, randomblob(1000) FROM n",
        )
        .unwrap();
        let stop = std::sync::Arc::new(AtomicBool::new(false));
        let writer = std::thread::spawn({
            let stop = stop.clone();
            move || {
                app.busy_timeout(Duration::from_secs(60)).unwrap();
                let mut moved = 0_u64;
                while !stop.load(SeqCst) {
                    let (a, b) = (moved * 7919 % 6000 + 1, moved * 104_729 % 6000 + 1);
                    let sql = format!(
                        "BEGIN IMMEDIATE; UPDATE money SET amount = amount - 1 WHERE id = {a}; UPDATE money SET amount = amount + 1 WHERE id = {b}; COMMIT"
                    );
                    app.execute_batch(&sql).unwrap();
                    moved += 1;
                }
                moved
            }
        });
        for number in 0..3 {
            let (key, manifest) = sqlite.save(&call(&format!("r{number}-backup")), "db", None).await.unwrap();
            let root = bench.path(&format!("scratch/{number}"));
            let there = drill(&format!("r{number}-drill"), &root);
            sqlite.put_back(&there, "db", &key).await.unwrap();
            assert_eq!(sqlite.manifest(&there, "db", None).await.unwrap(), manifest);
            assert_eq!(names(&root, "db"), ["db", format!("db.upgraded-r{number}-drill.none").as_str()]);
            let double = Connection::open(root.join("db")).unwrap();
            let sum: i64 = double.query_row("SELECT sum(amount) FROM money", [], |row| row.get(0)).unwrap();
            assert_eq!(sum, 600_000, "{mode}");
            assert_eq!(sqlite.check(&there, "db", None).await.unwrap(), Vec::<String>::new());
        }
        stop.store(true, SeqCst);
        assert!(writer.join().unwrap() > 0);
    }
}

#[tokio::test]
async fn damage_and_broken_references_are_findings() {
    let bench = Bench::new();
    let sqlite = sqlite(&bench);
    let live = bench.path("app.db");
    let missing = sqlite.check(&call("r1-look"), "db", None).await.unwrap_err();
    assert!(matches!(missing, VerbError::NotFound(_)), "{missing}");
    let app = furnish(&live, "wal");
    app.execute_batch(
        "PRAGMA foreign_keys = OFF; CREATE TABLE child (of INT REFERENCES people (id)); INSERT INTO child VALUES (99)",
    )
    .unwrap();
    let found = sqlite.check(&call("r1-look"), "db", None).await.unwrap();
    assert_eq!(found, ["reference: row 1 of `child` refers to a row of `people` that is not there"]);
    app.execute_batch("CREATE TABLE odd (of INT REFERENCES people (name)); INSERT INTO odd VALUES (1)").unwrap();
    let found = sqlite.check(&call("r1-look"), "db", None).await.unwrap();
    assert!(found[0].starts_with("reference: foreign keys can't be checked: "), "{found:?}");
    drop(app);
    let mut bytes = fs::read(&live).unwrap();
    for byte in &mut bytes[4096 + 8..4096 + 200] {
        *byte = 0x55;
    }
    fs::write(&live, &bytes).unwrap();
    assert!(!sqlite.check(&call("r1-look"), "db", None).await.unwrap().is_empty());
    fs::write(
        &live,
        b"this is no database, and longer than a header of one hundred bytes, so that SQLite looks at it and sees that",
    )
    .unwrap();
    let found = sqlite.check(&call("r1-look"), "db", None).await.unwrap();
    assert!(found[0].contains("not a database"), "{found:?}");
}

#[tokio::test]
async fn a_database_that_did_not_exist_does_not_exist_again() {
    let bench = Bench::new();
    let sqlite = sqlite(&bench);
    let live = bench.path("app.db");
    let (key, manifest) = sqlite.save(&call("r1-backup"), "db", None).await.unwrap();
    assert_eq!(manifest, "database\t0\tabsent\n");
    sqlite.freeze(&call("r1-freeze"), "db").await.unwrap();
    drop(furnish(&live, "wal"));
    sqlite.swap(&call("r1-restore"), "db", "r1-freeze").await.unwrap();
    assert!(look(&live).unwrap().is_none());
    drop(furnish(&live, "wal"));
    sqlite.put_back(&call("r2-restore"), "db", &key).await.unwrap();
    assert!(look(&live).unwrap().is_none());
    assert_eq!(sqlite.manifest(&call("r2-look"), "db", None).await.unwrap(), manifest);
}

#[tokio::test]
async fn a_cancelled_save_leaves_nothing_and_a_crashed_one_is_cleared_away() {
    let bench = Bench::new();
    let sqlite = sqlite(&bench);
    drop(furnish(&bench.path("app.db"), "wal"));
    fs::write(bench.path("app.db.upgraded-save"), "half a copy").unwrap();
    let error = sqlite.save(&cancelled_soon("r1-backup"), "db", None).await.unwrap_err();
    assert_eq!(error, VerbError::Cancelled);
    assert!(bench.vault.list("").unwrap().is_empty());
    assert!(bench.names("app.db.upgraded").is_empty());
    sqlite.save(&call("r1-backup"), "db", None).await.unwrap();
}

#[test]
fn a_restore_that_is_cut_anywhere_ends_when_repeated() {
    let bench = Bench::new();
    let activity = crate::activity::Activity::silent();
    let key = "shop/r1-backup/main/db";
    let place = |root: &Path| Place { name: "db".into(), live: root.join("app.db") };
    let fresh = |name: String| {
        let root = bench.path(&name);
        fs::create_dir_all(&root).unwrap();
        drop(furnish(&root.join("app.db"), "wal"));
        root
    };
    let source = fresh("source".into());
    save(&place(&source), None, &bench.vault, key, &Pulse::new(&activity)).unwrap();
    for verb in ["put-back", "swap"] {
        for cut in 0.. {
            assert!(cut < 100, "{verb} never ends");
            let root = fresh(format!("{verb}-{cut}"));
            if verb == "swap" {
                freeze(&place(&root), "r1-freeze", &Pulse::new(&activity)).unwrap();
            }
            // A log is left, with writes that are nowhere else.
            let mut other = Other::new(&root.join("app.db"));
            other.say("PRAGMA wal_autocheckpoint = 0; INSERT INTO people (name) VALUES ('late')");
            other.kill();
            let run = |pulse: &Pulse| match verb {
                "swap" => put_frozen(&place(&root), "r1-freeze", "r1-restore", pulse),
                _ => put_back(&place(&root), &bench.vault, key, "r1-restore", pulse),
            };
            let pulse = Pulse::new(&activity);
            pulse.cuts.store(cut, SeqCst);
            let first = run(&pulse);
            // The host that comes after the crash restores the fence before anything else.
            fence::release(&root.join("app.db"));
            take_fence(&place(&root), &Pulse::new(&activity)).unwrap();
            for _ in 0..2 {
                run(&Pulse::new(&activity)).unwrap();
                let locked = by_another(&root.join("app.db"), "DELETE FROM people").contains("locked");
                assert!(locked, "{verb} cut at {cut}: the fence holds what came into place");
            }
            fence::release(&root.join("app.db"));
            assert_eq!(names_of_people(&root.join("app.db")), ["Ada", "-", "Ada"], "{verb} cut at {cut}");
            let aside = root.join("app.db.upgraded-r1-restore");
            assert_eq!(names_of_people(&aside), ["Ada", "-", "Ada", "late"], "{verb} cut at {cut}");
            if first.is_ok() {
                assert!(cut > 4, "{verb} was never cut");
                break;
            }
        }
    }
}

#[test]
fn a_locked_database_is_worth_another_try() {
    let busy =
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error { code: ErrorCode::DatabaseBusy, extended_code: 5 }, None);
    let error: VerbError = Err::<(), _>(busy).of(Path::new("/app.db")).unwrap_err();
    assert!(error.retryable(), "{error}");
}
