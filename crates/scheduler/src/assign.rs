use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use adelie_dep::Error;
use adelie_dep::endpoints::{assign_profile, device_details, fetch_devices};
use adelie_model::{AssignState, ProfileUuid, RevisionId, SerialNumber, Timestamp, halt};
use adelie_store::page::Answer;
use adelie_store::{Claim, DueGroup, Settlement, StoreError};
use chrono::TimeDelta;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::job::Job;
use crate::publish::{self, Standing};
use crate::settle;
use crate::{Progress, WorkError, read_back};

/// Serial numbers per request (protocol section 3.7).
pub(crate) const BATCH: u32 = fetch_devices::MAX_LIMIT;
/// While pages still come, a batch that is not full waits this long for more, so that Apple is asked less often.
const GATHER: TimeDelta = TimeDelta::seconds(2);

/// What assignments came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssignReport {
    /// Devices that got their profile.
    pub assigned: u64,
    /// Devices that did not, by what became of them.
    pub not_assigned: HashMap<AssignState, u64>,
    /// Profiles that Apple does not take, with its reason and the remedy (field lesson L27).
    pub refused_profiles: Vec<String>,
    /// Why it ended before everything due was sent.
    pub stopped_by: Option<String>,
}

/// Makes Apple's profiles those that are wanted, for one MDM server.
pub(crate) struct Assigner<'a> {
    job: &'a Job<'a>,
    report: AssignReport,
    /// When a batch of a revision was last sent: what comes in drops is gathered for a moment.
    last_sent: HashMap<RevisionId, Timestamp>,
    /// What Apple was asked about in the last round.
    asked_before: Vec<SerialNumber>,
    /// Why Apple did not tell what it shows: it is not asked again meanwhile, and what is due is sent all the same.
    untold: Option<String>,
    /// Revisions that Apple did not know although it had defined them: defined anew once per work, not in a loop.
    redefined: HashSet<RevisionId>,
}

/// Devices to be sent for one revision.
struct Group {
    revision: RevisionId,
    /// Those that wait in [`Job::ready`].
    ready: u64,
    /// Those that are due in the store.
    due: u64,
}

impl Group {
    fn devices(&self) -> u64 {
        self.ready + self.due
    }
}

/// What was sent in one request.
pub(crate) struct Sent {
    pub(crate) revision: RevisionId,
    pub(crate) claims: Vec<Claim>,
    pub(crate) outcome: Outcome,
}

impl Sent {
    /// The answer per device, if there was one.
    pub(crate) fn answer(&self) -> Option<Answer> {
        match &self.outcome {
            Outcome::Settled(settlements) => {
                Some(Answer { revision: self.revision, settlements: Arc::clone(settlements) })
            }
            _ => None,
        }
    }
}

/// What a request to assign came to.
pub(crate) enum Outcome {
    Settled(Arc<[Settlement]>),
    /// Nothing of it reached Apple.
    NotSent(Error),
    /// It may have taken effect (field lesson L29).
    Ambiguous(Error),
    /// Apple does not know the profile.
    NoProfile,
    /// Apple refuses the request itself; sending it again soon would not help.
    Refused(Error),
}

impl<'a> Assigner<'a> {
    pub(crate) fn new(job: &'a Job<'a>) -> Self {
        Self {
            job,
            report: AssignReport::default(),
            last_sent: HashMap::new(),
            asked_before: Vec::new(),
            untold: None,
            redefined: HashSet::new(),
        }
    }

    /// Works until nothing is due and no page can come any more.
    pub(crate) async fn assign(&mut self) -> Result<(), WorkError> {
        let worked = self.rounds().await;
        // Whatever ended it: what has not left is due again. Under a lost lease that is the next holder's to find out.
        let left = self.job.ready.close();
        worked?;
        give_back(self.job, &left).await
    }

    /// What it all came to, once no page can come any more.
    pub(crate) async fn finish(mut self) -> Result<AssignReport, WorkError> {
        // What an import had under way when the assignments were stopped.
        self.conclude_answers().await?;
        self.report.stopped_by = self.report.stopped_by.or(self.untold);
        Ok(self.report)
    }

