//! Somebody writes while nobody should: nothing that was written is lost, and the run says what it saw.

use rusqlite::Connection;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use upgraded_tests::{Cut, Daemon, Setup, Site, outcome, why};

/// Tells a writer to end, also where the test has failed.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn at_1_0_0() -> Site {
    Site::new(&Setup::default())
}

/// The fence of SQLite goes with the daemon; the mark is what gives a writer away.
#[test]
fn a_write_while_the_fence_was_down_turns_the_run_round() {
    let site = at_1_0_0();
    let daemon = Daemon::start(&site).settled();
    site.cut_at(Cut::Succeeded("freeze-main"));
    site.edit_version("1.1.0");
    daemon.dies();
    site.no_cut();
    site.notes(&["fill", "--notes", "1", "--uploads", "0"]);
    let written = site.checksums();

    let mut daemon = Daemon::start(&site);
    let now = daemon.end_of_run_to("1.1.0");
    assert_eq!(outcome(&now), "rolled-back", "{now:#}");
    assert!(why(&now).contains("somebody wrote to `main`"), "{now:#}");
    site.is_whole("1.0.0", Some(&written));
}

#[test]
fn a_writer_of_uploads_that_nobody_stopped_turns_the_run_round() {
    let site = at_1_0_0();
    let stray = site.home().join("data/uploads/stray.bin");
    let mut daemon = Daemon::start(&site).settled();
    let over = AtomicBool::new(false);
    let (now, last) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut number = 0_u64;
            while !over.load(Ordering::SeqCst) {
                number += 1;
                fs::write(&stray, number.to_string()).expect("a folder can't be fenced");
                std::thread::sleep(Duration::from_millis(2));
            }
            number
        });
        let ends = Ends(&over);
        site.edit_version("1.1.0");
        let now = daemon.end_of_run_to("1.1.0");
        drop(ends);
        (now, writer.join().expect("the writer"))
    });
    assert_eq!(outcome(&now), "rolled-back", "{now:#}");
    assert!(why(&now).contains("somebody wrote to `uploads`"), "{now:#}");
    assert_eq!(fs::read_to_string(&stray).expect("what was written last"), last.to_string());
    site.is_whole("1.0.0", None);
}

/// A script that nobody knows of: what the database took from it is there, what it did not take was refused.
#[test]
fn what_a_stray_writer_was_told_is_written_is_there_afterwards() {
    let site = at_1_0_0();
    let database = site.home().join("data/notes.db");
    let connection = Connection::open(&database).expect("the database");
    connection.execute_batch("CREATE TABLE stray (number INTEGER)").expect("a table of its own");
    connection.busy_timeout(Duration::ZERO).expect("no patience");
    let mut daemon = Daemon::start(&site).settled();
    let over = AtomicBool::new(false);
    let (now, told) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut told = Vec::new();
            for number in 0_i64.. {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                if connection.execute("INSERT INTO stray VALUES (?1)", [number]).is_ok() {
                    told.push(number);
                }
                std::thread::sleep(Duration::from_millis(3));
            }
            (told, connection)
        });
        let ends = Ends(&over);
        site.edit_version("1.1.0");
        let now = daemon.end_of_run_to("1.1.0");
        drop(ends);
        (now, writer.join().expect("the writer"))
    });
    let (told, connection) = told;
    assert_eq!(outcome(&now), "committed", "{now:#}");
    let mut query = connection.prepare("SELECT number FROM stray ORDER BY number").expect("the table");
    let there: Vec<i64> = query.query_map([], |row| row.get(0)).expect("rows").map(|row| row.expect("a row")).collect();
    assert_eq!(there, told);
    site.is_whole("1.1.0", None);
}
