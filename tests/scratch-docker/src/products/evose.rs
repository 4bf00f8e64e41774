//! `evose`: MariaDB, PostgreSQL, an init container, files.

use super::{common_places, make_folder, with_places, write, write_secret};
use crate::{Engine, ImageConfig, Shelf};
use std::path::Path;

pub const FIRST: &str = "1.3.0";
pub const ADMIN: &str = "an-admin-nobody-knows";
pub const ROOT: &str = "the-root-of-mysql-nobody-knows";
const KNOWLEDGE: &str = "the-knowledge-nobody-knows";

const COMPOSE: &str = include_str!("../../../../examples/evose/edition/compose.yaml");
const GATEWAY: &str = include_str!("../../../../examples/evose/edition/gateway/evose.conf");
const DEPLOYMENT: &str = include_str!("../../../../examples/evose/deployment.toml");

/// Of 127.0.0.1.
#[derive(Clone, Copy)]
pub struct Ports {
    /// Where users come in.
    pub gateway: u16,
    /// Where the operator asks.
    pub api: u16,
}

/// The base images beside those of the product.
pub fn publish_bases(shelf: &Shelf) -> Result<(), String> {
    ["mariadb:10.11", "postgres:15", "nginx:1"].iter().try_for_each(|base| shelf.mirror(&format!("base/{base}")))
}

pub fn publish(shelf: &Shelf, version: &str) -> Result<(), String> {
    let config = ImageConfig {
        entrypoint: vec!["/usr/local/bin/evose".into()],
        env: vec![("EVOSE_RELEASE".into(), version.into())],
        ..ImageConfig::default()
    };
    shelf.publish(&format!("evose/server:{version}"), &config)
}

/// The edition's files in the folder `home`, with settings for release [`FIRST`]; the secrets in theirs.
pub fn lay_out(home: &Path, secrets: &Path, project: &str, registry: &str, ports: Ports) -> Result<(), String> {
    for folder in ["gateway", "data/files"] {
        make_folder(&home.join(folder))?;
    }
    write(&home.join("compose.yaml"), COMPOSE)?;
    write(&home.join("gateway/evose.conf"), GATEWAY)?;
    let Ports { gateway, api } = ports;
    let env = format!(
        "COMPOSE_PROJECT_NAME={project}\nEVOSE_REGISTRY={registry}\nEVOSE_VERSION={FIRST}   # this one runs\n\
         EVOSE_HTTP_PORT={gateway}\nEVOSE_API_PORT={api}\nEVOSE_SECRET=signs-what-nobody-else-may-sign\n\
         EVOSE_ADMIN_PASSWORD={ADMIN}\nEVOSE_MYSQL_PASSWORD=the-app-nobody-knows\nMYSQL_ROOT_PASSWORD={ROOT}\n\
         EVOSE_POSTGRES_PASSWORD={KNOWLEDGE}\n"
    );
    write(&home.join(".env"), &env)?;
    [("admin", ADMIN), ("mysql-root", ROOT), ("postgres", KNOWLEDGE)]
        .iter()
        .try_for_each(|(name, value)| write_secret(secrets, &format!("evose-{name}"), value))
}

/// `index`: the vendor's, of releases; `policy`: the lines of that table.
pub fn deployment(engine: &Engine, home: &Path, secrets: &Path, ports: Ports, index: &str, policy: &str) -> String {
    let own = [
        ("http://127.0.0.1:8000", format!("http://127.0.0.1:{}", ports.api)),
        ("https://releases.example.com", index.to_owned()),
        ("/opt/evose", home.display().to_string()),
        ("window = [\"Sat 02:00-06:00 Europe/Berlin\"]\napprove = \"breaking\"\n", policy.to_owned()),
    ];
    with_places(DEPLOYMENT, &[&own[..], &common_places(engine, secrets)].concat())
}
