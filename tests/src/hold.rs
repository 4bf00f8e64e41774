//! Commands that wait where a test wants them to: the operator's file names a script in their place, which says that it
//! waits for as long as the test holds it, and then becomes the command.

use crate::Machine;
use crate::machine::write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(240);

const SCRIPT: &str = r#"#!/bin/sh
# held NAME COMMAND...
folder=$(dirname "$0") name=$1
shift
if [ -e "$folder/$name.hold" ]; then
    : > "$folder/$name.here"
    while [ -e "$folder/$name.hold" ]; do echo "$name is held"; sleep 0.05; done
fi
exec "$@"
"#;

/// A command that waits, until this is dropped.
pub struct Hold<'a> {
    site: &'a Machine,
    name: &'static str,
}

impl Machine {
    /// Commands of the deployment's file, each as its table and key: `("platform.commands.migrate", "argv")` can be held
    /// by the name `migrate`. Before the daemon starts.
    pub fn can_hold(&self, name: &'static str, table: &str, key: &str) {
        fs::create_dir_all(self.path("held")).expect("the folder of what is held");
        let script = self.path("held/script");
        write(&script, SCRIPT);
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("a script");
        self.edit(|text| {
            let table = text.find(&format!("[{table}]\n")).unwrap_or_else(|| panic!("no table `{table}`:\n{text}"));
            let line = format!("\n{key} = [");
            let place = table + text[table..].find(&line).unwrap_or_else(|| panic!("no `{key}`:\n{text}")) + line.len();
            format!("{}\"{}\", \"{name}\", {}", &text[..place], script.display(), &text[place..])
        });
    }

    pub fn hold(&self, name: &'static str) -> Hold<'_> {
        write(&self.path(&format!("held/{name}.hold")), "");
        Hold { site: self, name }
    }
}

impl Hold<'_> {
    /// Waits until the command waits.
    pub fn reached(&self) {
        let began = Instant::now();
        while !self.site.path(&format!("held/{}.here", self.name)).exists() {
            assert!(began.elapsed() < PATIENCE, "`{}` is not reached\n{}", self.name, self.site.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn release(self) {}
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        for ending in ["hold", "here"] {
            // The folder may be gone with the site.
            let _ = fs::remove_file(self.site.path(&format!("held/{}.{ending}", self.name)));
        }
    }
}
