//! What preflight finds by trying: nothing is changed.

use upgraded_tests::{Cloud, Daemon};

#[test]
fn what_would_go_wrong_is_said_before_anything_is_touched() {
    let cloud = Cloud::new("1.4.0", "approve = \"never\"\n");
    let daemon = Daemon::start(&cloud).settled();
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
    let (plan, code) = daemon.upgradectl(&["plan", &cloud.name, "--to", "1.5.0"]);
    assert_eq!(code, Some(0), "{plan:#}");
    let said = plan.to_string();
    assert!(said.contains("on-demand backup of `tessallite`") && said.contains("is not drilled"), "{plan:#}");
    let made = cloud.google.exchanges().iter().filter(|exchange| exchange.request["traffic"].is_array()).count();
    assert_eq!(made, 0, "no service was changed");
    cloud.google.assert_held_to_the_documents();
}
