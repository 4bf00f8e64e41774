//! Releases of Helm as people have them.

use super::*;
use crate::config::init::cluster::Cluster;
use crate::config::init::stack::{Platform, Version};

#[test]
fn the_folder_of_a_chart() {
    let project = Project::new();
    project.example("evose/chart", "");
    let (text, deployment) = project.proposed();
    assert_eq!((deployment.version.as_str(), &stores(&deployment)[..]), ("1.3.0", &["mysql", "postgres", "files"][..]));
    let kubernetes = deployment.platforms[0].grants.kubernetes.clone().unwrap();
    assert_eq!((kubernetes.chart.as_str(), &kubernetes.values[..]), (".", &[][..]));
    insta::assert_snapshot!(text);
}

/// As the published procedure has it.
const UPGRADE: &str = "#!/bin/sh\nNAMESPACE=evose\nhelm repo add evose https://charts.example.com\n\
    helm upgrade --install evose evose/evose -n \"$NAMESPACE\" \\\n  -f values.yaml --version \"$1\"  # and wait\n";

#[test]
fn values_for_a_chart_and_a_script() {
    let values = "registry: registry.example.com\nimage:\n  tag: v1.3.0\nexistingSecret: evose\n";
    let project = Project::with(&[("values.yaml", values), ("values-staging.yaml", "{}\n"), ("upgrade.sh", UPGRADE)]);
    let mut found = project.found();
    let stack = found.stack.as_mut().unwrap();
    let Platform::Helm(release) = &mut stack.platform else { panic!("{stack:?}") };
    let context = Some("production".to_owned());
    release.cluster =
        Some(Cluster { kubeconfig: "/home/ops/.kube/config".into(), context, namespace: Some("other".into()) });
    let text = propose("shop", &found);
    let kubernetes = parse(&text).platforms[0].grants.kubernetes.clone().unwrap();
    assert_eq!((kubernetes.release.as_str(), kubernetes.namespace.as_str()), ("evose", "evose"));
    assert_eq!(kubernetes.repository.as_deref(), Some("https://charts.example.com"));
    insta::assert_snapshot!(text.replace(project.root().to_str().unwrap(), "/opt/shop"));
}

#[test]
fn values_alone_leave_the_chart_to_be_said() {
    let project = Project::with(&[("values.prod.yaml", "tag: latest\n"), ("values.test.yaml", "{}\n")]);
    let (text, deployment) = project.proposed();
    assert_eq!(deployment.version, "0.0.0");
    insta::assert_snapshot!(text);
}

#[test]
fn where_the_version_of_a_chart_stands() {
    let of = |chart: &str, values: &str| {
        let chart = format!("apiVersion: v2\nname: shop\n{chart}");
        let project = Project::with(&[("charts/shop-0.5.2/Chart.yaml", &chart), ("values.yaml", values)]);
        let (text, deployment) = project.proposed();
        let lines = text.lines().filter(|line| {
            line.contains("version-key =") || line.contains("chart-version") || line.starts_with("chart =")
        });
        let lines = lines.map(|line| line.split("   #").next().unwrap()).collect::<Vec<_>>().join("; ");
        format!("{} {lines}", deployment.version)
    };
    // The tag is not a release's here, and the chart has no `appVersion`.
    assert_eq!(
        of("version: 0.5.2\n", "image: { tag: latest }\n"),
        "0.5.2 # version-key = \"image.tag\"; chart = \"charts/shop-{version}\""
    );
    assert_eq!(
        of("version: 0.5.2\nappVersion: \"1.10\"\n", ""),
        "1.10 # version-key = \"image.tag\"; # chart-version = \"{version}\"; chart = \"charts/shop-{version}\""
    );
    assert_eq!(
        of("version: 0.5.2\nappVersion: 1.4.0\n", "global: { image: { tag: 1.4.1 } }\n"),
        "1.4.1 version-key = \"global.image.tag\"; chart-version = \"0.5.2\"; chart = \"charts/shop-{version}\""
    );
    assert_eq!(
        of("version: 1.4.0-3\nappVersion: v1.4.0\n", ""),
        "1.4.0 # version-key = \"image.tag\"; chart-version = \"{version}-3\"; chart = \"charts/shop-0.5.2\""
    );
}

