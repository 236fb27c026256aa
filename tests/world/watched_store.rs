//! A copy's store: the real one, with every call as a step of its own, with faults, and with a witness.

mod plain;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use adelie_model::*;
use adelie_store::page::{Action, Answer, Intended, Operated};
use adelie_store::*;
use async_trait::async_trait;
use tokio::runtime::Runtime;

use crate::executor::{Owner, step_back};
use crate::locked;
use crate::operation::StoreFault;
use crate::witness::{Witness, number};

pub struct WatchedStore {
    inner: Arc<dyn Store>,
    runtime: Arc<Runtime>,
    witness: Arc<Witness>,
    copy: Owner,
    fault: Mutex<Option<(u8, StoreFault)>>,
    /// A call was torn, so that the copy is to crash.
    torn: AtomicBool,
    /// A call is late, so that the copy is to be stopped.
    late: AtomicBool,
}

impl WatchedStore {
    pub fn new(inner: Arc<dyn Store>, runtime: Arc<Runtime>, witness: Arc<Witness>, copy: Owner) -> Self {
        let (torn, late) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { inner, runtime, witness, copy, fault: Mutex::default(), torn, late }
    }

    /// The call after `skip` others meets a fault.
    pub fn break_call(&self, skip: u8, fault: StoreFault) {
        *locked(&self.fault) = Some((skip, fault));
    }

    pub fn mend(&self) {
        *locked(&self.fault) = None;
    }

    /// Whether a call was torn.
    pub fn is_torn(&self) -> bool {
        self.torn.load(Ordering::SeqCst)
    }

    /// Whether a call has become late since this was asked last.
    pub fn was_late(&self) -> bool {
        self.late.swap(false, Ordering::SeqCst)
    }

    async fn of_server(&self, server: ServerId) -> Result<Vec<Device>> {
        let filter = DeviceFilter { server: Some(server), ..DeviceFilter::default() };
        let devices = self.inner.devices(&filter, None, 10_000).await?;
        Ok(devices.into_iter().map(|view| view.device).collect())
    }

    /// An event of the time before a device left may still come, and brings it back for a moment when its departure
    /// became known in another way. That is a known gap.
    fn may_come_back(&self, server: ServerId, serial: &SerialNumber) {
        self.witness.arrives(number(server), serial.as_str());
    }

    async fn note_cool_downs(&self, server: ServerId) -> Result<()> {
        if self.witness.any_throttled(server) {
            self.witness.forgets_cool_downs(server, &self.of_server(server).await?);
        }
        Ok(())
    }

    /// The devices that were sent and of which nothing has been heard.
    async fn sent(&self, server: ServerId) -> Result<Vec<Device>> {
        let mut devices = self.of_server(server).await?;
        devices.retain(|device| device.assignment.state == AssignState::Sent);
        Ok(devices)
    }

    fn fault(&self, doing: &str) -> Option<StoreFault> {
        let mut fault = locked(&self.fault);
        match fault.take() {
            waits @ Some((_, StoreFault::Late))
                if !matches!(doing, "commit_pages" | "commit_intended" | "settle") =>
            {
                *fault = waits;
                None
            }
            Some((0, fault)) => Some(fault),
            later => {
                *fault = later.map(|(skip, fault)| (skip - 1, fault));
                None
            }
        }
    }

    async fn call<T>(&self, doing: &'static str, call: impl Future<Output = Result<T>>) -> Result<T> {
        step_back().await;
        let fault = self.fault(doing);
        let failed = || Err(StoreError::Database { doing, source: "the database went away".into() });
        let result = match fault {
            Some(StoreFault::Before) => failed(),
            Some(StoreFault::After) => {
                let _done = self.runtime.block_on(call);
                failed()
            }
            Some(StoreFault::Torn(waits)) => {
                let whole = self.runtime.block_on(torn(call, waits));
                self.torn.store(true, Ordering::SeqCst);
                drop(whole);
                std::future::pending().await
            }
            Some(StoreFault::Late) => {
                self.late.store(true, Ordering::SeqCst);
                step_back().await;
                self.runtime.block_on(call)
            }
            None => self.runtime.block_on(call),
        };
        step_back().await;
        result
    }
}

/// The call until it has waited for the database so often; then it is dropped as by a crash.
async fn torn<T>(call: impl Future<Output = T>, mut waits: u8) -> Option<T> {
    let mut call = pin!(call);
    std::future::poll_fn(|context| match call.as_mut().poll(context) {
        Poll::Ready(result) => Poll::Ready(Some(result)),
        Poll::Pending if waits == 0 => Poll::Ready(None),
        Poll::Pending => {
            waits -= 1;
            Poll::Pending
        }
    })
    .await
}

#[async_trait]
impl ServerStore for WatchedStore {
    async fn add_server(&self, server: &NewServer, by: &Operator) -> Result<ServerId> {
        self.call("add_server", self.inner.add_server(server, by)).await
    }

