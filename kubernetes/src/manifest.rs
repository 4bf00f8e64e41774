//! What a release consists of, as Helm renders it: read, compared, and made into a release that holds some of it at zero.
//! Pure.

use crate::error::{Error, Result};
use crate::workload::Kind;
use crate::{REPLICAS, SUSPENDED};
use serde_json::{Value, json};
use similar::TextDiff;
use std::collections::BTreeMap;

/// Documents with something in them.
pub fn read(text: &str) -> Result<Vec<Value>> {
    let wrong = |error: &dyn std::fmt::Display| Error::other("manifest", format!("a manifest is no YAML: {error}"));
    let mut documents = Vec::new();
    for part in split(text) {
        let value: Value =
            serde_saphyr::from_str_with_options(&part, as_helm_reads()).map_err(|error| wrong(&error))?;
        match value {
            Value::Null => {}
            Value::Object(ref object) if object.is_empty() => {}
            value => documents.push(value),
        }
    }
    Ok(documents)
}

/// YAML 1.1, in which `0755` is octal and `on` is true; of a key that is there twice the last counts.
fn as_helm_reads() -> serde_saphyr::Options {
    serde_saphyr::options! {
        legacy_octal_numbers: true,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
        strict_booleans: false,
    }
}

/// At lines that begin with `---`.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for line in text.lines() {
        match line.starts_with("---") {
            true => parts.push(String::new()),
            false => {
                if let Some(part) = parts.last_mut() {
                    part.push_str(line);
                    part.push('\n');
                }
            }
        }
    }
    let says = |part: &String| part.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    parts.retain(says);
    parts
}

/// `Deployment`, `evose-api`
pub fn head(document: &Value) -> (&str, &str) {
    (document["kind"].as_str().unwrap_or_default(), document["metadata"]["name"].as_str().unwrap_or_default())
}

/// Of an `apiVersion`.
pub(crate) fn group(version: &str) -> &str {
    version.split_once('/').map_or("", |(group, _)| group)
}

/// Group, resource, and whether it lies in a namespace; as far as it is known without the cluster.
pub fn object_resource(document: &Value) -> Option<(String, String, bool)> {
    let kind = document["kind"].as_str()?;
    let group = group(document["apiVersion"].as_str()?);
    let lower = kind.to_lowercase();
    let resource = match lower.as_str() {
        "endpoints" => lower.clone(),
        _ if lower.ends_with("class") || lower.ends_with('s') => format!("{lower}es"),
        _ if lower.ends_with("cy") => format!("{}ies", &lower[..lower.len() - 1]),
        _ => format!("{lower}s"),
    };
    const WIDE: [&str; 9] = [
        "Namespace",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "PersistentVolume",
        "StorageClass",
        "PriorityClass",
        "IngressClass",
        "ValidatingWebhookConfiguration",
    ];
    Some((group.to_owned(), resource, !WIDE.contains(&kind)))
}

/// What is to be held: a name as [`head`] has it, and the number that is live, where it is.
pub trait Holds {
    fn holds(&self, kind: Kind, name: &str) -> bool;
    /// None: it is not there yet.
    fn live(&self, kind: Kind, name: &str) -> Option<u32>;
    /// What Helm compares with said how many there are, or whether it is suspended: what no longer says so is given the
    /// API's default.
    fn was_stated(&self, kind: Kind, name: &str) -> bool;
    /// A CronJob, by somebody else.
    fn is_suspended(&self, name: &str) -> bool;
}

/// The same documents, with what is held at zero and every CronJob suspended; how many there are is kept beside.
pub fn hold(documents: &mut [Value], holds: &dyn Holds) {
    for document in documents {
        let (kind, name) = head(document);
        let Some(kind) = Kind::named(kind) else { continue };
        let name = name.to_owned();
        match kind {
            Kind::CronJob if document["spec"]["suspend"] != true => {
                let unsaid = document["spec"]["suspend"].is_null() && !holds.was_stated(kind, &name);
                if unsaid && holds.is_suspended(&name) {
                    continue;
                }
                annotate(document, SUSPENDED, "true");
                document["spec"]["suspend"] = json!(true);
            }
            Kind::Deployment | Kind::StatefulSet if holds.holds(kind, &name) => {
                let stated = document["spec"]["replicas"].as_u64();
                match (stated, holds.live(kind, &name)) {
                    (Some(stated), _) => annotate(document, REPLICAS, &stated.to_string()),
                    (None, None) => annotate(document, REPLICAS, "1"),
                    (None, Some(live)) if holds.was_stated(kind, &name) => {
                        annotate(document, REPLICAS, &live.to_string());
                    }
                    // The number is somebody else's, an autoscaler's say: what is live is held already.
                    (None, Some(_)) => continue,
                }
                document["spec"]["replicas"] = json!(0);
            }
            _ => {}
        }
    }
}

