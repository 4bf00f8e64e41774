//! A release that brings another version of the database's server, for which the published way is another image's tag.

use crate::{folder, rehearsing_alone};
use scratch_docker::PodmanSocket;
use upgraded_tests::{Aegis, Daemon, beside, last_run, outcome};

const POLICY: &str = "approve = \"never\"\ndrill = \"off\"\nidle = \"180s\"\n";

/// "Third-Party Component Upgrades: PostgreSQL", by a release that comes with it. The daemon is killed while the new server
/// is made, and the operator cancels the run; then it goes up, and, after users were let in, back by hand.
#[test]
fn another_postgresql_gets_the_data_and_gives_it_back() {
    let folder = folder();
    let engine = PodmanSocket::start(folder.path());
    let aegis = Aegis::new(&engine, "0.2.0", "1.22.4", POLICY);
    aegis.publish("0.2.4");
    aegis.add_reader();
    let (data, read, kept_in) = (aegis.data(), aegis.read(), aegis.database_folder());
    assert!(read.starts_with("15|9MB|"), "{read}");
    let mut daemon = Daemon::start(&aegis).settled();
    let alone = rehearsing_alone();
    daemon.rehearsed("0.2.4");
    drop(alone);
    assert_eq!((aegis.read(), beside(&kept_in)), (read.clone(), Vec::new()), "nothing live is another");
    let (mut daemon, now) = daemon.cancelled_while_carrying(&kept_in, "0.2.4");
    assert_eq!(outcome(&now), "rolled-back", "{now:#}\n{}", aegis.log());
    aegis.is_whole("0.2.0", &data);
    assert_eq!((aegis.read(), beside(&kept_in)), (read.clone(), Vec::new()));

    daemon.told(&["retry", &aegis.name]);
    let now = daemon.end_of_run_after(last_run(&now));
    assert_eq!(outcome(&now), "committed", "{now:#}\n{}", aegis.log());
    aegis.is_whole("0.2.4", &data);
    assert_eq!((aegis.read(), beside(&kept_in)), (read.replacen("15", "17", 1), Vec::new()));

    aegis.append("indigo");
    daemon.told(&["rollback", &aegis.name, "--yes"]);
    let now = daemon.end_of_run_after(last_run(&now));
    assert_eq!(outcome(&now), "rolled-back", "{now:#}\n{}", aegis.log());
    aegis.is_whole("0.2.0", &data);
    assert_eq!(aegis.read(), read);
    let kept = beside(&kept_in);
    let [kept] = &kept[..] else { panic!("what was written since is kept: {kept:?}") };
    assert_eq!(std::fs::read_to_string(kept.join("PG_VERSION")).expect("a server's data").trim(), "17");
}
