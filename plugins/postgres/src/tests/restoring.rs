//! What was there comes back: rows, objects, owners, grants, settings.

use super::bench::{Bench, Host};
use super::{dress, dressing, rich};
use crate::copies::{backup, discard, freeze, manifest};
use crate::fence::{fence, unfence};
use crate::manifest::difference;
use crate::names::Names;
use crate::restore::{from_backup, from_frozen};
use upgraded::driver::postgres::{derived_prefix, scratch_name};
use upgraded_sdk::Error;

/// A migration that goes wrong in every way.
const MIGRATED: &str = "DROP TABLE ledger.part; UPDATE ledger.entry SET status = 'old'; SELECT nextval('tally'); \
    CREATE TABLE news (x int); DROP MATERIALIZED VIEW ledger.unfilled; SELECT lo_unlink(4711)";

/// A parent's column that came later, a key into partitions, a trigger on them, a range, an index that is to be invalid.
const GROWN: &str = "CREATE TABLE parent (z int); CREATE TABLE child (own text) INHERITS (parent); \
    ALTER TABLE parent ADD later int; INSERT INTO child VALUES (1, 'one', 2), (3, NULL, 4); \
    CREATE INDEX unfinished ON child (own); CREATE TYPE spans AS RANGE (subtype = int); \
    CREATE TABLE keyed (k int PRIMARY KEY) PARTITION BY RANGE (k); \
    CREATE TABLE keyed_1 PARTITION OF keyed FOR VALUES FROM (0) TO (10); \
    CREATE TABLE keyed_2 PARTITION OF keyed FOR VALUES FROM (10) TO (20); \
    CREATE TABLE refers (k int REFERENCES keyed); INSERT INTO keyed VALUES (11); INSERT INTO refers VALUES (11); \
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
    CREATE TRIGGER touched BEFORE UPDATE ON keyed FOR EACH ROW EXECUTE FUNCTION touch()";

fn live(bench: &Bench) -> String {
    manifest(&bench.host("r1-look"), &bench.names("r1-look"), None).expect("counted")
}

fn fenced(bench: &Bench) {
    fence(&bench.host("r1-fence"), &bench.names("r1-fence")).expect("fenced");
}

fn opened(bench: &Bench) {
    unfence(&bench.host("r1-unfence"), &bench.names("r1-unfence")).expect("open");
}

fn step(bench: &Bench, step: &str) -> (Host, Names) {
    (bench.host(step), bench.names(step))
}

fn same(expected: &str, found: &str) {
    assert_eq!(difference(expected, found), None);
}

#[test]
fn a_frozen_copy_is_the_database_and_swaps_back() {
    for bench in [Bench::new("frozen"), Bench::owned("frozen_owned")] {
        rich(&bench);
        dress(&bench);
        let (before, dressed) = (live(&bench), dressing(&bench, &bench.database));
        fenced(&bench);
        let (host, names) = step(&bench, "r1-freeze-main");
        assert_eq!(freeze(&host, &names), Ok(true));
        assert_eq!(freeze(&host, &names), Ok(true));
        same(&before, &manifest(&host, &names, Some("r1-freeze-main")).expect("counted"));
        let copy = names.copy("r1-freeze-main");
        assert!(
            bench.cluster.try_sql("postgres", &copy, "SELECT 1").is_err_and(|e| e.contains("not currently accepting"))
        );
        opened(&bench);
        bench.as_app(MIGRATED).expect("migrated");

        fenced(&bench);
        let (host, names) = step(&bench, "r1-restore-main");
        from_frozen(&host, &names, "r1-freeze-main").expect("swapped");
        // The fence stays as it was.
        assert!(bench.as_app("SELECT 1").is_err());
        from_frozen(&host, &names, "r1-freeze-main").expect("converges");
        opened(&bench);
        same(&before, &live(&bench));
        assert_eq!(dressing(&bench, &bench.database), dressed);
        assert_eq!(bench.as_app("SHOW work_mem"), Ok("9MB".into()));
        assert_eq!(bench.copies(), [names.copy("r1-restore-main")]);

        // What was set aside can be read, and brought back.
        let aside = manifest(&host, &names, Some("r1-restore-main")).expect("counted");
        assert!(before.contains("table/ledger.part_1") && !aside.contains("table/ledger.part_1"));
        let (host, names) = step(&bench, "r2-restore-main");
        from_frozen(&host, &names, "r1-restore-main").expect("forth again");
        same(&aside, &live(&bench));
        assert_eq!(dressing(&bench, &bench.database), dressed);
        for made in ["r1-restore-main", "r2-restore-main", "r2-restore-main"] {
            discard(&host, &names, made).expect("dropped");
        }
        assert_eq!(bench.copies(), Vec::<String>::new());
    }
}

