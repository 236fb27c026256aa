use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use adelie_dep::endpoints::{account, fetch_devices, sync_devices};
use adelie_dep::{CursorProblem, DevicePage, Error};
use adelie_model::{
    Cursor, RunId, RunOutcome, SyncKind, SyncPhase, SyncRun, Timestamp, TokenState, Trigger, halt,
};
use adelie_store::page::Record;
use adelie_store::{Account, Operator, PageCommit, RunEnd, RunStart, SendAhead, Turn};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::assign::give_back;
use crate::import::{self, Departure, Flight, Listed};
use crate::job::Job;
use crate::record::record;
use crate::{Progress, Request, WorkError, policy, retry};

/// How many absent devices become removed in one transaction.
const REMOVAL_BATCH: u32 = 1000;

/// How many pages are stored in one transaction, if so many wait. More would cost memory and save little.
const GROUP: usize = 3;
/// How many pages of a first import are stored in one transaction, if pages pile up all the same. The more devices are
/// written in the order of their serial numbers, the fewer pages of an index are written again and again; but up to five
/// groups are in memory at once.
const LARGE_GROUP: usize = 16;
/// How many fetched pages wait while those before them are worked out and their intent is stored. With fewer the groups of
/// an import stay small: what is fetched meanwhile is a group's best part.
const WAITING: usize = 8;
/// So many groups of pages are stored at the same time: while one is written, what does not depend on it is done for the
/// next.
const STORED_AT_ONCE: usize = 2;
/// So many groups of too few pages in a row, and an import is held up by Apple and not by storing: it need not remember
/// what was listed.
const HELD_UP: u32 = 30;
/// How long pages wait until assignments have caught up. Making their devices `sent` in a transaction of its own
/// costs more than a moment; but no page waits for an Apple that is slow to assign.
const PATIENCE: Duration = Duration::from_millis(200);

/// Makes the copy of one MDM server's device list exact.
pub(crate) struct Syncer<'a> {
    job: &'a Job<'a>,
    accept_removals: bool,
    requested_by: Option<&'a Operator>,
}

/// How a sync ended.
pub(crate) struct Ended {
    pub(crate) run: RunId,
    pub(crate) error: Option<WorkError>,
    pub(crate) attention: Option<String>,
}

/// Why the pages of a phase ended.
enum PhaseEnd {
    /// Apple has no more.
    Complete,
    /// Apple does not know the cursor (any more).
    CursorLost,
}

/// One answer of Apple's on its way to the store.
struct Fetched {
    records: Vec<Record>,
    cursor: Cursor,
    more: bool,
    fetched_until: Option<Timestamp>,
    /// Apple answered with the cursor it was sent and says that there is more (field lesson L2).
    same_cursor: bool,
}

impl Fetched {
    fn into_commit(self, run: RunId, seen_run: RunId, phase: SyncPhase, now: Timestamp) -> PageCommit {
        let Self { records, cursor, more, fetched_until, .. } = self;
        PageCommit { run, seen_run, phase, records, cursor, more, fetched_until, now }
    }
}

/// Pages on their way to the store, in their order.
enum Group {
    /// Their assignments are under way.
    Flight(Box<Flight>, OwnedSemaphorePermit),
    /// They are stored before anything is sent; whoever made them waits for it.
    Pages(Vec<PageCommit>, oneshot::Sender<()>),
}

impl<'a> Syncer<'a> {
    /// A syncer for what was asked for, and by whom.
    pub(crate) fn new(job: &'a Job<'a>, request: &'a Request) -> Self {
        match request {
            Request::Due => Self { job, accept_removals: false, requested_by: None },
            Request::Sync { accept_removals, by, .. } => {
                Self { job, accept_removals: *accept_removals, requested_by: Some(by) }
            }
        }
    }

