//! `cargo xtask demo`: the whole product in a minute, with the real daemon, a real product and a real repository or, for
//! `demo compose`, a real Docker engine. All that it does to them is what an operator does: it edits the `version` line
//! of one file.

mod composed;
mod daemon;
mod evose;
mod machine;
mod notes;
mod paint;
mod scenes;
mod socket;
mod view;

use crate::components;
use crate::engine::Lease;
use crate::interrupt::{self, Interrupt};
use crate::workspace::{Workspace, cargo};
use anyhow::{Context, Result, anyhow, bail};
pub use composed::Composed;
pub use daemon::Daemon;
use evose::Evose;
pub use machine::Machine;
pub use notes::{Load, Product, Site};
use scenes::Stage;
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
    pub evose: PathBuf,
    pub tessallite: PathBuf,
    pub components: PathBuf,
}

/// What is shown: a product that runs on a machine of its own. Dropped, nothing of it runs.
trait Shown {
    fn machine(&self) -> &Machine;
    fn story(&self) -> &'static Story;
    /// What the daemon needs to find beside its own.
    fn environment(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
    /// Digests of all that the product keeps, a line or more.
    fn checksums(&self) -> Result<String>;
    /// As a user; an error where it is not this version that is there.
    fn look_through_the_gate(&self, version: &str) -> Result<()>;
    /// Ends the product; names what still runs.
    fn stop(&self) -> Result<Vec<String>>;
    fn print_where(&self, programs: &Programs);
}

/// The versions that the operator writes down, in this order.
struct Story {
    /// Runs at the beginning.
    first: &'static str,
    /// Title of the first scene.
    upgrade: &'static str,
    good: &'static str,
    /// Healthy, and wrong.
    wrong: &'static str,
    /// Refused by a rule.
    older: &'static str,
}

/// `stay`: the daemon runs on at the end until Ctrl-C. `generic`: without the vendor's plugin.
pub fn run(stay: bool, generic: bool) -> Result<()> {
    let programs = build_all(&["notes"])?;
    let interrupt = Interrupt::listen()?;
    let began = Instant::now();
    paint::title("Setting the stage");
    let product = if generic { Product::Generic } else { Product::Vendor };
    let load = Load { notes: 300, uploads: 12, upload_bytes: 200_000 };
    let site = Site::make(&programs, product, &load)?;
    site.print_beginning(&load);
    show(&programs, &site, &interrupt, stay, began)
}

/// `evose` on a Docker engine: one that the environment names, or the project's own, which is stopped again where it was
/// started for this.
pub fn run_compose(stay: bool) -> Result<()> {
    let programs = build_all(&["evose"])?;
    let interrupt = Interrupt::listen()?;
    let began = Instant::now();
    paint::title("Setting the stage");
    let lease = Lease::keeping_images();
    let shown = lease.begin().and_then(|engine| {
        let evose = Evose::make(&programs, &engine, &interrupt)?;
        show(&programs, &evose, &interrupt, stay, began)
    });
    let ended = lease.end();
    match shown {
        Err(_) if interrupt.came() => ended.and(Err(anyhow!("interrupted"))),
        shown => shown.and(ended),
    }
}

fn build_all(products: &[&str]) -> Result<Programs> {
    let workspace = Workspace::read()?;
    paint::title("Building");
    components::build(&workspace)?;
    build(&workspace, "dev", &[], products)
}

fn show(programs: &Programs, site: &dyn Shown, interrupt: &Interrupt, stay: bool, began: Instant) -> Result<()> {
    let played = play(programs, site, interrupt, stay, began);
    // Whatever happened above, nothing is left behind.
    let left = site.stop();
    match &played {
        Err(_) if interrupt.came() => paint::say("\nInterrupted."),
        Err(error) => paint::bad(&format!("{error:#}")),
        Ok(()) => {}
    }
    let left = left?;
    if !left.is_empty() {
        bail!("these are left: {}", left.join(", "));
    }
    paint::say("Nothing is left running.");
    site.print_where(programs);
    match played {
        Ok(()) => Ok(()),
        Err(_) if interrupt.came() => bail!("interrupted"),
        Err(_) => {
            bail!("the demo did not go as it should; the daemon's log: {}", site.machine().daemon_log().display())
        }
    }
}

fn play(programs: &Programs, site: &dyn Shown, interrupt: &Interrupt, stay: bool, began: Instant) -> Result<()> {
    let machine = site.machine();
    let mut daemon = Daemon::start_with(programs, machine, &site.environment())?;
    paint::act(&format!("upgraded --config {}", machine.settings_file().display()));
    let socket = Socket::new(machine.socket());
    daemon.wait_until_it_answers(&socket, interrupt)?;
    let view = View::open(&socket)?;
    let mut stage = Stage { programs, site, interrupt, socket: &socket, daemon: &mut daemon, view: &view };
    let played = stage.all();
    if played.is_ok() {
        paint::title("upgradectl history");
        stage.history()?;
        paint::say(&format!("\nAll of it took {:.0} s.", began.elapsed().as_secs_f64()));
        if stay {
            paint::say(&format!("The daemon runs on until Ctrl-C. Edit {}", machine.deployment_file().display()));
            while !interrupt.came() && stage.daemon.is_running()? {
                interrupt::pause();
            }
        }
    }
    daemon.stop()?;
    view.close();
    played
}

/// `profile`: `dev` or `release`; `products`: their programs are built beside the daemon's.
pub fn build(workspace: &Workspace, profile: &str, features: &[&str], products: &[&str]) -> Result<Programs> {
    let mut build = cargo();
    build.current_dir(&workspace.root).args(["build", "--profile", profile]).args(workspace.native_selection());
    build.args(features);
    for program in ["upgraded", "upgradectl"].iter().chain(products) {
        build.args(["--bin", program]);
    }
    if !build.status().context("`cargo build`")?.success() {
        bail!("the programs don't build");
    }
    let built = workspace.target.join(if profile == "dev" { "debug" } else { profile });
    Ok(Programs {
        upgraded: built.join("upgraded"),
        upgradectl: built.join("upgradectl"),
        notes: built.join("notes"),
        mix: built.join("mix"),
        evose: built.join("evose"),
        tessallite: built.join("tessallite"),
        components: workspace.components_folder(),
    })
}
