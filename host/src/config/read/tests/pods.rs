//! A platform's files of pods.

use super::*;

#[test]
fn pods() {
    let file = |keys: &str, service: &str| {
        with(&format!(
            "engine = \"unix:///run/podman/podman.sock\"\n{keys}\n[datastores.a]\nplugin = \"postgres\"\n\
             server = {{ service = \"{service}\", user = \"u\", database = \"d\" }}\n"
        ))
    };
    let keys = r#"pods = ["pod-database.yaml", "./web/pod-core.yaml"]
config-maps = ["settings.yaml"]
networks = ["aegis"]"#;
    let read = parse(&file(keys, "database/postgres")).unwrap();
    let pods = &read.platforms[0].grants.pods;
    assert_eq!(pods.files, [Path::new("pod-database.yaml"), Path::new("web/pod-core.yaml")]);
    assert_eq!((pods.config_maps.len(), pods.env_files.len(), &pods.networks[..]), (1, 0, &["aegis".to_owned()][..]));
    for (service, read_as) in [("database", "main/database"), ("main/database/postgres", "main/database/postgres")] {
        let read = parse(&file(keys, service)).unwrap();
        let server = read.datastores[0].grants.server.clone().unwrap();
        assert_eq!(server.service.unwrap().to_string(), read_as);
    }
    for (keys, why) in [
        ("pods = []", "`platform.pods` names no file"),
        (r#"pods = ["../pod-a.yaml"]"#, "must be a file beneath the platform's `directory`"),
        (r#"pods = ["pod-a.yaml", "b/a.yml"]"#, "`pod-a.yaml` and `b/a.yml` are both the service `a`"),
        (
            r#"pods = ["a.yaml"]
networks = ["a b"]"#,
            "`platform.networks.0` is no network",
        ),
    ] {
        assert!(said(&file(keys, "a")).contains(why), "{}", said(&file(keys, "a")));
    }
}
