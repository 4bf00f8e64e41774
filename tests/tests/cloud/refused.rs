//! What preflight finds by trying: nothing is changed, and users notice nothing.

use upgraded_tests::{Cloud, Daemon, outcome, why};

#[test]
fn what_would_go_wrong_is_said_before_anything_is_touched() {
    let cloud = Cloud::new("1.4.0", "approve = \"never\"\n");
    let mut daemon = Daemon::start(&cloud).settled();
    let patches = || cloud.google.exchanges().iter().filter(|e| e.request["traffic"].is_array()).count();
    let mut run = 0;
    let mut refused = |daemon: &mut Daemon, parts: &[&str]| {
        run += 1;
        let now = daemon.end_of_run_after(run - 1);
        assert_eq!(outcome(&now), "refused", "{now:#}");
        for part in parts {
            assert!(why(&now).contains(part), "`{part}`: {}", why(&now));
        }
    };
    cloud.edit_version("1.5.0");
    refused(&mut daemon, &["the registry has no image", "model-service:1.5.0", "gateway:1.5.0"]);
    cloud.publish("1.5.0");
    cloud.edit(|text| text.replace("region = \"europe-west1\"", "region = \"europe-west9\""));
    refused(&mut daemon, &["`europe-west9`"]);
    cloud.edit(|text| text.replace("region = \"europe-west9\"", "region = \"europe-west1\""));
    daemon.end_of_run_to("1.5.0");
    assert!(patches() > 0);
}
