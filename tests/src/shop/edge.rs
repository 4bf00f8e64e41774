//! Services of the shop on Cloud Run, beside its projects.

use super::{Front, PROGRAM, RELEASES, Shop, WITH_A_BAD_FRONT};
use scratch_docker::products::write_secret;
use scratch_google::{Google, Image, Response};
use serde_json::json;

/// See [`Shop::with_edge`].
const WITH_A_BAD_EDGE: &str = "1.1.2";
/// In the order in which releases take them.
pub const EDGE_SERVICES: [&str; 2] = ["search", "assets"];
const EDGE_IMAGES: &str = "europe-west1-docker.pkg.dev/acme/shop";

pub struct Edge {
    pub google: Google,
    addresses: Vec<String>,
}

impl Shop {
    /// Two services on Cloud Run beside the two projects, upgraded last, and a release whose last service never listens.
    pub fn with_edge(&self, front: &Front) -> Edge {
        let [first, good, _] = RELEASES;
        self.publish_program("web", WITH_A_BAD_EDGE, PROGRAM);
        self.publish_program("front", WITH_A_BAD_EDGE, PROGRAM);
        let google = Google::start("acme");
        for service in EDGE_SERVICES {
            let image = |version: &str| format!("{EDGE_IMAGES}/{service}:{version}");
            for version in [first, good] {
                google.push(&image(version), says(version));
            }
            let ends = service == EDGE_SERVICES[1];
            google.push(&image(WITH_A_BAD_EDGE), if ends { Image::Broken } else { says(WITH_A_BAD_EDGE) });
        }
        let deploy = |service: &str| {
            let name = format!("projects/acme/locations/europe-west1/services/{service}");
            google.deploy(&name, &format!("{EDGE_IMAGES}/{service}:{first}"))
        };
        let edge = Edge { addresses: EDGE_SERVICES.iter().map(|service| deploy(service)).collect(), google };
        let key = edge.google.account("upgraded", "acme").json().to_string();
        write_secret(&self.path("etc"), "google.json", &key).expect("a secret");
        self.deploy_text(&self.deployment_with_edge(front, &edge));
        edge
    }

    fn deployment_with_edge(&self, front: &Front, edge: &Edge) -> String {
        let own = self.deployment_with(front).replace(WITH_A_BAD_FRONT, WITH_A_BAD_EDGE);
        let names = EDGE_SERVICES.map(|name| format!("\"edge/{name}\""));
        let waves = names.clone().map(|name| format!("{{ wave = [{name}] }}"));
        let own = own.replace("\"front/front\"]\nundo", &format!("\"front/front\", {}]\nundo", names.join(", ")));
        let front_wave = "{ wave = [\"front/front\"] }";
        let own = own.replace(front_wave, &format!("{front_wave}, {}", waves.join(", ")));
        let platform = format!(
            "[platforms.edge]\nplugin = \"cloud-run\"\nimage = \"{EDGE_IMAGES}/{{service}}:{{version}}\"\n\
             health = {{ path = \"/version\" }}\n\n[platforms.edge.google]\nproject = \"acme\"\n\
             region = \"europe-west1\"\nendpoint = \"{}\"\nservices = [\"{}\"]\n\
             credentials = {{ secret = \"file:{}\" }}\n\n[datastores.main]\n",
            edge.google.url(),
            EDGE_SERVICES.join("\", \""),
            self.path("etc/google.json").display(),
        );
        own.replace("[datastores.main]\n", &platform)
    }
}

impl Edge {
    /// What users get of each service.
    pub fn versions(&self, shop: &Shop) -> Vec<String> {
        self.addresses.iter().map(|address| shop.version_at(&format!("{address}/version"))).collect()
    }
}

fn says(version: &str) -> Image {
    let version = version.to_owned();
    Image::server(move |_, _| Response::json(&json!({ "version": version })))
}
