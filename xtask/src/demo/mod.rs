//! `cargo xtask demo`: the whole product in a minute, with the real daemon, a real product and a real repository. All
//! that it does to them is what an operator does: it edits the `version` line of one file.

mod daemon;
mod paint;
mod scenes;
mod site;
mod socket;
mod view;

use crate::components;
use crate::interrupt::{self, Interrupt};
use crate::workspace::{Workspace, cargo};
use anyhow::{Context, Result, bail};
pub use daemon::Daemon;
use scenes::Stage;
pub use site::{Load, Product, Site};
pub use socket::Socket;
use std::path::PathBuf;
use std::time::Instant;
use view::View;

/// The programs, wherever the build put them.
pub struct Programs {
    pub upgraded: PathBuf,
    pub upgradectl: PathBuf,
    pub notes: PathBuf,
    pub mix: PathBuf,
    pub components: PathBuf,
}

/// `stay`: the daemon runs on at the end until Ctrl-C. `generic`: without the vendor's plugin.
pub fn run(stay: bool, generic: bool) -> Result<()> {
    let workspace = Workspace::read()?;
    paint::title("Building");
    components::build(&workspace)?;
    let programs = build(&workspace, "dev", &[])?;
    let interrupt = Interrupt::listen()?;

    let began = Instant::now();
    paint::title("Setting the stage");
    let product = if generic { Product::Generic } else { Product::Vendor };
    let load = Load { notes: 300, uploads: 12, upload_bytes: 200_000 };
    let site = Site::make(&programs, product, &load)?;
    site.print_beginning(&load);
    let played = play(&programs, &site, &interrupt, stay, began);
    // Whatever happened above, nothing is left behind.
    let left = site.stop();
    if let Err(error) = &played {
        paint::bad(&format!("{error:#}"));
    }
    let left = left?;
    if !left.is_empty() {
        bail!("these still run: {}", left.join(", "));
    }
    paint::say("Nothing is left running.");
    site.print_where(&programs);
    match played {
        Ok(()) => Ok(()),
        Err(_) if interrupt.came() => bail!("interrupted"),
        Err(_) => bail!("the demo did not go as it should; the daemon's log: {}", site.daemon_log().display()),
    }
}

fn play(programs: &Programs, site: &Site, interrupt: &Interrupt, stay: bool, began: Instant) -> Result<()> {
    let mut daemon = Daemon::start(programs, &site.settings_file(), &site.daemon_log())?;
    paint::act(&format!("upgraded --config {}", site.settings_file().display()));
    let socket = Socket::new(site.socket());
    daemon.wait_until_it_answers(&socket, interrupt)?;
    let view = View::open(&socket)?;
    let mut stage = Stage { programs, site, interrupt, socket: &socket, daemon: &mut daemon };
    let played = stage.all();
    if played.is_ok() {
        paint::title("upgradectl history");
        stage.history()?;
        paint::say(&format!("\nAll of it took {:.0} s.", began.elapsed().as_secs_f64()));
        if stay {
            paint::say(&format!("The daemon runs on until Ctrl-C. Edit {}", site.deployment_file().display()));
            while !interrupt.came() && stage.daemon.is_running()? {
                interrupt::pause();
            }
        }
    }
    daemon.stop()?;
    view.close();
    played
}

/// `profile`: `dev` or `release`.
pub fn build(workspace: &Workspace, profile: &str, features: &[&str]) -> Result<Programs> {
    let mut build = cargo();
    build.current_dir(&workspace.root).args(["build", "--profile", profile]).args(workspace.native_selection());
    build.args(features).args(["--bin", "upgraded", "--bin", "upgradectl", "--bin", "notes", "--bin", "mix"]);
    if !build.status().context("`cargo build`")?.success() {
        bail!("the programs don't build");
    }
    let built = workspace.target.join(if profile == "dev" { "debug" } else { profile });
    Ok(Programs {
        upgraded: built.join("upgraded"),
        upgradectl: built.join("upgradectl"),
        notes: built.join("notes"),
        mix: built.join("mix"),
        components: workspace.components_folder(),
    })
}
