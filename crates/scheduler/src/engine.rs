use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use adelie_model::{Clock, Entropy, SerialNumber, ServerId, SyncKind, SyncRun, Timestamp};
use adelie_store::{Lease, LeaseAnswer, MdmServer, Store, StoreError, WorkEnd};
use chrono::TimeDelta;
use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;

use crate::assign::AssignReport;
use crate::job::Job;
use crate::{Connector, Observer, Request, Settings, Shown, Unobserved, WorkError, read_back};

/// The reconciler of MDM servers: makes the copy of Apple's list exact and Apple's profiles as wanted.
///
/// It takes no input but a wish to sync: what there is to do it finds in the store, so that waking it early
/// or twice is always safe, and so that what a killed process left is simply what there is to do.
#[derive(Clone)]
pub struct Engine {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) connector: Arc<Connector>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) settings: Arc<Settings>,
    owner: Arc<str>,
}

/// What working on a server came to.
#[derive(Debug, Default)]
pub struct Report {
    /// The name of the MDM server.
    pub server: String,
    /// When the next scheduled sync was due; `None` before the first.
    pub was_due_at: Option<Timestamp>,
    /// The sync run, if one was due.
    pub run: Option<SyncRun>,
    /// Why the sync failed, if it did.
    pub sync_error: Option<WorkError>,
    /// When an operator who asked too early may sync.
    pub too_early: Option<(SyncKind, Timestamp)>,
    /// What the assignments came to.
    pub assigned: AssignReport,
    /// What waits for an operator's word.
    pub attention: Option<String>,
    /// Requests sent to Apple.
    pub requests: u64,
}

/// An MDM server that was taken to be worked on: a lease, and until when it is ours for certain.
#[derive(Clone, Debug)]
pub struct Claimed {
    pub(crate) lease: Lease,
    /// A ttl after it was asked for, so that it ends for us before it ends for others.
    pub(crate) good_until: Timestamp,
}

impl Claimed {
    /// The MDM server.
    #[must_use]
    pub fn server(&self) -> ServerId {
        self.lease.server
    }
}

