//! The data of a service that goes on running is copied between what its hook does before and after.

use scratch_docker::Engine;
use upgraded_tests::{Daemon, Layout, Layouts, Plan, kind, outcome};

/// Web servers spoil what is in the volume where they are broken.
const VERSIONS: [(&str, &str); 3] = [
    ("1.0.0", "trap exit TERM; sleep 100000 & wait"),
    ("1.1.0", "trap exit TERM; sleep 100000 & wait"),
    ("1.2.0", "echo spoiled > /data/note; exit 3"),
];
/// Writes all the time but while it is told not to.
const STORE: &str = "trap exit TERM
while :; do
  if [ -e /tmp/hold ]; then touch /tmp/held; else rm -f /tmp/held; echo tick >> /data/ticks; fi
  sleep 0.05 & wait $!
done
";

fn plan() -> Plan<'static> {
    Plan {
        name: "hook",
        flags: &["--project-name={project}"],
        files: &[
            (
                "compose.yaml",
                "services:
  web: { image: '{app}:{v}', volumes: ['data:/data'] }
  store: { image: '{other}', command: [sh, /store.sh], volumes: ['data:/data', './store.sh:/store.sh:ro'] }
volumes: { data: {} }
",
            ),
            ("store.sh", STORE),
        ],
        vendors: &[],
        deployment: r#"version-services = ["web"]
[platform.compose]
project = "{project}"
[settings]
services = ["web"]
[datastores.data]
plugin = "files"
paths = { data = "volume:{project}_data" }
[datastores.data.hook]
service = "store"
before = ["sh", "-c", "echo before >> /tmp/hooks; touch /tmp/hold; until [ -e /tmp/held ]; do sleep 0.05; done"]
after = ["sh", "-c", "echo after >> /tmp/hooks; rm -f /tmp/hold"]
"#,
        before: &[],
    }
}

struct Store(String);

impl Store {
    fn of(layout: &Layout<'_>) -> Self {
        let containers = layout.containers();
        let id = containers.iter().find_map(|line| line.strip_prefix("store ")).expect("it has a container");
        Self(id.to_owned())
    }

    fn run(&self, script: &str) -> String {
        Engine::shared().succeed(&["exec", &self.0, "sh", "-c", script]).trim().to_owned()
    }

    fn began(&self) -> String {
        Engine::shared().succeed(&["inspect", "--format", "{{.State.StartedAt}}", &self.0])
    }

    fn hooks(&self) -> Vec<String> {
        self.run("cat /tmp/hooks 2>/dev/null || true").lines().map(str::to_owned).collect()
    }

    fn ticks(&self) -> usize {
        self.run("wc -l < /data/ticks").parse().expect("a number")
    }
}

#[test]
fn a_service_that_goes_on_is_copied_between_its_hooks() {
    let layouts = Layouts::new(vec![plan()], &VERSIONS);
    let (machine, layout) = (&layouts.machine, &layouts.all[0]);
    layout.install(machine, "1.0.0");
    machine.edit(|text| text.replace("drill = \"off\"", "drill = \"ahead\""));
    machine.take_compiled_plugins();
    let store = Store::of(layout);
    let began = store.began();
    let goes_on = |daemon: &mut Daemon<'_>| {
        assert_eq!(store.hooks().last().map(String::as_str), Some("after"), "{:?}", store.hooks());
        let ticks = store.ticks();
        daemon.wait("it writes again", |_| store.ticks() > ticks);
    };

    // The daemon is killed while the store holds still.
    let mut daemon = Daemon::start(machine).settled();
    machine.edit_version("1.1.0");
    daemon.wait("it holds still", |_| !store.hooks().is_empty());
    daemon.kill();
    let mut daemon = Daemon::start(machine);
    let now = daemon.end_of_run_to("1.1.0");
    assert_eq!(outcome(&now), "committed", "{now:#}\n{}", machine.log());
    goes_on(&mut daemon);
    assert_eq!(store.began(), began, "nobody stopped it");

    // Only its data going back stops it.
    store.run("echo kept > /data/note");
    machine.edit_version("1.2.0");
    let now = daemon.end_of_run_to("1.2.0");
    assert_eq!((outcome(&now), kind(&now)), ("rolled-back", "quarantined"), "{now:#}\n{}", machine.log());
    assert_eq!(store.run("cat /data/note"), "kept");
    assert_ne!(store.began(), began, "it saw the data go");
    goes_on(&mut daemon);
    assert_eq!(layout.versions("web"), ["1.1.0"]);
    layout.is_what_the_files_say();
    machine.nothing_is_left();
}