#[test]
fn of_a_copy_small_tables_are_read_and_large_ones_counted() {
    let bench = Bench::new("large");
    bench.sql("CREATE TABLE large AS SELECT n, repeat('x', 1000) AS text FROM generate_series(1, 70000) n");
    bench.sql("CREATE TABLE small AS SELECT 1 AS n");
    let before = live(&bench);
    fenced(&bench);
    let (host, names) = step(&bench, "r1-freeze-main");
    assert_eq!(freeze(&host, &names), Ok(true));
    let copy = manifest(&host, &names, Some("r1-freeze-main")).expect("counted");
    let line = |manifest: &str, table: &str| {
        let id = format!("table/public.{table}\t");
        manifest.lines().find(|line| line.starts_with(&id)).expect("a table").to_owned()
    };
    assert_eq!(line(&copy, "large"), "table/public.large\t70000\t*");
    assert_eq!(line(&copy, "small"), line(&before, "small"));
    same(&copy, &before);
}

/// As after a move of the server to a newer system, or of its image's tag.
#[test]
fn a_database_that_was_made_by_other_collations_is_copied_too() {
    let bench = Bench::new("collated");
    bench.sql("CREATE TABLE t (x text); INSERT INTO t VALUES ('a')");
    bench.server_sql("UPDATE pg_database SET datcollversion = '0.1' WHERE datname = 'collated'");
    let before = live(&bench);
    fenced(&bench);
    let (host, names) = step(&bench, "r1-freeze-main");
    assert_eq!(freeze(&host, &names), Ok(true));
    same(&before, &manifest(&host, &names, Some("r1-freeze-main")).expect("counted"));
}

#[test]
fn a_used_up_frozen_copy_counts_until_somebody_writes() {
    let bench = Bench::new("used");
    rich(&bench);
    fenced(&bench);
    let (host, names) = step(&bench, "r1-freeze-main");
    freeze(&host, &names).expect("frozen");
    opened(&bench);
    bench.as_app(MIGRATED).expect("migrated");
    let (host, names) = step(&bench, "r1-restore-main-0");
    from_frozen(&host, &names, "r1-freeze-main").expect("swapped, without a fence");
    let before = live(&bench);
    bench.as_app("SELECT count(*) FROM ledger.entry").expect("read");
    bench.sql("ANALYZE");

    // The next rung of the way back asks for the same bytes, once open, once fenced.
    let (host, names) = step(&bench, "r1-restore-main-1");
    from_frozen(&host, &names, "r1-freeze-main").expect("it is live");
    fenced(&bench);
    from_frozen(&host, &names, "r1-freeze-main").expect("it is live");
    assert!(bench.as_app("SELECT 1").is_err());
    opened(&bench);
    same(&before, &live(&bench));

    bench.as_app("DELETE FROM hot").expect("written");
    let refused = from_frozen(&host, &names, "r1-freeze-main").expect_err("no longer");
    assert!(matches!(&refused, Error::Conflict(text) if text.contains("written to since")), "{}", refused.text());
    let refused = from_frozen(&host, &names, "r0-freeze-main").expect_err("never was");
    assert!(matches!(refused, Error::NotFound(_)));
}

#[test]
fn a_backup_is_of_one_snapshot_and_comes_back() {
    for bench in [Bench::new("saved"), Bench::owned("saved_owned")] {
        rich(&bench);
        dress(&bench);
        let (host, names) = step(&bench, "r1-backup-ahead-main");
        let saved = backup(&host, &names, None).expect("saved");
        same(&saved.manifest, &live(&bench));
        let dressed = dressing(&bench, &bench.database);

        bench.as_app(MIGRATED).expect("migrated");
        fenced(&bench);
        let (host, names) = step(&bench, "r1-restore-main");
        from_backup(&host, &names, &saved).expect("restored");
        from_backup(&host, &names, &saved).expect("converges");
        assert!(bench.as_app("SELECT 1").is_err());
        opened(&bench);
        same(&saved.manifest, &live(&bench));
        assert_eq!(dressing(&bench, &bench.database), dressed);
        assert_eq!(bench.copies(), [names.copy("r1-restore-main")]);
        let owners = bench.sql("SELECT DISTINCT relowner::regrole FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'ledger'");
        assert_eq!(owners, bench.app());
        bench
            .as_app("INSERT INTO ledger.entry (amount) VALUES (1); INSERT INTO ledger.part VALUES (5, 'x')")
            .expect("works");
    }
}