    async fn rounds(&mut self) -> Result<(), WorkError> {
        loop {
            // Read before the round: what is stored after it rings the bell again.
            let last_round = !self.job.syncing.load(Ordering::SeqCst);
            let worked = self.round().await?;
            if self.report.stopped_by.is_some() || self.job.stopping() {
                return Ok(());
            }
            if worked {
                continue;
            }
            if last_round {
                return Ok(());
            }
            tokio::select! {
                () = self.job.page_stored.notified() => {}
                // What was gathered is sent although no page has come.
                () = self.job.engine.clock.sleep(GATHER.to_std().unwrap_or_default()) => {}
            }
        }
    }

    /// Does what is due now. `true` when something was.
    async fn round(&mut self) -> Result<bool, WorkError> {
        let (job, store) = (self.job, self.job.store());
        if store.decisions_pending(job.server.id).await? {
            // What has not left is decided anew as well.
            give_back(job, &job.ready.take_back(None)).await?;
            while !store.decide_anew(&job.lease, job.now(), BATCH).await? {
                if job.stopping() {
                    return Ok(false);
                }
            }
        }
        let mut worked = self.conclude_answers().await?;
        if self.report.stopped_by.is_some() {
            return Ok(worked);
        }
        for group in self.groups().await? {
            let gathering = group.devices() < u64::from(BATCH)
                && job.syncing.load(Ordering::SeqCst)
                && self.last_sent.get(&group.revision).is_some_and(|at| *at + GATHER > job.now());
            if gathering {
                continue;
            }
            match publish::standing(job, group.revision).await? {
                Standing::Defined(uuid) => worked |= self.send_all(&group, &uuid).await?,
                Standing::Refused(why) => {
                    give_back(job, &job.ready.take_back(Some(group.revision))).await?;
                    if !self.report.refused_profiles.contains(&why) {
                        self.report.refused_profiles.push(why);
                    }
                }
                Standing::NoAnswer(error) => self.stop("define a profile", error).await,
            }
            if self.report.stopped_by.is_some() {
                return Ok(worked);
            }
        }
        Ok(worked | self.ask_again().await?)
    }

    /// Asks Apple about a batch of the devices that it must be asked about before anything is sent. `true` when there was
    /// one. One at a time, and after what is due: a new device waits neither for all that was refused before nor for an
    /// Apple that does not say what it shows.
    async fn ask_again(&mut self) -> Result<bool, WorkError> {
        let job = self.job;
        let doubtful = job.store().to_read_back(&job.lease, job.now(), BATCH).await?;
        // What an answer has not settled is not asked for again at once.
        let new = !doubtful.is_empty() && doubtful != self.asked_before;
        let asks = new && self.untold.is_none() && !job.stopping();
        if asks && let Err(error) = read_back::read_back(job, &doubtful).await? {
            let about_everything = error.wait_until().is_some() || error.token_state().is_some();
            self.stop("tell what it shows for devices", error).await;
            if !about_everything {
                self.untold = self.report.stopped_by.take();
            }
        }
        self.asked_before = doubtful;
        Ok(asks)
    }

    /// Concludes from what was answered to an import. `true` when there was something.
    async fn conclude_answers(&mut self) -> Result<bool, WorkError> {
        let answers = self.job.answers.take();
        let any = !answers.is_empty();
        for Sent { revision, claims, outcome } in answers {
            let redefined = self.redefined.contains(&revision);
            self.conclude(revision, redefined, &claims, outcome).await?;
        }
        Ok(any)
    }

    /// What is to be sent, most devices first: what is due, and what pages have made ready.
    async fn groups(&self) -> Result<Vec<Group>, WorkError> {
        let job = self.job;
        let mut groups: Vec<Group> = job
            .ready
            .groups()
            .into_iter()
            .map(|(revision, ready)| Group { revision, ready, due: 0 })
            .collect();
        for DueGroup { revision, devices } in job.store().due_groups(job.server.id, job.now()).await? {
            match groups.iter_mut().find(|group| group.revision == revision) {
                Some(group) => group.due = devices,
                None => groups.push(Group { revision, ready: 0, due: devices }),
            }
        }
        groups.sort_by_key(|group| (std::cmp::Reverse(group.devices()), group.revision.0));
        Ok(groups)
    }

