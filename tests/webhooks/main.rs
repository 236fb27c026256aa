//! Webhooks under load and under blows. `chaos` shows that nothing is lost; `throughput`, `isolation` and `latency`
//! measure. The receiver is a process of its own, because it is killed, and because its memory and threads are not ours.

mod chaos;
mod installation;
mod isolation;
mod latency;
mod receiver;
mod throughput;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use adelie_store_postgres::cluster::{Cluster, Durability};
use anyhow::Context as _;
use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::Value;

use crate::installation::Place;

/// Drives the program with a receiver of webhooks. Prints JSON objects, one on each line; exit code 0 when all that must
/// hold holds.
#[derive(Debug, Parser)]
#[command(name = "webhooks", max_term_width = 100)]
struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// A receiver that answers 5xx, resets and is killed, and a service that is killed: everything must arrive
    Chaos {
        #[command(flatten)]
        common: Common,
        /// Events
        #[arg(long, default_value_t = 100_000, value_name = "N")]
        events: usize,
        /// Chooses what goes wrong
        #[arg(long, default_value_t = 1, value_name = "S")]
        seed: u64,
    },
    /// How many signed deliveries a second
    Throughput {
        #[command(flatten)]
        common: Common,
        /// Events
        #[arg(long, default_value_t = 10_000, value_name = "N")]
        events: usize,
        /// Endpoints, each of which gets every event
        #[arg(long, default_value_t = 10, value_name = "N")]
        endpoints: usize,
    },
    /// How much ten hanging endpoints of a hundred delay the others
    Isolation {
        #[command(flatten)]
        common: Common,
        /// Events
        #[arg(long, default_value_t = 200, value_name = "N")]
        events: usize,
    },
    /// From the commit to the first byte, when nothing else is going on
    Latency {
        #[command(flatten)]
        common: Common,
        /// Events
        #[arg(long, default_value_t = 300, value_name = "N")]
        events: usize,
    },
    /// The receiver itself
    #[command(hide = true)]
    Receiver(receiver::Options),
}

#[derive(Debug, Args)]
struct Common {
    /// Where events and deliveries are
    #[arg(long, value_enum, default_value_t = Databases::Both)]
    database: Databases,
    /// The program; without it the one beside this
    #[arg(long, value_name = "PATH")]
    adelie: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Databases {
    Sqlite,
    Postgres,
    Both,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Command::parse().what).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            note(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(what: What) -> anyhow::Result<bool> {
    let common = match &what {
        What::Chaos { common, .. }
        | What::Throughput { common, .. }
        | What::Isolation { common, .. }
        | What::Latency { common, .. } => common,
        What::Receiver(options) => return receiver::run(options).await.map(|()| true),
    };
    let adelie = adelie(common.adelie.clone())?;
    let mut good = true;
    for sqlite in [true, false] {
        let (cluster, place, another) = match (sqlite, common.database) {
            (true, Databases::Sqlite | Databases::Both) => (None, Place::Sqlite, Place::Sqlite),
            (false, Databases::Postgres | Databases::Both) => {
                let cluster = Cluster::start_with(Durability::Real).context("PostgreSQL did not start")?;
                let (place, another) = (cluster.new_database()?, cluster.new_database()?);
                (Some(cluster), Place::Postgres(place), Place::Postgres(another))
            }
            _ => continue,
        };
        let result = match &what {
            What::Chaos { events, seed, .. } => chaos::run(&adelie, &place, *events, *seed).await?,
            What::Throughput { events, endpoints, .. } => {
                throughput::run(&adelie, &place, *events, *endpoints).await?
            }
            What::Isolation { events, .. } => isolation::run(&adelie, &place, &another, *events).await?,
            What::Latency { events, .. } => latency::run(&adelie, &place, *events).await?,
            What::Receiver(_) => unreachable!("it has returned above"),
        };
        good &= result["good"] == true;
        print(&result)?;
        drop(cluster);
    }
    Ok(good)
}

fn print(result: &Value) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{result}")?)
}

/// Progress, for whoever waits.
fn note(text: &str) {
    // Without stderr there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// The binary that is tried, which cargo puts beside this one.
fn adelie(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let path = match given {
        Some(path) => path,
        None => {
            std::env::current_exe().context("this program's own place is not known")?.with_file_name("adelie")
        }
    };
    let path = std::path::absolute(&path).with_context(|| format!("{} is no path", path.display()))?;
    anyhow::ensure!(
        path.is_file(),
        "there is no program to try at {}\nhint: build it with `cargo build --release -p adelie`, or name it with --adelie",
        path.display()
    );
    Ok(path)
}
