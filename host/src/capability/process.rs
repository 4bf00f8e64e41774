//! `process`: commands that the operator named. Granted one by one, by `commands` in a platform's table.

use super::bindings::process::{Command, Exit, Host};
use super::bindings::types::Error;
use super::guest::Guest;
use crate::driver::process::NamedCommand;

impl Host for Guest {
    async fn run(&mut self, command: Command) -> Result<Exit, Error> {
        let granted = self.granted.command("process.run", &command.name);
        let Command { name, args, repeatable, success, progress, idle_ms } = command;
        let command = NamedCommand { name, args, repeatable, success, progress, idle_ms };
        let exit = self
            .verb_for(granted, idle_ms, move |cx, drivers| {
                Box::pin(async move { drivers.process.run(cx, &command).await })
            })
            .await?;
        Ok(Exit { code: exit.code, tail: exit.tail, elapsed_ms: exit.elapsed_ms })
    }

    /// Names open nothing, so that a plugin may ask what there is.
    async fn list(&mut self) -> Result<Vec<String>, Error> {
        self.verb(Ok(()), |cx, drivers| Box::pin(drivers.process.list(cx))).await
    }
}
