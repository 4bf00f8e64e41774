//! Charts: brought here, kept under their digests, rendered by the cluster's own dry run.

use super::errors::{helm_error, verb_error};
use super::renew::documents_of;
use super::{Kubernetes, Outlook, Shown};
use crate::context::StepContext;
use crate::driver::durable;
use crate::driver::process::{io_error, surroundings};
use crate::effect::hex;
use crate::model::VerbError;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use upgraded_kubernetes::{Chart, Kind, manifest, needed};

/// Charts that are kept, newest first.
const KEPT: usize = 12;
/// The oldest that marks its revisions.
const OLDEST: (u32, u32) = (3, 14);

impl Kubernetes {
    /// Rules that the account needs for what the release has now, and for hooks of a way back to it.
    pub async fn missing_rights(&self, cx: &StepContext) -> Result<Vec<String>, VerbError> {
        let cluster = self.cluster().await?;
        cx.activity.touch();
        cluster.version().await.map_err(verb_error)?;
        // Without the right to read the record, its own rule is the answer.
        let documents = match cluster.newest().await {
            Ok(newest) => runs_at(documents_of(&newest)?, &["rollback"]),
            Err(upgraded_kubernetes::Error::Denied(_)) => Vec::new(),
            Err(error) => return Err(verb_error(error)),
        };
        self.rules_for(&documents).await
    }

    /// Those that are missing.
    async fn rules_for(&self, documents: &[serde_json::Value]) -> Result<Vec<String>, VerbError> {
        let cluster = self.cluster().await?;
        let kinds = cluster.kinds(documents).await.map_err(verb_error)?;
        let needed = needed(documents, &kinds, true, !self.claims.is_empty());
        let missing = cluster.missing(&needed).await.map_err(verb_error)?;
        Ok(missing.iter().map(ToString::to_string).collect())
    }

    /// What comes may be of kinds that the release does not have now, and a dry run makes none of it.
    async fn may_come(&self, planned: &[serde_json::Value]) -> Result<(), VerbError> {
        if self.double.is_some() {
            return Ok(());
        }
        let rules = self.rules_for(&runs_at(planned.to_vec(), &["upgrade", "rollback"])).await?;
        if rules.is_empty() {
            return Ok(());
        }
        let rules = rules.join(", ");
        Err(VerbError::Denied(format!("the account of the daemon may not do what the new version needs: {rules}")))
    }

    pub async fn outlook(&self, cx: &StepContext, version: &str) -> Result<Outlook, VerbError> {
        self.check_program().await?;
        let folder = self.scratch(cx, "chart");
        let outlook = self.outlook_in(cx, version, &folder).await;
        let _ = fs::remove_dir_all(&folder);
        outlook
    }

    async fn outlook_in(&self, cx: &StepContext, version: &str, folder: &Path) -> Result<Outlook, VerbError> {
        let chart = self.fetch(version, folder).await?;
        cx.activity.touch();
        let planned = self.rendered(&chart.file, &self.values(Some(folder))?).await?;
        cx.activity.touch();
        self.may_come(&planned).await?;
        cx.activity.touch();
        let newest = self.cluster().await?.newest().await.map_err(verb_error)?;
        let old = documents_of(&newest)?;
        let workload = |document: &serde_json::Value| {
            let (kind, name) = manifest::head(document);
            Kind::named(kind)?;
            let image = document["spec"]["template"]["spec"]["containers"][0]["image"].as_str();
            let hook = !document["metadata"]["annotations"]["helm.sh/hook"].is_null();
            let (name, kind, image) = (name.to_owned(), kind.to_owned(), image.map(str::to_owned));
            Some(Shown { name, kind, image, hook, held: false })
        };
        Ok(Outlook {
            chart,
            workloads: planned.iter().filter_map(workload).collect(),
            diff: manifest::diff(&old, &planned),
            removed_definitions: manifest::removed_definitions(&old, &planned),
        })
    }

    /// What an upgrade would make, hooks too.
    pub(super) async fn rendered(&self, chart: &Path, values: &[PathBuf]) -> Result<Vec<serde_json::Value>, VerbError> {
        let said = self.ask(&self.helm()?.dry_run(chart, values), "helm upgrade --dry-run=server").await?;
        let release: serde_json::Value = serde_json::from_str(&said)
            .map_err(|error| VerbError::other("helm", format!("the dry run answers in no JSON: {error}")))?;
        let mut documents = manifest::read(release["manifest"].as_str().unwrap_or_default()).map_err(verb_error)?;
        for hook in release["hooks"].as_array().into_iter().flatten() {
            documents.extend(manifest::read(hook["manifest"].as_str().unwrap_or_default()).map_err(verb_error)?);
        }
        self.made_double(documents)
    }

