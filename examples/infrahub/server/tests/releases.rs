//! What each release does, with all services as processes.

mod installation;

use installation::Installation;
use serde_json::{Value, json};

const TAGS: &str = "{ BuiltinTag { count edges { node { name } } } }";

fn with_tags(release: &str) -> Installation {
    let it = Installation::of(release);
    for name in ["red", "green", "blue"] {
        let told = it.graphql(&format!("mutation {{ BuiltinTagCreate(data:{{name:\"{name}\"}}) {{ ok }} }}"));
        assert_eq!(told["data"]["BuiltinTagCreate"]["ok"], true, "{told}");
    }
    it
}

fn names(it: &Installation) -> Vec<String> {
    let told = it.graphql(TAGS);
    let edges = told["data"]["BuiltinTag"]["edges"].as_array().cloned().unwrap_or_default();
    edges.iter().map(|edge| edge["node"]["name"].as_str().expect("a name").to_owned()).collect()
}

/// Tags of the graph, with their checksum.
fn tags(it: &Installation) -> Value {
    it.export()["kinds"]["BuiltinTag"].clone()
}

/// As the guide says; the exit code and what was printed.
fn upgrade(it: &mut Installation, release: &str) -> (Option<i32>, String) {
    it.stop();
    let output = it.upgrade(release, &[]);
    (output.status.code(), String::from_utf8(output.stdout).expect("text"))
}

/// Of an artifact, when it is there.
fn generate(it: &Installation, name: &str) -> Value {
    assert_eq!(it.post(&format!("/api/artifacts/{name}/generate"), &json!({})).0, 202);
    let path = format!("/api/artifacts/{name}");
    it.until("it is generated", |it| it.get(&path).1["status"] == "ready");
    it.get(&path).1
}

#[test]
fn a_minor_release_migrates_once_by_a_command() {
    let mut it = with_tags("1.6.4");
    let before = generate(&it, "tags");
    assert_eq!(before["content"]["tags"], json!(["blue", "green", "red"]));
    let (code, said) = upgrade(&mut it, "1.7.0");
    let lines = [
        "Infrahub 1.7.0: 2 migrations to apply",
        "Applying migration 012_add_branch_index (1/2)",
        "Applying migration 013_add_tag_branches (2/2)",
        "Database migration completed",
    ];
    assert_eq!((code, said.lines().collect::<Vec<_>>()), (Some(0), lines.to_vec()));
    let export = it.export();
    let (_, again) = upgrade(&mut it, "1.7.0");
    assert!(again.contains("0 migrations to apply\nDatabase migration completed"), "{again}");
    assert_eq!(it.export(), export);
    it.serve("1.7.0");
    it.until("1.7.0 is healthy", |it| it.get("/api/health").0 == 200);
    assert_eq!(it.get("/api/config").1, json!({ "version": "1.7.0" }));
    assert_eq!(names(&it), ["red", "green", "blue"]);
    assert_eq!(it.get("/api/schema/summary").1["nodes"]["BuiltinTag"], 3);
    let jobs = it.export()["created"]["CoreJob"].clone();
    assert_eq!(generate(&it, "tags")["checksum"], before["checksum"]);
    assert_eq!(it.export()["created"]["CoreJob"], jobs, "an artifact has one job");
}

#[test]
fn nobody_serves_a_graph_of_another_release() {
    let mut it = with_tags("1.6.4");
    it.stop();
    it.serve("1.7.0");
    let lacks = "the graph lacks the migration 012_add_branch_index: run `infrahub upgrade`";
    it.until("the server refuses", |it| it.log("server").contains(lacks));
    assert_eq!(upgrade(&mut it, "1.7.0").0, Some(0));
    it.serve("1.6.4");
    let newer = "the graph has 012_add_branch_index, which 1.6.4 does not know: restore the backup from before";
    it.until("the server refuses", |it| it.log("server").contains(newer));
    it.until("the workers refuse", |it| it.log("task-worker").matches(newer).count() == 2);
    assert!(upgrade(&mut it, "1.6.4").1.contains(newer));
}

#[test]
fn what_was_answered_is_there_after_the_power_was_cut() {
    let mut it = with_tags("1.6.4");
    let before = tags(&it);
    it.cut();
    it.until("the database is there", |it| tags(it) == before);
    it.serve("1.6.4");
    it.until("1.6.4 is healthy", |it| it.get("/api/health").0 == 200);
    assert_eq!(names(&it), ["red", "green", "blue"]);
}

