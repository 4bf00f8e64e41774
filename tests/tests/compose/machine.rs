//! What else is on the machine, and what happens to it.

use crate::run_to;
use scratch_docker::Engine;
use upgraded_tests::{Cut, Daemon, Stack, StackInstall, kind, outcome};

/// What the engine says of another project's containers and volumes, but for what changes by itself.
fn described(project: &scratch_docker::Project) -> String {
    let mut inspect = project.engine().docker();
    let format = "{{.Id}} {{.State.StartedAt}} {{.RestartCount}} {{json .HostConfig}} {{json .Mounts}}";
    inspect.args(["inspect", "--format", format]).args(project.things("container"));
    let output = inspect.output().expect("`docker inspect`");
    assert!(output.status.success());
    format!("{}{:?}", String::from_utf8_lossy(&output.stdout), project.things("volume"))
}

#[test]
fn another_project_on_the_engine_is_not_touched() {
    let engine = Engine::shared();
    let other = engine.project("bystander");
    let folder = tempfile::tempdir().expect("a folder for the other project");
    let text = format!(
        "services:\n  gateway:\n    image: {}\n    command: [sleep, \"9999\"]\n    restart: always\n    volumes: [\"data:/data\"]\n\
         volumes: {{ data: {{}} }}\n",
        engine.base("busybox:1")
    );
    std::fs::write(folder.path().join("compose.yaml"), text).expect("the other project's file");
    let up = other.compose().args(["up", "--detach"]).current_dir(folder.path()).status().expect("`docker compose`");
    assert!(up.success());
    let before = described(&other);

    let stack = Stack::new(&StackInstall { version: "1.5.0", policy: "drill = \"off\"\nidle = \"20s\"\n" });
    stack.publish("1.8.0");
    let data = stack.data();
    let mut daemon = Daemon::start(&stack).settled();
    run_to(&mut daemon, "1.8.0", "rolled-back");
    stack.is_whole("1.5.0", Some(&data));
    assert_eq!(described(&other), before);
}

/// Containers whose policy is to come up by themselves do not, while their data is worked on; and the whole machine may
/// go at any instant.
#[test]
fn a_machine_that_goes_down_in_the_middle_starts_nothing_by_itself() {
    let stack = Stack::new(&StackInstall { version: "1.5.0", policy: "drill = \"off\"\nidle = \"20s\"\n" });
    stack.publish("1.8.0");
    let data = stack.data();
    for (run, step) in ["freeze-main", "b0-restore-main"].into_iter().enumerate() {
        stack.cut_at(Cut::Started(step));
        let mut daemon = Daemon::start(&stack).settled_or_quarantined();
        match run {
            0 => stack.edit_version("1.8.0"),
            _ => drop(daemon.told(&["retry", &stack.name])),
        }
        daemon.dies_unless(|_| false);
        stack.no_cut();
        let policies = stack.restart_policies();
        let stopped = ["scheduler", "optimizer", "model-service", "query-router", "frontend", "gateway"];
        assert!(stopped.iter().all(|name| policies.contains(&format!("{name} no"))), "at {step}: {policies:?}");
        // As the engine does after the power is back: what may start by itself starts.
        stack.compose(&["kill", "postgres"]);
        stack.compose(&["start", "postgres"]);
        let mut daemon = Daemon::start(&stack);
        let now = daemon.wait("the run ends", |now| {
            now["last_run"]["id"] == run + 1 && !now["last_run"]["outcome"].is_null() && kind(now) == "quarantined"
        });
        assert_eq!(outcome(&now), "rolled-back", "cut at {step}: {now:#}");
        stack.is_whole("1.5.0", Some(&data));
    }
}
