//! An upgrade on throw-away doubles of all pods, while what is live serves.

use crate::{folder, rehearsing_alone};
use scratch_docker::PodmanSocket;
use std::fs;
use upgraded_tests::{Aegis, Daemon, kind, outcome};

const KEEPER: &str = "aegis-notes-keeper";
const HOOKED: &str = r#"
[datastores.notes]
plugin = "files"
paths = { notes = "volume:aegis-notes" }

[datastores.notes.hook]
service = "notes"
before = ["sh", "-c", "echo before >> /tmp/hooks"]
after = ["sh", "-c", "echo after >> /tmp/hooks"]
"#;

/// One more pod, that keeps something in a volume and is told when that is copied.
fn with_notes(aegis: &Aegis<'_>) {
    let image = aegis.engine().base("busybox:1");
    let text = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{ name: aegis-notes }}\nspec:\n  containers:\n    - name: keeper\n      \
         image: {image}\n      command: [sh, -c, \"trap exit TERM; sleep 100000 & wait\"]\n      volumeMounts: [{{ name: \
         notes, mountPath: /notes }}]\n  volumes:\n    - name: notes\n      persistentVolumeClaim: {{ claimName: \
         aegis-notes }}\n"
    );
    fs::write(aegis.file("pod-notes.yaml"), text).expect("the pod's file");
    aegis.redeploy("notes");
    aegis.podman(&["exec", KEEPER, "sh", "-c", "echo kept > /notes/note"]);
    let pods =
        |text: &str| text.replace("\"pod-seal-gateway.yaml\"]", "\"pod-seal-gateway.yaml\", \"pod-notes.yaml\"]");
    aegis.edit(|text| pods(text).replace("\n[policy]\n", &format!("{HOOKED}\n[policy]\n")));
}

/// The command of the hop is left out. A crash in the midst of the second lets it begin anew; nothing of either is left,
/// and nothing live is another.
#[test]
fn a_release_is_tried_on_doubles_of_the_pods() {
    let folder = folder();
    let engine = PodmanSocket::start(folder.path());
    let aegis = Aegis::new(&engine, "0.1.1", "1.22.4", "approve = \"never\"\ndrill = \"off\"\nidle = \"60s\"\n");
    ["0.1.2", "0.2.0", "0.2.2"].iter().for_each(|version| aegis.publish(version));
    let hooks = || aegis.podman(&["exec", KEEPER, "cat", "/tmp/hooks"]);
    with_notes(&aegis);
    let live = || (aegis.data(), aegis.podman(&["ps", "--all", "--quiet", "--no-trunc"]), aegis.volumes());
    let before = live();
    let mut daemon = Daemon::start(&aegis).settled();
    let _alone = rehearsing_alone();
    daemon.rehearsed("0.1.2");
    assert_eq!(live(), before, "nothing live is another");
    assert_eq!(hooks(), "before\nafter", "around the backup of what is live");

    let run = daemon.rehearses("0.2.2");
    let doubles = || aegis.podman(&["pod", "ls", "--quiet", "--filter", "label=upgraded.rehearsal"]);
    daemon.wait("a double is made", |_| !doubles().is_empty());
    daemon.kill();
    let mut daemon = Daemon::start(&aegis);
    let now = daemon.end_of_run_after(run - 1);
    assert_eq!(outcome(&now), "refused", "{now:#}\n{}", aegis.log());
    let told = daemon.told(&["show", &run.to_string()]);
    let why = told["failure"]["message"].as_str().unwrap_or_default();
    assert!(why.contains("migrations failed: 0006_link_policies") && why.contains("nothing live was touched"), "{why}");
    daemon.wait("it rests at what runs", |now| kind(now) == "idle" && now["installed"] == "0.1.1");

    assert_eq!(live(), before, "nothing live is another");
    assert_eq!(doubles(), "");
    for kind in ["volume", "network"] {
        let left = aegis.podman(&[kind, "ls", "--quiet", "--filter", "name=upgraded-rehearsal"]);
        assert_eq!(left, "", "a {kind}");
    }
    aegis.is_whole("0.1.1", &before.0);
}
