//! Builds plugins and test guests for `wasm32-wasip2`: what comes out is a component at once.

use crate::workspace::{Workspace, cargo};
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

const TARGET: &str = "wasm32-wasip2";
const PROFILE: &str = "component";

pub fn run() -> Result<()> {
    build(&Workspace::read()?)
}

/// Builds all components and puts each into `<target>/components/NAME.wasm`; one that didn't change keeps its file.
pub fn build(workspace: &Workspace) -> Result<()> {
    let mut by_name = BTreeMap::new();
    for (package, component) in workspace.components() {
        if let Some(other) = by_name.insert(component, package) {
            bail!(
                "`{}` and `{}` are both the component `{component}`",
                other.folder.display(),
                package.folder.display()
            );
        }
    }
    let folder = workspace.components_folder();
    fs::create_dir_all(&folder).with_context(|| format!("`{}`", folder.display()))?;
    if by_name.is_empty() {
        eprintln!("there are no components yet");
        return Ok(());
    }
    ensure_target()?;

    let mut build = cargo();
    build.current_dir(&workspace.root).args(["build", "--target", TARGET, "--profile", PROFILE]);
    // Native flags (a linker, a sanitizer) mean nothing to the sandbox.
    build.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    for package in by_name.values() {
        build.args(["--package", &package.name]);
    }
    if !build.status().context("`cargo build` of the components")?.success() {
        bail!("the components don't build");
    }

    let built = workspace.target.join(TARGET).join(PROFILE);
    for (component, package) in by_name {
        let library = package.library.as_deref().context("a component is a `cdylib`")?;
        let file = format!("{component}.wasm");
        publish(&built.join(format!("{library}.wasm")), &folder.join(&file))?;
    }
    Ok(())
}

/// By rename, so that a daemon that reads the folder never sees half a component.
fn publish(from: &Path, to: &Path) -> Result<()> {
    let bytes = fs::read(from).with_context(|| format!("`{}` was not built", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    let beside = to.with_extension("wasm.new");
    fs::write(&beside, &bytes).with_context(|| format!("`{}`", beside.display()))?;
    fs::rename(&beside, to).with_context(|| format!("`{}`", to.display()))?;
    eprintln!("{} ({} KiB)", to.display(), bytes.len() / 1024);
    Ok(())
}

fn ensure_target() -> Result<()> {
    let Ok(installed) = Command::new("rustup").args(["target", "list", "--installed"]).output() else {
        return Ok(()); // A toolchain without rustup says itself what it lacks.
    };
    if String::from_utf8_lossy(&installed.stdout).lines().any(|line| line == TARGET) {
        return Ok(());
    }
    let added = Command::new("rustup").args(["target", "add", TARGET]).status().context("`rustup target add`")?;
    if !added.success() {
        bail!("the target `{TARGET}` is missing; `rustup target add {TARGET}` adds it");
    }
    Ok(())
}
