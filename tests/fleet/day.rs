//! Simulated time, second by second.

use std::collections::HashMap;
use std::io::Write;
use std::pin::pin;
use std::time::{Duration, Instant};

use adelie_model::{Clock, RunOutcome, ServerId, Timestamp};
use adelie_scheduler::{Report, WorkError};
use anyhow::Context as _;
use futures_util::FutureExt as _;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::fleet::Fleet;

/// Servers that one copy works on at once, as in production.
const SLOTS: usize = 8;

/// What was seen.
#[derive(Debug, Default)]
pub struct Day {
    /// Syncs after the first ones.
    pub syncs: u64,
    /// Of those, by copy.
    pub by_copy: Vec<u64>,
    /// The latest that a sync began after its time, in simulated seconds.
    pub latest: i64,
    /// Starts in every simulated second after the first syncs.
    pub starts: HashMap<i64, u64>,
    /// How long each look for work took that found nothing, in real time.
    pub idle_looks: Vec<Duration>,
    /// The memory of this process with the simulated Apple in it, at each simulated hour, in MiB.
    pub memory: Vec<u64>,
    /// Real seconds for the first syncs, with every device assigned.
    pub import_seconds: f64,
    /// Simulated seconds after the first syncs.
    pub lived: u64,
    /// Real seconds for them.
    pub day_seconds: f64,
}

/// Lets every server sync for the first time, and then lives through the hours, or as many of them as there are until
/// somebody interrupts.
pub async fn live(fleet: &Fleet, hours: u32) -> anyhow::Result<Day> {
    let mut interrupt = pin!(tokio::signal::ctrl_c());
    let mut day = Day { by_copy: vec![0; fleet.copies.len()], ..Day::default() };
    let began = Instant::now();
    while tick(fleet, &mut Day::default()).await? > 0 {}
    day.import_seconds = began.elapsed().as_secs_f64();
    fleet.check_assigned().await?;
    day.memory.push(memory()?);
    let began = Instant::now();
    // The first beats come within one and a half intervals and are no part of the schedule yet.
    while day.lived < u64::from(hours) * 3600 && (&mut interrupt).now_or_never().is_none() {
        fleet.clock.advance(Duration::from_secs(1));
        tick(fleet, &mut day).await?;
        day.lived += 1;
        if day.lived.is_multiple_of(3600) {
            let memory = memory()?;
            day.memory.push(memory);
            let (hour, real) = (day.lived / 3600, began.elapsed().as_secs());
            writeln!(
                std::io::stderr(),
                "hour {hour} of {hours}: {} syncs, {memory} MiB, {real} s",
                day.syncs
            )?;
        }
    }
    day.day_seconds = began.elapsed().as_secs_f64();
    fleet.check_assigned().await?;
    Ok(day)
}

/// One heartbeat of every copy, until nothing is due any more. Returns how many pieces of work there were.
async fn tick(fleet: &Fleet, day: &mut Day) -> anyhow::Result<u64> {
    let mut work = JoinSet::new();
    let mut free = vec![SLOTS; fleet.copies.len()];
    let mut idle = vec![false; fleet.copies.len()];
    let mut done = 0;
    loop {
        // Copies look at times of their own, so that now one is the first and now another.
        let first = usize::try_from(fleet.clock.now().timestamp()).unwrap_or(0);
        for turn in 0..fleet.copies.len() {
            let number = (first + turn) % fleet.copies.len();
            let engine = &fleet.copies[number];
            if free[number] == 0 || idle[number] {
                continue;
            }
            let began = Instant::now();
            let claimed = engine.claim(free[number]).await?;
            if claimed.is_empty() {
                day.idle_looks.push(began.elapsed());
            }
            idle[number] = claimed.len() < free[number];
            free[number] -= claimed.len();
            for server in claimed {
                let engine = engine.clone();
                work.spawn(async move {
                    let id = server.server();
                    (number, id, engine.work_claimed(server, &CancellationToken::new()).await)
                });
            }
        }
        let Some(ended) = work.join_next().await else { return Ok(done) };
        let (number, id, result) = ended?;
        free[number] += 1;
        done += 1;
        note(fleet, day, number, id, result)?;
    }
}

fn note(
    fleet: &Fleet,
    day: &mut Day,
    copy: usize,
    id: ServerId,
    result: Result<Report, WorkError>,
) -> anyhow::Result<()> {
    let report = result.with_context(|| format!("MDM server {id}"))?;
    if let Some(error) = report.sync_error {
        return Err(error).with_context(|| format!("the sync of MDM server {id}"));
    }
    let Some(run) = report.run else { return Ok(()) };
    anyhow::ensure!(run.outcome == RunOutcome::Done, "MDM server {id}: {:?}", run.error);
    let now = fleet.clock.now();
    if let Some(due) = report.was_due_at {
        day.latest = day.latest.max(seconds_between(due, now));
    }
    day.syncs += 1;
    if let Some(count) = day.by_copy.get_mut(copy) {
        *count += 1;
    }
    *day.starts.entry(now.timestamp()).or_default() += 1;
    Ok(())
}

fn seconds_between(from: Timestamp, to: Timestamp) -> i64 {
    (to - from).num_seconds()
}

/// The resident memory of this process, in MiB.
fn memory() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("this system has no /proc")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024)
}
