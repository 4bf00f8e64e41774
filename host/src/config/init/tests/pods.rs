//! Pods of podman as people have them.

use super::*;

#[test]
fn the_pods_of_aegis() {
    let project = Project::new();
    project.example("aegis/pods", "");
    let settings = std::fs::read_to_string(project.root().join(".env.example")).unwrap();
    project.write(".env", &settings.replace("POSTGRES_PASSWORD=", "POSTGRES_PASSWORD=hunter2"));
    let (text, deployment) = project.proposed();
    assert!(!text.contains("hunter"), "{text}");
    assert_eq!((deployment.version.as_str(), &stores(&deployment)[..]), ("0.1.0", &["postgres"][..]));
    let pods: Vec<_> = deployment.platforms[0].grants.pods.files.iter().map(|file| file.to_str().unwrap()).collect();
    assert_eq!(
        pods,
        ["pod-database.yaml", "pod-secrets.yaml", "pod-core.yaml", "pod-seal-gateway.yaml", "pod-temporal.yaml"]
    );
    assert_eq!(deployment.platforms[0].grants.commands["validate"].argv, ["./validate.sh"]);
    insta::assert_snapshot!(text);
}

const MAIN: &str = r#"
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: shop-uploads }
---
apiVersion: v1
kind: Pod
metadata: { name: shop-web }
spec:
  initContainers:
    - { name: wait, image: "registry.example.com/postgres:15", command: [pg_isready] }
  containers:
    - name: web
      image: registry.example.com/shop/web:v2.1.0
      ports: [{ containerPort: 80, hostPort: 8080 }]
      volumeMounts:
        - { name: uploads, mountPath: /uploads }
        - { name: themes, mountPath: /themes, readOnly: true }
        - { name: media, mountPath: /media }
        - { name: conf, mountPath: /shop.conf }
        - { name: settings, mountPath: /settings }
        - { name: scratch, mountPath: /tmp }
    - name: cache
      image: redis:7
      volumeMounts: [{ name: cache, mountPath: /data }]
  volumes:
    - { name: uploads, persistentVolumeClaim: { claimName: shop-uploads } }
    - { name: cache, persistentVolumeClaim: { claimName: shop-cache } }
    - { name: themes, hostPath: { path: /srv/themes } }
    - { name: media, hostPath: { path: /srv/media } }
    - { name: conf, hostPath: { path: FOLDER/shop.conf } }
    - { name: settings, configMap: { name: shop } }
    - { name: scratch, emptyDir: {} }
"#;
const DATABASE: &str = r#"
apiVersion: v1
kind: Pod # of the database
metadata: { name: shop-database }
spec:
  containers:
    - name: postgres
      image: docker.io/library/postgres:15
      env:
        - { name: POSTGRES_DB, value: shop }
        - { name: POSTGRES_PASSWORD, valueFrom: { secretKeyRef: { name: shop, key: password } } }
"#;
const EDGE: &str = r#"
apiVersion: v1
kind: Pod
metadata: { name: shop-edge }
spec:
  containers:
    - { name: nginx, image: "nginx:1", ports: [{ containerPort: 80, hostPort: 80 }] }
"#;

#[test]
fn every_kind_of_data_and_what_is_no_pod() {
    let project = Project::with(&[
        ("shop.conf", "x"),
        ("pods/database.yml", DATABASE),
        ("pods/pod-edge.yaml", EDGE),
        ("settings.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: shop }\ndata: { a: b }\n"),
        ("cluster.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: other }\n"),
        ("notes.yaml", "kind of: [notes\n"),
        ("Makefile", "validate: up\n\tcurl localhost\nup:\n\tpodman kube play --network=shop pods/database.yml\n"),
    ]);
    project.write("pod-web.yaml", &MAIN.replace("FOLDER", project.root().to_str().unwrap()));
    let (text, deployment) = project.proposed();
    assert_eq!(stores(&deployment), ["postgres", "files"]);
    insta::assert_snapshot!(text);
}

#[test]
fn quadlets_with_their_files_are_a_platform() {
    let quadlet = "[Kube]\nYaml=database.yml\nNetwork=shop\n[Install]\nWantedBy=default.target\n";
    let project = Project::with(&[
        ("database.yml", DATABASE),
        ("shop-database.kube", quadlet),
        ("pod-edge.yaml", EDGE),
        ("other.kube", "[Kube]\nYaml=/srv/other.yaml\nNetwork=other\n"),
    ]);
    let played = project.root().join("pod-edge.yaml").display().to_string();
    project.write("units/edge.service", &format!("[Service]\nExecStart=podman kube play --network shop {played}\n"));
    let (text, deployment) = project.proposed();
    for (file, unit) in [("database.yml", "shop-database.service"), ("pod-edge.yaml", "edge.service")] {
        let line = format!("# The pods of `{file}` are stopped and started through their unit `{unit}`.\n");
        assert!(text.contains(&line), "{text}");
    }
    assert_eq!(deployment.platforms[0].grants.pods.networks, ["shop"]);
}

#[test]
fn a_pod_that_says_too_little_is_named_with_its_line() {
    let pod = |image: &str| {
        format!("kind: Pod\nmetadata: {{ name: web }}\nspec:\n  containers:\n    - {{ name: web{image} }}\n")
    };
    let project = Project::with(&[("pod-web.yaml", &pod(", image: 'web:${TAG}'"))]);
    let why =
        "`pod-web.yaml`, line 5: the container `web/web` has the image `web:${TAG}`, and `TAG` is set in no env file";
    assert_eq!(project.mistake(), why);
    project.write("pod-web.yaml", &pod(""));
    assert_eq!(project.mistake(), "`pod-web.yaml`, line 5: the container `web/web` has no `image`");
    project
        .write("pod-web.yaml", &format!("{}---\nkind: Service\nmetadata: {{ name: web }}\n", pod(", image: 'web:1'")));
    let mistake = project.mistake();
    assert!(mistake.contains("line 7: a `Service` is not known here: `Pod`, `ConfigMap`"), "{mistake}");
}
