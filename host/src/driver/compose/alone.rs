//! The double of one service by itself: a database server that a drill restores into, with nothing of production's data.

use super::Compose;
use super::double::{DRILL_LABEL, Double, project_beginning, project_name};
use crate::context::StepContext;
use crate::driver::SCRATCH;
use crate::driver::beside::work::{self, At, Pulse};
use crate::driver::durable;
use crate::driver::engine::Container;
use crate::driver::process::io_error;
use crate::driver::trees::copy::{Means, copy_tree, properties_of, settle};
use crate::model::VerbError;
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What ties a service to others, to whoever else starts it, or to what is not there.
const TIES: [&str; 14] = [
    "build",
    "depends_on",
    "deploy",
    "ipc",
    "links",
    "network_mode",
    "networks",
    "pid",
    "profiles",
    "restart",
    "scale",
    "userns_mode",
    "uts",
    "volumes_from",
];
/// Mounted folders that are larger are data and start empty; smaller ones are settings.
const SETTINGS_BYTES: u64 = 8 << 20;
const FILE: &str = "double.json";

impl Compose {
    /// The double of one service for this step's drill.
    pub async fn drill_of(&self, step: &str) -> Result<Double, VerbError> {
        let scratch = self.engine.open_folder(&self.machine.state.join(SCRATCH)).await?;
        let folder = scratch.join(&self.deployment).join(step);
        Ok(Double {
            project: self.drill_project(step),
            deployment: self.deployment.clone(),
            label: DRILL_LABEL,
            // What is only read is read where it is.
            origin: folder.clone(),
            folder,
        })
    }

    fn drill_project(&self, step: &str) -> String {
        let of = format!("{}\0{}\0{step}", self.machine.state.display(), self.deployment);
        project_name("drill", &self.deployment, &of)
    }

    /// Starts it from the image of this ID; its container.
    pub async fn start_alone(
        &self, cx: &StepContext, double: &Double, service: &str, image: &str,
    ) -> Result<Container, VerbError> {
        let live = self.configuration().await?;
        let rendered = alone(&live, service, image)?;
        let (written, to) = (binds(&rendered, service), double.clone());
        let known_by = self.machine.scratch(&self.deployment, &cx.step);
        work::run(cx, double.folder.clone(), move |pulse| {
            let made = durable::make_folder(&known_by).and_then(|()| durable::make_passage(&to.folder));
            made.map_err(io_error("make the double's folder"))?;
            written.iter().try_for_each(|from| lay_settings(from, &to.moved(from), pulse))
        })
        .await?;
        let file = double.folder.join(FILE);
        let text = double.of(rendered)?.to_string();
        durable::write(&file, text.as_bytes()).map_err(io_error("write the double's configuration"))?;
        let mut argv = self.compose(&double.folder);
        argv.extend(["--file".into(), file.display().to_string(), "--project-name".into(), double.project.clone()]);
        argv.extend(["up", "--detach", "--no-build", "--pull", "never"].map(String::from));
        self.command(cx, &argv, "start the double").await?;
        let made = self.engine.containers(&double.project).await?.into_iter().next();
        made.ok_or_else(|| VerbError::other("compose", "`docker compose` made no container for the double"))
    }

    /// The container of a drill's double; an error for any other.
    pub async fn double_of(&self, id: &str) -> Result<Option<Container>, VerbError> {
        let is_ours = |container: &Container| container.project.starts_with(&project_beginning("drill"));
        match self.engine.container(id).await? {
            Some(container) if !is_ours(&container) => {
                Err(VerbError::Denied(format!("the container `{}` is no double of a drill", container.name)))
            }
            found => Ok(found),
        }
    }

    /// Nothing of it is left, whatever was under way. Converges.
    pub async fn discard_alone(&self, step: &str) -> Result<(), VerbError> {
        self.processes.end_step(&self.deployment, step).await;
        self.discard(&self.drill_project(step)).await?;
        let folder = self.drill_of(step).await?.folder;
        // Who made the drill's own folder removes it, when nothing of the drill is left.
        if folder == self.machine.scratch(&self.deployment, step) {
            return Ok(());
        }
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove a double's folder")(error)),
            _ => Ok(()),
        }
    }
}

/// The project with nothing in it but this service, on a network of its own.
fn alone(rendered: &Value, service: &str, image: &str) -> Result<Value, VerbError> {
    let mut project = rendered.clone();
    let missing = || VerbError::NotFound(format!("the files have no service `{service}`"));
    let mut own = project["services"].get_mut(service).map(Value::take).ok_or_else(missing)?;
    let table = own.as_object_mut().ok_or_else(missing)?;
    let limits =
        table.get("deploy").map(|deploy| deploy["resources"]["limits"].clone()).filter(|limits| !limits.is_null());
    // What is the machine's own is for the double's check to refuse.
    table.retain(|key, value| !TIES.contains(&key.as_str()) || (key != "network_mode" && *value == "host"));
    if let Some(limits) = limits {
        table.insert("deploy".into(), json!({ "resources": { "limits": limits } }));
    }
    table.insert("image".into(), json!(image));
    table.insert("restart".into(), json!("no"));
    table.insert("networks".into(), json!({ "alone": null }));
    let used: Vec<&str> = mounts(&own).filter_map(|mount| mount["source"].as_str()).collect();
    let volumes = project["volumes"].as_object().into_iter().flatten();
    let volumes: serde_json::Map<_, _> = volumes
        .filter(|(key, _)| used.contains(&key.as_str()))
        .map(|(key, volume)| (key.clone(), volume.clone()))
        .collect();
    project["volumes"] = Value::Object(volumes);
    project["networks"] = json!({ "alone": {} });
    project["services"] = json!({ service: own });
    Ok(project)
}