#[test]
fn a_migration_that_fails_half_way() {
    let mut it = with_tags("1.7.6");
    let (code, said) = upgrade(&mut it, "1.8.0");
    assert_eq!(code, Some(1));
    let failed = "Applying migration 015_link_proposed_changes (2/2)\n\
                  Migration 015_link_proposed_changes failed: there is no node of the kind `CoreProposedChange`\n";
    assert!(said.ends_with(failed), "{said}");
    it.serve("1.7.6");
    it.until("1.7.6 refuses", |it| it.log("server").contains("the graph has 014_add_artifact_index"));
}

#[test]
fn a_server_that_crashes_at_start() {
    let mut it = with_tags("1.7.6");
    assert!(upgrade(&mut it, "1.8.1").1.starts_with("Infrahub 1.8.1: 0 migrations to apply"));
    it.serve("1.8.1");
    it.until("it crashed", |it| it.log("server").contains("[server] the schema `core_menu.yml` is not in the image"));
    assert_eq!(it.get("/api/config").0, 0);
}

#[test]
fn a_release_that_is_healthy_and_loses_tags() {
    let mut it = with_tags("1.7.6");
    assert_eq!(upgrade(&mut it, "1.8.2").0, Some(0));
    it.serve("1.8.2");
    it.until("it says that it is healthy", |it| it.get("/api/health").1["status"] == "ok");
    assert_eq!(names(&it), ["red", "blue"]);
    assert_eq!(it.get("/api/schema/summary").1["nodes"]["BuiltinTag"], 3);
}

#[test]
fn the_cache_has_to_be_named_since_1_9_0() {
    let mut it = with_tags("1.8.3");
    it.stop();
    let output = it.upgrade("1.9.0", &[("INFRAHUB_CACHE_ADDRESS", "")]);
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(!output.status.success() && said.starts_with("`INFRAHUB_CACHE_ADDRESS` is not set"), "{said}");
    it.serve("1.9.0");
    it.until("1.9.0 is healthy", |it| it.get("/api/health").0 == 200);
}

#[test]
fn a_major_release_moves_data_in_parts() {
    let mut it = with_tags("1.9.0");
    let (code, said) = upgrade(&mut it, "2.0.0");
    assert!(code == Some(0) && said.contains("018_move_tag_branches: 10/10 of the nodes"), "{said}");
    it.serve("2.0.0");
    it.until("2.0.0 is healthy", |it| it.get("/api/health").0 == 200);
    assert_eq!(names(&it).len(), 3);
}

#[test]
fn only_who_has_the_token_asks() {
    let it = with_tags("1.6.4");
    let told = it.graphql("{ InfrahubInfo { version } }");
    assert_eq!(told, json!({ "data": { "InfrahubInfo": { "version": "1.6.4" } } }));
    let twice = it.graphql("mutation { BuiltinTagCreate(data:{name:\"red\"}) { ok } }");
    assert_eq!(twice["errors"][0]["message"], "there is a BuiltinTag with the name \"red\" already");
    assert!(
        it.graphql("{ BuiltinTag }")["errors"][0]["message"]
            .as_str()
            .unwrap()
            .contains("needs a selection of count, edges")
    );
    assert_eq!(it.get("/api/artifacts/none").0, 404);
    std::fs::create_dir_all(it.path("storage/artifacts")).expect("a folder");
    generate(&it, "tags");
    std::fs::write(it.path("storage/artifacts/tags"), "{}").expect("a file");
    let (status, said) = it.get("/api/artifacts/tags");
    assert_eq!((status, &said["error"]), (503, &json!("the storage has another artifact `tags` than the graph")));
}

#[test]
fn half_of_the_work_is_taken_up_by_another() {
    let it = with_tags("1.6.4");
    // One that was taken by somebody who is gone.
    let gone = json!({ "task": "artifact", "artifact": "left", "status": "running", "attempt": 1, "until": 1 });
    let (status, _) =
        it.ask(installation::DATABASE, "POST", "/nodes", &json!({ "kind": "CoreJob", "properties": gone }));
    assert_eq!(status, 200);
    it.until("it is generated", |it| it.get("/api/artifacts/left").1["status"] == "ready");
    let jobs = it.ask(installation::DATABASE, "GET", "/nodes?kind=CoreJob&artifact=left", &Value::Null).1;
    assert_eq!(jobs["nodes"][0]["properties"]["attempt"], 2);
    let syncs = |it: &Installation| it.export()["kinds"]["CoreRepository"]["checksum"].clone();
    let before = syncs(&it);
    it.until("repositories are synchronised", |it| syncs(it) != before);
}
