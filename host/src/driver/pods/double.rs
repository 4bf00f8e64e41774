//! The throw-away double of pods, for a rehearsal: what their files say, under names of its own, in networks that lead
//! nowhere. [`Double::of_pods`] replaces what it knows, and then looks at the outcome as at a file that it doesn't know.

use super::files::wrong;
use super::{Pods, Service};
use crate::context::StepContext;
use crate::driver::compose::double::{Double, left, refusal};
use crate::model::{ServiceRef, VerbError};
use pod_files::{File, Pod, Source};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Where the files name no network.
const DEFAULT_NETWORK: &str = "default";
/// What can't be taken away without its being another pod.
const HOST_WIDE: [&str; 3] = ["hostNetwork", "hostPID", "hostIPC"];

impl Pods {
    /// The double's networks and volumes. Converges.
    pub async fn lay_out(&self, cx: &StepContext) -> Result<(), VerbError> {
        self.changeable(cx, "pods.lay-out")?;
        let Some(double) = &self.double else {
            return Err(VerbError::Denied("pods that are live make their networks and volumes themselves".into()));
        };
        let labels = json!({ (double.label): double.deployment });
        let work = async {
            let declaration = self.declaration(false).await?;
            for network in declaration.networks() {
                self.engine.make_internal_network(network, &labels).await?;
            }
            for volume in declaration.volumes() {
                self.engine.make_volume(volume, &labels).await?;
                cx.activity.touch();
            }
            Ok(())
        };
        cx.effects.perform("pods.lay-out", &(), "", true, work).await
    }

    /// All of them, in the order of their files; their services.
    pub async fn start_all(&self, cx: &StepContext) -> Result<Vec<ServiceRef>, VerbError> {
        let declared = self.declared(cx, false).await?.into_iter();
        let named = declared.map(|service| ServiceRef { platform: self.platform.clone(), name: service.name });
        let all: Vec<ServiceRef> = named.collect();
        self.start_services(cx, &all, "control.start").await?;
        Ok(all)
    }

    /// Nothing of a double is left. Converges.
    pub async fn discard(&self, double: &Double) -> Result<(), VerbError> {
        let beginning = double.pod("");
        for pod in self.engine.pods_labelled(&[format!("{}={}", double.label, double.deployment)]).await? {
            if pod.starts_with(&beginning) {
                self.engine.stop_pod(&pod).await?;
                self.engine.remove_pod(&pod).await?;
            }
        }
        self.engine.remove_named(&double.volume("")).await
    }

    /// Where a container listens that the files publish on this port of the machine; none: none is published there.
    pub async fn behind(&self, port: u16) -> Result<Option<SocketAddr>, VerbError> {
        for Service { name, file } in self.said(false).await?.services {
            for container in file.pods.iter().flat_map(Pod::running) {
                let Some(inner) = container.published.get(&port) else { continue };
                let name = format!("{name}/{}", container.name);
                let reached = match self.container_of(&name).await? {
                    Some(running) => self.engine.reach(&running, *inner).await?,
                    None => None,
                };
                let away = || VerbError::Unavailable(format!("`{name}`, published on port {port}, does not run"));
                return reached.map(|reached| Some(reached.here)).ok_or_else(away);
            }
        }
        Ok(None)
    }

    /// Paths of the machine that the pods write to.
    pub async fn written_paths(&self) -> Result<Vec<PathBuf>, VerbError> {
        let said = self.said(false).await?;
        let mounts = said.pods().flat_map(|pod| &pod.containers).flat_map(|container| &container.mounts);
        let path = |source: &Source| match source {
            Source::Path(path) => Some(PathBuf::from(path)),
            Source::Volume(_) | Source::Empty | Source::Settings(_) => None,
        };
        Ok(mounts.filter(|mount| !mount.read_only).filter_map(|mount| path(&mount.source)).collect())
    }
}

impl Double {
    fn pod(&self, live: &str) -> String {
        format!("{}-{live}", self.project)
    }

    pub(super) fn networks(&self, live: &[String]) -> Vec<String> {
        match live {
            [] => vec![self.volume(DEFAULT_NETWORK)],
            named => named.iter().map(|network| self.volume(network)).collect(),
        }
    }

    /// A network as a pod of the double joins it: under the name by which the others look for it.
    pub(super) fn joined(&self, network: &str, pod: &Pod) -> String {
        let live = pod.name.strip_prefix(&self.pod("")).unwrap_or(&pod.name);
        format!("{network}:alias={live}")
    }

    /// A file of pods as it may be played.
    pub(super) fn of_pods(&self, file: &File) -> Result<File, VerbError> {
        let beside = file.beside.iter().map(|document| Ok(self.of_settings(document)));
        let documents = beside.chain(file.pods.iter().map(|pod| self.of_pod(pod)));
        let documents = documents.collect::<Result<Vec<Value>, VerbError>>()?;
        // JSON is YAML.
        let text: String = documents.iter().map(|document| format!("---\n{document}\n")).collect();
        let made = File::plain(&file.name, &text).map_err(|mistake| wrong(&mistake))?;
        self.check_pods(&made)?;
        Ok(made)
    }

