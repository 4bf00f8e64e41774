//! The layouts.

use upgraded_tests::Plan;

pub struct Row {
    pub plan: Plan<'static>,
    /// Those of the product that run.
    pub services: &'static [&'static str],
    /// By `upgradectl rollback`; else by a version that doesn't stand.
    pub back_by_hand: bool,
}

pub fn rows() -> [Row; 5] {
    [files(), pinned(), include(), order(), edition()]
}

/// Several files, env files and profiles, all named; an `env_file`; the version in quotes in the last env file. The operator
/// has a container of a profile that is off.
fn files() -> Row {
    let plan = Plan {
        name: "files",
        flags: &[
            "--file=base.yaml",
            "--file=prod.yaml",
            "--env-file=all.env",
            "--env-file=app.env",
            "--profile=extra",
            "--project-name={project}",
        ],
        files: &[
            ("all.env", "IMAGE={app}\nMODE=test\n"),
            ("app.env", "# the release\nexport APP_VERSION='{v}'   # edited by the daemon\nTOKEN=s3cr3t\n"),
            ("web.env", "GREETING=hello\n"),
            (
                "base.yaml",
                r#"services:
  web: { image: "${IMAGE:?}:${APP_VERSION:?}", env_file: web.env }
  worker: { image: "${IMAGE}:${APP_VERSION}", profiles: [extra] }
  agent: { image: "${IMAGE}:${APP_VERSION}", profiles: [never] }
"#,
            ),
            (
                "prod.yaml",
                "services:\n  web:\n    restart: unless-stopped\n    environment: [\"TOKEN_OF_APP=${TOKEN}\"]\n",
            ),
        ],
        vendors: &[],
        deployment: r#"version-key = "APP_VERSION"
[platform.compose]
files = ["base.yaml", "prod.yaml"]
env-files = ["all.env", "app.env"]
profiles = ["extra"]
project = "{project}"
[settings]
services = ["web", "worker"]
"#,
        before: &[&[
            "run",
            "--detach",
            "--label=com.docker.compose.project={project}",
            "--label=com.docker.compose.service=agent",
            "--label=com.docker.compose.oneoff=False",
            "{other}",
            "sh",
            "-c",
            "trap exit TERM; sleep 100000 & wait",
        ]],
    };
    Row { plan, services: &["web", "worker"], back_by_hand: true }
}

/// A tag with its digest behind an anchor; an override; a volume and a network of somebody else's, secrets and configs by
/// file; what runs in the host's own network is left alone.
fn pinned() -> Row {
    let plan = Plan {
        name: "pinned",
        flags: &[],
        files: &[
            (
                "compose.yml",
                r#"name: {project}

x-app: &app   # for both
  image: &image "{app}:{v}@{digest}"   # the release
  environment: &env { TZ: UTC }

services:
  web:
    <<: *app
    environment: { <<: *env, GREETING: 'é' }
    volumes: ["data:/data"]
    networks: [outer]
    secrets: [token]
    configs: [{ source: settings, target: /settings }]
  worker: { image: *image }
volumes: { data: { external: true, name: {project}-data } }
networks: { outer: { external: true, name: {project}-net } }
secrets: { token: { file: ./token.txt } }
configs: { settings: { file: ./settings.conf } }
"#,
            ),
            (
                "compose.override.yml",
                r#"services:
  agent:   # of the machine
    image: {other}
    command: [sh, -c, "trap exit TERM; sleep 100000 & wait"]
    network_mode: host
    pid: host
  web: { labels: ["a.b=c"] }
"#,
            ),
            ("token.txt", "s3cr3t"),
            ("settings.conf", "mode = 1\n"),
        ],
        vendors: &[],
        deployment: r#"version-services = ["web", "worker"]
[settings]
services = ["web", "worker"]
[datastores.data]
plugin = "files"
paths = { data = "volume:{project}-data" }
"#,
        before: &[
            &["volume", "create", "--label", "com.docker.compose.project={project}", "{project}-data"],
            &["network", "create", "--label", "com.docker.compose.project={project}", "{project}-net"],
        ],
    };
    Row { plan, services: &["web", "worker"], back_by_hand: false }
}

