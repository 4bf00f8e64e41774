//! What else is on the machine, and what happens to it.

use crate::run_to;
use scratch_docker::{Engine, Second};
use upgraded_tests::{Cut, Daemon, Replicas, SmallDisk, Stack, StackInstall, is_over, kind, outcome, why};

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

/// Containers whose policy is to come up by themselves do not, while their data is worked on; and the daemon and the
/// engine may go at any instant: killed, or ended as by an update of its package.
#[test]
fn an_engine_that_goes_down_in_the_middle_starts_nothing_by_itself() {
    let folder = tempfile::Builder::new().prefix("upgraded-").tempdir().expect("a folder for an engine");
    let mut engine = Second::start(folder.path());
    let install = StackInstall { version: "1.5.0", policy: "drill = \"off\"\nidle = \"20s\"\n" };
    let stack = Stack::on(engine.engine(), &install);
    // What comes up whenever an engine does.
    let compose = std::fs::read_to_string(stack.file("compose.yaml")).expect("the project's file");
    std::fs::write(stack.file("compose.yaml"), compose.replace("unless-stopped", "always")).expect("the same");
    stack.compose(&["up", "--detach", "--wait", "--pull", "never"]);
    stack.publish("1.8.0");
    let data = stack.data();
    for (run, step) in (1..).zip(["freeze-main", "b0-restore-main"]) {
        stack.cut_at(Cut::Started(step));
        let mut daemon = Daemon::start(&stack).settled_or_quarantined();
        match run {
            1 => stack.edit_version("1.8.0"),
            _ => drop(daemon.told(&["retry", &stack.name])),
        }
        daemon.dies_unless(|_| false);
        stack.no_cut();
        let policies = stack.restart_policies();
        let stopped = ["scheduler", "optimizer", "model-service", "query-router", "frontend", "gateway"];
        assert!(stopped.iter().all(|name| policies.contains(&format!("{name} no"))), "at {step}: {policies:?}");
        match run {
            1 => engine.kill(),
            _ => engine.stop(),
        }
        engine.up();
        // The engine starts the database, which may end once more before it stays; of the others, nothing.
        let mut stays = 0;
        while stays < 5 {
            let running = stack.compose(&["ps", "--services", "--status", "running"]);
            assert!(matches!(running.trim(), "" | "postgres"), "at {step}: {running}");
            stays = if running.trim() == "postgres" { stays + 1 } else { 0 };
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        let mut daemon = Daemon::start(&stack);
        let now = daemon.wait("the run ends", |now| is_over(now, run) && kind(now) == "quarantined");
        assert_eq!(outcome(&now), "rolled-back", "cut at {step}: {now:#}");
        stack.is_whole("1.5.0", Some(&data));
    }
}

/// What is pulled has no room; what runs does not need any.
#[test]
fn a_full_disk_of_the_engine_refuses_a_run_and_the_old_version_serves() {
    let folder = tempfile::Builder::new().prefix("upgraded-").tempdir().expect("a folder for an engine");
    std::fs::create_dir(folder.path().join("data")).expect("the folder of the engine's data");
    let disk = SmallDisk::over(&folder.path().join("data"), 400 << 10);
    let engine = Second::start(folder.path());
    let replicas = Replicas::on(engine.engine(), "1.4.0", &[("1.4.0", "1.4.0", None), ("1.5.0", "1.5.0", None)]);
    let mut daemon = Daemon::start(&replicas).settled();
    disk.fill();
    replicas.edit_version("1.5.0");
    let now = daemon.end_of_run_to("1.5.0");
    assert_eq!(outcome(&now), "refused", "{now:#}");
    assert!(why(&now).contains("no space left on device"), "{now:#}");
    assert_eq!(replicas.replicas(), vec!["1.4.0 running healthy"; 2]);
    assert_eq!(replicas.version_at(&format!("http://{}/healthz", replicas.front)), "1.4.0");

    std::fs::remove_file(engine.data().join("filler")).expect("the filler");
    replicas.edit(|text| format!("{text}# again\n"));
    let now = daemon.end_of_run_after(1);
    assert_eq!(outcome(&now), "committed", "{now:#}");
    assert_eq!(replicas.replicas(), vec!["1.5.0 running healthy"; 2]);
    replicas.nothing_is_left();
}
