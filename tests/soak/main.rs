//! Three copies of the service on one PostgreSQL, for as long as one likes, while everything goes wrong by a seed: Apple
//! answers badly, devices come and go, copies are killed, frozen and restarted, their connections are cut. A trigger in
//! the database notes every page commit; at the end no two commits of one MDM server may have overlapped, and after a
//! time to heal the tables must be Apple's truth.

mod apple;
mod chaos;
mod copies;
mod installation;
mod recorder;
mod verify;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use adelie_store_postgres::cluster::{Cluster, Durability};
use anyhow::Context as _;
use clap::Parser;
use serde_json::json;
use tokio::time::Instant;

use crate::apple::Apple;
use crate::chaos::Chaos;
use crate::copies::Copies;
use crate::installation::Installation;
use crate::recorder::Recorder;

/// Runs three copies of the service on a private PostgreSQL against a simulated Apple under faults, and checks that no
/// two page commits of one MDM server overlap and that nothing is lost. Prints a summary as JSON; exit code 0 when
/// everything holds.
#[derive(Debug, Parser)]
#[command(name = "soak", max_term_width = 100)]
struct Args {
    /// How long the faults go on
    #[arg(long, default_value_t = 60.0, value_name = "MINUTES")]
    minutes: f64,
    /// MDM servers
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=500))]
    servers: u16,
    /// Devices of each MDM server at the start
    #[arg(long, default_value_t = 60, value_name = "N", value_parser = clap::value_parser!(u32).range(10..=100_000))]
    devices: u32,
    /// Chooses what goes wrong, and when
    #[arg(long, default_value_t = 1, value_name = "S")]
    seed: u64,
    /// The program; without it the one beside this
    #[arg(long, value_name = "PATH")]
    adelie: Option<PathBuf>,
}

/// How long everything may take to become right once nothing goes wrong any more: what Apple could not tell is asked
/// again within five minutes.
const HEALING: Duration = Duration::from_secs(15 * 60);
/// For the start and the end.
const AROUND: Duration = Duration::from_secs(10 * 60);

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let most = Duration::from_secs_f64(args.minutes.max(0.0) * 60.0) + HEALING + AROUND;
    let result = match tokio::time::timeout(most, run(args)).await {
        Ok(result) => result,
        Err(_) => Err(anyhow::anyhow!("it did not end in time")),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Without stderr there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<bool> {
    let adelie = adelie(args.adelie)?;
    let cluster = Cluster::start_with(Durability::Real).context("PostgreSQL did not start")?;
    let url = cluster.new_database()?;
    let mut apple = Apple::start(usize::from(args.servers), args.devices as usize, args.seed).await?;
    let installation = Installation::new(&adelie, &url, &apple).await?;
    let recorder = Recorder::install(&url).await?;
    note(&format!("{} MDM servers; logs of the copies in {}", args.servers, installation.logs().display()));

    let mut copies = Copies::new(&installation);
    let mut chaos = Chaos::new(args.seed);
    let began = Instant::now();
    let length = Duration::from_secs_f64(args.minutes.max(0.0) * 60.0);
    let mut beat = tokio::time::interval(Duration::from_secs(1));
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut minute = 0;
    while began.elapsed() < length {
        beat.tick().await;
        chaos.portal(&mut apple)?;
        chaos.faults(&apple)?;
        chaos.copies(&mut copies, &recorder, began.elapsed()).await?;
        if began.elapsed().as_secs() / 60 > minute {
            minute += 1;
            note(&format!("minute {minute}: {} page commits, {:?}", recorder.commits().await?, chaos.done));
        }
    }

    apple.calm()?;
    copies.all_awake()?;
    let healing = Instant::now();
    let mut left = verify::differences(&apple, &recorder).await?;
    while !left.is_empty() && healing.elapsed() < HEALING {
        tokio::time::sleep(Duration::from_secs(1)).await;
        copies.all_awake()?;
        left = verify::differences(&apple, &recorder).await?;
    }
    let healed_seconds = healing.elapsed().as_secs();
    copies.end().await?;

    let commits = recorder.check().await?;
    let events = verify::events(&apple, &recorder).await?;
    let (assigns, again) = verify::assigned_again(&apple);
    let broken = [left, commits.broken, events].concat();
    let good = broken.is_empty();
    let summary = json!({
        "good": good,
        "minutes": args.minutes,
        "servers": args.servers,
        "seed": args.seed,
        "page_commits": commits.count,
        "epochs": commits.epochs,
        "overlapping_commits": commits.overlaps,
        "epochs_going_down": commits.backwards,
        "smallest_gap_of_two_holders_ms": commits.smallest_gap_ms,
        "blows": chaos.done,
        "devices": apple.devices(),
        "assignments": assigns,
        "devices_assigned_again": again,
        "healed_seconds": healed_seconds,
        "broken": broken,
    });
    // Without stdout the exit code still tells.
    let _ = writeln!(std::io::stdout(), "{summary:#}");
    if !good {
        installation.keep();
    }
    Ok(good)
}

/// Progress, for whoever waits.
fn note(text: &str) {
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
    // Children do not start in the folder that we stand in.
    let path = std::path::absolute(&path).with_context(|| format!("{} is no path", path.display()))?;
    anyhow::ensure!(
        path.is_file(),
        "there is no program to try at {}\nhint: build it with `cargo build --release -p adelie`, or name it with --adelie",
        path.display()
    );
    Ok(path)
}