    /// Into our own folder, from where upgrades take it.
    pub async fn pull(&self, cx: &StepContext, version: &str) -> Result<Chart, VerbError> {
        self.changeable(cx, "helm.pull")?;
        let folder = self.scratch(cx, "chart");
        let work = async {
            let chart = self.fetch(version, &folder).await?;
            let kept = self.kept(&chart.digest);
            durable::make_folder(&self.charts()).map_err(io_error("make the folder of charts"))?;
            let bytes = fs::read(&chart.file).map_err(io_error("read the chart"))?;
            durable::write(&kept, &bytes).map_err(io_error("keep the chart"))?;
            self.forget_old(&kept);
            self.place().keep(self.cluster().await?).await?;
            Ok(Kept { name: chart.name, version: chart.version, digest: chart.digest })
        };
        let kept = cx.effects.perform("helm.pull", &version, version, true, work).await;
        let _ = fs::remove_dir_all(&folder);
        let Kept { name, version, digest } = kept?;
        let file = self.kept(&digest);
        Ok(Chart { name, version, digest, file })
    }

    /// One that was kept.
    pub(super) fn chart_of(&self, digest: &str) -> Result<PathBuf, VerbError> {
        let short = short(digest);
        let names = fs::read_dir(self.charts()).into_iter().flatten().flatten();
        let found = names
            .map(|entry| entry.path())
            .find(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(short)));
        found.ok_or_else(|| VerbError::NotFound(format!("the chart `{digest}` was not brought here, or is gone")))
    }

    /// Of this version, and of several that are kept the one that was brought here last.
    pub(super) async fn staged_chart(&self, version: &str) -> Result<PathBuf, VerbError> {
        for file in self.newest_first() {
            if said_by(&self.ask(&self.helm()?.show(&file), "helm show chart").await?, "version")? == version {
                return Ok(file);
            }
        }
        Err(VerbError::NotFound(format!("no chart of version {version} was brought here, or it is gone")))
    }

    /// The operator's values; with the edits of the plan laid over them where a folder is given for that.
    pub(super) fn values(&self, planned: Option<&Path>) -> Result<Vec<PathBuf>, VerbError> {
        let mut files = Vec::new();
        let overlaid = self.project.overlaid();
        let known = self.project.known()?;
        for (number, path) in self.config.values.iter().enumerate() {
            let live = self.directory.join(path);
            let name = path.to_str().unwrap_or_default();
            match (planned, overlaid.get(name)) {
                (Some(folder), Some(Some(text))) => {
                    let old = fs::read(&live).ok();
                    let bytes = crate::driver::project::fill(name, text, old.as_deref(), &known)?;
                    durable::make_folder(folder).map_err(io_error("make a folder for planned values"))?;
                    let place = folder.join(format!("values-{number}.yaml"));
                    durable::write(&place, &bytes).map_err(io_error("write planned values"))?;
                    files.push(place);
                }
                _ if live.is_file() => files.push(live),
                _ => {
                    return Err(VerbError::NotFound(format!(
                        "there are no values `{}`; `values` in `[platform.kubernetes]` names others, or `[]`",
                        live.display()
                    )));
                }
            }
        }
        Ok(files)
    }

    pub(super) async fn fetch(&self, version: &str, folder: &Path) -> Result<Chart, VerbError> {
        let _ = fs::remove_dir_all(folder);
        let into = folder.join("chart");
        durable::make_folder(&into).map_err(io_error("make a folder for a chart"))?;
        let source = self.source();
        let chart = format!("chart `{}` of version {version}", source.chart);
        let missing = |why: &str| VerbError::NotFound(format!("there is no {chart}: {why}"));
        if source.is_folder() {
            let path = source.path(version, &self.directory);
            match fs::metadata(&path) {
                Err(_) => return Err(missing(&format!("`{}` is not there", path.display()))),
                Ok(found) if found.is_file() => {
                    fs::copy(&path, into.join("chart.tgz")).map_err(io_error("copy the chart"))?;
                }
                Ok(_) => {
                    drop(self.ask(&self.helm()?.pull(&source, version, &into, &self.directory), "helm package").await?)
                }
            }
        } else {
            let pulled = self.ask(&self.helm()?.pull(&source, version, &into, &self.directory), "helm pull").await;
            pulled.map_err(|error| not_pulled(error, &chart))?;
        }
        let archive = fs::read_dir(&into).into_iter().flatten().flatten().map(|entry| entry.path()).next();
        let file = archive.ok_or_else(|| missing("`helm` brought nothing"))?;
        let bytes = fs::read(&file).map_err(io_error("read the chart"))?;
        let said = self.ask(&self.helm()?.show(&file), "helm show chart").await?;
        let (name, of) = (said_by(&said, "name")?, said_by(&said, "version")?);
        if of != version {
            return Err(missing(&format!("what is there is of version {of}")));
        }
        Ok(Chart { name, version: of, digest: format!("sha256:{}", hex(&Sha256::digest(&bytes))), file })
    }

    pub(super) async fn check_program(&self) -> Result<(u32, u32), VerbError> {
        let said = self.ask(&self.helm()?.version(), "helm version").await?;
        let version = upgraded_kubernetes::major_minor(&said).map_err(verb_error)?;
        if version < OLDEST {
            let (major, minor) = OLDEST;
            let said = said.trim();
            return Err(VerbError::Invalid(format!("`helm` is {said}; {major}.{minor} or later would be right")));
        }
        Ok(version)
    }

    /// A `helm` that changes nothing: what it prints.
    pub(super) async fn ask(&self, argv: &[String], what: &str) -> Result<String, VerbError> {
        let mut command = tokio::process::Command::new(&argv[0]);
        command.args(&argv[1..]).env_clear().envs(surroundings(None));
        command.stdin(Stdio::null()).kill_on_drop(true).current_dir("/");
        let output = command.output().await.map_err(|error| {
            let program = &argv[0];
            VerbError::NotFound(format!(
                "`{program}` can't be run: {error}; `helm` in `[platform.kubernetes]` names the program"
            ))
        })?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(helm_error(what, &String::from_utf8_lossy(&output.stderr))),
        }
    }

    fn charts(&self) -> PathBuf {
        self.machine.state.join("charts").join(&self.deployment)
    }

    fn kept(&self, digest: &str) -> PathBuf {
        self.charts().join(format!("{}.tgz", digest.trim_start_matches("sha256:")))
    }

    fn forget_old(&self, newest: &Path) {
        for old in self.newest_first().into_iter().filter(|path| path != newest).skip(KEPT - 1) {
            let _ = fs::remove_file(old);
        }
    }

    fn newest_first(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.charts()).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut charts: Vec<_> =
            entries.filter(|path| path.extension().is_some_and(|ending| ending == "tgz")).collect();
        charts.sort_by_key(|path| std::cmp::Reverse(fs::metadata(path).and_then(|m| m.modified()).ok()));
        charts
    }
}