    async fn servers(&self) -> Result<Vec<MdmServer>> {
        self.call("servers", self.inner.servers()).await
    }

    async fn server(&self, name: &ServerName) -> Result<Option<MdmServer>> {
        self.call("server", self.inner.server(name)).await
    }

    async fn server_by_id(&self, id: ServerId) -> Result<Option<MdmServer>> {
        self.call("server_by_id", self.inner.server_by_id(id)).await
    }

    async fn set_paused(&self, id: ServerId, paused: bool, by: &Operator) -> Result<()> {
        self.call("set_paused", self.inner.set_paused(id, paused, by)).await
    }

    async fn defaults(&self, id: ServerId) -> Result<Vec<ServerDefault>> {
        self.call("defaults", self.inner.defaults(id)).await
    }

    async fn set_wait_until(&self, id: ServerId, until: Timestamp) -> Result<()> {
        let call = async {
            self.inner.set_wait_until(id, until).await?;
            self.witness.waits(id, until);
            Ok(())
        };
        self.call("set_wait_until", call).await
    }

    async fn set_account(&self, id: ServerId, account: &Account) -> Result<()> {
        self.call("set_account", self.inner.set_account(id, account)).await
    }
}

#[async_trait]
impl SyncStore for WatchedStore {
    async fn position(&self, server: ServerId) -> Result<SyncPosition> {
        self.call("position", self.inner.position(server)).await
    }

    async fn begin_run(&self, lease: &Lease, start: &RunStart) -> Result<SyncRun> {
        let call = async {
            let run = self.inner.begin_run(lease, start).await?;
            self.witness.run_begun(self.copy, lease, start);
            Ok(run)
        };
        self.call("begin_run", call).await
    }

    async fn commit_pages(
        &self,
        lease: &Lease,
        pages: &[PageCommit],
        ahead: Option<SendAhead>,
    ) -> Result<Committed> {
        let call = async {
            let committed = self.inner.commit_pages(lease, pages, ahead).await?;
            self.witness.pages_committed(self.copy, lease, pages.len());
            self.note_cool_downs(lease.server).await?;
            Ok(committed)
        };
        self.call("commit_pages", call).await
    }

    async fn any_stored(&self, server: ServerId) -> Result<bool> {
        self.call("any_stored", self.inner.any_stored(server)).await
    }

    async fn intend_pages(
        &self,
        lease: &Lease,
        pages: Vec<PageCommit>,
        ahead: SendAhead,
    ) -> Result<Result<Intended, Vec<PageCommit>>> {
        self.call("intend_pages", self.inner.intend_pages(lease, pages, ahead)).await
    }

    async fn commit_intended(
        &self,
        lease: &Lease,
        intended: Intended,
        answers: Vec<Answer>,
        now: Timestamp,
        turn: Turn,
    ) -> Result<Counts> {
        let number = intended.pages.len();
        let call = async {
            let counts = self.inner.commit_intended(lease, intended, answers.clone(), now, turn).await?;
            self.witness.pages_committed(self.copy, lease, number);
            let after = self.of_server(lease.server).await?;
            for Answer { revision, settlements } in &answers {
                self.witness.see("devices stored with their answers");
                // What another profile is wanted for since is decided anew.
                let still_wanted = |device: &&Device| device.assignment.wanted == Some(*revision);
                let sent: Vec<_> = after.iter().filter(still_wanted).cloned().collect();
                self.witness.settled(self.copy, lease, *revision, settlements, &sent, &after);
            }
            self.note_cool_downs(lease.server).await?;
            Ok(counts)
        };
        self.call("commit_intended", call).await
    }

    async fn open_intents(&self, server: ServerId) -> Result<Vec<SerialNumber>> {
        let call = async {
            let serials = self.inner.open_intents(server).await?;
            if !serials.is_empty() {
                self.witness.see("intents left open");
            }
            Ok(serials)
        };
        self.call("open_intents", call).await
    }

    async fn close_intents(&self, lease: &Lease) -> Result<()> {
        self.call("close_intents", self.inner.close_intents(lease)).await
    }

    async fn forget_delta_cursor(&self, lease: &Lease) -> Result<()> {
        self.call("forget_delta_cursor", self.inner.forget_delta_cursor(lease)).await
    }

    async fn set_stuck(&self, lease: &Lease, stuck: bool) -> Result<u32> {
        self.call("set_stuck", self.inner.set_stuck(lease, stuck)).await
    }

    async fn absent(&self, server: ServerId, generation: RunId) -> Result<AbsentCount> {
        self.call("absent", self.inner.absent(server, generation)).await
    }

