//! The `helm` program: what it is called with. Who runs it is the caller's matter.

use crate::cluster::Target;
use crate::error::{Error, Result};
use crate::{HELD, STEP};
use std::path::{Path, PathBuf};

/// Where the chart of a version comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// `evose`, `oci://registry/charts/evose`, or a path; `{version}` in a path stands for the version.
    pub chart: String,
    /// `https://charts.example.com`
    pub repository: Option<String>,
    pub plain_http: bool,
}

/// A chart that was brought here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    pub name: String,
    pub version: String,
    /// `sha256:…` of the archive.
    pub digest: String,
    pub file: PathBuf,
}

/// On the record of a revision that we make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub step: String,
    /// As [`crate::Revision::held`] says.
    pub held: Option<String>,
}

/// The program, bound to one release.
#[derive(Debug, Clone)]
pub struct Helm {
    pub program: PathBuf,
    pub target: Target,
}

impl Source {
    pub fn is_folder(&self) -> bool {
        self.repository.is_none() && !self.chart.starts_with("oci://")
    }

    /// The path that stands for a version.
    pub fn path(&self, version: &str, directory: &Path) -> PathBuf {
        directory.join(self.chart.replace("{version}", version))
    }
}

impl Helm {
    fn argv(&self, verb: &[&str]) -> Vec<String> {
        let mut argv = vec![self.program.display().to_string()];
        argv.extend(verb.iter().map(|word| (*word).to_owned()));
        argv
    }

    pub(crate) fn bound(&self, verb: &[&str]) -> Vec<String> {
        let mut argv = self.argv(verb);
        argv.extend(["--namespace".into(), self.target.namespace.clone()]);
        if let Some(file) = &self.target.kubeconfig {
            argv.extend(["--kubeconfig".into(), file.display().to_string()]);
        }
        if let Some(context) = &self.target.context {
            argv.extend(["--kube-context".into(), context.clone()]);
        }
        argv
    }

    pub fn version(&self) -> Vec<String> {
        self.argv(&["version", "--short"])
    }

    /// Into `folder`, as one archive.
    pub fn pull(&self, source: &Source, version: &str, folder: &Path, directory: &Path) -> Vec<String> {
        let into = ["--destination".to_owned(), folder.display().to_string()];
        if source.is_folder() {
            let path = source.path(version, directory).display().to_string();
            return [self.argv(&["package", &path]), into.to_vec()].concat();
        }
        let mut argv = self.argv(&["pull", &source.chart, "--version", version]);
        argv.extend(into);
        if let Some(repository) = &source.repository {
            argv.extend(["--repo".to_owned(), repository.clone()]);
        }
        if source.plain_http {
            argv.push("--plain-http".into());
        }
        argv
    }

    /// `Chart.yaml` of an archive.
    pub fn show(&self, chart: &Path) -> Vec<String> {
        self.argv(&["show", "chart", &chart.display().to_string()])
    }

    /// What an upgrade would do, as JSON; nothing is changed. Where no values are given, Helm would take the last ones.
    pub fn dry_run(&self, chart: &Path, values: &[PathBuf]) -> Vec<String> {
        let chart = chart.display().to_string();
        let mut argv = self.bound(&["upgrade", &self.target.release, &chart, "--dry-run=server", "--reset-values"]);
        argv.extend(["--output".into(), "json".into()]);
        argv.extend(values.iter().flat_map(|file| ["--values".into(), file.display().to_string()]));
        argv
    }

    /// `mark`: what the revision's record is marked with.
    pub fn upgrade(&self, chart: &Path, values: &[PathBuf], mark: &Mark, hooks: bool, force: bool) -> Vec<String> {
        let chart = chart.display().to_string();
        let mut argv = self.bound(&["upgrade", &self.target.release, &chart]);
        argv.extend(values.iter().flat_map(|file| ["--values".into(), file.display().to_string()]));
        let Mark { step, held } = mark;
        let told = match held {
            Some(_) => format!("upgraded: {step}, with what was stopped held at zero"),
            None => format!("upgraded: {step}"),
        };
        let held = held.as_deref().unwrap_or("null");
        argv.extend(["--labels".into(), format!("{STEP}={step},{HELD}={held}"), "--description".into(), told]);
        argv.extend(["--timeout".into(), TIMEOUT.into(), "--reset-values".into(), "--cleanup-on-fail".into()]);
        argv.extend(["--history-max".into(), HISTORY.into()]);
        if !hooks {
            argv.push("--no-hooks".into());
        }
        if force {
            argv.push("--force-conflicts".into());
        }
        argv
    }

    pub fn rollback(&self, revision: u32, force: bool) -> Vec<String> {
        let mut argv = self.bound(&["rollback", &self.target.release, &revision.to_string(), "--timeout", TIMEOUT]);
        argv.extend(["--history-max".into(), HISTORY.into()]);
        if force {
            argv.push("--force-conflicts".into());
        }
        argv
    }
}

/// Revisions that stay: a hop makes two, and a way back leads to the one before the first. Helm's own 10 would lose it.
const HISTORY: &str = "100";
/// Whether it goes on is the idle deadline's to say.
const TIMEOUT: &str = "24h";

/// `v4.3.1+gabc` as (4, 3).
pub fn major_minor(text: &str) -> Result<(u32, u32)> {
    let numbers: Vec<u32> =
        text.trim().trim_start_matches('v').splitn(3, '.').filter_map(|part| part.parse().ok()).collect();
    match numbers[..] {
        [major, minor, ..] => Ok((major, minor)),
        _ => Err(Error::Invalid(format!("`helm version` says `{}`, and no version", text.trim()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upgrade_is_bound_and_marked() {
        let target = Target {
            kubeconfig: Some("/k".into()),
            context: Some("c".into()),
            namespace: "n".into(),
            release: "r".into(),
        };
        let helm = Helm { program: "helm".into(), target };
        let argv = helm
            .upgrade(
                Path::new("/c.tgz"),
                &["/v.yaml".into()],
                &Mark { step: "r1-h0".into(), held: Some("back.2".into()) },
                true,
                false,
            )
            .join(" ");
        assert!(
            argv.starts_with("helm upgrade r /c.tgz --namespace n --kubeconfig /k --kube-context c --values /v.yaml"),
            "{argv}"
        );
        let step = "--labels upgraded.dev/step=r1-h0,upgraded.dev/held=back.2";
        assert!(argv.contains(step) && !argv.contains("--no-hooks"), "{argv}");
        assert!(argv.contains("--reset-values --cleanup-on-fail"), "{argv}");
        let asked = helm.dry_run(Path::new("/c.tgz"), &[]);
        assert!(asked.contains(&"--reset-values".to_owned()), "it says what the upgrade does: {asked:?}");
    }

    #[test]
    fn versions_are_read() {
        assert_eq!(major_minor("v4.3.1+g1234567\n").unwrap(), (4, 3));
        assert!(major_minor("no").is_err());
    }
}