fn mounts(service: &Value) -> impl Iterator<Item = &Value> {
    service["volumes"].as_array().into_iter().flatten()
}

/// What the service may write to outside of volumes.
fn binds(rendered: &Value, service: &str) -> Vec<PathBuf> {
    let written = |mount: &&Value| mount["type"] == "bind" && mount["read_only"] != true;
    let mounts = mounts(&rendered["services"][service]).filter(written);
    mounts.filter_map(|mount| mount["source"].as_str().map(PathBuf::from)).collect()
}

/// Settings are copied; data is not. What is special the double's own check finds.
fn lay_settings(from: &Path, to: &Path, pulse: &Pulse) -> Result<(), VerbError> {
    if !from.is_file() && !from.is_dir() {
        return Ok(());
    }
    durable::make_passage(to.parent().unwrap_or(to)).at("making", to)?;
    if from.is_file() || is_settings(from, &mut 0) {
        return copy_tree(from, to, Means::Any, pulse).map(drop);
    }
    fs::create_dir(to).at("making", to)?;
    settle(to, &properties_of(from)?, false)
}

/// Files of no great size, folders and links alone.
fn is_settings(folder: &Path, bytes: &mut u64) -> bool {
    let Ok(entries) = fs::read_dir(folder) else { return false };
    entries.flatten().all(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => is_settings(&entry.path(), bytes),
        Ok(found) if found.is_file() => {
            *bytes += found.len();
            *bytes <= SETTINGS_BYTES
        }
        Ok(found) => found.is_symlink(),
        Err(_) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity::Activity;

    fn project() -> Value {
        json!({
            "name": "shop",
            "services": {
                "db": {
                    "image": "postgres:15", "build": { "context": "." }, "restart": "always", "profiles": ["data"],
                    "depends_on": { "init": { "condition": "service_completed_successfully" } },
                    "networks": { "back": { "aliases": ["database"] } }, "ports": [{ "target": 5432, "published": "5432" }],
                    "command": ["postgres", "-c", "shared_buffers=64MB"], "environment": { "POSTGRES_PASSWORD": "pw" },
                    "container_name": "shop-db", "labels": { "traefik.enable": "true" },
                    "volumes": [
                        { "type": "volume", "source": "data", "target": "/var/lib/postgresql/data" },
                        { "type": "bind", "source": "/etc/ssl", "target": "/etc/ssl", "read_only": true },
                    ],
                },
                "init": { "image": "shop/init:1" },
            },
            "networks": { "back": { "name": "shop_back", "external": true } },
            "volumes": { "data": { "name": "shop_data", "external": true }, "cache": { "name": "shop_cache" } },
        })
    }

    #[test]
    fn a_server_stands_alone_with_its_settings_and_without_its_data() {
        let scratch = tempfile::tempdir().unwrap();
        let double = Double {
            project: project_name("drill", "Shop 1", "r1-drill-main"),
            deployment: "shop".into(),
            label: DRILL_LABEL,
            folder: scratch.path().into(),
            origin: scratch.path().into(),
        };
        let made = double.of(alone(&project(), "db", "sha256:12").unwrap()).unwrap();
        assert_eq!(made["services"].as_object().unwrap().keys().collect::<Vec<_>>(), ["db"]);
        let db = &made["services"]["db"];
        for gone in ["build", "depends_on", "ports", "profiles", "container_name"] {
            assert!(db.get(gone).is_none(), "{gone}: {db}");
        }
        assert_eq!((&db["image"], &db["restart"]), (&json!("sha256:12"), &json!("no")));
        assert_eq!(db["labels"], json!({ DRILL_LABEL: "shop" }));
        assert_eq!(db["command"], project()["services"]["db"]["command"]);
        assert_eq!(db["environment"]["POSTGRES_PASSWORD"], "pw");
        assert_eq!(db["volumes"][1]["source"], "/etc/ssl", "what is only read is read where it is");
        assert!(double.project.starts_with("upgraded-drill-shop-1-"), "{}", double.project);
        let name = |kind: &str, key: &str| made[kind][key]["name"].as_str().unwrap().to_owned();
        assert_eq!(name("volumes", "data"), format!("{}_data", double.project));
        assert_eq!(name("networks", "alone"), format!("{}_alone", double.project));
        assert_eq!(made["networks"]["alone"]["internal"], true);
        assert!(made["volumes"].get("cache").is_none() && made["networks"].get("back").is_none());
        assert!(alone(&project(), "web", "sha256:12").is_err());
    }

    #[test]
    fn settings_are_copied_and_data_is_not() {
        let scratch = tempfile::tempdir().unwrap();
        let (live, to) = (scratch.path().join("live"), scratch.path().join("double/outside"));
        fs::create_dir_all(live.join("conf/more")).unwrap();
        fs::create_dir_all(live.join("data")).unwrap();
        fs::write(live.join("conf/more/my.cnf"), "[mysqld]").unwrap();
        fs::File::create(live.join("data/ibdata1")).unwrap().set_len(SETTINGS_BYTES + 1).unwrap();
        let pulse = Pulse::new(&Activity::silent());
        for name in ["conf", "data"] {
            lay_settings(&live.join(name), &to.join(name), &pulse).unwrap();
        }
        lay_settings(&live.join("conf/more/my.cnf"), &to.join("my.cnf"), &pulse).unwrap();
        assert_eq!(fs::read_to_string(to.join("conf/more/my.cnf")).unwrap(), "[mysqld]");
        assert_eq!(fs::read_to_string(to.join("my.cnf")).unwrap(), "[mysqld]");
        assert_eq!(fs::read_dir(to.join("data")).unwrap().count(), 0);
    }
}
