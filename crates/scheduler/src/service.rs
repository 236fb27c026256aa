use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use adelie_model::{ServerId, Timestamp};
use chrono::TimeDelta;
use futures_util::FutureExt;
use tokio::sync::{Notify, Semaphore};
use tokio_cron_scheduler::{Job as CronJob, JobScheduler, JobSchedulerError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{Engine, Report, Request, Unobserved, WorkError};

/// Why the service could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The heartbeat could not be started.
    #[error("the heartbeat of the scheduler could not be started")]
    Heartbeat(#[from] JobSchedulerError),
}

/// Works on every MDM server by itself: what `adelie serve` runs.
///
/// The cron scheduler is only a heartbeat that wakes it: it does not prevent overlap and does not wait at its
/// end, so due times are kept in the store and running work is tracked here.
pub struct Service {
    engine: Engine,
    running: Arc<Mutex<HashMap<ServerId, Running>>>,
    slots: Arc<Semaphore>,
    /// Heartbeats in a row at which the store did not answer.
    deaf: AtomicU32,
}

/// Heartbeats between two log lines about a store that does not answer.
const COMPLAIN_EVERY: u32 = 60;

/// What this process knows of a server beside the store: whether it is at work on it, and how long to leave it alone.
#[derive(Clone, Copy, Default)]
struct Running {
    now: bool,
    failures: u32,
    not_before: Option<Timestamp>,
}

/// Every second, in the six-field form that the scheduler requires.
const HEARTBEAT: &str = "* * * * * *";

impl Service {
    /// A service on an engine.
    #[must_use]
    pub fn new(engine: Engine) -> Self {
        let slots = Arc::new(Semaphore::new(engine.settings.servers_at_once.max(1)));
        Self { engine, running: Arc::default(), slots, deaf: AtomicU32::new(0) }
    }

    /// Works until `stop`, then waits for what is under way to reach a safe point.
    ///
    /// # Errors
    /// [`ServiceError::Heartbeat`] when it cannot start. No trouble with a token, a server or the database
    /// ends it (field lesson L42).
    pub async fn run(self, stop: CancellationToken) -> Result<(), ServiceError> {
        let beat = Arc::new(Notify::new());
        let mut heart = JobScheduler::new().await?;
        let ring = Arc::clone(&beat);
        heart.add(CronJob::new(HEARTBEAT, move |_, _| ring.notify_one())?).await?;
        heart.start().await?;
        let work = TaskTracker::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                () = beat.notified() => self.start_due(&work, &stop).await,
            }
        }
        heart.shutdown().await?;
        work.close();
        work.wait().await;
        Ok(())
    }

    /// Starts work on the servers that have some, as many as there are free slots.
    async fn start_due(&self, work: &TaskTracker, stop: &CancellationToken) {
        let now = self.engine.clock.now();
        // More than there are slots, because some of them may be at work or have to be left alone.
        let ids = match self.engine.store.servers_with_work(now, 1000).await {
            Ok(ids) => {
                if self.deaf.swap(0, Ordering::Relaxed) > 0 {
                    tracing::info!("the store answers again");
                }
                ids
            }
            Err(error) => {
                if self.deaf.fetch_add(1, Ordering::Relaxed).is_multiple_of(COMPLAIN_EVERY) {
                    let error = crate::chain(&error);
                    tracing::error!(%error, "the store could not say what is due; trying again every second");
                }
                return;
            }
        };
        for id in ids {
            let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else { return };
            if !self.begin(id, now) {
                continue;
            }
            let (engine, running, stop) = (self.engine.clone(), Arc::clone(&self.running), stop.clone());
            work.spawn(async move {
                let work = engine.work(id, &Request::Due, &Unobserved, &stop);
                // A defect that one MDM server brings out must not keep it, or another, from being worked on.
                let result = AssertUnwindSafe(work).catch_unwind().await.ok();
                let good = match &result {
                    Some(result) => log(id, result),
                    None => {
                        tracing::error!(server = %id, "the work ended by a defect of Adelie; it is tried again");
                        false
                    }
                };
                let now = engine.clock.now();
                let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
                let entry = running.entry(id).or_default();
                entry.now = false;
                if matches!(result, Some(Err(WorkError::Busy { .. }))) {
                    // Looked at again soon: its holder may give the lease back, or be dead (field lesson L16).
                    entry.not_before = Some(now + TimeDelta::seconds(2));
                } else {
                    entry.failures = if good { 0 } else { entry.failures.saturating_add(1) };
                    // The store keeps when Apple may be asked again; this only spares the machine, and Apple the
                    // requests of assignments that the same trouble would stop again.
                    entry.not_before = (!good).then(|| now + TimeDelta::seconds(1 << entry.failures.min(8)));
                }
                drop(running);
                drop(slot);
            });
        }
    }

    /// Notes that work on a server begins; `false` when it must not.
    fn begin(&self, id: ServerId, now: Timestamp) -> bool {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = running.entry(id).or_default();
        if entry.now || entry.not_before.is_some_and(|at| at > now) {
            return false;
        }
        entry.now = true;
        true
    }
}

/// Writes one line about a finished piece of work. `true` when all went well.
fn log(id: ServerId, result: &Result<Report, WorkError>) -> bool {
    match result {
        Ok(report) => {
            if let Some(run) = &report.run {
                let counts = run.counts;
                tracing::info!(
                    server = %id, kind = %run.kind, outcome = %run.outcome, pages = counts.pages, added = counts.added,
                    modified = counts.modified, removed = counts.removed, requests = report.requests, "sync ended"
                );
            }
            if report.assigned.assigned > 0 {
                tracing::info!(server = %id, devices = report.assigned.assigned, "profiles assigned");
            }
            for why in &report.assigned.refused_profiles {
                tracing::warn!(server = %id, "{why}");
            }
            let trouble = report.sync_error.as_ref().map(|error| crate::chain(error));
            for why in trouble.iter().chain(&report.assigned.stopped_by).chain(&report.attention) {
                tracing::warn!(server = %id, "{why}");
            }
            report.sync_error.is_none() && report.assigned.stopped_by.is_none()
        }
        Err(error @ WorkError::Asked { .. }) => {
            tracing::debug!("{error}");
            true
        }
        Err(WorkError::Busy { owner, until, .. }) => {
            tracing::debug!(server = %id, %owner, %until, "another copy works on it");
            false
        }
        Err(error) => {
            tracing::warn!(server = %id, "{}", crate::chain(error));
            false
        }
    }
}
