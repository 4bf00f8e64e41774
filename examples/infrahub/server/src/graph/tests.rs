//! Tests of the graph.

use super::*;

fn tag(name: &str) -> Record {
    let properties = Map::from_iter([("name".to_owned(), json!(name))]);
    Record::Create {
        node: Node { kind: "BuiltinTag".into(), properties, edges: Vec::new() },
        unique: Some("name".into()),
    }
}

fn migrate(name: &str, part: u64, parts: u64, changes: Value) -> Record {
    let changes = serde_json::from_value(changes).expect("changes");
    Record::Migrate { name: name.into(), step: Step { part, parts, changes } }
}

fn with_tags(count: u32) -> Graph {
    let mut graph = Graph::default();
    for number in 1..=count {
        graph.play(&tag(&format!("t{number}"))).expect("a tag");
    }
    graph
}

fn names(graph: &Graph) -> Vec<String> {
    let all = graph.find(&BTreeMap::from([("kind".into(), "BuiltinTag".into())]));
    all.iter().map(|node| node["properties"]["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_name_is_given_once_and_edges_lead_somewhere() {
    let mut graph = with_tags(1);
    let Err(Refusal::Conflict(why)) = graph.play(&tag("t1")) else { panic!("twice") };
    assert_eq!(why, "there is a BuiltinTag with the name \"t1\" already");
    let Record::Create { mut node, .. } = tag("t2") else { unreachable!() };
    node.edges.push(Edge { name: "branch".into(), to: 9 });
    let nameless = Node { properties: Map::new(), edges: Vec::new(), ..node.clone() };
    let nameless = graph.play(&Record::Create { node: nameless, unique: Some("name".into()) });
    assert_eq!(nameless, Err(Refusal::Conflict("a BuiltinTag needs a name".into())));
    let lost = graph.play(&Record::Create { node, unique: None });
    assert!(matches!(lost, Err(Refusal::NotFound(_))), "{lost:?}");
    assert_eq!(graph, with_tags(1));
}

#[test]
fn a_value_is_set_where_it_is_what_was_expected() {
    let mut graph = with_tags(1);
    let set = |expected: Value, to: u64| Record::Set {
        id: 1,
        properties: Map::from_iter([("attempt".to_owned(), json!(to))]),
        expected: Map::from_iter([("attempt".to_owned(), expected)]),
    };
    assert_eq!(graph.play(&set(Value::Null, 1)), Ok((1, true)));
    assert!(matches!(graph.play(&set(Value::Null, 1)), Err(Refusal::Conflict(_))));
    assert_eq!(graph.play(&set(json!(1), 2)), Ok((1, true)));
}

#[test]
fn a_migration_is_applied_once_and_whole_or_not_at_all() {
    let mut graph = with_tags(3);
    let set = json!({ "set": { "kind": "BuiltinTag", "property": "branch", "value": "main" } });
    let half = migrate("002_half", 1, 1, json!([set, { "require": { "kind": "None" } }]));
    assert!(matches!(graph.play(&half), Err(Refusal::Conflict(_))));
    assert_eq!(graph, with_tags(3));
    let good = migrate("001_set", 1, 1, json!([set]));
    assert_eq!(graph.play(&good), Ok((0, true)));
    assert_eq!(graph.play(&good), Ok((0, false)));
    assert_eq!(graph.migrations, ["001_set"]);
}

#[test]
fn parts_of_a_migration_change_every_node_between_them() {
    let mut graph = with_tags(7);
    let changes = json!([{ "set": { "kind": "BuiltinTag", "property": "branches", "value": "main" } }]);
    let moved = |graph: &Graph| graph.find(&BTreeMap::from([("branches".into(), "main".into())])).len();
    for part in 1..=3 {
        assert!(graph.migrations.is_empty() && moved(&graph) < 7);
        graph.play(&migrate("001_move", part, 3, changes.clone())).expect("a part");
    }
    assert_eq!((moved(&graph), &graph.migrations[..]), (7, &["001_move".to_owned()][..]));
}

#[test]
fn what_was_lost_shows_in_the_counts() {
    let mut graph = with_tags(5);
    let before = graph.export();
    assert_eq!((&before["kinds"]["BuiltinTag"]["count"], &before["created"]["BuiltinTag"]), (&json!(5), &json!(5)));
    graph
        .play(&migrate("001_compact", 1, 1, json!([{ "keep-one-of": { "kind": "BuiltinTag", "every": 2 } }])))
        .unwrap();
    assert_eq!(names(&graph), ["t1", "t3", "t5"]);
    let after = graph.export();
    assert_eq!((&after["count"], &after["created"]["BuiltinTag"]), (&json!(3), &json!(5)));
    assert_ne!(before["checksum"], after["checksum"]);
}