/// Tags in a file that is included and in one that is extended, each in a folder of its own.
fn include() -> Row {
    let plan = Plan {
        name: "include",
        flags: &[],
        files: &[
            (
                "compose.yaml",
                r"name: {project}
include:
  - apps/compose.yaml
services:
  web:
    extends: { file: common/base.yaml, service: base }
    depends_on: [worker]
",
            ),
            (
                "apps/compose.yaml",
                "services:\n  worker:   # beside\n    image: '{app}:{v}'   # the release\n    env_file: worker.env\n",
            ),
            ("apps/worker.env", "GREETING=hello\n"),
            ("common/base.yaml", "services:\n  base:\n    image: \"{app}:{v}\"\n    volumes: [\"./site:/site:ro\"]\n"),
            ("common/site/index.html", "hello\n"),
        ],
        vendors: &[],
        deployment: "version-services = [\"web\", \"worker\"]\n[settings]\nservices = [\"web\", \"worker\"]\n",
        before: &[],
    };
    Row { plan, services: &["web", "worker"], back_by_hand: true }
}

/// Files by `COMPOSE_FILE`; a key that stands nowhere yet; an image that is built, twice over; conditions, and a service that
/// ends.
fn order() -> Row {
    let plan = Plan {
        name: "order",
        flags: &[],
        files: &[
            (
                ".env",
                "# no version yet\nCOMPOSE_PROJECT_NAME={project}\nCOMPOSE_FILE=stack.yml:web.yml\n{later}APP_VERSION={v}\n",
            ),
            (
                "stack.yml",
                r#"services:
  base:
    image: {other}
    command: [sh, -c, "trap exit TERM; sleep 100000 & wait"]
    healthcheck: { test: [CMD, "true"], interval: 1s }
  init:
    image: {app}:${APP_VERSION:-1.0.0}
    command: [cat, /release]
    restart: "no"
    depends_on: { base: { condition: service_healthy } }
"#,
            ),
            (
                "web.yml",
                r#"services:
  web:
    build: { context: ., args: { BASE: "{app}:${APP_VERSION:-1.0.0}" } }
    image: {project}:${APP_VERSION:-1.0.0}
    restart: unless-stopped
    deploy: { replicas: 2 }
    depends_on: { init: { condition: service_completed_successfully } }
"#,
            ),
            ("Dockerfile", "ARG BASE\nFROM ${BASE}\nCOPY page.html /page.html\n"),
            ("page.html", "hello\n"),
        ],
        vendors: &[],
        deployment: r#"version-key = "APP_VERSION"
[settings]
services = ["web", "init"]
acts = [{ wave = ["init"] }, { wave = ["web"] }]
"#,
        before: &[],
    };
    Row { plan, services: &["web"], back_by_hand: false }
}

/// The vendor's files, with passwords of the vendor's, a file, a volume and a network that are new, from a repository; beside
/// them what is the operator's.
fn edition() -> Row {
    let plan = Plan {
        name: "edition",
        flags: &[],
        files: &[
            (".env", "COMPOSE_PROJECT_NAME={project}\nDATABASE_PASSWORD=s3cr3t\n"),
            ("compose.override.yaml", "services: { web: { labels: [\"a.b=c\"] } }\n"),
        ],
        vendors: &[
            (
                "compose.yaml",
                r#"# The vendor's, {v}.
services:
  web:
    image: {app}:{v}
    env_file: conf/web.env
    environment: { APP_PASSWORD: "change-me-{v}", DATABASE_PASSWORD: "${DATABASE_PASSWORD:-change-me}" }
{later}    volumes: ["media:/media"]
{later}    networks: [default, media]
{later}volumes: { media: {} }
{later}networks: { media: {} }
"#,
            ),
            ("conf/web.env", "GREETING=hello\nAPI_TOKEN=change-me-too-{v}\n"),
            ("conf/new.conf", "{later}new in {v}\n"),
        ],
        deployment: r#"repository = "{repository}"
edition = { under = "docker" }
[settings]
services = ["web"]
"#,
        before: &[],
    };
    Row { plan, services: &["web"], back_by_hand: true }
}
