use adelie_model::{
    Counts, Cursor, RunId, RunOutcome, SerialNumber, ServerId, SyncKind, SyncPhase, SyncRun, Timestamp,
    Trigger,
};
use async_trait::async_trait;

use crate::page::{Answer, Intended, Ready, Record};
use crate::{Lease, Operator, Result, Turn};

/// Where a full sync stands that has begun and not ended. It survives its process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullPhase {
    /// The generation that it stamps on the devices it has seen: the run that began it.
    pub generation: RunId,
    /// `Fetch` while listing, `Sync` once the listing is complete and only the rest of the changes is missing.
    pub phase: SyncPhase,
    /// Where the listing stands; `None` at its start.
    pub fetch_cursor: Option<Cursor>,
}

/// Where the copy of an MDM server's device list stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncPosition {
    /// Where the next delta sync starts; `None` before the first full sync.
    pub delta_cursor: Option<Cursor>,
    /// The full sync under way.
    pub full: Option<FullPhase>,
    /// Syncs in a row that Apple ended with the cursor it was sent (field lesson L2).
    pub stuck: u32,
}

/// One page of Apple's list, to be stored in one transaction with the cursor behind it (field lesson L1).
#[derive(Clone, Debug)]
pub struct PageCommit {
    /// The run that fetched it; its counts grow by the page's.
    pub run: RunId,
    /// What its devices are stamped with: the generation of the full sync, else the run.
    pub seen_run: RunId,
    /// From which of the two lists it is.
    pub phase: SyncPhase,
    /// The records in the order of the page.
    pub records: Vec<Record>,
    /// Where the next page starts.
    pub cursor: Cursor,
    /// Whether Apple has more.
    pub more: bool,
    /// Until when Apple's list is told by it, if Apple says so.
    pub fetched_until: Option<Timestamp>,
    /// The moment of the commit.
    pub now: Timestamp,
}

/// A run that is to begin.
#[derive(Clone, Debug)]
pub struct RunStart {
    /// What it asks Apple for.
    pub kind: SyncKind,
    /// Who or what asked.
    pub trigger: Trigger,
    /// The operator who asked. Of a forced sync the audit tells, too.
    pub requested_by: Option<Operator>,
    /// Whether the operator has accepted the removal of all devices that Apple does not list; the audit tells of it.
    pub removals_accepted: bool,
    /// Whether a full sync that is under way begins anew.
    pub restart: bool,
    /// The present moment.
    pub now: Timestamp,
}

/// What is no longer worth keeping of an MDM server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Devices that were removed before this moment are deleted, but for those that an operator holds: a hold outlasts
    /// the absence of its device.
    pub tombstones_before: Timestamp,
    /// Events before this moment are deleted.
    pub events_before: Timestamp,
    /// So many of the latest runs are kept.
    pub runs: u32,
}

/// That devices which a page finds due may be made `sent` in the transaction of the page, because whoever stores it
/// sends them next: one write less for each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendAhead {
    /// If nothing is heard of them by then, they are read back, as after [`claim_due`](crate::AssignStore::claim_due).
    pub verify_at: Timestamp,
}

/// What storing pages came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// What the pages did, all of them together.
    pub counts: Counts,
    /// The devices that are `sent` now: they are to be sent, or given back by
    /// [`unclaim`](crate::AssignStore::unclaim). Empty unless [`SendAhead`] was given.
    pub ready: Vec<Ready>,
}

/// The end of a run.
#[derive(Clone, Debug)]
pub struct RunEnd {
    /// Which run.
    pub run: RunId,
    /// `Done` or `Failed`.
    pub outcome: RunOutcome,
    /// Why it failed.
    pub error: Option<String>,
    /// Whether a full sync was completed.
    pub full_completed: bool,
    /// What waits for an operator after it; `None` clears what waited before.
    pub attention: Option<String>,
    /// When the next scheduled sync is due.
    pub next_sync_at: Timestamp,
    /// The present moment.
    pub now: Timestamp,
}

/// Devices that a complete listing did not show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbsentCount {
    /// Not seen by the generation.
    pub absent: u64,
    /// All that are not removed, the absent included.
    pub present: u64,
}

/// Syncs: runs, pages, positions. Every write is fenced by the lease.
#[async_trait]
pub trait SyncStore: Send + Sync {
    /// Where the copy stands.
    async fn position(&self, server: ServerId) -> Result<SyncPosition>;

    /// Begins a run. A full run that finds a full sync under way goes on with it, unless `restart` says to
    /// begin the listing anew under a new generation. Runs of this server that a killed process left
    /// `running` end as failed, with the reason that they were interrupted.
    async fn begin_run(&self, lease: &Lease, start: &RunStart) -> Result<SyncRun>;

