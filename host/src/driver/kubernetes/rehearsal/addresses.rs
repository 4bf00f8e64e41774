//! Names that lead into the live namespace: in full, or as `service.namespace`, which a pod's search path completes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::BTreeSet;
use upgraded_kubernetes::manifest::head;

/// What follows a namespace in a full name.
const SVC: &str = ".svc";

pub struct Live<'a> {
    namespace: &'a str,
    /// The short name of any other can't be told from a public one.
    services: BTreeSet<&'a str>,
}

impl<'a> Live<'a> {
    pub fn new(namespace: &'a str, documents: &'a [Value]) -> Self {
        let services = documents.iter().map(head).filter(|(kind, _)| *kind == "Service");
        Self { namespace, services: services.map(|(_, name)| name).collect() }
    }

    /// The first name within the live namespace, in whatever text.
    pub fn named_in(&self, value: &Value) -> Option<String> {
        match value {
            Value::String(text) => {
                [Some(text.clone()), decoded(text)].into_iter().flatten().find_map(|text| self.named(&text))
            }
            Value::Array(all) => all.iter().find_map(|value| self.named_in(value)),
            Value::Object(all) => all.values().find_map(|value| self.named_in(value)),
            _ => None,
        }
    }

    fn named(&self, text: &str) -> Option<String> {
        let within = format!(".{}", self.namespace);
        text.match_indices(&within).find_map(|(at, _)| {
            let (before, rest) = (&text[..at], &text[at + within.len()..]);
            let host = before.rsplit(|c: char| !c.is_ascii_alphanumeric() && !"-.".contains(c)).next()?;
            let service = host.rsplit('.').next()?;
            match rest.starts_with(SVC) {
                true => Some(format!("{host}{within}{SVC}")),
                false => (self.services.contains(service) && ends(rest)).then(|| format!("{host}{within}")),
            }
        })
    }
}

/// Whether a host's name is over where this follows: behind a colon a port may come, and no word as in `api.shop:main`. What
/// is set or called, as `cache.shop=on` and `web.shop(…)`, is no host.
fn ends(rest: &str) -> bool {
    let goes_on = rest.starts_with(|c: char| c.is_ascii_alphanumeric() || "-._=([".contains(c));
    let is_word = rest.strip_prefix(':').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()));
    !goes_on && !is_word
}

/// What a secret holds, where it is text.
fn decoded(text: &str) -> Option<String> {
    String::from_utf8(STANDARD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_service_is_found_by_each_of_its_names_and_a_public_domain_is_none() {
        let documents = [json!({ "kind": "Service", "metadata": { "name": "db" } })];
        let live = Live::new("shop", &documents);
        let secret = STANDARD.encode("postgres://u:p@db.shop:5432/x");
        for (text, found) in [
            ("http://api.shop.svc:80", Some("api.shop.svc")),
            ("db.shop.svc.cluster.local", Some("db.shop.svc")),
            ("db.shop", Some("db.shop")),
            ("db-0.db.shop:5432,db-1.db.shop:5432", Some("db-0.db.shop")),
            ("https://example.shop/ and postgres://db.shop/x", Some("db.shop")),
            (secret.as_str(), Some("db.shop")),
            ("ü.shop.svc", Some(".shop.svc")),
            ("https://example.shop/", None),
            ("https://db.shop.example.com/", None),
            ("db.shopping", None),
            ("mydb.shop", None),
            ("gunicorn db.shop:app", None),
            ("db.shop=true", None),
            ("db.shop = load(db.shop(1), db.shop[0])", Some("db.shop")),
            ("x(db.shop(1), db.shop[0])", None),
            ("HOST=db.shop", Some("db.shop")),
            ("u@tcp(db.shop:3306)/x?from=db.shop=1", Some("db.shop")),
        ] {
            assert_eq!(live.named_in(&json!({ "env": [text] })).as_deref(), found, "{text}");
        }
    }
}
