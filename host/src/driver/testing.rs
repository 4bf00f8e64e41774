//! What the tests of the drivers share: contexts, and a machine whose job program is this test's own binary.

use super::Machine;
use super::services::Systemd;
use crate::activity::Activity;
use crate::config::CommandConfig;
use crate::context::{Site, StepContext};
use crate::effect::{Effects, Ledger, LedgerError};
use crate::model::{Binding, Role};
use crate::plan::event::{Effect, Event};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

pub const JOB_FOLDER: &str = "UPGRADED_TEST_JOB";

/// Remembers what was journaled.
#[derive(Default)]
pub struct Recorder(Mutex<Vec<Event>>);

impl Ledger for Recorder {
    fn record(&self, event: Event) -> Result<(), LedgerError> {
        self.0.lock().unwrap().push(event);
        Ok(())
    }
}

impl Recorder {
    pub fn effects(&self) -> Vec<Effect> {
        let effect = |event: &Event| match event {
            Event::Effect(effect) => Some(effect.clone()),
            _ => None,
        };
        self.0.lock().unwrap().iter().filter_map(effect).collect()
    }
}

/// The deployment of the test with this state folder: what is marked with its name is this test's alone.
pub fn deployment(state: &Path) -> String {
    state.file_name().unwrap().to_str().unwrap().trim_start_matches('.').to_owned()
}

/// A step that may change the site.
pub fn changing(state: &Path, step: &str) -> StepContext {
    context(state, step, Effects::new(Arc::new(Recorder::default()), step, 1, Vec::new()))
}

pub fn reading(state: &Path) -> StepContext {
    context(state, "look-1", Effects::reading())
}

fn context(state: &Path, step: &str, effects: Effects) -> StepContext {
    let binding = Binding { name: "main".into(), role: Role::Platform, plugin: "source".into() };
    StepContext {
        deployment: deployment(state),
        bindings: vec![binding.clone()],
        binding,
        run: "1".into(),
        step: step.into(),
        attempt: 1,
        site: Site::Live,
        effects,
        activity: Activity::silent(),
    }
}

pub fn command(argv: &[&str]) -> CommandConfig {
    CommandConfig {
        argv: argv.iter().map(|argument| (*argument).to_owned()).collect(),
        directory: None,
        environment: BTreeMap::new(),
        user: None,
        arguments: false,
        reads_only: false,
    }
}

pub fn machine(state: &Path) -> Machine {
    let systemd = Systemd {
        systemctl: state.join("systemctl"),
        journalctl: state.join("journalctl"),
        units: state.join("units"),
        quadlets: vec![state.join("quadlets")],
    };
    Machine { state: state.to_owned(), job_program: job_program(state), systemd, leaving: Default::default() }
}

/// A script that becomes this binary, at the test that is the supervisor.
fn job_program(state: &Path) -> PathBuf {
    let entry = "--exact driver::process::tests::supervisor_entry";
    let text =
        format!("#!/bin/sh\n{JOB_FOLDER}=\"$2\" exec '{}' {entry}\n", std::env::current_exe().unwrap().display());
    script(&state.join("job-program"), &text)
}

/// Written by a process of its own: a file that this one has open for writing can't be run, and another test's fork may
/// hold it open for a moment.
pub fn script(path: &Path, text: &str) -> PathBuf {
    if !path.exists() {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", "cat > \"$0.part\" && chmod 755 \"$0.part\" && mv \"$0.part\" \"$0\""])
            .arg(path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut shell.stdin.take().unwrap(), text.as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success());
    }
    path.to_owned()
}
