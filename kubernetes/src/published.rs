//! At which addresses a release lets users in, and which of its services is behind each.

use crate::cluster::Cluster;
use crate::error::Result;
use crate::manifest;
use crate::workload::Workload;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr, UdpSocket};

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

    /// Where a workload's pods that are ready are led to: by their nodes' ports, and at the addresses of the cluster itself
    /// where this machine is one of these nodes.
    pub async fn entrances(&self, workload: &Workload) -> Result<BTreeSet<SocketAddr>> {
        let mut all = BTreeSet::new();
        for document in manifest::read(&self.newest().await?.manifest)? {
            let ("Service", name) = manifest::head(&document) else { continue };
            if !selects(&document, &workload.object["spec"]["template"]["metadata"]["labels"]) {
                continue;
            }
            let Some(service) = self.get(&self.path("api/v1", "services"), name).await? else { continue };
            let pods = self.ready_pods_behind(&service).await?.unwrap_or_default();
            let nodes = pods.iter().filter_map(|pod| pod["status"]["hostIP"].as_str()?.parse().ok());
            all.extend(ways(&service, &nodes.collect(), is_this_machine));
        }
        Ok(all)
    }
}

fn selects(service: &Value, labels: &Value) -> bool {
    let selector = service["spec"]["selector"].as_object();
    selector.is_some_and(|wanted| !wanted.is_empty() && wanted.iter().all(|(key, value)| labels[key] == *value))
}

/// Of TCP, to a service whose pods run on these nodes.
fn ways(service: &Value, nodes: &BTreeSet<IpAddr>, is_here: impl Fn(&IpAddr) -> bool) -> Vec<SocketAddr> {
    let inside = service["spec"]["clusterIP"].as_str().and_then(|address| address.parse::<IpAddr>().ok());
    let inside = inside.filter(|_| nodes.iter().any(is_here));
    let mut all = Vec::new();
    for own in list(&service["spec"]["ports"]).filter(|own| matches!(own["protocol"].as_str(), None | Some("TCP"))) {
        all.extend(port(own, "nodePort").into_iter().flat_map(|port| nodes.iter().map(move |node| (*node, port))));
        all.extend(inside.zip(port(own, "port")));
    }
    all.into_iter().map(SocketAddr::from).collect()
}

fn is_this_machine(address: &IpAddr) -> bool {
    UdpSocket::bind((*address, 0)).is_ok()
}

fn port(of: &Value, key: &str) -> Option<u16> {
    of[key].as_u64().and_then(|port| u16::try_from(port).ok())
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
        let mut add = |host: Option<String>, port: u16| {
            let (service, to) = (name.to_owned(), own["port"].clone());
            all.push(Published { host, port, path: "/".into(), routed: false, service, to });
        };
        port(own, "nodePort").into_iter().for_each(|port| add(None, port));
        for host in &outside {
            port(own, "port").into_iter().for_each(|port| add(Some(host.clone()), port));
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
    use std::net::Ipv4Addr;

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
    fn pods_are_led_to_by_their_nodes_and_inside_of_a_cluster_that_this_machine_is_of() {
        let service = json!({ "spec": {
            "selector": { "app": "shop" },
            "clusterIP": "10.96.0.7",
            "ports": [
                { "port": 80, "nodePort": 31080, "protocol": "TCP" },
                { "port": 9100 },
                { "port": 53, "nodePort": 31053, "protocol": "UDP" },
            ],
        } });
        let nodes: BTreeSet<IpAddr> = ["192.0.2.4", "192.0.2.5"].map(|node| node.parse().unwrap()).into();
        let led = |service: &Value, here: &str| {
            let ways = ways(service, &nodes, |node| node.to_string() == here);
            ways.iter().map(SocketAddr::to_string).collect::<Vec<_>>()
        };
        assert_eq!(led(&service, ""), ["192.0.2.4:31080", "192.0.2.5:31080"]);
        assert_eq!(led(&service, "192.0.2.5").last().map(String::as_str), Some("10.96.0.7:9100"));
        assert_eq!(led(&service, "192.0.2.5").len(), 4);
        let headless = json!({ "spec": { "clusterIP": "None", "ports": [{ "port": 80 }] } });
        assert!(led(&headless, "192.0.2.5").is_empty());
        assert!(is_this_machine(&Ipv4Addr::LOCALHOST.into()) && !is_this_machine(&"192.0.2.4".parse().unwrap()));

        assert!(selects(&service, &json!({ "app": "shop", "tier": "web" })));
        assert!(!selects(&service, &json!({ "app": "cart" })) && !selects(&headless, &json!({ "app": "shop" })));
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
