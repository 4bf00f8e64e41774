//! `tessallite`: six services and PostgreSQL.

use super::{common_places, make_folder, with_places, write, write_secret};
use crate::{Engine, ImageConfig, Shelf};
use std::path::Path;

pub const SERVICES: [&str; 6] = ["model-service", "query-router", "optimizer", "scheduler", "frontend", "gateway"];
const PASSWORD: &str = "a-password-that-nobody-may-read";
/// Of the files as the vendor publishes them.
const PUBLISHED: &str = "1.4.0";

const COMPOSE: &str = include_str!("../../../../examples/tessallite/compose.yaml");
const DEPLOYMENT: &str = include_str!("../../../../examples/tessallite/deployment.toml");

/// Of 127.0.0.1.
#[derive(Clone, Copy)]
pub struct Ports {
    /// Where users come in.
    pub gateway: u16,
    /// Where the operator asks.
    pub frontend: u16,
}

pub fn publish(shelf: &Shelf, version: &str) -> Result<(), String> {
    SERVICES.iter().try_for_each(|service| {
        let config = ImageConfig {
            entrypoint: vec!["tessallite".into(), (*service).into()],
            env: vec![("TESSALLITE_RELEASE".into(), version.into())],
            ..ImageConfig::default()
        };
        shelf.publish(&format!("tessallite/{service}:{version}"), &config)
    })
}

/// The vendor's files for `version` in the folder `home`; the secret in its own.
pub fn lay_out(
    home: &Path, secrets: &Path, project: &str, shelf: &Shelf, ports: Ports, version: &str,
) -> Result<(), String> {
    make_folder(home)?;
    write(&home.join("compose.yaml"), &COMPOSE.replace(&format!(":{PUBLISHED}"), &format!(":{version}")))?;
    let (registry, postgres) = (shelf.registry(), shelf.engine().base("postgres:15"));
    let Ports { gateway, frontend } = ports;
    let env = format!(
        "# of this machine\nCOMPOSE_PROJECT_NAME={project}\nREGISTRY={registry}\nPOSTGRES_IMAGE={postgres}\n\
         POSTGRES_PASSWORD={PASSWORD}\nGATEWAY_PORT={gateway}\nFRONTEND_PORT={frontend}\n"
    );
    write(&home.join(".env"), &env)?;
    write_secret(secrets, "tessallite-postgres", PASSWORD)
}

/// `index`: the vendor's, of releases; `policy`: the lines of that table.
pub fn deployment(
    engine: &Engine, home: &Path, secrets: &Path, ports: Ports, index: &str, version: &str, policy: &str,
) -> String {
    let own = [
        ("version = \"1.4.0\"", format!("version = \"{version}\"")),
        ("http://127.0.0.1:3000", format!("http://127.0.0.1:{}", ports.frontend)),
        ("https://releases.example.com/tessallite/releases.json", format!("{index}/releases.json")),
        ("https://releases.example.com", index.to_owned()),
        ("/opt/tessallite", home.display().to_string()),
        ("window = [\"Sat 02:00-06:00 Europe/Berlin\"]\napprove = \"breaking\"\n", policy.to_owned()),
    ];
    with_places(DEPLOYMENT, &[&own[..], &common_places(engine, secrets)].concat())
}
