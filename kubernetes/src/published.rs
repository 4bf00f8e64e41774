//! At which addresses a release lets users in, and which of its services is behind each.

use crate::cluster::Cluster;
use crate::error::Result;
use crate::manifest;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// An address that leads to a port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// None: any node's.
    pub host: Option<String>,
    pub port: u16,
    /// What the request's path begins with.
    pub path: String,
    /// By who speaks TLS to users, and plain HTTP to the service.
    pub routed: bool,
    pub service: String,
    /// Of the service: its number or its name.
    pub to: Value,
}

impl Published {
    pub fn leads(&self, host: &str, port: u16, path: &str) -> bool {
        let named = self.host.as_deref().is_none_or(|own| own.eq_ignore_ascii_case(host));
        let whole = self.path.trim_end_matches('/');
        let inner = path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        named && self.port == port && inner
    }
}

impl Cluster {
    /// Of the newest revision.
    pub async fn published(&self) -> Result<Vec<Published>> {
        let mut all = Vec::new();
        for document in manifest::read(&self.newest().await?.manifest)? {
            match manifest::head(&document) {
                ("Service", name) => {
                    // Ports may be the cluster's to give.
                    if let Some(service) = self.get(&self.path("api/v1", "services"), name).await? {
                        all.extend(of_service(&service));
                    }
                }
                ("Ingress", _) => all.extend(of_ingress(&document)),
                _ => {}
            }
        }
        Ok(all)
    }

    /// Where the nodes of pods that are ready let users in to them.
    pub async fn entrances(&self) -> Result<BTreeSet<SocketAddr>> {
        let mut all = BTreeSet::new();
        for document in manifest::read(&self.newest().await?.manifest)? {
            let ("Service", name) = manifest::head(&document) else { continue };
            if !matches!(document["spec"]["type"].as_str(), Some("NodePort" | "LoadBalancer")) {
                continue;
            }
            let Some(service) = self.get(&self.path("api/v1", "services"), name).await? else { continue };
            let ports: Vec<u16> = of_service(&service).iter().filter(|p| p.host.is_none()).map(|p| p.port).collect();
            let pods = self.ready_pods_behind(&service).await?.unwrap_or_default();
            let nodes = pods.iter().filter_map(|pod| pod["status"]["hostIP"].as_str()?.parse::<IpAddr>().ok());
            all.extend(nodes.flat_map(|node| ports.iter().map(move |port| SocketAddr::new(node, *port))));
        }
        Ok(all)
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn of_service(service: &Value) -> Vec<Published> {
    let name = service["metadata"]["name"].as_str().unwrap_or_default();
    let balancers = list(&service["status"]["loadBalancer"]["ingress"]);
    let outside = balancers.filter_map(|place| text(&place["ip"]).or_else(|| text(&place["hostname"])));
    let outside: Vec<String> = outside.chain(list(&service["spec"]["externalIPs"]).filter_map(text)).collect();
    let mut all = Vec::new();
    for own in list(&service["spec"]["ports"]) {
        let number = |key: &str| own[key].as_u64().and_then(|port| u16::try_from(port).ok());
        let mut add = |host: Option<String>, port: u16| {
            let (service, to) = (name.to_owned(), own["port"].clone());
            all.push(Published { host, port, path: "/".into(), routed: false, service, to });
        };
        number("nodePort").into_iter().for_each(|port| add(None, port));
        for host in &outside {
            number("port").into_iter().for_each(|port| add(Some(host.clone()), port));
        }
    }
    all
}

fn of_ingress(ingress: &Value) -> Vec<Published> {
    let mut all = Vec::new();
    for rule in list(&ingress["spec"]["rules"]) {
        let Some(host) = text(&rule["host"]) else { continue };
        for path in list(&rule["http"]["paths"]) {
            let backend = &path["backend"]["service"];
            let Some(service) = text(&backend["name"]) else { continue };
            let to =
                if backend["port"]["number"].is_null() { &backend["port"]["name"] } else { &backend["port"]["number"] };
            all.extend([80, 443].map(|port| Published {
                host: Some(host.clone()),
                port,
                path: text(&path["path"]).unwrap_or_else(|| "/".into()),
                routed: true,
                service: service.clone(),
                to: to.clone(),
            }));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_service_is_published_on_nodes_and_by_balancers() {
        let service = json!({
            "metadata": { "name": "shop-web" },
            "spec": { "ports": [{ "port": 80, "nodePort": 31080 }], "externalIPs": ["192.0.2.7"] },
            "status": { "loadBalancer": { "ingress": [{ "hostname": "shop.example.com" }] } },
        });
        let all = of_service(&service);
        let leads = |host: &str, port: u16| all.iter().any(|own| own.leads(host, port, "/health"));
        assert!(leads("10.0.0.4", 31080) && leads("Shop.example.com", 80) && leads("192.0.2.7", 80));
        assert!(!leads("10.0.0.4", 80) && !leads("shop.example.com", 443));
        assert!(
            of_service(&json!({ "metadata": { "name": "db" }, "spec": { "ports": [{ "port": 5432 }] } })).is_empty()
        );
    }

    #[test]
    fn a_route_leads_by_host_and_path() {
        let backend = |name: &str, port: Value| json!({ "service": { "name": name, "port": port } });
        let ingress = json!({ "spec": { "rules": [{ "host": "shop.example.com", "http": { "paths": [
            { "path": "/api", "pathType": "Prefix", "backend": backend("api", json!({ "name": "http" })) },
            { "path": "/", "pathType": "Prefix", "backend": backend("web", json!({ "number": 8080 })) },
        ] } }] } });
        let all = of_ingress(&ingress);
        let of = |path: &str| {
            let fits = all.iter().filter(|own| own.leads("shop.example.com", 443, path));
            fits.max_by_key(|own| own.path.len()).map(|own| (own.service.as_str(), own.to.clone()))
        };
        assert_eq!(of("/api/health"), Some(("api", json!("http"))));
        assert_eq!(of("/apis"), Some(("web", json!(8080))));
        assert_eq!(of("/"), Some(("web", json!(8080))));
    }
}
