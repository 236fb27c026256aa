use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use adelie_model::{Clock, Entropy, RunOutcome, ServerId, SyncKind, SyncRun, Timestamp};
use adelie_store::{Lease, LeaseAnswer, MdmServer, Store, StoreError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::assign::{AssignReport, Assigner};
use crate::policy::{self, Plan};
use crate::sync::Syncer;
use crate::{Connector, Observer, Progress, Request, Settings, WorkError};

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

/// What the two halves of the work on one server share.
pub(crate) struct Job<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) server: MdmServer,
    pub(crate) settings: Settings,
    pub(crate) lease: Lease,
    pub(crate) client: adelie_dep::Client,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) stop: CancellationToken,
    /// Rung after every page, so that assignment starts with the first.
    pub(crate) page_stored: Notify,
    /// Whether pages may still come.
    pub(crate) syncing: AtomicBool,
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
        let server = self.server(id).await?;
        let lease = match self.store.acquire_lease(id, &self.owner, self.settings.lease_ttl).await? {
            LeaseAnswer::Ours(lease) => lease,
            LeaseAnswer::Held { owner, until } => {
                return Err(WorkError::Busy { server: server.name, owner, until });
            }
        };
        let result = self.work_under(lease.clone(), request, observer, stop).await;
        if let Err(error) = self.store.release_lease(&lease).await {
            tracing::warn!(server = %id, %error, "the lease could not be given back; it runs out by itself");
        }
        result
    }

    async fn work_under(
        &self,
        lease: Lease,
        request: &Request,
        observer: &dyn Observer,
        stop: &CancellationToken,
    ) -> Result<Report, WorkError> {
        // Read again under the lease: another copy may have worked on it a moment ago.
        let server = self.server(lease.server).await?;
        let client = self.connector.client(&server).await?;
        let settings = self.settings.of_server(&server.sync);
        let before = client.requests();
        let job = Job {
            engine: self,
            server,
            settings,
            lease,
            client,
            observer,
            stop: stop.child_token(),
            page_stored: Notify::new(),
            syncing: AtomicBool::new(true),
        };
        let result = tokio::select! {
            result = job.run(request) => result,
            // The work is dropped at its next await: every write it could still make is fenced anyway.
            error = job.keep_lease() => Err(error),
        };
        let mut report = result?;
        report.requests = job.client.requests() - before;
        Ok(report)
    }
}

impl Engine {
    /// The server's row as it is now, unless Apple has asked to be left alone.
    async fn server(&self, id: ServerId) -> Result<MdmServer, WorkError> {
        let server = self.store.server_by_id(id).await?.ok_or_else(|| StoreError::no_server(id))?;
        match server.wait_until.filter(|until| *until > self.clock.now()) {
            Some(until) => Err(WorkError::Asked { server: server.name, until }),
            None => Ok(server),
        }
    }
}

impl Job<'_> {
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.engine.store
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.engine.clock.now()
    }

    /// Turns Apple's error into ours, and keeps what it says of the token and how long Apple is to be left alone.
    pub(crate) async fn apple(&self, doing: &'static str, error: adelie_dep::Error) -> WorkError {
        // What a token says that has been replaced meanwhile is not about the one in use: its import took the lease.
        if self.store().renew_lease(&self.lease, self.settings.lease_ttl).await.is_err() {
            return WorkError::Apple(self.server.name.clone(), doing, error);
        }
        if let Some(until) = error.wait_until() {
            let kept = self.store().set_wait_until(self.server.id, until).await;
            if let Err(error) = kept {
                tracing::warn!(server = %self.server.name, %error, "Apple's wish to be left alone could not be stored");
            }
        }
        if let Some(state) = error.token_state() {
            let detail = crate::chain(&error);
            let kept = self.store().set_token_state(self.server.id, state, Some(&detail), self.now()).await;
            if let Err(error) = kept {
                tracing::warn!(server = %self.server.name, %error, "the state of the token could not be stored");
            }
        }
        WorkError::Apple(self.server.name.clone(), doing, error)
    }

    async fn run(&self, request: &Request) -> Result<Report, WorkError> {
        let store = self.store();
        let position = store.position(self.server.id).await?;
        // Only an operator's wish is measured against former ones; a week of deltas fits in between.
        let look_back = if matches!(request, Request::Due) { 0 } else { 1000 };
        let recent = store.runs(self.server.id, look_back).await?;
        let plan = policy::plan(&self.settings, &self.server, &position, &recent, request, self.now());
        let mut report = Report::default();
        match plan {
            Plan::Sync { kind, trigger, restart } => {
                let accept = matches!(request, Request::Sync { accept_removals: true, .. });
                let syncer = Syncer::new(self, accept);
                let sync = async {
                    let result = syncer.sync(kind, trigger, restart).await;
                    self.syncing.store(false, Ordering::SeqCst);
                    self.page_stored.notify_one();
                    result
                };
                let (synced, assigned) = tokio::join!(sync, Assigner::new(self).assign());
                let ended = synced?;
                report.attention = ended.attention;
                report.sync_error = ended.error;
                report.run = store.runs(self.server.id, 1).await?.into_iter().next();
                debug_assert!(report.run.as_ref().is_none_or(|run| run.outcome != RunOutcome::Running));
                report.assigned = assigned?;
            }
            Plan::NotDue | Plan::TooEarly { .. } => {
                if let Plan::TooEarly { allowed_at, kind } = plan {
                    report.too_early = Some((kind, allowed_at));
                }
                self.syncing.store(false, Ordering::SeqCst);
                report.attention.clone_from(&self.server.attention);
                report.assigned = Assigner::new(self).assign().await?;
            }
        }
        Ok(report)
    }

    /// Renews the lease at a third of its life. Returns only when it is lost.
    async fn keep_lease(&self) -> WorkError {
        let ttl = self.settings.lease_ttl;
        let mut good_until = self.now() + ttl;
        loop {
            let left = (good_until - self.now()).to_std().unwrap_or_default();
            self.engine.clock.sleep(left.min(ttl / 3)).await;
            let asked = self.now();
            let left = (good_until - asked).to_std().unwrap_or_default();
            let renewed = tokio::select! {
                renewed = self.store().renew_lease(&self.lease, ttl) => renewed,
                // A database that does not answer cannot be asked whether it is still ours.
                () = self.engine.clock.sleep(left) => Err(StoreError::LeaseLost(self.server.id)),
            };
            match renewed {
                Ok(()) => good_until = asked + ttl,
                Err(error) if error.is_transient() && self.now() < good_until => {
                    tracing::warn!(server = %self.server.name, %error, "the lease could not be renewed; trying again");
                    self.engine.clock.sleep(Duration::from_millis(500)).await;
                }
                Err(error) => return error.into(),
            }
        }
    }

    pub(crate) fn notice(&self, progress: Progress) {
        self.observer.notice(progress);
    }

    /// Whether the work is to end at the next safe point.
    pub(crate) fn stopping(&self) -> bool {
        self.stop.is_cancelled()
    }
}
