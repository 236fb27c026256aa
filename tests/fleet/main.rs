//! Measures a service provider's installation: thousands of MDM servers with few devices each, on one PostgreSQL, worked
//! on by several copies of the engine over simulated hours. See `docs/benchmarks.md`.

mod day;
mod fleet;
mod report;

use std::io::Write;
use std::process::ExitCode;

use adelie_store_postgres::cluster::{Cluster, Durability};
use anyhow::Context as _;
use clap::Parser;

use crate::fleet::Fleet;

/// Lets copies of the engine work on many MDM servers through simulated time, second by second, and tells whether every
/// sync came on time, how the starts were spread, how long an idle look for work takes, and how the memory behaves. Ctrl-C
/// ends it with what has been seen until then.
#[derive(Debug, Parser)]
#[command(name = "fleet", max_term_width = 100)]
struct Args {
    /// MDM servers
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    servers: u32,
    /// Devices of each
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1000))]
    devices: u32,
    /// Copies of the engine
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=16))]
    copies: u32,
    /// Simulated hours after the first syncs
    #[arg(long, default_value_t = 24, value_name = "H", value_parser = clap::value_parser!(u32).range(1..=240))]
    hours: u32,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without stderr there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> anyhow::Result<()> {
    let cluster = Cluster::start_with(Durability::Real).context("PostgreSQL did not start")?;
    let url = cluster.new_database()?;
    let fleet = Fleet::new(&url, args.servers, args.devices, args.copies).await?;
    let day = day::live(&fleet, args.hours).await?;
    report::print(args.servers, args.devices, args.copies, &day)
}
