//! How fast devices are stored, claimed and settled: `cargo run --release --example throughput -- [PAGES]`.
//!
//! Commits pages of 1000 new devices, assigns all of them, then lists them again unchanged and changed, and
//! prints rows per second for each, with the processor time of a page.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use adelie_model::{
    Actual, AssignState, Cursor, DeviceFamily, ManualClock, ProfileStatus, ProfileUuid, RunId, SerialNumber,
    ServerId, SyncKind, SyncPhase, Timestamp, Trigger,
};
use adelie_rules::Scope;
use adelie_store::configuration::NewRevision;
use adelie_store::page::Record;
use adelie_store::{
    AssignStore, ConfigurationStore, DeviceFilter, DevicePosition, DeviceStore, Lease, LeaseAnswer,
    LeaseStore, NewServer, Operator, PageCommit, ProfileStore, PublishOutcome, RunEnd, RunStart, ServerStore,
    Settlement, SyncStore,
};
use adelie_store_sqlite::SqliteStore;

type Failed = Box<dyn std::error::Error>;

const PAGE: u64 = 1000;

struct Bench {
    store: SqliteStore,
    lease: Lease,
    run: RunId,
    pages: u64,
}

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let pages = std::env::args().nth(1).map_or(Ok(200), |pages| pages.parse())?;
    let folder = tempfile::tempdir_in(".")?;
    let path = folder.path().join("throughput.db");
    let store = SqliteStore::open(&path, Arc::new(ManualClock::new(now(0)))).await?;
    let by = Operator::new("throughput", now(0));
    let server = store
        .add_server(
            &NewServer { name: "lab".parse()?, base_url: "http://127.0.0.1".to_owned(), paused: false },
            &by,
        )
        .await?;
    let LeaseAnswer::Ours(lease) =
        store.acquire_lease(server, "throughput", Duration::from_secs(86_400)).await?
    else {
        return Err("the lease of a new server is taken".into());
    };
    let name = "standard".parse()?;
    let revision = store.add_profile(&name, NewRevision::default(), &by).await?;
    store.set_defaults(server, &[(Scope::Any, Some(name))], &by).await?;
    let uuid = ProfileUuid("88fc4e378fc22ba0ac1dd5e2c0d8c8c3".to_owned());
    store
        .set_published(
            &lease,
            revision.id,
            &PublishOutcome::Defined { uuid: uuid.clone(), differs: None },
            now(0),
        )
        .await?;
    let run = store.begin_run(&lease, &full(0)).await?.id;
    let mut bench = Bench { store, lease, run, pages };

    bench.list("import", "BLACK").await?;
    bench.assign(revision.id, &uuid).await?;
    bench.end().await?;
    bench.list("unchanged", "BLACK").await?;
    bench.list("changed", "SPACE GRAY").await?;
    bench.queries(server).await?;
    bench.store.close().await;
    println!("{:>12}  {} MB in the file", "size", std::fs::metadata(&path)?.len() / 1_000_000);
    println!("{:>12}  {}", "memory", peak_memory());
    Ok(())
}

impl Bench {
    /// Commits all pages of a listing.
    async fn list(&mut self, name: &str, color: &str) -> Result<(), Failed> {
        let timing = Timing::start();
        for page in 0..self.pages {
            let commit = PageCommit {
                run: self.run,
                seen_run: self.run,
                phase: SyncPhase::Fetch,
                records: (0..PAGE).map(|device| record(page * PAGE + device, color)).collect(),
                cursor: Cursor(format!("cursor {page}")),
                more: true,
                fetched_until: None,
                now: now(1),
            };
            self.store.commit_page(&self.lease, &commit).await?;
        }
        timing.print(name, self.pages);
        Ok(())
    }

    /// Claims and settles all that is due.
    async fn assign(&self, revision: adelie_model::RevisionId, uuid: &ProfileUuid) -> Result<(), Failed> {
        let (mut claiming, mut settling) = (Timing::none(), Timing::none());
        let limit = u32::try_from(PAGE)?;
        loop {
            let timing = Timing::start();
            let claims = self.store.claim_due(&self.lease, revision, limit, now(2), now(300)).await?;
            claiming.add(&timing);
            if claims.is_empty() {
                break;
            }
            let settlements: Vec<_> = claims
                .into_iter()
                .map(|claim| Settlement {
                    serial: claim.serial,
                    state: AssignState::Assigned,
                    reason: "default for any family".to_owned(),
                    next_attempt_at: None,
                    profile_uuid: Some(uuid.clone()),
                    drifted: false,
                })
                .collect();
            let timing = Timing::start();
            self.store.settle(&self.lease, revision, &settlements, now(3)).await?;
            settling.add(&timing);
        }
        claiming.print("claim", self.pages);
        settling.print("settle", self.pages);
        Ok(())
    }

