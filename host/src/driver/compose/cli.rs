//! `docker compose`, asked and told, with nothing of the daemon's environment but where things are.

use super::Compose;
use super::shadow::{self, Shadow};
use crate::activity::Level;
use crate::config::EnvironmentValue;
use crate::context::StepContext;
use crate::driver::durable;
use crate::driver::engine::credentials::folder_of_client;
use crate::driver::process::log::LineSplitter;
use crate::driver::process::{self, MARK_VARIABLE, io_error};
use crate::effect::hex;
use crate::model::VerbError;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

/// How long a question that changes nothing may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// In the client's order.
const PLUGINS: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];
/// In the daemon's state folder: files that are laid over a project's.
const NEVER_PULLED: &str = "never-pulled";
/// Lines kept for the error of one that failed.
const KEPT_LINES: usize = 12;

impl Compose {
    /// `docker compose` with the operator's files, up to the subcommand; in a double, with what is left of them.
    pub(super) async fn argv(&self, shadow: Option<&Shadow>) -> Result<Vec<String>, VerbError> {
        let Some(double) = &self.double else { return Ok(self.named(shadow)) };
        let text = double.of((*self.rendered(shadow).await?).clone())?.to_string();
        let file = double.folder.join(format!("rendered-{}.json", hex(&Sha256::digest(&text)[..8])));
        if !file.exists() {
            durable::write(&file, text.as_bytes()).map_err(io_error("write the double's configuration"))?;
        }
        let mut argv = self.compose(&self.directory);
        argv.extend(["--file".into(), file.display().to_string(), "--project-name".into(), double.project.clone()]);
        Ok(argv)
    }

    /// As [`Compose::argv`], for a `run` of this service that pulls nothing, whatever the files say: before 2.32.2 it has no
    /// option for that. The file stays: a command that outlives the daemon may be yet to read it.
    pub(super) async fn argv_without_pulls(&self, service: &str) -> Result<Vec<String>, VerbError> {
        let files: Vec<_> = shadow::named_files(self).iter().map(|file| self.directory.join(file)).collect();
        let are_here = !files.is_empty() && files.iter().all(|file| file.is_file());
        // A double's files say so anyway.
        if self.double.is_some() || !are_here {
            return self.argv(None).await;
        }
        let text = json!({ "services": { (service): { "pull_policy": "never" } } }).to_string();
        let folder = self.machine.state.join(NEVER_PULLED).join(&self.deployment);
        let over = folder.join(format!("{service}.json"));
        let written = durable::make_folder(&folder).and_then(|()| durable::write(&over, text.as_bytes()));
        written.map_err(io_error("write a file for `docker compose run`"))?;
        let mut argv = self.named(None);
        let found = if self.config.files.is_empty() { files } else { Vec::new() };
        let all = found.into_iter().chain([over]);
        argv.extend(all.flat_map(|file| ["--file".to_owned(), file.display().to_string()]));
        match self.answer_of(argv.clone(), None, &["config", "--quiet"]).await {
            Ok(_) => Ok(argv),
            // 2.24 lets nothing be laid over a service of an included file.
            Err(VerbError::Invalid(_)) => self.argv(None).await,
            Err(error) => Err(error),
        }
    }

    /// With the files that the operator named.
    pub(super) fn named(&self, shadow: Option<&Shadow>) -> Vec<String> {
        let mut argv = self.compose(shadow.map_or(&self.directory, |shadow| &shadow.directory));
        let files = match shadow {
            Some(shadow) => shadow.files.clone(),
            None => self.config.files.iter().map(|file| self.directory.join(file)).collect(),
        };
        let env_files = match shadow {
            Some(shadow) => shadow.env_files.clone(),
            None => self.config.env_files.iter().map(|file| self.directory.join(file)).collect(),
        };
        let with = |flag: &str, value: String| [flag.to_owned(), value];
        argv.extend(files.into_iter().flat_map(|file| with("--file", file.display().to_string())));
        argv.extend(env_files.into_iter().flat_map(|file| with("--env-file", file.display().to_string())));
        argv.extend(self.config.profiles.iter().flat_map(|profile| with("--profile", profile.clone())));
        let project = self.config.project.as_ref().or(shadow.and_then(|shadow| shadow.project.as_ref()));
        argv.extend(project.into_iter().flat_map(|name| with("--project-name", name.clone())));
        argv
    }

    /// Where the engine and its client's settings are.
    pub(super) fn environment(&self) -> BTreeMap<String, EnvironmentValue> {
        let mut environment = BTreeMap::from([("DOCKER_HOST".to_owned(), self.engine.host())]);
        environment.extend(self.settings().map(|folder| ("DOCKER_CONFIG".to_owned(), folder.display().to_string())));
        environment.into_iter().map(|(name, value)| (name, EnvironmentValue::Plain(value))).collect()
    }

    /// The folder of the client's settings.
    fn settings(&self) -> Option<PathBuf> {
        folder_of_client(self.engine.config().client.as_deref())
    }

    /// Up to the folder that relative paths start from.
    pub(super) fn compose(&self, directory: &Path) -> Vec<String> {
        let mut argv = match plugin(self.settings()) {
            Some(program) => vec![program.display().to_string()],
            None => vec!["docker".to_owned(), "compose".to_owned()],
        };
        argv.extend(["--ansi", "never", "--progress", "plain", "--project-directory"].map(String::from));
        argv.push(directory.display().to_string());
        argv
    }

    /// The engine's client, for somebody else's driver.
    pub fn client(&self, arguments: &[&str]) -> Command {
        let mut argv = vec!["docker".to_owned()];
        argv.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self.process(&argv, None)
    }

