use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use adelie_dep::endpoints::account;
use adelie_model::{RunId, ServerTokenId, Timestamp};
use adelie_store::{Lease, MdmServer, Store, StoreError};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::answers::Answers;
use crate::assign::{Assigner, BATCH};
use crate::policy::{self, Plan};
use crate::ready::Ready;
use crate::sync::Syncer;
use crate::{Claimed, Engine, Observer, Progress, Report, Request, Settings, WorkError};

/// What the two halves of the work on one server share.
pub(crate) struct Job<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) server: MdmServer,
    pub(crate) settings: Settings,
    pub(crate) lease: Lease,
    pub(crate) client: adelie_dep::Client,
    /// The token that the client uses.
    token: ServerTokenId,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) stop: CancellationToken,
    /// Rung after every page, so that assignment starts with the first.
    pub(crate) page_stored: Notify,
    /// Rung when Apple was asked about what a killed process has left, so that it is not asked twice.
    pub(crate) cleared_up: Notify,
    /// Whether pages may still come.
    pub(crate) syncing: AtomicBool,
    /// Devices of stored pages that are to be sent.
    pub(crate) ready: Ready,
    /// What Apple has answered to an import.
    pub(crate) answers: Answers,
    /// A permit for each request to assign. The client has lanes left for pages then, however slow Apple is to assign.
    pub(crate) assigning: Semaphore,
    /// Until when the lease is ours for certain, in milliseconds since 1970: a ttl after the last renewal was asked for.
    lease_good_until: AtomicI64,
}

impl<'a> Job<'a> {
    pub(crate) fn new(
        engine: &'a Engine,
        server: MdmServer,
        claimed: Claimed,
        (token, client): (ServerTokenId, adelie_dep::Client),
        observer: &'a dyn Observer,
        stop: &CancellationToken,
    ) -> Self {
        let settings = engine.settings.of_server(&server.sync);
        Self {
            engine,
            assigning: Semaphore::new(settings.assigns_in_flight.max(1)),
            settings,
            server,
            lease: claimed.lease,
            client,
            token,
            observer,
            stop: stop.child_token(),
            page_stored: Notify::new(),
            cleared_up: Notify::new(),
            syncing: AtomicBool::new(true),
            ready: Ready::default(),
            answers: Answers::default(),
            lease_good_until: AtomicI64::new(claimed.good_until.timestamp_millis()),
        }
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.engine.store
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.engine.clock.now()
    }

    /// Turns Apple's error into ours, and keeps what it says of the token and how long Apple is to be left alone.
    pub(crate) async fn apple(&self, doing: &'static str, error: adelie_dep::Error) -> WorkError {
        // What a token says that has been replaced meanwhile is not about the one in use: its import took the lease.
        let renewed = self.store().renew_lease(&self.lease, self.settings.lease_ttl).await;
        if matches!(renewed, Err(StoreError::LeaseLost(_))) {
            return WorkError::Apple(self.server.name.clone(), doing, error);
        }
        if let Some(until) = error.wait_until() {
            let kept = self.store().set_wait_until(self.server.id, until).await;
            if let Err(error) = kept {
                tracing::warn!(server = %self.server.name, %error, "Apple's wish to be left alone could not be stored");
            }
        }
        if let Err(error) = self.engine.token_refused(&self.server, Some(self.token), &error).await {
            tracing::warn!(server = %self.server.name, %error, "the state of the token could not be stored");
        }
        WorkError::Apple(self.server.name.clone(), doing, error)
    }