    /// Runs one sync and ends it in the store, well or not. A lost cursor leads to one full sync, never to
    /// two (field lesson L3).
    ///
    /// # Errors
    /// Only what keeps the end itself from being stored; everything else is in [`Ended`].
    pub(crate) async fn sync(
        &self,
        kind: SyncKind,
        trigger: Trigger,
        restart: bool,
    ) -> Result<Ended, WorkError> {
        let (mut kind, mut trigger, mut restart) = (kind, trigger, restart);
        loop {
            let start = RunStart {
                kind,
                trigger,
                requested_by: self.requested_by.cloned(),
                removals_accepted: self.accept_removals && trigger != Trigger::Recovery,
                restart,
                now: self.job.now(),
            };
            let run = self.job.store().begin_run(&self.job.lease, &start).await?;
            self.job.notice(Progress::Began { kind });
            let result = self.pages_and_removals(&run).await;
            match result {
                Ok(Some(attention)) => return self.end(&run, Ok(attention)).await,
                Ok(None) if trigger != Trigger::Recovery => {
                    let error = "Apple no longer knows the cursor; the whole list is fetched anew";
                    self.end_for_recovery(&run, error).await?;
                    (kind, trigger, restart) = (SyncKind::Full, Trigger::Recovery, true);
                }
                Ok(None) => {
                    let lost = WorkError::CursorLost(self.job.server.name.clone());
                    return self.end(&run, Err(lost)).await;
                }
                Err(WorkError::Store(error)) => return Err(error.into()),
                Err(error) => return self.end(&run, Err(error)).await,
            }
        }
    }

    /// `Ok(None)` when the cursor is lost; else what waits for an operator, if anything.
    async fn pages_and_removals(&self, run: &SyncRun) -> Result<Option<Option<String>>, WorkError> {
        let limit = self.page_limit(run).await?;
        if self.job.server.last_full_at.is_none() {
            import::clear_up(self.job).await?;
        }
        self.job.cleared_up.notify_one();
        let position = self.job.store().position(self.job.server.id).await?;
        let full = position.full.filter(|_| run.kind == SyncKind::Full);
        let seen_run = full.as_ref().map_or(run.id, |full| full.generation);
        let mut delta_cursor = position.delta_cursor;
        if let Some(full) = full.as_ref().filter(|full| full.phase == SyncPhase::Fetch) {
            match self.pages(run, SyncPhase::Fetch, full.fetch_cursor.clone(), seen_run, limit).await? {
                PhaseEnd::Complete => {}
                PhaseEnd::CursorLost => return Ok(None),
            }
            delta_cursor = self.job.store().position(self.job.server.id).await?.delta_cursor;
        }
        let Some(cursor) = delta_cursor else {
            return Ok(None);
        };
        if let PhaseEnd::CursorLost = self.pages(run, SyncPhase::Sync, Some(cursor), seen_run, limit).await? {
            self.job.store().forget_delta_cursor(&self.job.lease).await?;
            return Ok(None);
        }
        if position.stuck > 0 {
            self.job.store().set_stuck(&self.job.lease, false).await?;
        }
        match full {
            Some(full) => self.remove_absent(run, full.generation).await.map(Some),
            None => Ok(Some(self.job.server.attention.clone())),
        }
    }

    /// The page size that Apple allows. Asked for before a full sync, which also shows that the token works.
    async fn page_limit(&self, run: &SyncRun) -> Result<u32, WorkError> {
        let job = self.job;
        let known = job.server.account.as_ref().and_then(|account| account.page_limit);
        if let (Some(limit), SyncKind::Delta) = (known, run.kind) {
            return Ok(limit.clamp(1, fetch_devices::MAX_LIMIT));
        }
        let response = match retry::patiently(job, &account::Request).await {
            Ok(response) => response,
            Err(error) => return Err(job.apple("tell about the account", error).await),
        };
        let limit = response.limit_for("/server/devices");
        let account = to_account(&response, limit);
        job.store().set_account(job.server.id, &account).await?;
        Ok(limit)
    }

    /// Stores the pages of one phase while the next are being fetched: what has come meanwhile in one transaction.
    async fn pages(
        &self,
        run: &SyncRun,
        phase: SyncPhase,
        cursor: Option<Cursor>,
        seen_run: RunId,
        limit: u32,
    ) -> Result<PhaseEnd, WorkError> {
        let at_start = phase == SyncPhase::Fetch && cursor.is_none();
        // Pages wait here while those before them are written; the next one is on its way.
        let (fetched, pages) = mpsc::channel(WAITING);
        let (prepared, groups) = mpsc::channel(1);
        let room = Arc::new(Semaphore::new(self.job.store().groups_at_once()));
        let (departing, departures) = mpsc::channel(1);
        let (end, (), (), ()) = tokio::try_join!(
            async { Ok(self.fetch(phase, cursor, limit, fetched).await) },
            async {
                let listed = if at_start { self.nothing_listed().await? } else { None };
                let commit = |page: Fetched| page.into_commit(run.id, seen_run, phase, self.job.now());
                self.prepare(pages, commit, listed, &room, prepared, departing).await
            },
            import::fly(self.job, departures),
            self.write(groups),
        )?;
        end
    }

