//! Measures the whole program: a full sync that stores and assigns every device, against a bare loop that only
//! fetches the pages. See `docs/benchmarks.md`.

mod apple;
mod bare;
mod installation;
mod measure;
mod process;
mod real;
mod report;
mod verify;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use adelie_store_postgres::cluster::{Cluster, Durability};
use anyhow::Context as _;
use clap::{Parser, ValueEnum};

use crate::installation::Database;
use crate::measure::Plan;

/// Measures a full sync with storing and assigning against a bare loop that only fetches all pages, in one run on
/// one machine, and checks that every device got its profile once.
#[derive(Debug, Parser)]
#[command(name = "bench", max_term_width = 100)]
struct Args {
    /// Devices at the simulated Apple
    #[arg(long, default_value_t = 50_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=5_000_000))]
    devices: u32,
    /// How much later the simulated Apple answers every request
    #[arg(long, default_value_t = 50, value_name = "MS", value_parser = clap::value_parser!(u64).range(..=60_000))]
    latency_ms: u64,
    /// Where the devices are stored
    #[arg(long, value_enum, default_value_t = Chosen::Both)]
    database: Chosen,
    /// How often everything is measured, each time with a new Apple and a new database
    #[arg(long, default_value_t = 1, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// The simulated Apple also reports our own assignments as changes, so that the sync after the list has every
    /// device again
    #[arg(long)]
    own_changes: bool,
    /// The program to be measured; without it the one beside this benchmark
    #[arg(long, value_name = "PATH")]
    adelie: Option<PathBuf>,
    /// Print only JSON: one object for each database and run
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Chosen {
    /// The default: a file
    Sqlite,
    /// A private cluster from the installed binaries, as durable as PostgreSQL is installed
    Postgres,
    /// One after the other
    Both,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without stderr there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let adelie = adelie(args.adelie)?;
    let cluster = match args.database {
        Chosen::Sqlite => None,
        Chosen::Postgres | Chosen::Both => {
            Some(Cluster::start_with(Durability::Real).context("PostgreSQL did not start")?)
        }
    };
    let plan = Plan {
        adelie,
        devices: u64::from(args.devices),
        latency_ms: args.latency_ms,
        own_changes: args.own_changes,
    };
    let mut all = Vec::new();
    for run in 1..=args.runs {
        if args.database != Chosen::Postgres {
            all.push(measure::measure(&plan, Database::Sqlite, run).await?);
        }
        if let Some(cluster) = &cluster {
            let database = Database::Postgres(cluster.new_database()?);
            all.push(measure::measure(&plan, database, run).await?);
        }
    }
    report::print(&all, args.json)
}

/// The binary to be measured, which cargo puts beside this one.
fn adelie(given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let path = match given {
        Some(path) => path,
        None => {
            std::env::current_exe().context("this program's own place is not known")?.with_file_name("adelie")
        }
    };
    // Children do not start in the folder that we stand in.
    let path = std::path::absolute(&path).with_context(|| format!("{} is no path", path.display()))?;
    anyhow::ensure!(
        path.is_file(),
        "there is no program to measure at {}\nhint: build it with `cargo build --release -p adelie -p adelie-tests`, \
         or name it with --adelie",
        path.display()
    );
    Ok(path)
}