    /// Sends every device that is to be sent for a revision, in several batches at once. Each of them claims, sends
    /// and stores by itself, so that no request waits until the answer to another is stored.
    async fn send_all(&mut self, group: &Group, uuid: &ProfileUuid) -> Result<bool, WorkError> {
        let (job, revision) = (self.job, group.revision);
        let redefined = self.redefined.contains(&revision);
        let batches = usize::try_from(group.devices().div_ceil(u64::from(BATCH))).unwrap_or(usize::MAX);
        let at_once = batches.clamp(1, job.settings.assigns_in_flight.max(1));
        let due = group.due > 0;
        // While pages come, what is ready and fills no batch waits for more; unless it has waited.
        let partial = |first: bool| {
            !job.syncing.load(Ordering::SeqCst) || (first && group.devices() < u64::from(BATCH))
        };
        let mut under_way: FuturesUnordered<_> =
            (0..at_once).map(|batch| send_batch(job, revision, uuid, partial(batch == 0), due)).collect();
        let mut worked = false;
        let mut more = true;
        while let Some(batch) = under_way.next().await {
            let (claims, outcome) = batch?;
            // A batch that is not full is the last for now: what comes later is gathered.
            more &= claims.len() == BATCH as usize && matches!(outcome, Outcome::Settled(_));
            if !claims.is_empty() {
                worked = true;
                self.last_sent.insert(revision, job.now());
                self.conclude(revision, redefined, &claims, outcome).await?;
            }
            // The answers of an import do not pile up meanwhile.
            self.conclude_answers().await?;
            more &= self.report.stopped_by.is_none();
            if more && !job.stopping() {
                under_way.push(send_batch(job, revision, uuid, partial(false), due));
            }
        }
        Ok(worked)
    }

    /// Counts what a request came to, and stores it unless it is an answer per device, which is stored already:
    /// every serial that was sent ends in a state or with a time (field lesson L23). `redefined`: whether the
    /// profile had been defined anew before the request.
    async fn conclude(
        &mut self,
        revision: RevisionId,
        redefined: bool,
        claims: &[Claim],
        outcome: Outcome,
    ) -> Result<(), WorkError> {
        let (job, store) = (self.job, self.job.store());
        let serials = || claims.iter().map(|claim| claim.serial.clone()).collect::<Vec<_>>();
        match outcome {
            Outcome::Settled(settlements) => self.count(&settlements),
            Outcome::NotSent(error) => {
                let at = error.wait_until().unwrap_or_else(|| job.now() + TimeDelta::minutes(1));
                store.unclaim(&job.lease, &serials(), &crate::chain(&error), at).await?;
                self.stop("take an assignment", error).await;
            }
            Outcome::Ambiguous(error) => {
                tracing::warn!(server = %job.server.name, %error, devices = claims.len(), "no clear answer to an assignment; reading back");
                self.count_open(revision, claims).await?;
                if let Err(error) = read_back::read_back(job, &serials()).await? {
                    // They stay `sent` and are read back when their time has come.
                    self.stop("tell what it shows for devices", error).await;
                }
            }
            Outcome::NoProfile => {
                self.redefined.insert(revision);
                store.forget_published(&job.lease, revision).await?;
                let at = if redefined { job.now() + TimeDelta::hours(1) } else { job.now() };
                store
                    .unclaim(
                        &job.lease,
                        &serials(),
                        "Apple no longer knew the profile; it is defined anew",
                        at,
                    )
                    .await?;
                if redefined {
                    self.report.stopped_by = Some(
                        "Apple does not know a profile that it has just defined; tried again in an hour"
                            .to_owned(),
                    );
                }
            }
            Outcome::Refused(error) => {
                let at = job.now() + TimeDelta::hours(1);
                store.unclaim(&job.lease, &serials(), &crate::chain(&error), at).await?;
                self.stop("take an assignment", error).await;
            }
        }
        Ok(())
    }