#[test]
fn where_a_chart_comes_from() {
    let of = |command: &str| {
        let project = Project::with(&[("upgrade.sh", command), ("chart/Chart.yaml", "name: shop\nversion: 1.4.0\n")]);
        let (_, deployment) = project.proposed();
        let kubernetes = deployment.platforms[0].grants.kubernetes.clone().unwrap();
        format!("{} {} {}", kubernetes.release, kubernetes.chart, kubernetes.repository.unwrap_or_default())
    };
    assert_eq!(of("helm upgrade web oci://registry.example.com/shop"), "web oci://registry.example.com/shop ");
    assert_eq!(of("sudo helm upgrade --install -n shop web ./chart/"), "web chart ");
    assert_eq!(of("helm install --repo https://c.example.com web shop"), "web shop https://c.example.com");
    assert_eq!(
        of("helm upgrade --repo https://me:hunter2@c.example.com web shop"),
        "web shop https://charts.example.com"
    );
    // Of a repository that no script adds: it is left to be said.
    assert_eq!(of("helm upgrade web shop/shop --wait"), "web shop https://charts.example.com");
    assert_eq!(of("helm upgrade $RELEASE $CHART"), "shop chart ");
}

#[test]
fn a_chart_that_says_too_little_is_named_with_its_line() {
    let project = Project::with(&[("Chart.yaml", "apiVersion: v2\nname: shop\n")]);
    assert_eq!(project.mistake(), "`Chart.yaml`, line 1: this chart has no `version`; `version: 1.4.0` would be right");
    project.write("Chart.yaml", "name: [\n");
    assert!(project.mistake().starts_with("`Chart.yaml`, line 2: this is no YAML"), "{}", project.mistake());
    project.write("Chart.yaml", "name: common\nversion: 1.0.0\ntype: library\n");
    assert_eq!(project.found().stack, None);
}

/// Servers that the chart brings, and what a template computes.
#[test]
fn templates_are_read_as_far_as_they_are_plain() {
    let chart = "name: shop\nversion: 1.4.0\ndependencies:\n  - { name: postgresql, version: 1.x.x }\n  - { name: mysql, version: 1.x.x }\n";
    let values = "postgresql: { auth: { username: shop, database: shop_live } }\nmysql: { enabled: false }\nimage: { repository: r/shop }\n";
    let web = "{{- if .Values.web }}\nkind: Deployment\nmetadata:\n  name: {{ include \"shop.fullname\" . }}-web\nspec:\n  template:\n    spec:\n      \
               containers:\n        - name: web\n          image: \"{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.Version }}\"\n{{- end }}\n";
    let project = Project::with(&[
        ("chart/Chart.yaml", chart),
        ("chart/values.yaml", values),
        ("chart/templates/web.yaml", web),
        ("chart/templates/odd.yaml", "kind: {{ range .Values.a }}\n- [\n"),
        ("chart/templates/test.yaml", "kind: Pod\nmetadata:\n  name: test\n"),
    ]);
    let stack = project.stack();
    assert_eq!((stack.version, stack.services), (Version::Told("1.4.0".into()), vec!["web".into()]));
    let databases: Vec<_> = stack.data.databases.iter().map(|one| (one.service.as_str(), one.user.as_str())).collect();
    assert_eq!(databases, [("postgresql", "shop")]);
}

#[test]
fn a_folder_of_two_kinds() {
    let compose = |image: &str| format!("services: {{ web: {{ image: '{image}' }} }}\n");
    let project = Project::with(&[("compose.yaml", &compose("web:1.4.0"))]);
    project.write("chart/Chart.yaml", "name: shop\nversion: 1.4.0\n");
    project.write("pod-web.yaml", "kind: Pod\nmetadata: { name: web }\n");
    let text = project.proposal();
    let (before, _) = text.split_once("[platform]\nplugin = \"compose\"").unwrap();
    let also = "# Also here, and not proposed: a release of Helm (`chart/Chart.yaml`)\n\
                # Also here, and not proposed: `pod-web.yaml`, line 1: the pod `web` has no `spec`\n";
    assert!(before.ends_with(also), "{text}");
    // Files that say no version are those of developers.
    project.write("compose.yaml", &compose("web"));
    let text = project.proposal();
    let also = "# Also here, and not proposed: a project of Compose (`compose.yaml`)\n";
    assert!(text.contains("plugin = \"helm\"") && text.contains(also), "{text}");
    project.shell("git init -q");
    let text = project.proposal();
    assert!(text.contains("not proposed: a git checkout, whose releases `source` would run\n"), "{text}");
    // A checkout is surer than values without a version.
    let project =
        Project::with(&[("values.yaml", "a: b\n"), ("UPGRADE.md", "`helm upgrade` and `gcloud run deploy` do it\n")]);
    project.shell("git init -q");
    let text = project.proposal();
    let also = "# Also here, and not proposed: a release of Helm (`values.yaml`)\n[platform]\nplugin = \"source\"";
    assert!(text.contains(also), "{text}");
}