#[test]
fn what_a_restore_orders_anew_is_no_difference() {
    const COLUMNS: &str = "SELECT string_agg(attname::text, ' ' ORDER BY attnum) FROM pg_attribute \
        WHERE attrelid = 'child'::regclass AND attnum > 0";
    let bench = Bench::new("grown");
    bench.as_app(GROWN).expect("made by the application");
    bench.as_app("ALTER TABLE keyed DETACH PARTITION keyed_1; DROP TABLE keyed_1").expect("dropped");
    bench.sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'unfinished'::regclass");
    assert_eq!(bench.sql(COLUMNS), "z own later");
    let (host, names) = step(&bench, "r1-backup-ahead-main");
    let saved = backup(&host, &names, None).expect("saved");
    let (host, names) = step(&bench, "r1-restore-main");
    from_backup(&host, &names, &saved).expect("restored");
    assert_eq!(bench.sql(COLUMNS), "z later own");
    same(&saved.manifest, &live(&bench));
    bench.sql("UPDATE child SET own = 'two' WHERE z = 1");
    let differs = difference(&saved.manifest, &live(&bench));
    assert!(differs.as_deref().is_some_and(|text| text.contains("table/public.child")), "{differs:?}");
}

#[test]
fn a_backup_of_a_frozen_copy_restores_where_live_is_gone() {
    let bench = Bench::new("gone");
    rich(&bench);
    dress(&bench);
    let (before, dressed) = (live(&bench), dressing(&bench, "gone"));
    fenced(&bench);
    let (host, names) = step(&bench, "r1-freeze-main");
    freeze(&host, &names).expect("frozen");
    let (host, names) = step(&bench, "r1-backup-final-main");
    let saved = backup(&host, &names, Some("r1-freeze-main")).expect("saved");
    same(&before, &saved.manifest);
    bench.server_sql("DROP DATABASE gone");
    let (host, names) = step(&bench, "r1-restore-main");
    from_backup(&host, &names, &saved).expect("restored");
    same(&before, &live(&bench));
    assert_eq!(dressing(&bench, "gone"), dressed);
}

#[test]
fn a_drill_restores_beside_and_touches_nothing() {
    let bench = Bench::new("drilling");
    rich(&bench);
    dress(&bench);
    let (host, names) = step(&bench, "r1-backup-ahead-main");
    let saved = backup(&host, &names, None).expect("saved");
    let name = scratch_name(std::path::Path::new("shop/r1-drill-main"));
    let (host, names) = (bench.drill("r1-drill-main", &name), Names::new(&name, "r1-drill-main"));
    from_backup(&host, &names, &saved).expect("restored");
    same(&saved.manifest, &manifest(&host, &names, None).expect("counted"));
    same(&saved.manifest, &live(&bench));
    let made = bench.server_sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'upgraded_drill_%'");
    assert_eq!(made, "1");
    assert!(names.making().starts_with(&derived_prefix(&name)));
}

#[test]
fn bytes_that_restore_to_something_else_are_refused_and_live_stays() {
    let bench = Bench::new("falsified");
    rich(&bench);
    let (host, names) = step(&bench, "r1-backup-ahead-main");
    let mut saved = backup(&host, &names, None).expect("saved");
    saved.manifest = saved.manifest.replace("sequence/public.tally\t1\t5 called", "sequence/public.tally\t1\t6 called");
    let (host, names) = step(&bench, "r1-restore-main");
    let refused = from_backup(&host, &names, &saved).expect_err("differs");
    assert!(refused.text().contains("sequence/public.tally"), "{}", refused.text());
    assert_eq!(bench.as_app("SELECT count(*) FROM ledger.entry"), Ok("3000".into()));
}

/// An archive of 14 or older says nothing of `public`, as the one here says nothing of what came later.
#[test]
fn the_schema_that_every_database_has_is_whose_it_was() {
    const OF_14: &str = "ALTER SCHEMA public OWNER TO postgres; GRANT CREATE ON SCHEMA public TO PUBLIC; \
        GRANT USAGE ON SCHEMA public TO pg_monitor WITH GRANT OPTION";
    for (bench, may) in [(Bench::new("of_14"), true), (Bench::owned("of_14_owned"), false)] {
        bench.as_app("CREATE TABLE t (x int); INSERT INTO t VALUES (1)").expect("made by the application");
        let (host, names) = step(&bench, "r1-backup-ahead-main");
        let mut saved = backup(&host, &names, None).expect("saved");
        bench.sql(OF_14);
        saved.manifest = live(&bench);
        let (host, names) = step(&bench, "r1-restore-main");
        let restored = from_backup(&host, &names, &saved);
        if may {
            restored.expect("restored");
            assert_eq!(bench.copies(), [names.copy("r1-restore-main")]);
        } else {
            let refused = restored.expect_err("nobody gives to a role that he is no member of");
            assert!(refused.text().contains("-database/public 1"), "{}", refused.text());
        }
        same(&saved.manifest, &live(&bench));
    }
}
