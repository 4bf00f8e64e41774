//! Pods of an ordinary user's podman: no route leads to their addresses, their bridges are in a network of the user's own,
//! and their volumes belong to users whom this machine doesn't know.

use crate::{failure, folder, run_to};
use scratch_docker::PodmanSocket;
use upgraded_tests::{Aegis, Daemon};

const POLICY: &str = "approve = \"never\"\ndrill = \"ahead\"\nidle = \"120s\"\n";

#[test]
fn pods_of_an_ordinary_user_go_up_and_come_back() {
    let folder = folder();
    let engine = PodmanSocket::rootless(folder.path());
    let aegis = Aegis::new(&engine, "0.1.0", "1.22.4", POLICY);
    ["0.1.1", "0.2.0", "0.2.1"].iter().for_each(|version| aegis.publish(version));
    assert_eq!(aegis.podman(&["info", "--format", "{{.Host.Security.Rootless}}"]), "true");
    let data = aegis.data();
    let mut daemon = Daemon::start(&aegis).settled();

    // Pod by pod, after a drill in a double of the server.
    let run = run_to(&mut daemon, "0.1.1", "committed");
    assert!(!run["findings"].to_string().contains("drill-on-server"), "{:#}", run["findings"]);
    aegis.is_whole("0.1.1", &data);
    assert!(aegis.bridge_was_told_its_address(), "names are found whichever pod comes or goes");

    // All pods anew, and migrations.
    aegis.edit(|text| text.replace("drill = \"ahead\"", "drill = \"off\""));
    run_to(&mut daemon, "0.2.0", "committed");
    let data = aegis.data();
    assert!(data.contains("column seals sealed_at") && data.contains(",blue,"), "{data}");
    aegis.is_whole("0.2.0", &data);

    aegis.append("violet");
    let (data, volumes) = (aegis.data(), aegis.volumes());
    let run = run_to(&mut daemon, "0.2.1", "rolled-back");
    let (step, said) = failure(&run);
    assert!(step == "h0-verify" && said.contains("the agents are not what the ledger says"), "{step}: {said}");
    aegis.is_whole("0.2.0", &data);
    assert_eq!(aegis.volumes(), volumes);
}
