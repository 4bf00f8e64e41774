//! The drill in a double of the database's server. `up` and `products` have drills that go well, there and in folders.

use crate::{failure, run_to};
use scratch_docker::Engine;
use serde_json::Value;
use std::fs;
use upgraded_tests::{Daemon, Stack, StackInstall, outcome, succeed};

/// A backup that can't be restored is found out with nothing touched; one that can is proved, also where the daemon is
/// killed in the midst; and whatever it was, nothing of a double is left.
#[test]
fn a_backup_is_proved_in_a_double_of_its_server() {
    let stack = Stack::new(&StackInstall { policy: "drill = \"ahead\"\nidle = \"60s\"\n", ..StackInstall::default() });
    stack.publish("1.5.0");
    // A role that no image makes owns something; and a check that only holds where names are looked up in `public`.
    stack.sql("CREATE ROLE \"the keeper\"; CREATE TABLE kept (id int); ALTER TABLE kept OWNER TO \"the keeper\"");
    stack.sql(
        "CREATE FUNCTION has_models(int) RETURNS bool LANGUAGE sql AS 'SELECT EXISTS (SELECT FROM models)'; \
         CREATE TABLE checked (id int CHECK (has_models(id))); INSERT INTO checked VALUES (1)",
    );
    let (data, things) = (stack.data(), stack.things());
    let mut daemon = Daemon::start(&stack).settled();
    let run = run_to(&mut daemon, "1.5.0", "refused");
    let (step, why) = failure(&run);
    assert_eq!(step, "drill-main");
    assert!(why.contains("relation \"models\" does not exist"), "{why}");
    was_in_a_double(&run);
    nothing_is_left(&stack);
    stack.is_whole("1.4.0", Some(&data));

    stack.sql("DROP TABLE checked");
    daemon.told(&["retry", &stack.name]);
    daemon.wait("the double is made", |_| !of_drills(&stack, "container").is_empty());
    daemon.kill();
    assert_ne!(of_drills(&stack, "volume"), "", "the cut leaves it");
    let mut daemon = Daemon::start(&stack);
    let now = daemon.end_of_run_after(1);
    assert_eq!(outcome(&now), "committed", "{now:#}\n{}", stack.log());
    was_in_a_double(&daemon.told(&["show", "2"]));
    nothing_is_left(&stack);
    stack.is_whole("1.5.0", None);
    assert_eq!(stack.sql("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'kept'"), "the keeper");
    assert_eq!(stack.things(), things, "and nothing else of the project");
}

/// No finding says that it was elsewhere.
pub fn was_in_a_double(run: &Value) {
    assert!(!run["findings"].to_string().contains("drill-on-server"), "{:#}", run["findings"]);
}

fn nothing_is_left(stack: &Stack) {
    for kind in ["container", "network", "volume"] {
        assert_eq!(of_drills(stack, kind), "", "a {kind}");
    }
    let left = fs::read_dir(stack.path("state/scratch").join(&stack.name)).into_iter().flatten().flatten();
    assert_eq!(left.map(|entry| entry.path()).collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new());
}

fn of_drills(stack: &Stack, kind: &str) -> String {
    let mut docker = Engine::shared().docker();
    docker.args([kind, "ls", "--quiet", "--filter", &format!("label=upgraded.drill={}", stack.name)]);
    if kind == "container" {
        docker.arg("--all");
    }
    succeed(&mut docker)
}
