//! Which cluster the operator's own Kubernetes clients speak to: what `KUBECONFIG` names, or `~/.kube/config`.

use super::text_of;
use compose_files::Node;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    pub kubeconfig: PathBuf,
    /// The current one, and its namespace.
    pub context: Option<String>,
    pub namespace: Option<String>,
}

/// None where there is no such file, or several are to be merged. `variable`: of the environment.
pub(super) fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Cluster> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let usual = || set("HOME").map(|home| Path::new(&home).join(".kube/config"));
    let kubeconfig = set("KUBECONFIG").map(PathBuf::from).or_else(usual)?;
    let text = text_of(&kubeconfig).filter(|_| kubeconfig.is_absolute())?;
    let root = Node::parse("kubeconfig", "", &text).ok()?;
    let text = |node: &Node, keys: &[&str]| node.at(keys).and_then(Node::text).map(str::to_owned);
    let context = text(&root, &["current-context"]).filter(|name| !name.is_empty());
    let mut contexts = root.get("contexts").map(Node::items).unwrap_or_default().iter();
    let current = contexts.find(|one| context.is_some() && text(one, &["name"]) == context);
    let namespace = current.and_then(|current| text(current, &["context", "namespace"]));
    Some(Cluster { kubeconfig, context, namespace })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cluster_is_the_one_that_the_clients_speak_to() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".kube/config");
        std::fs::create_dir(folder.path().join(".kube")).unwrap();
        let home = folder.path().display().to_string();
        let of_home = || of(|name| (name == "HOME").then(|| home.clone()));
        assert_eq!(of_home(), None);
        let contexts = "contexts:\n- { name: old, context: { cluster: a } }\n- { name: prod, context: { cluster: b, namespace: shop } }\n";
        std::fs::write(&file, format!("apiVersion: v1\nkind: Config\n{contexts}current-context: prod\n")).unwrap();
        let prod = Cluster { kubeconfig: file.clone(), context: Some("prod".into()), namespace: Some("shop".into()) };
        assert_eq!(of_home(), Some(prod.clone()));
        assert_eq!(of(|name| (name == "KUBECONFIG").then(|| file.display().to_string())), Some(prod));
        assert_eq!(of(|name| (name == "KUBECONFIG").then(|| format!("{}:/other", file.display()))), None);
        std::fs::write(&file, contexts).unwrap();
        assert_eq!(of_home(), Some(Cluster { kubeconfig: file, context: None, namespace: None }));
    }
}
