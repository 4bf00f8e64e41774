//! [`Composed`] with an API of two replicas behind a proxy that finds them by Docker's DNS, and keeps no data.

use crate::composed::{Composed, free_port};
use crate::machine::write;
use scratch_docker::{Engine, ImageConfig};
use std::net::SocketAddr;
use std::ops::Deref;

const PROXY: &str = "server {
    listen 8080;
    resolver 127.0.0.11 valid=1s;
    location / {
        set $api http://api:8080;
        proxy_pass $api;
        proxy_connect_timeout 1s;
        proxy_next_upstream error timeout http_502 http_503;
    }
}
";

const COMPOSE: &str = "services:
  api:
    image: ${REGISTRY}/replicas/api:${VERSION}
    restart: unless-stopped
    deploy: { replicas: 2 }
    healthcheck: { test: [CMD, tessallite, health, 'http://127.0.0.1:8080/healthz'], interval: 1s, retries: 5 }
  front:
    image: ${REGISTRY}/base/nginx:1
    restart: unless-stopped
    volumes: ['./front.conf:/etc/nginx/conf.d/front.conf:ro']
    ports: ['127.0.0.1:${PORT}:8080']
    depends_on: [api]
";

pub struct Replicas {
    composed: Composed,
    /// Where users come in.
    pub front: SocketAddr,
}

impl Deref for Replicas {
    type Target = Composed;
    fn deref(&self) -> &Composed {
        &self.composed
    }
}

impl Replicas {
    /// Images: each release's tag, the release that its program says it is, and what it runs instead of serving.
    pub fn new(version: &str, images: &[(&str, &str, Option<&str>)]) -> Self {
        Self::on(Engine::shared(), version, images)
    }

    pub fn on(engine: &Engine, version: &str, images: &[(&str, &str, Option<&str>)]) -> Self {
        let composed = Composed::on(engine, "replicas", |machine| machine.programs.tessallite.clone());
        let port = free_port();
        let replicas = Self { composed, front: ([127, 0, 0, 1], port).into() };
        replicas.mirror("base/nginx:1");
        for (tag, release, instead) in images {
            let serve = vec!["tessallite".to_owned(), "gateway".into()];
            let config = ImageConfig {
                entrypoint: instead.map_or(serve, |script| vec!["sh".into(), "-c".into(), script.into()]),
                env: vec![("TESSALLITE_RELEASE".into(), (*release).into())],
                ..ImageConfig::default()
            };
            replicas.publish_image(&format!("replicas/api:{tag}"), &config);
        }
        write(&replicas.file("compose.yaml"), COMPOSE);
        write(&replicas.file("front.conf"), PROXY);
        let (project, registry) = (replicas.project.name(), replicas.registry());
        let env = format!("COMPOSE_PROJECT_NAME={project}\nREGISTRY={registry}\nVERSION={version}\nPORT={port}\n");
        write(&replicas.file(".env"), &env);
        replicas.compose(&["up", "--detach", "--wait", "--quiet-pull"]);
        write(&replicas.deployment_file(), &replicas.deployment(version, images));
        replicas.take_compiled_plugins();
        replicas
    }

    fn deployment(&self, version: &str, images: &[(&str, &str, Option<&str>)]) -> String {
        let releases: Vec<String> =
            images.iter().map(|(tag, ..)| format!("{{ version = \"{tag}\", expand-only = true }}")).collect();
        format!(
            "product = \"generic\"\nversion = \"{version}\"\n\n[settings]\nservices = [\"api\"]\n\
             acts = [{{ wave = [\"api\"], rolling = true }}]\nundo = [\"code-only\"]\nattempts = 3\npause-ms = 300\n\
             version-url = \"http://{front}/healthz\"\nversion-field = \"version\"\nhttp = [\"http://{front}\"]\n\
             releases = [{}]\n\n[platform]\nplugin = \"compose\"\ndirectory = \"{}\"\nengine = \"unix://{}\"\n\
             version-key = \"VERSION\"\n\n[policy]\ndrill = \"off\"\nidle = \"60s\"\n",
            releases.join(", "),
            self.home().display(),
            self.engine().socket().display(),
            front = self.front,
        )
    }

    /// The image and the state of each replica.
    pub fn replicas(&self) -> Vec<String> {
        let answer = self.compose(&["ps", "--all", "--format", "{{.Image}} {{.State}} {{.Health}}", "api"]);
        answer.lines().map(|line| line.rsplit(':').next().unwrap_or_default().to_owned()).collect()
    }
}