    pub(crate) async fn run(&self, request: &Request) -> Result<Report, WorkError> {
        let store = self.store();
        let mut server = self.server.clone();
        if *request == Request::Due && server.token.state.is_bad() {
            if server.token.next_check_at.is_some_and(|at| at > self.now()) {
                return self.without_apple().await;
            }
            self.try_token().await?;
            // What the trouble has held up is due now.
            server.next_sync_at = None;
        }
        let position = store.position(self.server.id).await?;
        // Only an operator's wish is measured against former ones; a week of deltas fits in between.
        let look_back = if matches!(request, Request::Due) { 0 } else { 1000 };
        let recent = store.runs(Some(self.server.id), None, look_back).await?;
        let plan = policy::plan(&self.settings, &server, &position, &recent, request, self.now());
        let was_due_at = self.server.next_sync_at;
        let mut report = Report { server: self.server.name.to_string(), was_due_at, ..Report::default() };
        match plan {
            Plan::Sync { kind, trigger, restart } => {
                let syncer = Syncer::new(self, request);
                let sync = async {
                    let result = syncer.sync(kind, trigger, restart).await;
                    self.syncing.store(false, Ordering::SeqCst);
                    self.cleared_up.notify_one();
                    self.page_stored.notify_one();
                    result
                };
                let mut assigner = Assigner::new(self);
                let assign = async {
                    self.cleared_up.notified().await;
                    assigner.assign().await
                };
                let (synced, assigned) = tokio::join!(sync, assign);
                let ended = synced?;
                report.attention = ended.attention;
                report.sync_error = ended.error;
                // Not simply the latest: whoever has taken the lease meanwhile may have begun another.
                let up_to_it = Some(RunId(ended.run.0 + 1));
                let latest = store.runs(Some(self.server.id), up_to_it, 1).await?;
                report.run = latest.into_iter().find(|run| run.id == ended.run);
                assigned?;
                report.assigned = assigner.finish().await?;
                self.forget_old().await?;
            }
            Plan::NotDue | Plan::TooEarly { .. } => {
                if let Plan::TooEarly { allowed_at, kind } = plan {
                    report.too_early = Some((kind, allowed_at));
                }
                self.syncing.store(false, Ordering::SeqCst);
                report.attention.clone_from(&self.server.attention);
                let mut assigner = Assigner::new(self);
                assigner.assign().await?;
                report.assigned = assigner.finish().await?;
            }
        }
        Ok(report)
    }

    /// Asks Apple whether it takes the token again: one question, and not a whole sync.
    async fn try_token(&self) -> Result<(), WorkError> {
        match self.client.send(&account::Request).await {
            Ok(response) => self.engine.token_taken(&self.server, self.token, &response, false).await,
            Err(error) => Err(self.apple("tell about the account", error).await),
        }
    }

    /// Does what is due while Apple is not to be asked, because it refuses the token: devices are decided anew, so that
    /// what people see follows what they have changed.
    async fn without_apple(&self) -> Result<Report, WorkError> {
        if self.store().decisions_pending(self.server.id).await? {
            while !self.stopping() && !self.store().decide_anew(&self.lease, self.now(), BATCH).await? {}
        }
        let attention = self.server.attention.clone();
        Ok(Report {
            server: self.server.name.to_string(),
            was_due_at: self.server.next_sync_at,
            attention,
            ..Report::default()
        })
    }

    /// Deletes what need not be kept any longer, with the first sync of a day.
    async fn forget_old(&self) -> Result<(), WorkError> {
        let today = self.now().date_naive();
        if self.server.last_sync_at.is_some_and(|at| at.date_naive() == today) {
            return Ok(());
        }
        let keep = self.settings.retention(self.now());
        while !self.stopping() && self.store().forget_old(&self.lease, &keep, 1000).await? > 0 {}
        Ok(())
    }

    /// Renews the lease at a third of its life. Returns only when it is lost.
    pub(crate) async fn keep_lease(&self) -> WorkError {
        let ttl = self.settings.lease_ttl;
        loop {
            let left = (self.lease_good_until() - self.now()).to_std().unwrap_or_default();
            self.engine.clock.sleep(left.min(ttl / 3)).await;
            let asked = self.now();
            let left = (self.lease_good_until() - asked).to_std().unwrap_or_default();
            let renewed = tokio::select! {
                renewed = self.store().renew_lease(&self.lease, ttl) => renewed,
                // A database that does not answer cannot be asked whether it is still ours.
                () = self.engine.clock.sleep(left) => Err(StoreError::LeaseLost(self.server.id)),
            };
            match renewed {
                Ok(()) => {
                    self.lease_good_until.store((asked + ttl).timestamp_millis(), Ordering::SeqCst);
                }
                Err(error) if error.is_transient() && self.now() < self.lease_good_until() => {
                    tracing::warn!(server = %self.server.name, %error, "the lease could not be renewed; trying again");
                    self.engine.clock.sleep(Duration::from_millis(500)).await;
                }
                Err(error) => return error.into(),
            }
        }
    }

    fn lease_good_until(&self) -> Timestamp {
        let millis = self.lease_good_until.load(Ordering::SeqCst);
        Timestamp::from_timestamp_millis(millis).unwrap_or(Timestamp::MIN_UTC)
    }

    /// Whether the lease is certainly still ours. Apple knows no fence, so that a process that was stopped for long has
    /// to look at the clock before it sends what another one may have sent meanwhile.
    pub(crate) fn may_send(&self) -> bool {
        self.now() < self.lease_good_until()
    }

    pub(crate) fn notice(&self, progress: Progress) {
        self.observer.notice(progress);
    }

    /// Whether the work is to end at the next safe point.
    pub(crate) fn stopping(&self) -> bool {
        self.stop.is_cancelled()
    }
}
