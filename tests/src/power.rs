//! The power of the machine: gone for everything of a site at once, and back with what boot scripts start.

use crate::{Daemon, Machine, Site};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a boot script gets for a service that a run holds.
const HELD: i32 = 75;

impl Daemon<'_> {
    /// Daemon, its jobs, the product's services: nothing has a moment for a last word.
    pub fn power_fails(self) {
        let site = self.site;
        self.kill();
        site.power_fails();
    }
}

impl Machine {
    /// For what a daemon that died already left.
    pub fn power_fails(&self) {
        loop {
            let processes = self.processes();
            if processes.is_empty() {
                return;
            }
            for (pid, _) in processes {
                // It may have ended with another.
                let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
            }
        }
    }
}

impl Site {
    /// Starts the services as the machine's boot scripts would; those that a run holds stay down, and are returned.
    pub fn boots(&self) -> Vec<&'static str> {
        let mut held = Vec::new();
        for service in ["web", "front"] {
            let name = format!("{}/{service}", self.name);
            let mut guard = Command::new(&self.programs.upgradectl);
            guard.arg("--config").arg(self.settings_file()).args(["guard", &name, "--"]);
            guard.arg(&self.programs.notes).arg("--config").arg(self.product_file()).args(["start", service]);
            let status = guard.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
            match status.expect("`upgradectl guard` starts").code() {
                Some(HELD) => held.push(service),
                Some(0) => self.listens(if service == "web" { 8081 } else { 8080 }),
                // A release in the middle of its change may well not start: the script's failure is the machine's log's.
                Some(_) => {}
                None => panic!("`upgradectl guard {name}` was ended by a signal"),
            }
        }
        held
    }

    /// Waits for it a while, as whoever looks at a machine that boots.
    fn listens(&self, port: u16) {
        let began = Instant::now();
        let address = format!("{}:{port}", self.address);
        while TcpStream::connect(&address).is_err() && began.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
