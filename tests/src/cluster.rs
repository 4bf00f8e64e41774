//! The real cluster of the tests, with `helm` and `kubectl` as an operator would call them.

use crate::machine::{succeed, write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The cluster that this machine's tests use.
#[derive(Clone)]
pub struct Cluster {
    kubeconfig: PathBuf,
    pub helm: PathBuf,
}

impl Cluster {
    /// `old`: with Helm 3.
    pub fn shared(old: bool) -> Self {
        let read = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty()).map(PathBuf::from);
        let kubeconfig = read("UPGRADED_TEST_KUBECONFIG").expect(
            "no cluster: `cargo xtask test kubernetes` brings one up, or `eval \"$(cargo xtask kubernetes env)\"` names it",
        );
        let helm = read("UPGRADED_TEST_HELM");
        let helm = if old { read("UPGRADED_TEST_HELM3").or(helm) } else { helm };
        Self { kubeconfig, helm: helm.unwrap_or_else(|| "helm".into()) }
    }

    pub fn kubectl(&self, arguments: &[&str]) -> String {
        succeed(&mut self.command("kubectl", arguments))
    }
    /// Beside our own `helm`.
    pub(crate) fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let beside = self.helm.with_file_name(program);
        let mut command = Command::new(if beside.is_file() { beside } else { program.into() });
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments).stdin(Stdio::null());
        command
    }
    pub(crate) fn helm(&self, arguments: &[&str]) -> String {
        succeed(Command::new(&self.helm).args(arguments).arg("--kubeconfig").arg(&self.kubeconfig).stdin(Stdio::null()))
    }
    pub fn apply(&self, folder: &Path, namespace: &str, text: &str) {
        let file = folder.join("applied.yaml");
        write(&file, text);
        self.kubectl(&["--namespace", namespace, "apply", "--filename", &file.display().to_string()]);
    }
    /// Where node ports answer.
    pub(crate) fn node(&self) -> String {
        let path = "jsonpath={.items[0].status.addresses[?(@.type==\"InternalIP\")].address}";
        self.kubectl(&["get", "nodes", "--output", path])
    }
}
