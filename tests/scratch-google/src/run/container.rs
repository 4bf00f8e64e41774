//! What a container is told by its environment, and programs that run as one.

use super::image::{Image, Instance, NotStarted, Running};
use crate::core::Core;
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};

const TRIES: u32 = 3;
/// That ended by itself.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// What a container sees.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    pub image: String,
    pub variables: BTreeMap<String, String>,
    pub arguments: Vec<String>,
}

impl Environment {
    /// `container`: as the API has it. References to secrets are empty.
    pub(super) fn of_container(container: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let variables = container["env"].as_array().into_iter().flatten();
        Self {
            image: text(&container["image"]),
            variables: variables.map(|variable| (text(&variable["name"]), text(&variable["value"]))).collect(),
            arguments: container["args"].as_array().into_iter().flatten().map(text).collect(),
        }
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// An instance that ends by itself is made anew, as at Google's.
pub(super) async fn start_command(
    core: &Core, command: &[String], environment: &Environment,
) -> Result<Instance, NotStarted> {
    let (child, port, environment) = listening(core, command, environment).await.ok_or(NotStarted::Unhealthy)?;
    let held = Arc::new(Mutex::new(Some(child)));
    let (running, command) = (Arc::downgrade(&held), command.to_owned());
    core.spawn(async move {
        loop {
            tokio::time::sleep(AGAIN_AFTER).await;
            let Some(held) = running.upgrade() else { return };
            let mut held = held.lock().expect("nothing panics while it holds the lock");
            match held.as_mut().map(Child::try_wait) {
                None => return,
                Some(Ok(None)) => {}
                Some(_) => *held = spawn(&command, &environment),
            }
        }
    });
    Ok(Instance::new(port, Running::Child(held)))
}

/// A program that listens. A port that was free may be another's by the time that the program takes it.
async fn listening(core: &Core, command: &[String], environment: &Environment) -> Option<(Child, u16, Environment)> {
    for _ in 0..TRIES {
        let port = free_port().await?;
        let environment = environment.clone().with("PORT", &port.to_string());
        let mut child = spawn(command, &environment)?;
        let listens = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                if !matches!(child.try_wait(), Ok(None)) {
                    return false;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            matches!(child.try_wait(), Ok(None))
        };
        if tokio::time::timeout(core.pace().startup, listens).await.ok()? {
            return Some((child, port, environment));
        }
    }
    None
}

/// The exit code of a job's container; an image that is not there has none.
pub(super) async fn run_to_end(image: Option<Image>, environment: Environment) -> Option<i32> {
    match image? {
        Image::Task(program) => Some(tokio::task::spawn_blocking(move || program(&environment)).await.unwrap_or(101)),
        Image::Command(command) => {
            let mut child = spawn(&command, &environment)?;
            Some(child.wait().await.ok().and_then(|status| status.code()).unwrap_or(137))
        }
        Image::Broken | Image::Server(_) => Some(1),
        Image::Private => None,
    }
}

fn spawn(command: &[String], environment: &Environment) -> Option<Child> {
    let (program, arguments) = command.split_first()?;
    let mut spawned = Command::new(program);
    spawned.args(arguments).args(&environment.arguments).envs(&environment.variables);
    spawned.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().ok()
}

async fn free_port() -> Option<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await.ok()?;
    listener.local_addr().ok().map(|address| address.port())
}
