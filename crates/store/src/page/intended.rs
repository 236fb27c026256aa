use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use adelie_model::{
    AssignState, Counts, Device, OpType, ProfileStatus, RevisionId, SerialNumber, ServerId, Timestamp,
    to_millis,
};

use super::{Known, PageContext, PagePlan, Ready, ahead, decide, merge};
use crate::event::{self, DeviceAdded, NewEvent, settled};
use crate::{Claim, Lease, PageCommit, Policy, SendAhead, Settlement};

/// Pages that are worked out and not stored: only the intent to send some of their devices is (field lesson L29). They
/// are stored with Apple's answers, so that a device of a first import is written once and not twice.
#[derive(Clone, Debug)]
pub struct Intended {
    /// The pages, without their records.
    pub pages: Vec<PageCommit>,
    /// What each of them changes. All devices are new.
    pub plans: Vec<PagePlan>,
    /// The devices that are to be sent.
    pub ready: Vec<Ready>,
    /// What they were decided by.
    pub policy: Policy,
    /// The stored intent; `None` when nothing is to be sent.
    pub intent: Option<i64>,
}

/// What Apple answered to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The revision that the devices were sent for.
    pub revision: RevisionId,
    /// What became of them.
    pub settlements: Arc<[Settlement]>,
}

/// Works out pages of a listing of which no device is stored, as [`plan_group`](super::plan_group) would with
/// [`SendAhead`].
///
/// # Errors
/// The pages, when a device is among them twice or is said to have left: then they have to be stored before anything is
/// sent.
pub fn intend(
    server: ServerId,
    first_import: bool,
    mut pages: Vec<PageCommit>,
    policy: Policy,
    ahead: SendAhead,
) -> Result<Intended, Vec<PageCommit>> {
    let mut known = HashSet::with_capacity(pages.iter().map(|page| page.records.len()).sum());
    let mut records = pages.iter().flat_map(|page| &page.records);
    if !records.all(|record| record.op_type != Some(OpType::Deleted) && known.insert(&record.serial)) {
        return Err(pages);
    }
    let mut plans = Vec::with_capacity(pages.len());
    let mut ready = Vec::new();
    for page in &mut pages {
        let context = PageContext {
            server,
            seen_run: page.seen_run,
            now: to_millis(page.now),
            source: page.phase.into(),
            first_import,
        };
        plans.push(plan(&context, page, &policy, to_millis(ahead.verify_at), &mut ready));
    }
    Ok(Intended { pages, plans, ready, policy, intent: None })
}

/// Works out a page. Its records become the devices.
fn plan(
    context: &PageContext,
    page: &mut PageCommit,
    policy: &Policy,
    verify_at: Timestamp,
    ready: &mut Vec<Ready>,
) -> PagePlan {
    let records = std::mem::take(&mut page.records);
    let number = records.len() as u64;
    let counts = Counts { pages: 1, records: number, added: number, ..Counts::default() };
    let mut plan = PagePlan { counts, ..PagePlan::default() };
    if context.first_import {
        plan.events.extend(event::imported(&records.iter().map(|record| &record.serial).collect::<Vec<_>>()));
    }
    let mut claims: BTreeMap<RevisionId, Vec<Claim>> = BTreeMap::new();
    // As a rule all of them are sent, and growing would copy each of them twice.
    plan.sent.new.reserve_exact(records.len());
    for record in records {
        let mut device = merge::added(context, record, policy);
        if !context.first_import {
            let details = DeviceAdded { was: None, device: (&device.actual).into() };
            plan.events.push(NewEvent::of_device(device.serial.clone(), "device.added", &details));
        }
        match ahead::send(&mut device, policy, context.now, verify_at) {
            Some((revision, claim)) => {
                claims.entry(revision).or_default().push(claim);
                plan.sent.new.push(device);
            }
            None => plan.writes.new.push(device),
        }
    }
    if plan.sent.new.is_empty() {
        plan.sent.new = Vec::new();
    }
    ready.extend(ahead::sorted(claims));
    plan
}

impl Intended {
    /// The devices that are to be sent, of all revisions.
    pub fn serials(&self) -> impl Iterator<Item = &SerialNumber> {
        self.ready.iter().flat_map(|ready| &ready.claims).map(|claim| &claim.serial)
    }

    /// The events that tell of the pages themselves.
    #[must_use]
    pub fn sync_pages(&self) -> Vec<NewEvent> {
        let pages = self.pages.iter().zip(&self.plans);
        pages
            .map(|(page, plan)| event::listed_page(page, plan.sent.iter().chain(plan.writes.iter())))
            .collect()
    }

    /// The devices in the order of their serial numbers, in which neighbours of an index are written together; each with
    /// the epoch under which it is sent, or 0 when it is not.
    #[must_use]
    pub fn in_order(&self, lease: &Lease) -> Vec<(&Device, i64)> {
        let mut devices = Vec::with_capacity(self.plans.iter().map(|plan| plan.sent.new.len()).sum());
        for plan in &self.plans {
            devices.extend(plan.writes.new.iter().map(|device| (device, 0)));
            devices.extend(plan.sent.new.iter().map(|device| (device, lease.epoch)));
        }
        devices.sort_unstable_by(|(a, _), (b, _)| a.serial.cmp(&b.serial));
        devices
    }

    /// What the pages do, all of them together.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.plans.iter().fold(Counts::default(), |mut all, plan| {
            all += plan.counts;
            all
        })
    }

    /// Takes in what Apple answered, as [`settle`](crate::AssignStore::settle) does with stored devices. Returns the
    /// events that tell of it.
    #[must_use]
    pub fn take_in(&mut self, answers: &[Answer], now: Timestamp) -> Vec<NewEvent> {
        let mut by_serial: HashMap<&SerialNumber, (RevisionId, &Settlement)> = HashMap::new();
        for answer in answers {
            by_serial.extend(answer.settlements.iter().map(|one| (&one.serial, (answer.revision, one))));
        }
        for device in self.plans.iter_mut().flat_map(|plan| &mut plan.sent.new) {
            match by_serial.get(&device.serial) {
                Some((revision, one)) if device.assignment.wanted == Some(*revision) => {
                    settle(device, one, now);
                }
                _ => {}
            }
        }
        answers.iter().flat_map(|answer| settled(answer.revision, &answer.settlements)).collect()
    }

    /// Whether this policy decides as the one did that the pages were worked out by.
    #[must_use]
    pub fn is_decided_by(&self, policy: &Policy) -> bool {
        policy.decides_like(&self.policy)
    }

    /// Decides anew, after the answers were taken in, because what decides has changed since the pages were worked out.
    pub fn decide_anew(&mut self, policy: &Policy, now: Timestamp) {
        for plan in &mut self.plans {
            for device in plan.sent.new.iter_mut().chain(&mut plan.writes.new) {
                device.assignment = decide(device, policy, Known::Before, now);
            }
        }
        self.policy = policy.clone();
    }
}

/// Takes in what became of a new device that was sent. Nobody can hold it yet.
fn settle(device: &mut Device, one: &Settlement, now: Timestamp) {
    let assignment = &mut device.assignment;
    assignment.state = one.state;
    assignment.reason.clone_from(&one.reason);
    assignment.next_attempt_at = one.next_attempt_at;
    assignment.attempts = if one.state == AssignState::Assigned { 0 } else { assignment.attempts.max(1) };
    if let Some(uuid) = &one.profile_uuid {
        device.actual.profile_uuid = Some(uuid.clone());
        device.actual.profile_status = Some(ProfileStatus::Assigned);
        device.actual.profile_assign_time = Some(now);
    }
}
