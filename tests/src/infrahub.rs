//! [`Composed`] with `infrahub` on it: a graph and artifacts in volumes, a migration by a one-off command.

use crate::composed::{Composed, free_port};
use crate::machine::{succeed, write};
use scratch_docker::ImageConfig;
use std::fs;
use std::ops::Deref;
use std::process::Command;

pub(crate) const TOKEN: &str = "a-token-that-nobody-may-read";

pub struct Infrahub {
    composed: Composed,
    gateway: String,
}

impl Deref for Infrahub {
    type Target = Composed;
    fn deref(&self) -> &Composed {
        &self.composed
    }
}

impl Infrahub {
    /// This release runs, and a user has made tags.
    pub fn new(version: &'static str, policy: &str) -> Self {
        let composed = Composed::new("infrahub", |machine| machine.programs.infrahub.clone());
        let (gateway, api) = (free_port(), free_port());
        let infrahub = Self { gateway: format!("http://127.0.0.1:{gateway}"), composed };
        infrahub.publish(version);
        infrahub.publish_image("graph:5", &ImageConfig::default());
        infrahub.mirror("base/nginx:1");
        write(&infrahub.file("docker-compose.yml"), include_str!("../../examples/infrahub/docker-compose.yml"));
        fs::create_dir_all(infrahub.file("gateway")).expect("a folder of the project");
        write(&infrahub.file("gateway/infrahub.conf"), include_str!("../../examples/infrahub/gateway/infrahub.conf"));
        let (project, registry) = (infrahub.project.name().to_owned(), infrahub.registry());
        let env = format!(
            "COMPOSE_PROJECT_NAME={project}\nVERSION={version}\nINFRAHUB_DOCKER_IMAGE={registry}/infrahub\n\
             DATABASE_DOCKER_IMAGE={registry}/graph:5\nCACHE_DOCKER_IMAGE={registry}/graph:5\n\
             GATEWAY_DOCKER_IMAGE={registry}/base/nginx:1\nINFRAHUB_API_TOKEN={TOKEN}\nGATEWAY_PORT={gateway}\n\
             INFRAHUB_PORT={api}\n"
        );
        write(&infrahub.file(".env"), &env);
        infrahub.secret("infrahub-token", TOKEN);
        infrahub.compose(&["up", "--detach", "--wait", "--quiet-pull"]);
        for name in ["red", "green", "blue"] {
            graphql(
                &infrahub.gateway,
                &format!("mutation {{ BuiltinTagCreate(data: {{ name: \"{name}\" }}) {{ ok }} }}"),
            );
        }
        infrahub.deploy(
            include_str!("../../examples/infrahub/deployment.toml"),
            &[
                ("version = \"1.6.4\"", format!("version = \"{version}\"")),
                ("http://127.0.0.1:8000", format!("http://127.0.0.1:{api}")),
                ("https://releases.example.com/infrahub", infrahub.index.clone()),
                ("https://releases.example.com", infrahub.index.clone()),
                ("/opt/infrahub", infrahub.home().display().to_string()),
                ("volume:infrahub_", format!("volume:{project}_")),
                (
                    "window = [\"Sat 02:00-06:00 Europe/Berlin\"]\napprove = \"breaking\"\ndrill = \"final\"\n",
                    policy.to_owned(),
                ),
            ],
        );
        infrahub
    }

    pub fn publish(&self, version: &str) {
        self.publish_image(&format!("infrahub:{version}"), &image(version));
    }

    /// The tags, as a user sees them.
    pub fn data(&self) -> String {
        graphql(&self.gateway, "{ BuiltinTag { count edges { node { name } } } }")
    }

    pub fn version_for_users(&self) -> String {
        self.version_at(&format!("{}/api/config", self.gateway))
    }

    pub fn is_whole(&self, version: &str, data: &str) {
        assert_eq!(self.version_for_users(), version, "the version behind the gate\n{}", self.log());
        assert_eq!(self.data(), data, "the data of {version}\n{}", self.log());
        let policies = self.restart_policies();
        assert!(policies.iter().all(|line| line.ends_with(" unless-stopped")), "{policies:?}");
        self.is_what_the_files_say();
        self.nothing_is_left();
    }
}

pub(crate) fn image(version: &str) -> ImageConfig {
    ImageConfig { env: vec![("INFRAHUB_RELEASE".into(), version.into())], ..ImageConfig::default() }
}

/// What a user is answered behind the gate.
pub(crate) fn graphql(gateway: &str, query: &str) -> String {
    let body = serde_json::json!({ "query": query }).to_string();
    let key = format!("X-INFRAHUB-KEY: {TOKEN}");
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--max-time", "20", "--retry", "10", "--retry-all-errors"]);
    curl.args(["--header", &key, "--header", "content-type: application/json", "--data", &body]);
    succeed(curl.arg(format!("{gateway}/graphql")))
}