    /// For the first listing of an MDM server of which no device is stored.
    async fn nothing_listed(&self) -> Result<Option<Listed>, WorkError> {
        let job = self.job;
        if job.server.last_full_at.is_some() || job.store().any_stored(job.server.id).await? {
            return Ok(None);
        }
        Ok(Some(Listed::new()))
    }

    /// Makes groups of the pages that have come, and sends the assignments of new devices if several pages wait.
    async fn prepare(
        &self,
        mut pages: mpsc::Receiver<Fetched>,
        commit: impl Fn(Fetched) -> PageCommit,
        mut listed: Option<Listed>,
        room: &Arc<Semaphore>,
        prepared: mpsc::Sender<Group>,
        departing: mpsc::Sender<Departure>,
    ) -> Result<(), WorkError> {
        let job = self.job;
        let enough = job.settings.sends_first_from.min(GROUP);
        // An Apple that is slow to assign holds up no page: when so many groups wait for its answers, whether they are stored
        // by now or not, the next are stored first, and sent as what is due is sent.
        let sky = Arc::new(Semaphore::new(job.store().groups_at_once()));
        let mut too_few = 0;
        let mut most = GROUP;
        while let Some((room, group)) = gather(&mut pages, most, room).await {
            if group.iter().any(|page| page.same_cursor) {
                let times = job.store().set_stuck(&job.lease, true).await?;
                tracing::warn!(server = %job.server.name, times, "Apple answered with the cursor that it was sent");
            }
            let mut pages: Vec<_> = group.into_iter().map(&commit).collect();
            let new = listed.as_mut().is_some_and(|listed| listed.takes_in(&pages));
            too_few = if pages.len() < enough { too_few + 1 } else { 0 };
            if too_few == HELD_UP {
                listed = None;
            }
            // Larger groups need memory, and only pay when pages go on piling up.
            most = if listed.is_some() { (2 * pages.len()).clamp(GROUP, LARGE_GROUP) } else { GROUP };
            if new
                && pages.len() >= enough
                && job.ready.has_room()
                && let Ok(sky) = Arc::clone(&sky).try_acquire_owned()
            {
                match import::intend(job, pages, sky).await? {
                    Ok((flight, departure)) => {
                        if let Some(departure) = departure {
                            let _ = departing.send(departure).await;
                        }
                        // Nobody takes it when somebody has failed, and that error is the one to report.
                        if prepared.send(Group::Flight(Box::new(flight), room)).await.is_err() {
                            return Ok(());
                        }
                        continue;
                    }
                    Err(back) => pages = back,
                }
            }
            drop(room);
            while !pages.is_empty() {
                let rest = pages.split_off(pages.len().min(GROUP));
                let (written, done) = oneshot::channel();
                if prepared.send(Group::Pages(pages, written)).await.is_err() {
                    return Ok(());
                }
                // Meanwhile more pages may come, to be stored in one transaction.
                let _ = done.await;
                pages = rest;
            }
        }
        Ok(())
    }

    /// Stores groups of pages, in their order.
    async fn write(&self, mut groups: mpsc::Receiver<Group>) -> Result<(), WorkError> {
        let mut under_way = FuturesUnordered::new();
        let mut turn = Turn::now();
        let mut more = true;
        while more || !under_way.is_empty() {
            let group = tokio::select! {
                biased;
                Some(stored) = under_way.next() => {
                    stored?;
                    continue;
                }
                group = groups.recv(), if more && under_way.len() < STORED_AT_ONCE => group,
            };
            match group {
                Some(Group::Flight(flight, room)) => {
                    let (before, next) = Turn::after();
                    let turn = std::mem::replace(&mut turn, next);
                    under_way.push(async move {
                        let stored = import::store(self.job, *flight, turn, before).await;
                        drop(room);
                        stored
                    });
                }
                Some(Group::Pages(pages, written)) => {
                    // They are laid over what is stored.
                    while let Some(stored) = under_way.next().await {
                        stored?;
                    }
                    self.commit(&pages).await?;
                    // Nobody waits any more when somebody else has failed.
                    let _ = written.send(());
                }
                None => more = false,
            }
        }
        Ok(())
    }

