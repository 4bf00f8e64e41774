//! The engine of our own: unpacked, started, stopped. Everything lies in its folder; of the machine it takes a port of
//! 127.0.0.1 and what [`network`] says, and gives them back. Needs root.

use super::process::{Program, is_running, start, stop};
use super::scripts::{Script, UNPACK, succeed};
use super::{images, machine, network, others};
use anyhow::{Context, Result, bail};
use scratch_docker::{Engine, OWN_REGISTRY, Own, ping, ping_registry};
use serde_json::json;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::{env, thread};

/// Has an engine of today.
const ENGINE_SUITE: &str = "forky";
const ENGINE_PACKAGES: [&str; 7] =
    ["docker.io", "docker-cli", "containerd", "docker-compose", "docker-buildx", "docker-registry", "tini-static"];
/// What the base images are made of; its programs run on every newer machine too.
pub const BASE_SUITE: &str = "bookworm";
const BASE_PACKAGES: [&str; 4] = ["runc", "busybox-static", "util-linux", "libcap-ng0"];

const ENGINE: &str = "engine";
const BASE: &str = "base";

/// Whether `up` has nothing to make any more.
pub fn is_ready(own: &Own) -> bool {
    fs::read_to_string(own.folder().join("ready")).is_ok_and(|ready| ready == recipe()) && others::are_there(own)
}

fn recipe() -> String {
    [unpack_recipe(ENGINE_SUITE, &ENGINE_PACKAGES), unpack_recipe(BASE_SUITE, &BASE_PACKAGES), images::recipe()]
        .join(" ")
}

/// Converges: makes and starts what isn't there, and is soon done where all of it is.
pub fn up(own: &Own) -> Result<()> {
    fs::create_dir_all(own.folder()).with_context(|| format!("`{}`", own.folder().display()))?;
    let _lock = lock(own)?;
    others::make(own)?;
    let is_new = !is_ready(own);
    if is_new {
        make(own)?;
    }
    launch(own)?;
    images::converge(&Engine::own(own.clone()), own, is_new)?;
    fs::write(own.folder().join("ready"), recipe())?;
    hand_over(own)
}

fn make(own: &Own) -> Result<()> {
    eprintln!("preparing a Docker engine in `{}`", own.folder().display());
    thread::scope(|scope| {
        let base = scope.spawn(|| {
            unpack_base(own)?;
            images::fetch(own)
        });
        let engine = unpack(own, &UNPACK, ENGINE_SUITE, ENGINE, &ENGINE_PACKAGES);
        base.join().expect("it doesn't panic").and(engine)
    })?;
    link(own, "cli", "docker", "../engine/usr/bin/docker")?;
    link(own, "config", "cli-plugins", "../engine/usr/libexec/docker/cli-plugins")
}

pub fn unpack_base(own: &Own) -> Result<()> {
    unpack(own, &UNPACK, BASE_SUITE, BASE, &BASE_PACKAGES)
}

pub fn unpack(own: &Own, script: &Script, suite: &str, folder: &str, packages: &[&str]) -> Result<()> {
    if script.has_made(own, suite, folder, packages) {
        return Ok(());
    }
    fs::create_dir_all(own.folder())?;
    if folder == ENGINE {
        // What runs would go on with a mixture of old and new programs.
        halt(own)?;
    }
    succeed(script.command(own).args([suite, folder]).args(packages), &format!("the packages of {suite}"))?;
    script.note_made(own, suite, folder, packages)
}

fn unpack_recipe(suite: &str, packages: &[&str]) -> String {
    UNPACK.recipe(&[&[suite], packages].concat())
}

fn link(own: &Own, folder: &str, name: &str, to: &str) -> Result<()> {
    let folder = own.folder().join(folder);
    fs::create_dir_all(&folder)?;
    let link = folder.join(name);
    if fs::read_link(&link).is_ok_and(|there| there == Path::new(to)) {
        return Ok(());
    }
    let _ = fs::remove_file(&link);
    symlink(to, &link).with_context(|| format!("the link `{}`", link.display()))
}

fn launch(own: &Own) -> Result<()> {
    let missing: Vec<&str> =
        ["ip", "iptables"].into_iter().filter(|program| machine::administration(program).is_none()).collect();
    if !missing.is_empty() {
        bail!("missing: {}; `cargo xtask setup` installs them", missing.join(", "));
    }
    settings(own)?;
    network::make(own)?;
    for program in programs(own) {
        if program.name == "dockerd" && !is_running(&program.file) {
            // One that was killed left its number, which another process may have by now.
            let _ = fs::remove_file(own.folder().join(PID_FILE));
        }
        start(own, &program)?;
    }
    Ok(())
}