    /// A config map, or a claim; what a claim asks of the machine is left out.
    pub(super) fn of_settings(&self, document: &Value) -> Value {
        let mut made = document.clone();
        let name = document["metadata"]["name"].as_str().unwrap_or_default();
        made["metadata"] = json!({ "name": self.volume(name), "labels": { (self.label): self.deployment } });
        made
    }

    fn of_pod(&self, pod: &Pod) -> Result<Value, VerbError> {
        let mut document = pod.document.clone();
        document["metadata"] = json!({ "name": self.pod(&pod.name), "labels": { (self.label): self.deployment } });
        let spec = &mut document["spec"];
        if let Some(key) = HOST_WIDE.into_iter().find(|key| spec[*key] == true) {
            return Err(refusal(&pod.name, &format!("has `{key}: true`"), "a pod with a network of its own"));
        }
        if spec["hostname"].is_null() {
            spec["hostname"] = json!(pod.name);
        }
        for volume in spec.get_mut("volumes").and_then(Value::as_array_mut).into_iter().flatten() {
            self.of_volume(pod, volume)?;
        }
        for key in ["initContainers", "containers"] {
            for container in spec.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
                self.of_container(pod, container)?;
            }
        }
        Ok(document)
    }

    fn of_volume(&self, pod: &Pod, volume: &mut Value) -> Result<(), VerbError> {
        if let Some(secret) = volume["secret"]["secretName"].as_str() {
            let why = format!("mounts the secret `{secret}`, of which podman makes a volume that all pods share");
            return Err(refusal(&pod.name, &why, "its values in the environment, by `secretKeyRef`,"));
        }
        if let Some(path) = volume["hostPath"]["path"].as_str().map(PathBuf::from) {
            let is_it = |source: &Source| matches!(source, Source::Path(other) if Path::new(other) == path);
            let mut mounts = pod.containers.iter().flat_map(|container| &container.mounts);
            let reads = mounts.all(|mount| mount.read_only || !is_it(&mount.source));
            let instead = self.instead_of_path(&pod.name, &path, reads)?;
            volume["hostPath"]["path"] = json!(instead.display().to_string());
        }
        for (kind, key) in [("persistentVolumeClaim", "claimName"), ("configMap", "name")] {
            self.rename(&mut volume[kind], key);
        }
        if let Some(kinds) = volume.as_object_mut() {
            kinds.retain(|_, kind| !kind.is_null());
        }
        Ok(())
    }

    fn of_container(&self, pod: &Pod, container: &mut Value) -> Result<(), VerbError> {
        if container["securityContext"]["privileged"] == true {
            return Err(refusal(&pod.name, "is `privileged`", "the capabilities that it needs"));
        }
        without_ports(container);
        for (list, inner) in [("env", &["valueFrom", "configMapKeyRef"][..]), ("envFrom", &["configMapRef"])] {
            for entry in container.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(reference) = inner.iter().try_fold(entry, |value, key| value.get_mut(key)) {
                    self.rename(reference, "name");
                }
            }
        }
        Ok(())
    }

    fn rename(&self, reference: &mut Value, key: &str) {
        if let Some(name) = reference.get(key).and_then(Value::as_str) {
            reference[key] = json!(self.volume(name));
        }
    }

    /// Nothing of production is left.
    fn check_pods(&self, made: &File) -> Result<(), VerbError> {
        for pod in &made.pods {
            let name = &pod.name;
            if !name.starts_with(&self.pod("")) || pod.host_network {
                return Err(left(&format!("the pod `{name}` is not its own")));
            }
            for container in &pod.containers {
                if let Some(port) = container.published.keys().next() {
                    return Err(left(&format!("`{name}` publishes the port {port}")));
                }
                for mount in &container.mounts {
                    let is_own = match &mount.source {
                        Source::Volume(volume) | Source::Settings(volume) => volume.starts_with(&self.volume("")),
                        Source::Path(path) => mount.read_only || self.holds(Path::new(path)),
                        Source::Empty => true,
                    };
                    if !is_own {
                        return Err(left(&format!("`{name}` has what is live at `{}`", mount.target)));
                    }
                }
            }
        }
        Ok(())
    }
}

