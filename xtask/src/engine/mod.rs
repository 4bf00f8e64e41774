//! A real Docker engine for the tests, with Compose, a registry and base images: one that the environment names, which is
//! used as it is, or our own in a folder outside the checkout, out of Debian's packages. `cargo xtask engine`, `setup` and
//! `test` call this; the tests find it through `scratch-docker`.

mod images;
mod lease;
mod machine;
mod network;
mod others;
mod own;
mod process;
mod scripts;

pub use lease::Lease;

use anyhow::{Result, anyhow};
use machine::as_root;
use scratch_docker::{Engine, Own, ping, ping_registry};
use std::time::Instant;

#[derive(clap::Subcommand)]
pub enum Action {
    /// Start it, and make what it needs where that is missing
    Up,
    /// Stop it, with its registry; its folder stays
    Down {
        /// Remove containers, volumes, networks and images first, all but the base images
        #[arg(long)]
        empty: bool,
    },
    /// What a shell needs to use it: `eval "$(cargo xtask engine env)"`
    Env,
}

pub fn run(action: &Action) -> Result<()> {
    match action {
        Action::Up => {
            let began = Instant::now();
            let engine = up()?;
            let (socket, registry) = (engine.socket().display(), engine.registry());
            eprintln!("engine on {socket}, registry on {registry}, after {:.1} s", began.elapsed().as_secs_f64());
            Ok(())
        }
        Action::Down { empty } => down(*empty),
        Action::Env => {
            print_environment(&engine()?);
            Ok(())
        }
    }
}

/// For `setup`: everything that takes time or the network is done, and nothing new runs.
pub fn prepare() -> Result<()> {
    if given()?.is_none() {
        let own = own()?;
        if own::is_ready(&own) {
            eprintln!("the Docker engine for the tests is ready in `{}`", own.folder().display());
            return Ok(());
        }
    }
    let was_up = is_up()?;
    up()?;
    if was_up { Ok(()) } else { down(false) }
}

/// Whether a program that an engine of our own needs is on this machine; a given one needs none.
pub fn has_program(name: &str) -> bool {
    matches!(given(), Ok(Some(_))) || machine::administration(name).is_some()
}

fn up() -> Result<Engine> {
    let (engine, own) = (engine()?, own()?);
    let is_given = given()?.is_some();
    if is_given && images::are_there(&engine) {
        return Ok(engine);
    }
    as_root(&own, &["up"], || if is_given { images::converge(&engine, &own, false) } else { own::up(&own) })?;
    Ok(engine)
}

fn down(empty: bool) -> Result<()> {
    if given()?.is_some() {
        eprintln!("the engine is a given one: it stays");
        return Ok(());
    }
    let own = own()?;
    let arguments: &[&str] = if empty { &["down", "--empty"] } else { &["down"] };
    as_root(&own, arguments, || own::down(&own, empty))
}

/// Whether engine and registry answer.
pub fn is_up() -> Result<bool> {
    let engine = engine()?;
    Ok(ping(engine.socket()) && ping_registry(engine.registry()))
}

fn engine() -> Result<Engine> {
    match given()? {
        Some(engine) => Ok(engine),
        None => Ok(Engine::own(own()?)),
    }
}

fn given() -> Result<Option<Engine>> {
    Engine::given().map_err(|why| anyhow!(why))
}

fn own() -> Result<Own> {
    Own::of_this_user().map_err(|why| anyhow!(why))
}

fn print_environment(engine: &Engine) {
    let quoted = |value: &str| format!("'{}'", value.replace('\'', r"'\''"));
    let variables = engine.environment().into_iter().map(|(name, value)| match (name, own()) {
        ("PATH", Ok(own)) => format!("PATH={}:\"$PATH\"", quoted(&own.cli().display().to_string())),
        _ => format!("{name}={}", quoted(&value)),
    });
    println!("export {}", variables.collect::<Vec<_>>().join(" "));
}