    pub fn client_environment(&self) -> Vec<(String, String)> {
        let plain = |(name, value)| match value {
            EnvironmentValue::Plain(value) => Some((name, value)),
            EnvironmentValue::Secret(_) => None,
        };
        process::surroundings(None).into_iter().chain(self.environment().into_iter().filter_map(plain)).collect()
    }

    pub(super) async fn answer(&self, shadow: Option<&Shadow>, question: &[&str]) -> Result<Output, VerbError> {
        self.answer_of(self.argv(shadow).await?, shadow, question).await
    }

    pub(super) async fn answer_of(
        &self, mut argv: Vec<String>, shadow: Option<&Shadow>, question: &[&str],
    ) -> Result<Output, VerbError> {
        argv.extend(question.iter().map(|word| (*word).to_owned()));
        let mut command = self.process(&argv, None);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = tokio::time::timeout(ANSWER_WITHIN, command.output()).await;
        let output = output.map_err(|_| VerbError::Unavailable("`docker compose` does not answer".into()))?;
        let output = output.map_err(|error| not_there(&error))?;
        if output.status.success() {
            return Ok(output);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let files = shadow::named_files(self).iter().map(|file| format!("`{}`", file.display())).collect::<Vec<_>>();
        let files = if files.is_empty() { "a folder without Compose files".into() } else { files.join(", ") };
        let why = refusal(&said, shadow);
        Err(VerbError::Invalid(format!("`docker compose {}` refuses {files}: {why}", question.join(" "))))
    }

    /// Does what converges; its lines are the step's.
    pub(super) async fn command(&self, cx: &StepContext, argv: &[String], what: &str) -> Result<(), VerbError> {
        let mut command = self.process(argv, Some(&self.processes.mark(&cx.deployment, &cx.step)));
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| not_there(&error))?;
        let stderr = child.stderr.take().ok_or_else(|| VerbError::other("io", "the client has no standard error"))?;
        let last = last_lines(stderr, |line| cx.activity.line(Level::Debug, line)).await;
        let status = child.wait().await.map_err(|error| VerbError::other("io", error.to_string()))?;
        if status.success() {
            return Ok(());
        }
        Err(VerbError::other("compose", format!("`docker compose` could not {what}:\n{}", last.join("\n"))))
    }

    fn process(&self, argv: &[String], mark: Option<&str>) -> Command {
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]).env_clear().envs(process::surroundings(None)).current_dir(&self.directory);
        for (name, value) in self.environment() {
            if let EnvironmentValue::Plain(value) = value {
                command.env(name, value);
            }
        }
        if let Some(mark) = mark {
            command.env(MARK_VARIABLE, mark);
        }
        command.stdin(Stdio::null()).process_group(0).kill_on_drop(true);
        command
    }
}

/// Says each line that is printed, and returns the last of them once there are no more.
async fn last_lines(mut printed: impl AsyncRead + Unpin, say: impl Fn(&str)) -> Vec<String> {
    let (mut lines, mut last, mut buffer) = (LineSplitter::default(), Vec::new(), [0; 4096]);
    loop {
        let count = printed.read(&mut buffer).await.unwrap_or(0);
        let new = if count == 0 { lines.finish() } else { lines.push(&buffer[..count]) };
        for line in new.iter().map(|line| line.trim()).filter(|line| !line.is_empty()) {
            say(line);
            last.push(line.to_owned());
        }
        last.drain(..last.len().saturating_sub(KEPT_LINES));
        if count == 0 {
            return last;
        }
    }
}

/// Compose itself, where the client finds it: `docker` starts every plugin to ask what it is before it starts this one.
fn plugin(settings: Option<PathBuf>) -> Option<PathBuf> {
    let own = settings.map(|folder| folder.join("cli-plugins"));
    let known = PLUGINS.iter().map(PathBuf::from);
    own.into_iter().chain(known).map(|folder| folder.join("docker-compose")).find(|program| program.is_file())
}

/// What is wrong, without the client's decoration; a shadow's file is called by the name of what it stands for.
fn refusal(said: &str, shadow: Option<&Shadow>) -> String {
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains("level=warning"));
    let text = lines.collect::<Vec<_>>().join("; ");
    match shadow {
        Some(shadow) => text.replace(&format!("{}/", shadow.folder().display()), ""),
        None => text,
    }
}

fn not_there(error: &std::io::Error) -> VerbError {
    match error.kind() {
        std::io::ErrorKind::NotFound => VerbError::NotFound(
            "the program `docker` is not in the daemon's `PATH`; the package `docker-cli` with `docker-compose` (2.20 \
             or later) has it"
                .into(),
        ),
        _ => VerbError::other("io", format!("`docker` can't be run: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_beside_the_clients_settings_comes_first() {
        let settings = tempfile::tempdir().unwrap();
        let ours = settings.path().join("cli-plugins/docker-compose");
        std::fs::create_dir(settings.path().join("cli-plugins")).unwrap();
        assert_ne!(plugin(Some(settings.path().to_owned())).as_ref(), Some(&ours));
        std::fs::write(&ours, "").unwrap();
        assert_eq!(plugin(Some(settings.path().to_owned())), Some(ours));
    }

    #[tokio::test]
    async fn what_is_printed_is_heard_to_its_end_in_any_encoding() {
        let mut printed = (1..=20).flat_map(|step| format!("#{step} RUN make\n").into_bytes()).collect::<Vec<_>>();
        printed.extend(b"#21 erreur : caract\xe8re\n\n#22 failed");
        let said = std::cell::RefCell::new(Vec::new());
        let last = last_lines(&printed[..], |line| said.borrow_mut().push(line.to_owned())).await;
        assert_eq!((said.borrow().len(), last.len()), (22, KEPT_LINES));
        assert!(last[KEPT_LINES - 2].starts_with("#21 erreur") && last[KEPT_LINES - 1] == "#22 failed", "{last:?}");
    }
}
