//! What is done in a service's container around the copy of data.

use super::*;

#[test]
fn hooks() {
    let data = |hook: &str| with(&format!("[datastores.a]\nplugin = \"files\"\npaths = [\"a\"]\nhook = {hook}\n"));
    let read = parse(&data(r#"{ service = "cache", before = ["redis-cli", "save"] }"#)).unwrap();
    let hook = read.datastores[0].grants.hook.as_ref().unwrap();
    assert_eq!((hook.service.to_string().as_str(), hook.before.len(), hook.after.len()), ("main/cache", 2, 0));
    for (hook, why) in [
        (r#"{ service = "cache" }"#, "`datastores.a.hook.before` or `after` is missing"),
        (r#"{ before = ["a"] }"#, "`datastores.a.hook.service` is missing"),
        (r#"{ service = "cache", after = "rm -f lock" }"#, "`datastores.a.hook.after` must be an array"),
        (r#"{ service = "a/b/c", before = ["a"] }"#, "`datastores.a.hook.service` is no service"),
        (r#"{ service = "cache", before = ["a"], afer = ["b"] }"#, "`datastores.a.hook.afer`"),
    ] {
        assert!(said(&data(hook)).contains(why), "{}", said(&data(hook)));
    }
}

#[test]
fn a_hook_does_not_stop_a_databases_server() {
    let beside = |hook: &str, server: &str| {
        with(&format!(
            "[datastores.a]\nplugin = \"files\"\npaths = [\"a\"]\n\
             hook = {{ service = \"{hook}\", before = [\"redis-cli\", \"save\"] }}\n\
             [datastores.b]\nplugin = \"postgres\"\n\
             server = {{ service = \"{server}\", user = \"u\", database = \"d\" }}\n"
        ))
    };
    for (hook, server) in
        [("db", "db"), ("database/cache", "database/postgres"), ("main/database", "database/postgres")]
    {
        let said = said(&beside(hook, server));
        assert!(said.contains("`datastores.a.hook` is for the service `main/d"), "{hook}, {server}: {said}");
    }
    let read = parse(&beside("cache/redis", "database/postgres")).unwrap();
    assert_eq!(read.datastores[0].grants.hook.as_ref().unwrap().service.to_string(), "main/cache/redis");
}
