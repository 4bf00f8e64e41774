//! What can only be measured from inside: one call of a plugin, one load of it, a datastore without the daemon around it.
//! Each part stands beside the baseline that it is held against, and the two take turns. Prints a JSON line for each
//! repetition, `{"part": …, "seconds": …}`; what the numbers come to is judged by `cargo xtask bench`, which runs this.

mod call;
mod database;
mod mysql;
mod tools;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::time::{Duration, Instant};

#[derive(Parser)]
struct Arguments {
    /// What `cargo bench` tells every bench.
    #[arg(long, hide = true, global = true)]
    bench: bool,
    #[command(subcommand)]
    group: Group,
}

#[derive(Subcommand)]
enum Group {
    /// Calls of a plugin that do nothing, and loads of it from the cache
    Call {
        #[arg(long)]
        components: PathBuf,
        #[arg(long)]
        rounds: usize,
    },
    /// One database of a server that is there, saved and brought back
    Database(database::Place),
    /// One database of a MySQL or MariaDB server in a container
    Mysql(mysql::Place),
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match Arguments::parse().group {
        Group::Call { components, rounds } => call::run(&runtime, &components, rounds),
        Group::Database(place) => database::run(&runtime, &place),
        Group::Mysql(place) => mysql::run(&runtime, &place),
    }
}

/// How long `work` took, told at once.
fn timed<T>(part: &str, times: u32, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    let done = work()?;
    tell(part, began.elapsed() / times);
    Ok(done)
}

fn tell(part: &str, took: Duration) {
    println!("{}", serde_json::json!({ "part": part, "seconds": took.as_secs_f64() }));
}
