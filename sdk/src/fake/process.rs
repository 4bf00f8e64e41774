//! Commands of the operator that end as the test says.

use super::{FakeHost, State};
use crate::{Command, Error, Exit, Result};

type Answer = Box<dyn FnMut(&Command) -> Result<Exit>>;

#[derive(Default)]
pub struct Commands(Vec<(String, Answer)>);

impl FakeHost {
    /// A command that ends with this code and these last lines, however often it is run.
    pub fn command(&self, name: &str, code: i32, tail: &str) {
        let exit = Exit { code, tail: tail.into(), elapsed_ms: 1 };
        self.on_command(name, move |_| Ok(exit.clone()));
    }
    /// A command that does what the test says.
    pub fn on_command(&self, name: &str, answer: impl FnMut(&Command) -> Result<Exit> + 'static) {
        let mut commands = self.state.0.process.borrow_mut();
        commands.0.retain(|(known, _)| known != name);
        commands.0.push((name.into(), Box::new(answer)));
    }
}

pub fn run(state: &State, command: &Command) -> Result<Exit> {
    let mut words = vec![command.name.as_str()];
    words.extend(command.args.iter().map(String::as_str));
    state.changing("process.run", &words)?;
    let mut commands = state.0.process.borrow_mut();
    let found = commands.0.iter_mut().find(|(name, _)| *name == command.name);
    let (_, answer) = found.ok_or_else(|| Error::not_found(format!("there is no command `{}`", command.name)))?;
    answer(command)
}

pub fn list(state: &State) -> Result<Vec<String>> {
    state.reading("process.list", &[])?;
    Ok(state.0.process.borrow().0.iter().map(|(name, _)| name.clone()).collect())
}