    async fn fetch(
        &self,
        phase: SyncPhase,
        mut cursor: Option<Cursor>,
        limit: u32,
        pages: mpsc::Sender<Fetched>,
    ) -> Result<PhaseEnd, WorkError> {
        let job = self.job;
        loop {
            if job.stopping() {
                return Err(WorkError::Interrupted(job.server.name.clone()));
            }
            halt::point("fetch.before");
            let page = match self.page(phase, cursor.clone(), limit).await? {
                Ok(page) => page,
                Err(Error::Cursor { problem, .. }) => {
                    return self.cursor_problem(phase, problem, cursor, &pages).await;
                }
                Err(error) => return Err(job.apple("answer with a page of devices", error).await),
            };
            halt::point("fetch.after");
            let same_cursor = page.more_to_follow && cursor.as_ref() == Some(&page.cursor);
            let (next, more) = (page.cursor.clone(), page.more_to_follow);
            let fetched = Fetched {
                cursor: next.clone(),
                more,
                fetched_until: page.fetched_until,
                same_cursor,
                records: page.into_devices().into_iter().map(record).collect(),
            };
            if pages.send(fetched).await.is_err() {
                // The writer ended with an error, which is the one to report.
                return Ok(PhaseEnd::Complete);
            }
            if same_cursor {
                return Err(WorkError::Stuck(job.server.name.clone()));
            }
            if !more {
                return Ok(PhaseEnd::Complete);
            }
            cursor = Some(next);
        }
    }

    /// One page from Apple, or Apple's error; ours when nothing moves for as long as the deadline allows.
    async fn page(
        &self,
        phase: SyncPhase,
        cursor: Option<Cursor>,
        limit: u32,
    ) -> Result<Result<DevicePage, Error>, WorkError> {
        let job = self.job;
        let asking = async {
            match (phase, cursor) {
                (SyncPhase::Sync, Some(cursor)) => {
                    retry::patiently(job, &sync_devices::Request { cursor, limit: Some(limit) }).await
                }
                (_, cursor) => {
                    retry::patiently(job, &fetch_devices::Request { cursor, limit: Some(limit) }).await
                }
            }
        };
        let deadline = job.settings.progress_deadline;
        tokio::select! {
            answer = asking => Ok(answer),
            () = job.engine.clock.sleep(deadline) => {
                Err(WorkError::Stalled(job.server.name.clone(), deadline.as_secs() / 60))
            }
        }
    }

    async fn cursor_problem(
        &self,
        phase: SyncPhase,
        problem: CursorProblem,
        cursor: Option<Cursor>,
        pages: &mpsc::Sender<Fetched>,
    ) -> Result<PhaseEnd, WorkError> {
        match (phase, problem, cursor) {
            // The listing was finished before: its cursor goes on as the sync's (field lesson L3).
            (SyncPhase::Fetch, CursorProblem::Exhausted, Some(cursor)) => {
                let end = Fetched {
                    records: Vec::new(),
                    cursor,
                    more: false,
                    fetched_until: None,
                    same_cursor: false,
                };
                // A closed channel means that the writer has failed; its error is reported.
                let _ = pages.send(end).await;
                Ok(PhaseEnd::Complete)
            }
            _ => Ok(PhaseEnd::CursorLost),
        }
    }

    /// Stores pages, and makes ready what they find due.
    async fn commit(&self, pages: &[PageCommit]) -> Result<(), WorkError> {
        let job = self.job;
        let now = job.now();
        let verify_after = job.settings.verify_after;
        tokio::select! {
            () = job.ready.room() => {}
            () = job.engine.clock.sleep(PATIENCE) => {}
        }
        let ahead = job.ready.has_room().then(|| SendAhead { verify_at: now + verify_after });
        let committed = job.store().commit_pages(&job.lease, pages, ahead).await?;
        halt::point("page.after_commit");
        // Half of the time is for the request itself.
        let left = job.ready.add(committed.ready, now + verify_after / 2);
        give_back(job, &left).await?;
        job.page_stored.notify_one();
        for page in pages {
            job.notice(Progress::Page { records: page.records.len() as u64 });
        }
        Ok(())
    }