/// With those of the hooks that are run at one of these points: a chart's tests are run at none.
fn runs_at(mut documents: Vec<serde_json::Value>, points: &[&str]) -> Vec<serde_json::Value> {
    documents.retain(|document| {
        let hook = document["metadata"]["annotations"]["helm.sh/hook"].as_str();
        hook.is_none_or(|hook| points.iter().any(|point| hook.contains(point)))
    });
    documents
}

/// A registry's refusal is no right that is missing in the cluster.
fn not_pulled(error: VerbError, chart: &str) -> VerbError {
    match error {
        VerbError::Other(failure) if failure.message.contains("not found") => {
            VerbError::NotFound(format!("there is no {chart}: {}", failure.message))
        }
        VerbError::Denied(why) => VerbError::other("chart", format!("the {chart} is refused: {why}")),
        other => other,
    }
}

/// Of what `helm show chart` says.
fn said_by(chart: &str, key: &str) -> Result<String, VerbError> {
    let said = manifest::read(chart).map_err(verb_error)?;
    Ok(said.first().and_then(|chart| chart[key].as_str()).unwrap_or_default().to_owned())
}

/// What fits a label.
pub(super) fn short(digest: &str) -> &str {
    let hex = digest.trim_start_matches("sha256:");
    &hex[..hex.len().min(40)]
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Kept {
    name: String,
    version: String,
    digest: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_registry_that_wants_a_login_is_no_missing_right() {
        let of = |said: &str| not_pulled(helm_error("helm pull", said), "chart `shop` of version 1.4.0");
        let refused = of("Error: failed to authorize: unexpected status: 401 Unauthorized");
        assert!(matches!(&refused, VerbError::Other(failure) if failure.code == "chart"), "{refused}");
        let missing = of("Error: shop:1.4.0: not found");
        assert!(missing.to_string().contains("there is no chart `shop` of version 1.4.0"), "{missing}");
        assert!(matches!(missing, VerbError::NotFound(_)));
        assert!(matches!(of("dial tcp: no such host"), VerbError::Unavailable(_)));
    }

    #[test]
    fn only_hooks_that_are_run_need_rights() {
        let of = |name: &str, hook: serde_json::Value| json!({ "kind": "Pod", "metadata": { "name": name, "annotations": { "helm.sh/hook": hook } } });
        let documents = vec![
            of("api", serde_json::Value::Null),
            of("migrate", json!("post-install,pre-upgrade")),
            of("undo", json!("post-rollback")),
            of("test", json!("test")),
        ];
        let names = |points: &[&str]| -> Vec<String> {
            let left = runs_at(documents.clone(), points);
            left.iter().map(|document| manifest::head(document).1.to_owned()).collect()
        };
        assert_eq!(names(&["upgrade", "rollback"]), ["api", "migrate", "undo"]);
        assert_eq!(names(&["rollback"]), ["api", "undo"]);
    }
}
