//! Good releases and bad ones, one after the other, beside somebody else's pod.

use crate::{failure, folder, run_to};
use scratch_docker::PodmanSocket;
use upgraded_tests::{Aegis, Daemon};

/// Each backup is drilled, in a double of its server.
const POLICY: &str = "approve = \"never\"\ndrill = \"ahead\"\nidle = \"60s\"\n";

#[test]
fn aegis_goes_up_pod_by_pod_and_by_teardown_and_comes_back_from_bad_releases() {
    let folder = folder();
    let engine = PodmanSocket::start(folder.path());
    let aegis = Aegis::new(&engine, "0.1.0", "1.21.3", POLICY);
    let neighbour = aegis.neighbour();
    ["0.1.1", "0.1.2", "0.2.0"].iter().for_each(|version| aegis.publish(version));
    aegis.redeploy_by("aegis-secrets.service", "secrets");
    let (data, pods) = (aegis.data(), aegis.pods());
    let mut daemon = Daemon::start(&aegis).settled();

    // "Version Compatibility".
    let (answer, code) = daemon.upgradectl(&["plan", &aegis.name, "--to", "0.1.1"]);
    assert_ne!(code, Some(0), "{answer:#}");
    let said = answer.to_string();
    assert!(said.contains("0.1.1 needs `temporal/temporal` >=1.22, <1.24, and 1.21.3 runs"), "{said}");
    assert!(said.contains("the unit `aegis-secrets.service` starts the pods of `secrets`"), "{said}");
    aegis.set("TEMPORAL_IMAGE", &format!("{}/temporal:1.22.4", aegis.registry()));
    let (answer, code) = daemon.upgradectl(&["plan", &aegis.name, "--to", "0.1.1"]);
    assert_ne!(code, Some(0), "{answer:#}");
    assert!(answer.to_string().contains("`temporal` is something else than its file says"), "drift: {answer:#}");
    assert_eq!((aegis.data(), aegis.pods()), (data.clone(), pods), "nothing was touched");
    ["temporal", "secrets"].iter().for_each(|service| aegis.redeploy(service));

    // "Rolling Upgrade": the code alone.
    let database = container(&aegis, "aegis-database-postgres");
    let run = run_to(&mut daemon, "0.1.1", "committed");
    assert!(!run["findings"].to_string().contains("drill-on-server"), "{:#}", run["findings"]);
    let left = aegis.podman(&["ps", "--all", "--quiet", "--filter", "label=upgraded.drill"]);
    assert_eq!(left, "", "nothing is left of a drill");
    aegis.is_whole("0.1.1", &data);
    assert_eq!(container(&aegis, "aegis-database-postgres"), database, "the database's pod was not touched");
    assert!(aegis.bridge_was_told_its_address(), "names are found whichever pod comes or goes");

    // A migration during the core's start, behind the gate.
    run_to(&mut daemon, "0.1.2", "committed");
    let data = aegis.data();
    assert!(data.contains("column agents owner") && data.contains(",blue,"), "{data}");
    aegis.is_whole("0.1.2", &data);

    // "Full Teardown", with its named commands.
    run_to(&mut daemon, "0.2.0", "committed");
    let data = aegis.data();
    assert!(data.contains("column seals sealed_at"), "{data}");
    aegis.is_whole("0.2.0", &data);
    assert!(aegis.file("secrets/seal-key").is_file(), "secrets are bootstrapped");

    // "Rollback Procedure", with the data.
    aegis.append("violet");
    let (data, volumes) = (aegis.data(), aegis.volumes());
    for (version, step, why) in [
        ("0.2.1", "h0-verify", "the agents are not what the ledger says"),
        ("0.2.2", "h0-apply-main-0", "migrations failed: 0006_link_policies"),
        ("0.2.3", "h0-apply-main-1", "the policy `default` is not in the image"),
    ] {
        aegis.publish(version);
        let run = run_to(&mut daemon, version, "rolled-back");
        let (failed, said) = failure(&run);
        assert!(failed == step && said.contains(why), "{version}: {failed}: {said}");
        assert!(!said.contains("a-password"), "{said}");
        aegis.is_whole("0.2.0", &data);
        assert_eq!(aegis.volumes(), volumes);
    }
    assert_eq!(aegis.neighbours_state(), neighbour, "the pod beside");
}

fn container(aegis: &Aegis, name: &str) -> String {
    aegis.podman(&["inspect", "--format", "{{.Id}} {{.State.StartedAt}}", name])
}