/// Whether a manifest says of a workload how many there are, or whether it is suspended.
pub fn states(documents: &[Value], kind: Kind, name: &str) -> bool {
    let what = if kind == Kind::CronJob { "suspend" } else { "replicas" };
    let is_it = |document: &&Value| head(document) == (kind.to_string().as_str(), name);
    documents.iter().find(is_it).is_some_and(|document| !document["spec"][what].is_null())
}

fn annotate(document: &mut Value, name: &str, value: &str) {
    if !document["metadata"]["annotations"].is_object() {
        document["metadata"]["annotations"] = json!({});
    }
    document["metadata"]["annotations"][name] = json!(value);
}

/// The files of a chart that renders to these documents and to nothing else.
pub fn chart_of(name: &str, version: &str, app_version: &str, documents: &[Value]) -> BTreeMap<&'static str, String> {
    let chart = json!({ "apiVersion": "v2", "name": name, "version": version, "appVersion": app_version });
    let rendered: Vec<String> = documents.iter().map(Value::to_string).collect();
    BTreeMap::from([
        ("Chart.yaml", chart.to_string()),
        ("manifest.json", rendered.join("\n---\n")),
        ("templates/manifest.yaml", "{{ .Files.Get \"manifest.json\" }}\n".to_owned()),
    ])
}

/// How the new differs from the old, for a person; contents of secrets are not shown.
pub fn diff(old: &[Value], new: &[Value]) -> String {
    let (old, new) = (texts(old), texts(new));
    let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
    keys.sort();
    keys.dedup();
    let mut text = String::new();
    for key in keys {
        let none = String::new();
        let (before, after) = (old.get(key).unwrap_or(&none), new.get(key).unwrap_or(&none));
        if before != after {
            let diff = TextDiff::from_lines(before, after);
            let diff = diff.unified_diff().context_radius(1).header(key, key).to_string();
            text.push_str(&diff);
        }
    }
    text
}

/// Those of the old documents that are CRDs, and that the new don't have: everything made of them would go too.
pub fn removed_definitions(old: &[Value], new: &[Value]) -> Vec<String> {
    let names = |documents: &[Value]| -> Vec<String> {
        let own = documents.iter().map(head).filter(|(kind, _)| *kind == "CustomResourceDefinition");
        own.map(|(_, name)| name.to_owned()).collect()
    };
    let there = names(new);
    names(old).into_iter().filter(|name| !there.contains(name)).collect()
}

fn texts(documents: &[Value]) -> BTreeMap<String, String> {
    let text = |document: &Value| {
        let (kind, name) = head(document);
        let mut shown = document.clone();
        if kind == "Secret" {
            for part in ["data", "stringData"] {
                let values = shown[part].as_object_mut().into_iter().flatten();
                values.for_each(|(_, value)| *value = json!(format!("*** {:08x}", fingerprint(value))));
            }
        }
        (format!("{kind}/{name}"), serde_json::to_string_pretty(&shown).unwrap_or_default() + "\n")
    };
    documents.iter().map(text).collect()
}