    /// Stores a page: folds it, merges it, decides, marks what is due, writes events and the cursor.
    /// The last page of a listing makes its cursor the delta cursor and moves the full sync on to `Sync`.
    ///
    /// # Errors
    /// `LeaseLost`; then nothing of the page is stored.
    async fn commit_page(&self, lease: &Lease, page: &PageCommit) -> Result<Counts> {
        Ok(self.commit_pages(lease, std::slice::from_ref(page), None).await?.counts)
    }

    /// Stores consecutive pages of one run and phase in one transaction, each as [`commit_page`](Self::commit_page)
    /// would after the one before it, with the last one's cursor. `ahead` makes new work of theirs `sent` at once.
    ///
    /// # Errors
    /// `LeaseLost`; then nothing of any page is stored.
    async fn commit_pages(
        &self,
        lease: &Lease,
        pages: &[PageCommit],
        ahead: Option<SendAhead>,
    ) -> Result<Committed>;

    /// Whether any device of an MDM server is stored, be it one that has left.
    async fn any_stored(&self, server: ServerId) -> Result<bool>;

    /// Works out consecutive pages of one run and phase of which no device is stored, nor on its way to be, as the
    /// caller knows; and stores nothing but the intent to send those that are due. Whoever asks sends them next, and
    /// then stores the pages by [`commit_intended`](Self::commit_intended). The pages come back when a device is among
    /// them twice; then nothing is stored, and they are for [`commit_pages`](Self::commit_pages).
    ///
    /// # Errors
    /// `LeaseLost`; then nothing is stored.
    async fn intend_pages(
        &self,
        lease: &Lease,
        pages: Vec<PageCommit>,
        ahead: SendAhead,
    ) -> Result<Result<Intended, Vec<PageCommit>>>;

    /// Stores pages that were intended, as [`commit_pages`](Self::commit_pages) would, with what Apple has answered
    /// since, as [`settle`](crate::AssignStore::settle) would; and forgets the intent. Devices of which Apple has not
    /// answered are `sent`. Nothing of it is seen before it is its turn; what can be done until then is.
    ///
    /// # Errors
    /// `LeaseLost`, or another when a device is stored already; then nothing of any page is stored.
    async fn commit_intended(
        &self,
        lease: &Lease,
        intended: Intended,
        answers: Vec<Answer>,
        now: Timestamp,
        turn: Turn,
    ) -> Result<Counts>;

    /// How many groups of intended pages are worth having between being worked out and being stored, with the one that is
    /// being stored. Fewer leave more pages for the groups after them, which makes those larger and so cheaper.
    fn groups_at_once(&self) -> usize {
        2
    }

    /// The devices of intents whose pages were not stored, because a process was killed or met with an error. They may
    /// have been sent: Apple has to be asked about them before their pages are stored (field lesson L29).
    async fn open_intents(&self, server: ServerId) -> Result<Vec<SerialNumber>>;

    /// Forgets all intents of the lease's MDM server, because Apple was asked about their devices.
    async fn close_intents(&self, lease: &Lease) -> Result<()>;

    /// Forgets the delta cursor, because Apple does not know it any more.
    async fn forget_delta_cursor(&self, lease: &Lease) -> Result<()>;

    /// Counts that Apple answered with the cursor it was sent; `false` sets the count back to zero.
    async fn set_stuck(&self, lease: &Lease, stuck: bool) -> Result<u32>;

    /// How many devices a complete listing did not show.
    async fn absent(&self, server: ServerId, generation: RunId) -> Result<AbsentCount>;

    /// Makes up to `limit` of the absent removed (field lesson L8). Returns how many; 0 means that none is left.
    async fn remove_absent(
        &self,
        lease: &Lease,
        run: RunId,
        generation: RunId,
        limit: u32,
        now: Timestamp,
    ) -> Result<u64>;

    /// Ends a run and says when the next is due.
    async fn end_run(&self, lease: &Lease, end: &RunEnd) -> Result<()>;

    /// The latest runs of a server, or of all, newest first; those before `before`.
    async fn runs(&self, server: Option<ServerId>, before: Option<RunId>, limit: u32)
    -> Result<Vec<SyncRun>>;

    /// Deletes up to `limit` each of the tombstones and runs of the lease's MDM server, and of the oldest events of all,
    /// that need not be kept. A tombstone goes with a `device.deleted` event. Returns how many rows went; 0 means that
    /// none is left.
    async fn forget_old(&self, lease: &Lease, keep: &Retention, limit: u32) -> Result<u64>;
}
