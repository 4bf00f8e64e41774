//! The programs that hold tests, as cargo names them.

use crate::check;
use crate::workspace::{Workspace, cargo};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Tests against real servers: the longest, which begin first.
const STORIES: &str = "tests";

pub struct Program {
    pub name: String,
    /// Of its package: where it runs.
    folder: PathBuf,
    pub command: Command,
}

/// Builds what isn't built.
pub fn list(workspace: &Workspace) -> Result<Vec<Program>> {
    let of_the_workspace = |arguments: &[&str]| {
        let mut test = cargo();
        test.current_dir(&workspace.root).arg("test").args(arguments);
        test.args(workspace.native_selection()).args(check::features(workspace));
        test
    };
    let mut build = of_the_workspace(&["--no-run", "--message-format", "json-render-diagnostics"]);
    let built = build.stderr(Stdio::inherit()).output().context("`cargo test --no-run`")?;
    if !built.status.success() {
        bail!("the tests don't build");
    }
    let messages = String::from_utf8_lossy(&built.stdout);
    let mut programs: Vec<Program> = messages.lines().filter_map(Program::built).collect();
    let stories = workspace.root.join(STORIES);
    programs.sort_by_cached_key(|program| (program.folder != stories, program.folder.clone(), program.name.clone()));
    programs.push(Program {
        name: "examples in the documentation".to_owned(),
        folder: workspace.root.clone(),
        command: of_the_workspace(&["--doc"]),
    });
    Ok(programs)
}

impl Program {
    fn built(message: &str) -> Option<Self> {
        let message: Value = serde_json::from_str(message).ok()?;
        if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
            return None;
        }
        let name = message["target"]["name"].as_str()?.to_owned();
        let folder = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
        let mut command = Command::new(message["executable"].as_str()?);
        command.current_dir(&folder).env("CARGO_MANIFEST_DIR", &folder);
        Some(Self { name, folder, command })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cargo_built_for_tests_is_a_program_and_nothing_else_is() {
        let tests = r#"{"reason":"compiler-artifact","manifest_path":"/p/host/Cargo.toml","target":{"name":"cli"},
            "profile":{"test":true},"executable":"/t/debug/deps/cli-1"}"#;
        let Program { name, folder, command } = Program::built(tests).expect("a program");
        let file = Path::new(command.get_program());
        assert_eq!(
            (name.as_str(), file, folder.as_path()),
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