/// Says only whether a value changed; salted by nothing that lasts, so that it says nothing to the next process.
fn fingerprint(value: &Value) -> u32 {
    use std::hash::{BuildHasher, RandomState};
    static STATE: std::sync::LazyLock<RandomState> = std::sync::LazyLock::new(RandomState::new);
    (STATE.hash_one(value.to_string()) & u64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "---\n# Source: evose/templates/api.yaml\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: evose-api\nspec:\n  replicas: 2\n---\n# nothing\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: evose-worker}\nspec: {}\n---\napiVersion: batch/v1\nkind: CronJob\nmetadata: {name: evose-nightly}\nspec: {schedule: '0 3 * * *'}\n";

    #[derive(Default)]
    struct All {
        live: Option<u32>,
        was_stated: bool,
        is_suspended: bool,
    }
    impl Holds for All {
        fn holds(&self, _: Kind, _: &str) -> bool {
            true
        }
        fn live(&self, _: Kind, _: &str) -> Option<u32> {
            self.live
        }
        fn was_stated(&self, _: Kind, _: &str) -> bool {
            self.was_stated
        }
        fn is_suspended(&self, _: &str) -> bool {
            self.is_suspended
        }
    }

    #[test]
    fn what_is_held_is_at_zero_and_its_number_kept() {
        let mut documents = read(MANIFEST).unwrap();
        assert_eq!(documents.len(), 3);
        hold(&mut documents, &All { live: Some(3), ..All::default() });
        let [api, worker, nightly] = &documents[..] else { panic!("{documents:?}") };
        assert_eq!((&api["spec"]["replicas"], &api["metadata"]["annotations"][REPLICAS]), (&json!(0), &json!("2")));
        assert_eq!(worker["spec"], json!({}), "its number is an autoscaler's");
        assert_eq!(
            (&nightly["spec"]["suspend"], &nightly["metadata"]["annotations"][SUSPENDED]),
            (&json!(true), &json!("true"))
        );
        let mut fresh = read(MANIFEST).unwrap();
        hold(&mut fresh, &All::default());
        assert_eq!(fresh[1]["metadata"]["annotations"][REPLICAS], "1");
    }

    #[test]
    fn a_number_that_is_no_longer_stated_is_not_the_default_meanwhile() {
        let mut documents = read(MANIFEST).unwrap();
        assert!(states(&documents, Kind::Deployment, "evose-api"));
        assert!(!states(&documents, Kind::Deployment, "evose-worker"));
        assert!(!states(&documents, Kind::CronJob, "evose-nightly"));
        hold(&mut documents, &All { live: Some(3), was_stated: true, ..All::default() });
        let worker = &documents[1];
        assert_eq!(
            (&worker["spec"]["replicas"], &worker["metadata"]["annotations"][REPLICAS]),
            (&json!(0), &json!("3"))
        );
    }

    #[test]
    fn a_clock_that_somebody_stopped_stays_theirs() {
        let held = |was_stated: bool| {
            let mut documents = read(MANIFEST).unwrap();
            hold(&mut documents, &All { live: Some(3), was_stated, is_suspended: true });
            documents[2]["spec"]["suspend"].clone()
        };
        assert_eq!(held(false), Value::Null);
        assert_eq!(held(true), true, "Helm would start it");
    }

    #[test]
    fn documents_are_read_as_helm_reads_them() {
        let of = |text: &str| read(&format!("spec: {{x: {text}}}")).unwrap()[0]["spec"]["x"].clone();
        for (text, value) in [
            ("0400", json!(256)),
            ("0755", json!(493)),
            ("420", json!(420)),
            ("0", json!(0)),
            ("-1", json!(-1)),
            ("'0755'", json!("0755")),
            ("0x1F", json!(31)),
            ("0.25", json!(0.25)),
            ("on", json!(true)),
            ("No", json!(false)),
            ("'no'", json!("no")),
            ("2024-02-29", json!("2024-02-29")),
            ("1.2.3", json!("1.2.3")),
        ] {
            assert_eq!(of(text), value, "{text}");
        }
        let twice = read("metadata:\n  labels:\n    app: one\n    tier: web\n    app: two\n").unwrap();
        assert_eq!(twice[0]["metadata"]["labels"], json!({ "app": "two", "tier": "web" }));
        let chart = chart_of("evose", "0.0.0", "1.4.0", &read("data: {mode: 0755}").unwrap());
        assert_eq!(chart["manifest.json"], "{\"data\":{\"mode\":493}}");
    }

    #[test]
    fn a_diff_shows_no_secret() {
        let secret =
            |value: &str| vec![json!({ "kind": "Secret", "metadata": { "name": "s" }, "data": { "password": value } })];
        let text = diff(&secret("b2xk"), &secret("bmV3"));
        assert!(text.contains("Secret/s") && text.contains("***"), "{text}");
        assert!(!text.contains("b2xk") && !text.contains("bmV3"), "{text}");
        assert_eq!(diff(&secret("b2xk"), &secret("b2xk")), "");
    }

    #[test]
    fn a_definition_that_goes_is_named() {
        let old = [json!({ "kind": "CustomResourceDefinition", "metadata": { "name": "jobs.evose.example" } })];
        assert_eq!(removed_definitions(&old, &[]), ["jobs.evose.example"]);
        assert!(removed_definitions(&old, &old).is_empty());
    }

    #[test]
    fn resources_are_named_as_rules_name_them() {
        let of = |api: &str, kind: &str| object_resource(&json!({ "apiVersion": api, "kind": kind })).unwrap();
        assert_eq!(of("networking.k8s.io/v1", "Ingress"), ("networking.k8s.io".into(), "ingresses".into(), true));
        assert_eq!(of("networking.k8s.io/v1", "NetworkPolicy").1, "networkpolicies");
        assert_eq!(of("v1", "ConfigMap"), (String::new(), "configmaps".into(), true));
        assert!(!of("rbac.authorization.k8s.io/v1", "ClusterRole").2);
    }
}