    /// Counts the attempt of what was sent with its page, which is not counted before the request leaves: an Apple that
    /// goes on failing is known by the attempts.
    async fn count_open(&self, revision: RevisionId, claims: &[Claim]) -> Result<(), WorkError> {
        let job = self.job;
        let open = |claim: &Claim| Settlement {
            serial: claim.serial.clone(),
            state: AssignState::Sent,
            reason: "Apple gave no clear answer; it is asked what it shows".to_owned(),
            next_attempt_at: Some(job.now() + job.settings.verify_after),
            profile_uuid: None,
            drifted: claim.drifted,
        };
        let open: Vec<_> = claims.iter().filter(|claim| claim.attempts <= 1).map(open).collect();
        if !open.is_empty() {
            job.store().settle(&job.lease, revision, &open, job.now()).await?;
        }
        Ok(())
    }

    fn count(&mut self, settlements: &[Settlement]) {
        let assigned = settlements.iter().filter(|s| s.state == AssignState::Assigned).count() as u64;
        self.report.assigned += assigned;
        for settlement in settlements.iter().filter(|s| s.state != AssignState::Assigned) {
            *self.report.not_assigned.entry(settlement.state).or_default() += 1;
        }
        let rest = settlements.len() as u64 - assigned;
        if assigned > 0 {
            self.job.notice(Progress::Assigned { devices: assigned });
        }
        if rest > 0 {
            self.job.notice(Progress::NotAssigned { devices: rest });
        }
    }

    /// Ends the assignments for now, because of something that is not about single devices.
    async fn stop(&mut self, doing: &'static str, error: Error) {
        let error = self.job.apple(doing, error).await;
        self.report.stopped_by = Some(crate::chain(&error));
    }
}

/// Takes or claims a batch, sends it, and stores the answer if it is one per device. `partial`: whether less than a
/// full batch of what is ready may go; `due`: whether the store has something to claim.
async fn send_batch(
    job: &Job<'_>,
    revision: RevisionId,
    uuid: &ProfileUuid,
    partial: bool,
    due: bool,
) -> Result<(Vec<Claim>, Outcome), WorkError> {
    let _assigning = job.assigning.acquire().await;
    let (store, now) = (job.store(), job.now());
    let mut claims = job.ready.take(revision, partial, now);
    let room = BATCH.saturating_sub(u32::try_from(claims.len()).unwrap_or(BATCH));
    if due && room > 0 {
        claims
            .extend(store.claim_due(&job.lease, revision, room, now, now + job.settings.verify_after).await?);
    }
    if claims.is_empty() {
        return Ok((claims, Outcome::Settled(Arc::default())));
    }
    let outcome = send(job, &claims, uuid).await?;
    if let Outcome::Settled(settlements) = &outcome {
        let throttled = settlements.iter().filter(|one| one.state == AssignState::Throttled);
        job.ready.forget(&throttled.map(|one| &one.serial).collect());
        store.settle(&job.lease, revision, settlements, job.now()).await?;
    }
    Ok((claims, outcome))
}

/// Makes devices due again that were made `sent` and have not left.
pub(crate) async fn give_back(job: &Job<'_>, serials: &[SerialNumber]) -> Result<(), WorkError> {
    for batch in serials.chunks(BATCH as usize) {
        job.store().unclaim(&job.lease, batch, "it was not sent", job.now()).await?;
    }
    Ok(())
}

/// Sends a batch whose intent is stored.
///
/// # Errors
/// `LeaseLost`; then nothing was sent.
pub(crate) async fn send(job: &Job<'_>, claims: &[Claim], uuid: &ProfileUuid) -> Result<Outcome, WorkError> {
    halt::point("assign.after_intent");
    let devices: Vec<SerialNumber> = claims.iter().map(|claim| claim.serial.clone()).collect();
    let request = assign_profile::Request { profile_uuid: uuid.clone(), devices };
    let may_leave = || job.may_send();
    let outcome = match job.client.send_while(&request, &may_leave).await {
        Err(Error::Withheld { .. }) => return Err(StoreError::LeaseLost(job.server.id).into()),
        Ok(response) => Outcome::Settled(settle::settlements(&response, claims, uuid, job.now())),
        Err(Error::ProfileNotFound { .. }) => Outcome::NoProfile,
        Err(error) if error.may_have_taken_effect() => Outcome::Ambiguous(error),
        Err(error) if error.token_state().is_some() || error.is_retryable() => Outcome::NotSent(error),
        Err(error) => Outcome::Refused(error),
    };
    halt::point("assign.answered");
    Ok(outcome)
}

const _: () = assert!(BATCH as usize == device_details::MAX_SERIALS);
