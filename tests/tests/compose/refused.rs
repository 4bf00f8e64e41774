//! What is refused before anything is touched, each with what is wrong and what would be right.

use std::fs;
use upgraded_tests::{Daemon, Stack, StackInstall};

/// Why there is no plan to 1.5.0.
fn refusal(stack: &Stack, daemon: &Daemon, what: &str) -> String {
    refusal_of(stack, daemon, "1.5.0", what)
}

fn refusal_of(stack: &Stack, daemon: &Daemon, version: &str, what: &str) -> String {
    let (answer, code) = daemon.upgradectl(&["plan", &stack.name, "--to", version]);
    assert_ne!(code, Some(0), "{what}: {answer:#}");
    answer.to_string()
}

/// The file `name` of the project holds `text` while `look` is at it.
fn with_file(stack: &Stack, name: &str, text: &str, look: impl FnOnce()) {
    let place = stack.file(name);
    let old = fs::read(&place).ok();
    fs::write(&place, text).expect("a file of the project");
    look();
    match old {
        Some(bytes) => fs::write(&place, bytes),
        None => fs::remove_file(&place),
    }
    .expect("a file of the project");
}

#[test]
fn bad_input_is_named_before_anything_is_touched() {
    let stack = Stack::new(&StackInstall::default());
    let (data, things) = (stack.data(), stack.things());
    let mut daemon = Daemon::start(&stack).settled();

    // It is in the vendor's index, and nobody pushes it.
    let why = refusal_of(&stack, &daemon, "1.5.1", "a version without images is refused");
    assert!(why.contains("the registry has no image") && why.contains("/tessallite/model-service:1.5.1"), "{why}");

    stack.publish("1.5.0");
    let compose = fs::read_to_string(stack.file("compose.yaml")).expect("the project's file");
    with_file(&stack, "compose.yaml", &format!("{compose}  wrong-indent: [\n"), || {
        let why = refusal(&stack, &daemon, "a file that is no YAML is refused");
        assert!(why.contains("`docker compose config") && why.contains("compose.yaml"), "{why}");
    });
    with_file(&stack, "compose.yaml", &compose.replace("start_period: 20s", "start_period: 21s"), || {
        let why = refusal(&stack, &daemon, "an edit that was never applied is refused");
        assert!(why.contains("`frontend` runs something else than the files say"), "{why}");
        assert!(why.contains("`docker compose up -d` would apply them"), "the hint: {why}");
    });

    let secret = stack.path("etc/tessallite-postgres");
    let password = fs::read(&secret).expect("the secret");
    fs::write(&secret, "wrong").expect("the secret");
    let why = refusal(&stack, &daemon, "a wrong password is refused");
    assert!(why.contains("password"), "{why}");
    fs::write(&secret, password).expect("the secret");

    stack.edit(|text| text.replace("database = \"tessallite\"", "database = \"tesselite\""));
    let why = refusal(&stack, &daemon, "a database that isn't there is refused");
    assert!(why.contains("tesselite"), "{why}");
    stack.edit(|text| text.replace("database = \"tesselite\"", "database = \"tessallite\""));

    stack.edit(|text| text.replace("service = \"postgres\"", "service = \"postgrs\""));
    let why = refusal(&stack, &daemon, "a service that isn't there is refused");
    assert!(why.contains("no service `main/postgrs`") && why.contains("`main/postgres`"), "{why}");
    stack.edit(|text| text.replace("service = \"postgrs\"", "service = \"postgres\""));

    // A writable volume that nobody answers for.
    let more = "services: { scheduler: { volumes: [\"spool:/spool\"] } }\nvolumes: { spool: {} }\n";
    with_file(&stack, "compose.override.yaml", more, || {
        stack.compose(&["up", "--detach", "--wait", "--pull", "never"]);
        let why = refusal(&stack, &daemon, "a store of nobody is refused");
        let volume = format!("{}_spool", stack.project.name());
        assert!(why.contains(&format!("`main/scheduler` writes to the volume `{volume}`")), "{why}");
        assert!(why.contains(&format!("`volume:{volume}` under `[policy] disposable`")), "the hint: {why}");
    });
    stack.compose(&["up", "--detach", "--wait", "--pull", "never"]);
    assert_eq!(stack.data(), data);
    assert!(things.iter().all(|thing| stack.things().contains(thing)));

    assert_eq!(daemon.runs(), 0, "nothing was begun");
    stack.edit_version("1.5.0");
    daemon.end_of_run_to("1.5.0");
    stack.is_whole("1.5.0", None);
}
