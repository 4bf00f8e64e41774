//! The programs that hold tests, as cargo names them.

use crate::check;
use crate::workspace::{Workspace, cargo};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Tests against real servers: the longest, which begin first.
const STORIES: &str = "tests";

pub enum Program {
    Tests {
        name: String,
        file: PathBuf,
        /// Of its package: where it runs.
        folder: PathBuf,
    },
    Doctests {
        root: PathBuf,
        selection: Vec<String>,
    },
}

/// Builds what isn't built.
pub fn list(workspace: &Workspace) -> Result<Vec<Program>> {
    let mut build = cargo();
    build.current_dir(&workspace.root).args(["test", "--no-run", "--message-format", "json-render-diagnostics"]);
    build.args(workspace.native_selection()).args(check::features(workspace));
    let built = build.stderr(Stdio::inherit()).output().context("`cargo test --no-run`")?;
    if !built.status.success() {
        bail!("the tests don't build");
    }
    let messages = String::from_utf8_lossy(&built.stdout);
    let mut programs: Vec<Program> = messages.lines().filter_map(Program::built).collect();
    let stories = workspace.root.join(STORIES);
    programs.sort_by_cached_key(|program| match program {
        Program::Tests { name, folder, .. } => (*folder != stories, folder.clone(), name.clone()),
        Program::Doctests { .. } => (true, PathBuf::new(), String::new()),
    });
    programs.push(Program::Doctests {
        root: workspace.root.clone(),
        selection: workspace.native_selection().into_iter().chain(features(workspace)).collect(),
    });
    Ok(programs)
}

fn features(workspace: &Workspace) -> impl Iterator<Item = String> {
    check::features(workspace).iter().map(|argument| (*argument).to_owned())
}

impl Program {
    fn built(message: &str) -> Option<Self> {
        let message: Value = serde_json::from_str(message).ok()?;
        if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
            return None;
        }
        Some(Self::Tests {
            name: message["target"]["name"].as_str()?.to_owned(),
            file: PathBuf::from(message["executable"].as_str()?),
            folder: Path::new(message["manifest_path"].as_str()?).parent()?.to_owned(),
        })
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Tests { name, .. } => name,
            Self::Doctests { .. } => "examples in the documentation",
        }
    }

    pub fn command(&self, arguments: &[String]) -> Command {
        let mut command = match self {
            Self::Tests { file, folder, .. } => {
                let mut program = Command::new(file);
                program.current_dir(folder).env("CARGO_MANIFEST_DIR", folder);
                program
            }
            Self::Doctests { root, selection } => {
                let mut doctests = cargo();
                doctests.current_dir(root).args(["test", "--doc"]).args(selection);
                doctests
            }
        };
        command.args(arguments);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_built_for_tests_is_a_program_and_nothing_else_is() {
        let tests = r#"{"reason":"compiler-artifact","manifest_path":"/p/host/Cargo.toml","target":{"name":"cli"},
            "profile":{"test":true},"executable":"/t/debug/deps/cli-1"}"#;
        let Some(Program::Tests { name, file, folder }) = Program::built(tests) else { panic!("a program") };
        assert_eq!(
            (name.as_str(), file.as_path(), folder.as_path()),
            ("cli", Path::new("/t/debug/deps/cli-1"), Path::new("/p/host"))
        );
        assert!(
            Program::built(&tests.replace("\"test\":true", "\"test\":false")).is_none(),
            "a program of the product"
        );
        assert!(Program::built(r#"{"reason":"build-finished","success":true}"#).is_none());
        assert!(Program::built("   Compiling x v0.1.0").is_none());
    }
}
