//! One deployment with a release and a Compose project: a failure on the last of them turns both round.

use crate::run_to;
use upgraded_tests::{Cluster, Daemon, Image, Replicas, ReplicasRelease};

const RELEASES: [Image; 3] = [("1.4.0", "1.4.0", None), ("1.5.0", "1.5.0", None), ("1.5.1", "1.5.1", None)];
/// Of the last release the project's image never comes up.
const IMAGES: [Image; 3] =
    [("1.4.0", "1.4.0", None), ("1.5.0", "1.5.0", None), ("1.5.1", "1.5.1", Some("sleep 1; exit 3"))];

#[test]
fn a_release_and_a_project_go_up_and_back_together() {
    let (release, project) =
        (ReplicasRelease::new(Cluster::shared(false), "1.4.0", &RELEASES), Replicas::new("1.4.0", &IMAGES));
    release.joins(&project);
    let both_are_at = |version: &str| {
        release.is_at(version, "/healthz");
        assert_eq!(project.replicas(), vec![format!("{version} running healthy"); 2]);
    };
    let mut daemon = Daemon::start(&release).settled();
    run_to(&mut daemon, "1.5.0", "committed");
    both_are_at("1.5.0");
    let revisions = release.revisions().len();
    let run = run_to(&mut daemon, "1.5.1", "rolled-back");
    assert_eq!(run["failure"]["step"], "h0-apply-front-1", "{:#}", run["failure"]);
    assert!(
        release.revisions()[revisions].contains("replicas-1.5.1"),
        "the release had come: {:?}",
        release.revisions()
    );
    both_are_at("1.5.0");
}