    /// Removes what a complete listing did not show, unless that is too much to believe (field lesson L9).
    async fn remove_absent(&self, run: &SyncRun, generation: RunId) -> Result<Option<String>, WorkError> {
        let job = self.job;
        let count = job.store().absent(job.server.id, generation).await?;
        if count.absent == 0 {
            return Ok(None);
        }
        let plausible = policy::removal_is_plausible(&job.settings, count.absent, count.present);
        if !plausible && !self.accept_removals {
            return Ok(Some(format!(
                "Apple's complete list did not show {} of {} devices; they are kept until somebody confirms: check \
                 the portal, then run `adelie sync {} --accept-removals`",
                count.absent, count.present, job.server.name
            )));
        }
        let store = job.store();
        while store.remove_absent(&job.lease, run.id, generation, REMOVAL_BATCH, job.now()).await? > 0 {}
        Ok(None)
    }

    async fn end(
        &self,
        run: &SyncRun,
        result: Result<Option<String>, WorkError>,
    ) -> Result<Ended, WorkError> {
        let job = self.job;
        let (settings, now, entropy) = (&job.settings, job.now(), &*job.engine.entropy);
        let next_sync_at = match &result {
            Ok(_) => policy::next_after_success(settings, job.server.id, now),
            // What was interrupted goes on at once when the service is back.
            Err(WorkError::Interrupted(_)) => now,
            Err(error) => {
                policy::next_after_failure(settings, job.server.failures, error.not_before(), now, entropy)
            }
        };
        let (attention, error) = match result {
            Ok(attention) => (attention, None),
            Err(error) => (job.server.attention.clone(), Some(error)),
        };
        let end = RunEnd {
            run: run.id,
            outcome: if error.is_some() { RunOutcome::Failed } else { RunOutcome::Done },
            error: error.as_ref().map(|error| crate::chain(error)),
            full_completed: error.is_none() && run.kind == SyncKind::Full,
            attention: attention.clone(),
            next_sync_at,
            now,
        };
        job.store().end_run(&job.lease, &end).await?;
        if error.is_none() {
            self.token_is_good().await?;
        }
        Ok(Ended { run: run.id, error, attention })
    }

    /// Ends a run whose cursor was lost. The recovery follows at once.
    async fn end_for_recovery(&self, run: &SyncRun, why: &str) -> Result<(), WorkError> {
        let job = self.job;
        let end = RunEnd {
            run: run.id,
            outcome: RunOutcome::Failed,
            error: Some(why.to_owned()),
            full_completed: false,
            attention: job.server.attention.clone(),
            next_sync_at: job.now(),
            now: job.now(),
        };
        Ok(job.store().end_run(&job.lease, &end).await?)
    }

    /// A sync that ended well shows that Apple accepts the token; only the calendar can say more.
    async fn token_is_good(&self) -> Result<(), WorkError> {
        let job = self.job;
        let now = job.now();
        let expires_at = job.server.token.expires_at;
        let state = expires_at.map_or(TokenState::Valid, |at| TokenState::by_expiry(at, now));
        if job.server.token.state == state && job.server.token.detail.is_none() {
            return Ok(());
        }
        Ok(job.store().set_token_state(job.server.id, &state.into(), now).await?)
    }
}

/// Waits until there is room for a group behind, and takes what pages have come until then, but not more than `most`.
/// `None` when no page can come any more.
async fn gather(
    pages: &mut mpsc::Receiver<Fetched>,
    most: usize,
    room: &Arc<Semaphore>,
) -> Option<(OwnedSemaphorePermit, Vec<Fetched>)> {
    let mut group = Vec::new();
    let mut reserve = pin!(Arc::clone(room).acquire_owned());
    let room = loop {
        tokio::select! {
            biased;
            room = &mut reserve => break room.ok()?,
            Some(page) = pages.recv(), if group.len() < most => group.push(page),
        }
    };
    if group.is_empty() {
        pages.recv_many(&mut group, most).await;
    }
    while let Some(page) = (group.len() < most).then(|| pages.try_recv().ok()).flatten() {
        group.push(page);
    }
    (!group.is_empty()).then_some((room, group))
}

/// What we keep of Apple's account detail.
#[must_use]
pub fn to_account(response: &account::Response, page_limit: u32) -> Account {
    Account {
        server_name: response.server_name.clone(),
        server_uuid: response.server_uuid.clone(),
        admin_id: response.admin_id.clone().or_else(|| response.facilitator_id.clone()),
        org_name: response.org_name.clone(),
        org_email: response.org_email.clone(),
        org_phone: response.org_phone.clone(),
        org_type: response.org_type.clone(),
        page_limit: Some(page_limit),
    }
}