impl Engine {
    /// An engine. `owner` names this process start in leases; it must be random.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        connector: Arc<Connector>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        settings: Settings,
        owner: &str,
    ) -> Self {
        Self { store, connector, clock, entropy, settings: Arc::new(settings), owner: owner.into() }
    }

    /// Works on one MDM server: syncs if that is due or asked for, and assigns what is due, at the same time.
    ///
    /// # Errors
    /// [`WorkError::Busy`] when another process holds the lease; other errors end the assignments. An error
    /// of the sync is part of the report, because devices that are known can be assigned all the same.
    pub async fn work(
        &self,
        id: ServerId,
        request: &Request,
        observer: &dyn Observer,
        stop: &CancellationToken,
    ) -> Result<Report, WorkError> {
        let lease = self.lease(id).await?;
        self.under(lease, observer, stop, async |job| job.run(request).await).await
    }

    /// Takes up to `limit` MDM servers that have work and that nobody works on; each of them is to be given to
    /// [`work_claimed`](Self::work_claimed).
    ///
    /// # Errors
    /// Those of the store.
    pub async fn claim(&self, limit: usize) -> Result<Vec<Claimed>, StoreError> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let (now, ttl) = (self.clock.now(), self.settings.lease_ttl);
        let leases = self.store.claim_due_servers(&self.owner, ttl, now, limit).await?;
        Ok(leases.into_iter().map(|lease| Claimed { lease, good_until: now + ttl }).collect())
    }

    /// Does what is due for an MDM server that was claimed.
    ///
    /// # Errors
    /// As [`work`](Self::work).
    pub async fn work_claimed(
        &self,
        claimed: Claimed,
        stop: &CancellationToken,
    ) -> Result<Report, WorkError> {
        self.under(claimed, &Unobserved, stop, async |job| job.run(&Request::Due).await).await
    }

    /// Asks Apple what it shows for devices of an MDM server, and stores it. `add` also stores devices that are not
    /// known here or had left (field lesson L7). One answer for each serial number, in their order.
    ///
    /// # Errors
    /// [`WorkError::Busy`] when another process holds the lease; otherwise those of Apple and of the store.
    pub async fn refresh(
        &self,
        id: ServerId,
        serials: &[SerialNumber],
        add: bool,
    ) -> Result<Vec<Shown>, WorkError> {
        let lease = self.lease(id).await?;
        let stop = CancellationToken::new();
        self.under(lease, &Unobserved, &stop, async |job| read_back::refresh(job, serials, add).await).await
    }

    /// Asks Apple what it shows for devices of an MDM server and stores nothing of it, also while another process works
    /// on the server. One answer for each serial number, in their order.
    ///
    /// # Errors
    /// Those of Apple and of the store.
    pub async fn look(&self, id: ServerId, serials: &[SerialNumber]) -> Result<Vec<Shown>, WorkError> {
        let server = self.server(id).await?;
        let (token, client) = self.connector.client_of_token(&server).await?;
        match read_back::look(&client, serials).await {
            Ok(shown) => Ok(shown),
            Err(error) => {
                if let Some(until) = error.wait_until() {
                    self.store.set_wait_until(id, until).await?;
                }
                self.token_refused(&server, Some(token), &error).await?;
                Err(WorkError::Apple(server.name, "tell what it shows for devices", error))
            }
        }
    }

    async fn lease(&self, id: ServerId) -> Result<Claimed, WorkError> {
        let server = self.server(id).await?;
        let good_until = self.clock.now() + self.settings.lease_ttl;
        match self.store.acquire_lease(id, &self.owner, self.settings.lease_ttl).await? {
            LeaseAnswer::Ours(lease) => Ok(Claimed { lease, good_until }),
            LeaseAnswer::Held { owner, until } => Err(WorkError::Busy { server: server.name, owner, until }),
        }
    }

    /// Does a piece of work under a lease and gives the lease back, whatever became of the work.
    async fn under<T: Outcome>(
        &self,
        claimed: Claimed,
        observer: &dyn Observer,
        stop: &CancellationToken,
        work: impl AsyncFnOnce(&Job<'_>) -> Result<T, WorkError>,
    ) -> Result<T, WorkError> {
        let mut setbacks = 0;
        let lease = claimed.lease.clone();
        let working = self.work_under(claimed, observer, stop, &mut setbacks, work);
        // A defect that one MDM server brings out must not keep it, or another, from being worked on.
        let result = match AssertUnwindSafe(working).catch_unwind().await {
            Ok(result) => result,
            Err(_) => Err(WorkError::Defect(lease.server)),
        };
        let troubled = match &result {
            Ok(done) => done.stopped(),
            Err(WorkError::Asked { .. }) => false,
            Err(_) => true,
        };
        let now = self.clock.now();
        // The store keeps when each thing is due; this spares Apple the requests of work that the same trouble would
        // stop again.
        let not_before = troubled.then(|| now + TimeDelta::seconds(1 << setbacks.min(8)));
        if let Err(error) = self.store.release_lease(&lease, &WorkEnd { now, not_before }).await {
            tracing::warn!(server = %lease.server, %error, "the lease could not be given back; it runs out by itself");
        }
        result
    }

    async fn work_under<T: Outcome>(
        &self,
        Claimed { lease, good_until }: Claimed,
        observer: &dyn Observer,
        stop: &CancellationToken,
        setbacks: &mut u32,
        work: impl AsyncFnOnce(&Job<'_>) -> Result<T, WorkError>,
    ) -> Result<T, WorkError> {
        // Read under the lease: another copy may have worked on it a moment ago.
        let server = self.server(lease.server).await?;
        *setbacks = server.setbacks;
        let (token, client) = self.connector.client_of_token(&server).await?;
        let before = client.requests();
        let job = Job::new(self, server, Claimed { lease, good_until }, (token, client), observer, stop);
        let result = tokio::select! {
            result = work(&job) => result,
            // The work is dropped at its next await: every write it could still make is fenced anyway.
            error = job.keep_lease() => Err(error),
        };
        if job.client.requests() > before {
            self.note_skew(&job.server, &job.client).await;
        }
        let mut done = result?;
        done.asked(job.client.requests() - before);
        Ok(done)
    }

    /// The server's row as it is now, unless Apple has asked to be left alone.
    pub(crate) async fn server(&self, id: ServerId) -> Result<MdmServer, WorkError> {
        let server = self.store.server_by_id(id).await?.ok_or_else(|| StoreError::no_server(id))?;
        match server.wait_until.filter(|until| *until > self.clock.now()) {
            Some(until) => Err(WorkError::Asked { server: server.name, until }),
            None => Ok(server),
        }
    }
}

/// What a piece of work under a lease came to.
trait Outcome {
    /// Whether it ended before all that is due was done, by something that would stop it again.
    fn stopped(&self) -> bool;

    /// Takes note of how many requests were sent.
    fn asked(&mut self, requests: u64);
}

impl Outcome for Report {
    fn stopped(&self) -> bool {
        self.assigned.stopped_by.is_some()
    }

    fn asked(&mut self, requests: u64) {
        self.requests = requests;
    }
}

impl Outcome for Vec<Shown> {
    fn stopped(&self) -> bool {
        false
    }

    fn asked(&mut self, _: u64) {}
}