    async fn remove_absent(
        &self,
        lease: &Lease,
        run: RunId,
        generation: RunId,
        limit: u32,
        now: Timestamp,
    ) -> Result<u64> {
        let call = async {
            let count = self.inner.absent(lease.server, generation).await?;
            let before = if count.absent > 0 { self.of_server(lease.server).await? } else { Vec::new() };
            let removed = self.inner.remove_absent(lease, run, generation, limit, now).await?;
            self.witness.removes(self.copy, lease.server, count.absent, count.present);
            for device in before.iter().filter(|one| one.removed_at.is_none() && one.seen_run < generation) {
                self.may_come_back(lease.server, &device.serial);
            }
            Ok(removed)
        };
        self.call("remove_absent", call).await
    }

    async fn end_run(&self, lease: &Lease, end: &RunEnd) -> Result<()> {
        let call = async {
            self.inner.end_run(lease, end).await?;
            self.witness.run_ended(self.copy, lease);
            Ok(())
        };
        self.call("end_run", call).await
    }

    async fn runs(
        &self,
        server: Option<ServerId>,
        before: Option<RunId>,
        limit: u32,
    ) -> Result<Vec<SyncRun>> {
        self.call("runs", self.inner.runs(server, before, limit)).await
    }

    async fn forget_old(&self, lease: &Lease, keep: &Retention, limit: u32) -> Result<u64> {
        self.call("forget_old", self.inner.forget_old(lease, keep, limit)).await
    }
}

#[async_trait]
impl AssignStore for WatchedStore {
    async fn decisions_pending(&self, server: ServerId) -> Result<bool> {
        self.call("decisions_pending", self.inner.decisions_pending(server)).await
    }

    async fn decide_anew(&self, lease: &Lease, now: Timestamp, limit: u32) -> Result<bool> {
        let call = async {
            let ended = self.inner.decide_anew(lease, now, limit).await?;
            self.note_cool_downs(lease.server).await?;
            Ok(ended)
        };
        self.call("decide_anew", call).await
    }

    async fn due_groups(&self, server: ServerId, now: Timestamp) -> Result<Vec<DueGroup>> {
        self.call("due_groups", self.inner.due_groups(server, now)).await
    }

    async fn claim_due(
        &self,
        lease: &Lease,
        revision: RevisionId,
        limit: u32,
        now: Timestamp,
        verify_at: Timestamp,
    ) -> Result<Vec<Claim>> {
        self.call("claim_due", self.inner.claim_due(lease, revision, limit, now, verify_at)).await
    }

    async fn settle(
        &self,
        lease: &Lease,
        revision: RevisionId,
        settlements: &[Settlement],
        now: Timestamp,
    ) -> Result<()> {
        let call = async {
            let before = self.sent(lease.server).await?;
            self.inner.settle(lease, revision, settlements, now).await?;
            let after = self.of_server(lease.server).await?;
            self.witness.settled(self.copy, lease, revision, settlements, &before, &after);
            Ok(())
        };
        self.call("settle", call).await
    }

    async fn to_read_back(&self, lease: &Lease, now: Timestamp, limit: u32) -> Result<Vec<SerialNumber>> {
        self.call("to_read_back", self.inner.to_read_back(lease, now, limit)).await
    }

    async fn not_told(
        &self,
        lease: &Lease,
        serials: &[SerialNumber],
        reason: &str,
        now: Timestamp,
        again_at: Timestamp,
    ) -> Result<()> {
        self.call("not_told", self.inner.not_told(lease, serials, reason, now, again_at)).await
    }

    async fn unclaim(
        &self,
        lease: &Lease,
        serials: &[SerialNumber],
        reason: &str,
        at: Timestamp,
    ) -> Result<()> {
        self.call("unclaim", self.inner.unclaim(lease, serials, reason, at)).await
    }

    async fn commit_details(&self, lease: &Lease, details: &Details, now: Timestamp) -> Result<()> {
        let call = async {
            self.inner.commit_details(lease, details, now).await?;
            details.gone.iter().for_each(|serial| self.may_come_back(lease.server, serial));
            self.note_cool_downs(lease.server).await
        };
        self.call("commit_details", call).await
    }

    async fn next_attempt_at(&self, server: ServerId) -> Result<Option<Timestamp>> {
        self.call("next_attempt_at", self.inner.next_attempt_at(server)).await
    }

    async fn troubles(&self, server: Option<ServerId>, limit: u32) -> Result<Vec<Trouble>> {
        self.call("troubles", self.inner.troubles(server, limit)).await
    }

    async fn operate(
        &self,
        server: ServerId,
        serials: &[SerialNumber],
        action: &Action,
        by: &Operator,
    ) -> Result<Vec<Operated>> {
        self.call("operate", self.inner.operate(server, serials, action, by)).await
    }

    async fn retry_profiles(&self, server: ServerId, by: &Operator) -> Result<u64> {
        self.call("retry_profiles", self.inner.retry_profiles(server, by)).await
    }
}
