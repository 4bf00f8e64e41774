//! `cargo xtask`: the only door to building, checking, testing and showing the project. `.ci/run` calls it too.

mod bench;
mod check;
mod components;
mod demo;
mod engine;
mod http;
mod imports;
mod interrupt;
mod kubernetes;
mod setup;
mod stages;
mod test;
mod text;
mod workspace;

use clap::Parser;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Builds, checks, tests and shows `upgraded`")]
enum Task {
    /// Build every plugin and test guest as a component into `<target>/components/`
    Components,
    /// Prepare this machine: install what the tests need, or say what is missing
    Setup,
    /// The Docker engine of the tests, of its own folder: $UPGRADED_ENGINE_DIR, else ~/.cache/upgraded/engine
    Engine {
        #[command(subcommand)]
        action: engine::Action,
    },
    /// The Kubernetes of the tests, of its own folder: $UPGRADED_KUBERNETES_DIR, else ~/.cache/upgraded/kubernetes
    Kubernetes {
        #[command(subcommand)]
        action: kubernetes::Action,
    },
    /// Formatting, lints, licences, direction of imports, wording
    Check,
    /// Show it: an upgrade, a rollback, a refusal, with the real daemon and a real product, in a minute or two
    Demo {
        /// On a real Docker engine: a product of several services with three stores
        what: Option<Demo>,
        /// Leave the daemon running at the end, until Ctrl-C
        #[arg(long)]
        stay: bool,
        /// With the plugin `generic` and an index of releases instead of the vendor's plugin
        #[arg(long, conflicts_with = "what")]
        generic: bool,
    },
    /// Measure, each figure against a named baseline of the same run; docs/BENCHMARKS.md says what each means
    Bench {
        /// Only groups whose name contains this: call, latency, rest, database, downtime, run, cloud; or `helm`, on a real
        /// cluster; or `compose`, on a real Docker engine, of which `compose/rest`, `compose/mysql`, `compose/major`,
        /// `compose/rolling` and `compose/downtime` are parts
        filter: Option<String>,
        /// How large the database is, for example 200MiB
        #[arg(long, default_value = "1GiB", value_parser = bench::megabytes_of)]
        size: u64,
        /// How often everything is repeated
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        #[arg(long)]
        json: bool,
        /// As tables for docs/BENCHMARKS.md
        #[arg(long, conflicts_with = "json")]
        markdown: bool,
        /// Fail where a target is not reached
        #[arg(long)]
        strict: bool,
        /// With the build that the tests use, to try the bench itself: its numbers mean nothing
        #[arg(long)]
        dev: bool,
    },
    /// Set up, build and check everything, then run all tests
    Test {
        /// Run only tests whose name contains this, and skip the checks; `kubernetes`: those on a real cluster
        filter: Option<String>,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Demo {
    Compose,
}

fn main() -> ExitCode {
    let outcome = match Task::parse() {
        Task::Components => components::run(),
        Task::Setup => setup::run(),
        Task::Engine { action } => engine::run(&action),
        Task::Kubernetes { action } => kubernetes::run(&action),
        Task::Check => check::run(),
        Task::Demo { what: Some(Demo::Compose), stay, .. } => demo::run_compose(stay),
        Task::Demo { what: None, stay, generic } => demo::run(stay, generic),
        Task::Bench { filter, size: megabytes, rounds, json, markdown, strict, dev } => {
            let form = match (json, markdown) {
                (true, _) => bench::Form::Json,
                (_, true) => bench::Form::Markdown,
                _ => bench::Form::Text,
            };
            bench::run(&bench::Options { megabytes, rounds, filter, form, strict, dev })
        }
        Task::Test { filter } => test::run(filter.as_deref()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
