//! What preflight finds by trying, and what a drill does: nothing is changed.

use crate::{failure, run_to};
use upgraded_tests::{Cloud, Daemon};

#[test]
fn what_would_go_wrong_is_said_before_anything_is_touched() {
    let cloud = Cloud::new("1.4.0", "approve = \"never\"\n");
    let mut daemon = Daemon::start(&cloud).settled();
    let refused = |parts: &[&str]| {
        let (answer, code) = daemon.upgradectl(&["plan", &cloud.name, "--to", "1.5.0"]);
        assert_ne!(code, Some(0), "{answer:#}");
        for part in parts {
            assert!(answer.to_string().contains(part), "`{part}`: {answer:#}");
        }
    };
    let with = |right: &str, wrong: &str, parts: &[&str]| {
        cloud.edit(|text| text.replacen(right, wrong, 1));
        refused(parts);
        cloud.edit(|text| text.replacen(wrong, right, 1));
    };
    refused(&["the registry has no image", "/tessallite/model-service:1.5.0", "/tessallite/gateway:1.5.0"]);
    cloud.publish("1.5.0");
    with(
        "region = \"europe-west1\"",
        "region = \"europe-west9\"",
        &["there is no service `model-service` in `europe-west9` of the project `acme`"],
    );
    with("\"optimizer\", \"sch", "\"sch", &["`optimizer`", "among `services` under `google`"]);
    with("instance = \"tessallite\"", "instance = \"tesselite\"", &["`tesselite`", "the nearest is `tessallite`"]);
    cloud.google.withdraw("run.services.update");
    refused(&["run.services.update"]);
    cloud.google.grant("run.services.update");
    let planned = || daemon.told(&["plan", &cloud.name, "--to", "1.5.0"]).to_string();
    let misnamed = cloud.home().join("gatway.env");
    std::fs::write(&misnamed, "PUBLIC_URL=https://models.example.com\n").expect("a file");
    let plan = planned();
    assert!(plan.contains("`gatway.env` is of no service") && plan.contains("`gateway.env` would be"), "{plan}");
    std::fs::remove_file(misnamed).expect("removed");
    let plan = planned();
    assert!(!plan.contains("is of no service"), "{plan}");
    assert!(plan.contains("on-demand backup of `tessallite`") && plan.contains("is not drilled"), "{plan}");
    assert!(plan.contains("whoever deletes `tessallite` deletes them with it"), "{plan}");

    cloud.ask_for_drills();
    let plan = planned();
    assert!(plan.contains("is drilled in a second instance as large as `tessallite`"), "{plan}");
    assert_eq!(cloud.calls("instances.insert"), 0, "a plan costs nothing");
    cloud.lose_rows_in_drills();
    let run = run_to(&mut daemon, "1.5.0", "refused");
    assert_eq!(failure(&run).0, "drill-main", "{}", failure(&run).1);
    let differs = "the backup of `main` restores to something else: `table/public.model_rows` is `0 0`";
    assert!(failure(&run).1.contains(differs), "{}", failure(&run).1);
    cloud.is_whole("1.4.0", None);
    let made = cloud.google.exchanges().iter().filter(|exchange| exchange.request["traffic"].is_array()).count();
    assert_eq!(made, 0, "no service was changed");
}