    /// Ends the first full sync and begins another, so that nothing is a first import any more.
    async fn end(&mut self) -> Result<(), Failed> {
        let end = RunEnd {
            run: self.run,
            outcome: adelie_model::RunOutcome::Done,
            error: None,
            full_completed: true,
            attention: None,
            next_sync_at: now(900),
            now: now(4),
        };
        self.store.end_run(&self.lease, &end).await?;
        let run = self.store.begin_run(&self.lease, &full(5)).await?;
        self.run = run.id;
        Ok(())
    }

    /// What is asked all the time, and what people ask.
    async fn queries(&self, server: ServerId) -> Result<(), Failed> {
        let store = &self.store;
        let middle = serial(self.pages * PAGE / 2);
        let after = DevicePosition { server, serial: middle.clone() };
        let state = |state| DeviceFilter { state: Some(state), ..DeviceFilter::default() };
        let text = DeviceFilter { query: Some("nothing like it".to_owned()), ..DeviceFilter::default() };
        for round in ["", " again"] {
            let timing = Timing::start();
            store.claim_due_servers("idle", Duration::from_secs(60), now(6), 100).await?;
            timing.once("work", round);
            let timing = Timing::start();
            store.due_groups(server, now(6)).await?;
            timing.once("due groups", round);
            let timing = Timing::start();
            store.next_attempt_at(server).await?;
            timing.once("next attempt", round);
            let timing = Timing::start();
            store.troubles(None, 100).await?;
            timing.once("troubles", round);
            let timing = Timing::start();
            store.device_events(server, &middle, None, 100).await?;
            timing.once("history", round);
            let timing = Timing::start();
            store.device(&middle).await?;
            timing.once("one device", round);
            let timing = Timing::start();
            store.devices(&DeviceFilter::default(), Some(&after), 100).await?;
            timing.once("100 devices", round);
            let timing = Timing::start();
            store.devices(&state(AssignState::Failed), None, 100).await?;
            timing.once("by state", round);
            let timing = Timing::start();
            store.devices(&text, None, 100).await?;
            timing.once("by text", round);
            let timing = Timing::start();
            store.state_counts(None).await?;
            timing.once("counts", round);
            let timing = Timing::start();
            store.absent(server, self.run).await?;
            timing.once("absent", round);
        }
        Ok(())
    }
}

fn now(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + chrono::TimeDelta::seconds(1_770_000_000 + seconds)
}

fn full(seconds: i64) -> RunStart {
    RunStart {
        kind: SyncKind::Full,
        trigger: Trigger::Manual,
        requested_by: None,
        removals_accepted: false,
        restart: false,
        now: now(seconds),
    }
}

/// Serial numbers in no order, as Apple's are.
fn serial(number: u64) -> SerialNumber {
    SerialNumber::from_apple(format!("{:012X}", (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16))
}

fn record(number: u64, color: &str) -> Record {
    Record {
        serial: serial(number),
        actual: Actual {
            model: Some("iPhone 15 Pro".to_owned()),
            description: Some(format!("IPHONE 15 PRO {color} 128GB-USA")),
            color: Some(color.to_owned()),
            asset_tag: Some(format!("asset {number}")),
            device_family: Some(DeviceFamily::IPhone),
            os: Some("iOS".to_owned()),
            profile_status: Some(ProfileStatus::Empty),
            device_assigned_by: Some("admin@example.com".to_owned()),
            device_assigned_date: Some(now(-1000)),
            extra: [("imei".to_owned(), serde_json::json!(["356938035643809"]))].into_iter().collect(),
            ..Actual::default()
        },
        op_type: None,
        op_date: None,
    }
}

/// Time on the wall and of the processors.
struct Timing {
    begun: Instant,
    processor: Duration,
    wall: Duration,
    used: Duration,
}

impl Timing {
    fn none() -> Self {
        Self {
            begun: Instant::now(),
            processor: processor_time(),
            wall: Duration::ZERO,
            used: Duration::ZERO,
        }
    }

    fn start() -> Self {
        Self::none()
    }

    fn add(&mut self, other: &Self) {
        self.wall += other.begun.elapsed();
        self.used += processor_time().saturating_sub(other.processor);
    }

    fn print(self, name: &str, pages: u64) {
        let (wall, used) = match self.wall {
            Duration::ZERO => (self.begun.elapsed(), processor_time().saturating_sub(self.processor)),
            wall => (wall, self.used),
        };
        let rows = (pages * PAGE) as f64 / wall.as_secs_f64();
        let page = |time: Duration| time.as_secs_f64() * 1000.0 / pages as f64;
        println!(
            "{name:>12}  {rows:>9.0} rows/s  {:>6.1} ms per page, {:>6.1} ms of processor time",
            page(wall),
            page(used)
        );
    }

    fn once(self, name: &str, round: &str) {
        println!("{name:>12}  {:>9.2} ms{round}", self.begun.elapsed().as_secs_f64() * 1000.0);
    }
}

/// Processor time of all threads so far, to a hundredth of a second (Linux; elsewhere zero).
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 =
        after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.map_or_else(|| "unknown".to_owned(), |peak| format!("{} at most", peak.trim()))
}