/// podman before 5 publishes a port of a container on the machine where nobody said so, too. What asks for one by its name
/// gets its number.
fn without_ports(container: &mut Value) {
    let Some(ports) = container.as_object_mut().and_then(|container| container.remove("ports")) else { return };
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        for way in ["httpGet", "tcpSocket"] {
            let Some(asked) = container.pointer_mut(&format!("/{probe}/{way}/port")) else { continue };
            let named = ports.as_array().into_iter().flatten().find(|port| port["name"] == *asked && !asked.is_null());
            if let Some(port) = named {
                *asked = port["containerPort"].clone();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::compose::double::REHEARSAL_LABEL;
    use std::collections::BTreeMap;

    fn double(folder: &Path) -> Double {
        Double {
            project: "upgraded-rehearsal-aegis".into(),
            deployment: "aegis".into(),
            label: REHEARSAL_LABEL,
            folder: folder.to_owned(),
            origin: "/opt/aegis".into(),
        }
    }

    fn file(spec: &str) -> File {
        let text = format!(
            "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata:\n  name: data\n  annotations:\n    \
             volume.podman.io/device: /srv\nspec: {{}}\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: core\n  \
             labels: {{ app: aegis }}\nspec:\n{spec}"
        );
        File::read("pod-core.yaml", &text, &BTreeMap::new()).expect("a file of pods")
    }

    #[test]
    fn nothing_of_production_is_left() {
        let scratch = tempfile::tempdir().unwrap();
        let double = double(scratch.path());
        let made = double
            .of_pods(&file(
                r#"
  containers:
    - name: runtime
      image: aegis:1
      env: [{ name: A, value: "b$c" }, { name: D, valueFrom: { configMapKeyRef: { name: settings, key: d } } }]
      envFrom: [{ configMapRef: { name: settings } }]
      ports: [{ name: http, containerPort: 8088, hostPort: 80, hostIP: 127.0.0.1 }, { containerPort: 9000 }]
      livenessProbe: { httpGet: { port: http } }
      readinessProbe: { tcpSocket: { port: 9000 } }
      volumeMounts:
        - { name: data, mountPath: /data }
        - { name: files, mountPath: /files }
        - { name: certificates, mountPath: /etc/ssl, readOnly: true }
  volumes:
    - { name: data, persistentVolumeClaim: { claimName: data } }
    - { name: files, hostPath: { path: /opt/aegis/files } }
    - { name: certificates, hostPath: { path: /etc/ssl } }
"#,
            ))
            .unwrap();
        let pod = &made.pods[0];
        assert_eq!(pod.name, "upgraded-rehearsal-aegis-core");
        assert_eq!(made.claims, ["upgraded-rehearsal-aegis_data"]);
        assert!(!made.beside[0].to_string().contains("/srv"), "{}", made.beside[0]);
        assert_eq!(pod.document["spec"]["hostname"], "core");
        assert_eq!(pod.document["metadata"]["labels"], json!({ REHEARSAL_LABEL: "aegis" }));
        let container = &pod.document["spec"]["containers"][0];
        assert!(container.get("ports").is_none(), "{container}");
        assert_eq!(container["livenessProbe"]["httpGet"]["port"], 8088);
        assert_eq!(container["readinessProbe"]["tcpSocket"]["port"], 9000);
        assert_eq!(container["env"][0]["value"], "b$c");
        for name in [&container["env"][1]["valueFrom"]["configMapKeyRef"], &container["envFrom"][0]["configMapRef"]] {
            assert_eq!(name["name"], "upgraded-rehearsal-aegis_settings");
        }
        let sources: Vec<_> = pod.containers[0].mounts.iter().map(|mount| mount.source.clone()).collect();
        let files = scratch.path().join("project/files").display().to_string();
        let data = Source::Volume("upgraded-rehearsal-aegis_data".into());
        assert_eq!(sources, [data, Source::Path(files), Source::Path("/etc/ssl".into())]);
        let networks = double.networks(&["aegis".into()]);
        assert_eq!(double.joined(&networks[0], pod), "upgraded-rehearsal-aegis_aegis:alias=core");
    }

    #[test]
    fn what_cannot_be_cut_off_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let volume = |volume: &str| {
            format!(
                "  containers: [{{ name: a, image: b, volumeMounts: [{{ name: v, mountPath: /v, readOnly: true }}] }}]\n  \
                 volumes: [{{ name: v, {volume} }}]\n"
            )
        };
        let plain = |more: &str| format!("  containers: [{{ name: a, image: b{more} }}]\n");
        for (spec, why) in [
            (format!("  hostNetwork: true\n{}", plain("")), "hostNetwork"),
            (format!("  hostPID: true\n{}", plain("")), "hostPID"),
            (plain(", securityContext: { privileged: true }"), "privileged"),
            (volume("secret: { secretName: key }"), "the secret `key`"),
            (volume("hostPath: { path: /run/podman/podman.sock }"), "reaches the machine"),
        ] {
            let refused = double(scratch.path()).of_pods(&file(&spec)).unwrap_err().to_string();
            assert!(refused.contains("no double of `core`") && refused.contains(why), "{refused}");
        }
    }
}
