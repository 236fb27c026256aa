use std::sync::Arc;

use adelie_model::Timestamp;
use chrono::TimeDelta;
use tokio::sync::{Notify, Semaphore};
use tokio_cron_scheduler::{Job as CronJob, JobScheduler, JobSchedulerError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{Engine, Report, WorkError};

/// Why the service could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The heartbeat could not be started.
    #[error("the heartbeat of the scheduler could not be started")]
    Heartbeat(#[from] JobSchedulerError),
}

/// Works on every MDM server by itself: what `adelie serve` runs.
///
/// The cron scheduler is only a heartbeat: due times are kept in the store, where every copy of the service finds
/// them and takes what nobody else has taken. So the work spreads over the copies without a leader, and a copy that
/// is slow simply takes less.
pub struct Service {
    engine: Engine,
    slots: Arc<Semaphore>,
    /// Rung by the heart, and by work that ends while more may be due.
    beat: Arc<Notify>,
    /// Heartbeats in a row at which the store did not answer.
    deaf: u32,
    /// When it is looked next which tokens expire.
    expiry_at: Timestamp,
}

/// Between two looks at which tokens expire. Rungs are days, and a look is cheap.
const EXPIRY: TimeDelta = TimeDelta::minutes(1);

/// Heartbeats between two log lines about a store that does not answer.
const COMPLAIN_EVERY: u32 = 60;

/// Every second, in the six-field form that the scheduler requires.
const HEARTBEAT: &str = "* * * * * *";

impl Service {
    /// A service on an engine.
    #[must_use]
    pub fn new(engine: Engine) -> Self {
        let slots = Arc::new(Semaphore::new(engine.settings.servers_at_once.max(1)));
        Self { engine, slots, beat: Arc::default(), deaf: 0, expiry_at: Timestamp::MIN_UTC }
    }

    /// Works until `stop`, then waits for what is under way to reach a safe point.
    ///
    /// # Errors
    /// [`ServiceError::Heartbeat`] when it cannot start. No trouble with a token, a server or the database
    /// ends it (field lesson L42).
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), ServiceError> {
        let mut heart = JobScheduler::new().await?;
        let ring = Arc::clone(&self.beat);
        heart.add(CronJob::new(HEARTBEAT, move |_, _| ring.notify_one())?).await?;
        heart.start().await?;
        let work = TaskTracker::new();
        loop {
            let beat = Arc::clone(&self.beat);
            tokio::select! {
                () = stop.cancelled() => break,
                () = beat.notified() => {
                    self.tell_expiry().await;
                    self.start_due(&work, &stop).await;
                }
            }
        }
        heart.shutdown().await?;
        work.close();
        work.wait().await;
        Ok(())
    }

    /// Tells which tokens expire, once a minute, whether Apple can be reached or not.
    async fn tell_expiry(&mut self) {
        let now = self.engine.clock.now();
        if now < self.expiry_at {
            return;
        }
        match self.engine.tell_expiry().await {
            Ok(told) => {
                self.expiry_at = now + EXPIRY;
                if told > 0 {
                    tracing::warn!(
                        tokens = told,
                        "server tokens expire soon or have expired; see `adelie token list`"
                    );
                }
            }
            // The search for work that follows meets with the same trouble, and complains.
            Err(error) => tracing::debug!(%error, "which tokens expire could not be looked up"),
        }
    }

    /// Takes as many MDM servers with work as there are free slots, and starts on them.
    async fn start_due(&mut self, work: &TaskTracker, stop: &CancellationToken) {
        let free = self.slots.available_permits();
        if free == 0 {
            return;
        }
        let claimed = match self.engine.claim(free).await {
            Ok(claimed) => claimed,
            Err(error) => {
                if self.deaf.is_multiple_of(COMPLAIN_EVERY) {
                    let error = crate::chain(&error);
                    tracing::error!(%error, "the store could not say what is due; trying again every second");
                }
                self.deaf = self.deaf.saturating_add(1);
                return;
            }
        };
        if std::mem::take(&mut self.deaf) > 0 {
            tracing::info!("the store answers again");
        }
        // With every slot taken more may be due, and is looked for as soon as one is free.
        let more = claimed.len() == free;
        for server in claimed {
            let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else { return };
            let (engine, stop, beat) = (self.engine.clone(), stop.clone(), Arc::clone(&self.beat));
            work.spawn(async move {
                log(&engine.work_claimed(server, &stop).await);
                drop(slot);
                if more {
                    beat.notify_one();
                }
            });
        }
    }
}

/// Writes one line about a finished piece of work.
fn log(result: &Result<Report, WorkError>) {
    match result {
        Ok(report) => {
            let name = &report.server;
            if let Some(run) = &report.run {
                let counts = run.counts;
                tracing::info!(
                    server = %name, kind = %run.kind, outcome = %run.outcome, pages = counts.pages, added = counts.added,
                    modified = counts.modified, removed = counts.removed, requests = report.requests, "sync ended"
                );
            }
            if report.assigned.assigned > 0 {
                tracing::info!(server = %name, devices = report.assigned.assigned, "profiles assigned");
            }
            for why in &report.assigned.refused_profiles {
                tracing::warn!(server = %name, "{why}");
            }
            let trouble = report.sync_error.as_ref().map(|error| crate::chain(error));
            for why in trouble.iter().chain(&report.assigned.stopped_by).chain(&report.attention) {
                tracing::warn!(server = %name, "{why}");
            }
        }
        Err(error @ WorkError::Asked { .. }) => tracing::debug!("{error}"),
        Err(error) => tracing::warn!("{}", crate::chain(error)),
    }
}
