//! Runs a bench of cargo's, which measures what can only be measured from inside, and collects what it prints.

use super::figure::Samples;
use crate::workspace::{Workspace, cargo};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

pub fn run(
    workspace: &Workspace, profile: &str, features: &[&str], name: &str, arguments: &[&OsStr],
    environment: &[(&str, String)], samples: &mut Samples,
) -> Result<()> {
    let mut bench = cargo();
    bench.current_dir(&workspace.root).args(["bench", "--quiet", "--profile", profile]);
    bench.args(workspace.native_selection()).args(features).args(["--bench", name, "--"]).args(arguments);
    bench.envs(environment.iter().map(|(name, value)| (name, value)));
    let mut child = bench.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("`cargo bench`")?;
    let output = child.stdout.take().context("the output was piped")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        let said: Value = serde_json::from_str(&line).with_context(|| format!("`{line}`"))?;
        let (Some(part), Some(seconds)) = (said["part"].as_str(), said["seconds"].as_f64()) else {
            bail!("`{line}` is no measurement")
        };
        eprintln!("  {part:<18} {seconds:.6} s");
        samples.add(part, seconds);
    }
    if child.wait()?.success() { Ok(()) } else { bail!("the bench `{name}` failed") }
}