/// In the order of their start.
fn programs(own: &Own) -> [Program; 3] {
    let at = |name: &str| own.folder().join(name);
    let (containerd, docker) = (at(CONTAINERD_SOCKET), own.socket());
    [
        Program {
            name: "containerd",
            file: at("engine/usr/bin/containerd"),
            arguments: vec!["--config".into(), at("containerd.toml").into()],
            answers: Box::new(move || std::os::unix::net::UnixStream::connect(&containerd).is_ok()),
        },
        Program {
            name: "dockerd",
            file: at("engine/usr/sbin/dockerd"),
            arguments: vec!["--config-file".into(), at("daemon.json").into()],
            answers: Box::new(move || ping(&docker)),
        },
        Program {
            name: "docker-registry",
            file: at("engine/usr/bin/docker-registry"),
            arguments: vec!["serve".into(), at("registry.yml").into()],
            answers: Box::new(|| ping_registry(OWN_REGISTRY)),
        },
    ]
}

const CONTAINERD_SOCKET: &str = "containerd.sock";
const PID_FILE: &str = "dockerd.pid";

/// Files of settings: nothing of `/etc` is read, and nothing of another engine used.
fn settings(own: &Own) -> Result<()> {
    let at = |name: &str| own.folder().join(name);
    let folder = own.folder().display();
    let daemon = json!({
        "hosts": [format!("unix://{}", own.socket().display())],
        "containerd": at(CONTAINERD_SOCKET),
        "pidfile": at(PID_FILE),
        "exec-root": at("run"),
        "data-root": at("data"),
        "init-path": at("engine/usr/bin/tini-static"),
        "bridge": network::BRIDGE,
        "default-address-pools": [{ "base": network::POOL, "size": 24 }],
        // All engines of a machine write to chains of the same names and would erase each other's rules. Ports are
        // published by a process for each instead.
        "iptables": false,
        "ip6tables": false,
        "ip-forward": false,
        "shutdown-timeout": 5,
    });
    fs::write(at("daemon.json"), format!("{daemon:#}\n"))?;
    let containerd = format!(
        "version = 2\nroot = \"{folder}/containerd\"\nstate = \"{folder}/run/containerd\"\n\
         disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = \"{folder}/{CONTAINERD_SOCKET}\"\n"
    );
    fs::write(at("containerd.toml"), containerd)?;
    let registry = format!(
        "version: 0.1\nstorage: {{filesystem: {{rootdirectory: '{folder}/registry'}}, delete: {{enabled: true}}}}\n\
         http: {{addr: '{OWN_REGISTRY}'}}\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
    );
    Ok(fs::write(at("registry.yml"), registry)?)
}

/// Where `sudo` brought us here, who asked for it may use it.
fn hand_over(own: &Own) -> Result<()> {
    let (Ok(user), Ok(group)) = (env::var("SUDO_UID"), env::var("SUDO_GID")) else { return Ok(()) };
    let (Ok(user), Ok(group)) = (user.parse(), group.parse()) else { return Ok(()) };
    for path in [own.socket(), own.config()] {
        std::os::unix::fs::chown(&path, Some(user), Some(group)).with_context(|| format!("`{}`", path.display()))?;
    }
    Ok(())
}

pub fn down(own: &Own, empty: bool) -> Result<()> {
    if !own.folder().is_dir() {
        return Ok(());
    }
    let _lock = lock(own)?;
    if empty && ping(&own.socket()) {
        images::empty(&Engine::own(own.clone()))?;
    }
    halt(own)?;
    if empty { empty_registry(own) } else { Ok(()) }
}

/// Programs in the opposite order of their start, then what was taken of the machine.
fn halt(own: &Own) -> Result<()> {
    let engine = Engine::own(own.clone());
    if ping(engine.socket()) {
        // The engine would wait for each that doesn't listen to a polite signal.
        images::kill_containers(&engine)?;
    }
    for program in programs(own).iter().rev() {
        stop(&program.file)?;
    }
    stop(&own.folder().join("engine/usr/bin/containerd-shim-runc-v2"))?;
    unmount(own)?;
    network::remove(own)
}

/// What a program that was killed left mounted.
fn unmount(own: &Own) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mounted = mounts.lines().rev().filter_map(|line| line.split(' ').nth(1));
    let folder = own.folder().canonicalize()?;
    for path in mounted.filter(|path| Path::new(path).starts_with(&folder)) {
        succeed(Command::new("umount").arg(path), &format!("`umount {path}`"))?;
    }
    Ok(())
}

/// All that is not a base image. The registry is down.
fn empty_registry(own: &Own) -> Result<()> {
    let registry = own.folder().join("registry/docker/registry/v2");
    for entry in fs::read_dir(registry.join("repositories")).into_iter().flatten().flatten() {
        if entry.file_name() != "base" {
            fs::remove_dir_all(entry.path())?;
        }
    }
    let Some(collector) = programs(own).into_iter().next_back() else { return Ok(()) };
    let mut collect = Command::new(collector.file);
    collect.args(["garbage-collect", "--delete-untagged"]).arg(own.folder().join("registry.yml"));
    if registry.is_dir() { succeed(&mut collect, "the registry's garbage") } else { Ok(()) }
}

/// One at a time changes anything.
fn lock(own: &Own) -> Result<File> {
    let path = own.folder().join("lock");
    let file = File::create(&path).with_context(|| format!("`{}`", path.display()))?;
    file.lock().with_context(|| format!("`{}`", path.display()))?;
    Ok(file)
}
