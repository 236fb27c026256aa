use std::collections::BTreeMap;

use adelie_model::{AssignState, Device, RevisionId, Timestamp};

use super::{PagePlan, Writes, has_drifted};
use crate::{Claim, Policy};

/// Devices that are `sent` for a revision and have to be sent next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The revision they are to have.
    pub revision: RevisionId,
    /// The devices, in the order of their serial numbers.
    pub claims: Vec<Claim>,
}

/// Makes `sent` what a page finds due, so that its transaction stores the intent to assign as well (field lesson
/// L29). It is counted as an attempt when it is settled and not yet: many of a killed process's have never left, and
/// none of them is to wait because of that. Only what could be claimed at once: due by now, for a revision that Apple has. Everything else stays due.
#[must_use]
pub fn send_ahead(plan: &mut PagePlan, policy: &Policy, now: Timestamp, verify_at: Timestamp) -> Vec<Ready> {
    let may_go = |device: &Device| may_go(device, policy, now);
    let (new, rest_of_new): (Vec<_>, Vec<_>) = plan.writes.new.drain(..).partition(may_go);
    let (known, rest_of_known): (Vec<_>, Vec<_>) = plan.writes.known.drain(..).partition(may_go);
    plan.writes = Writes { new: rest_of_new, known: rest_of_known };
    plan.sent = Writes { new, known };
    let mut ready: BTreeMap<RevisionId, Vec<Claim>> = BTreeMap::new();
    for device in plan.sent.new.iter_mut().chain(&mut plan.sent.known) {
        if let Some((revision, claim)) = send(device, policy, now, verify_at) {
            ready.entry(revision).or_default().push(claim);
        }
    }
    sorted(ready).collect()
}

/// Makes one device `sent`, if it could be claimed at once.
pub(super) fn send(
    device: &mut Device,
    policy: &Policy,
    now: Timestamp,
    verify_at: Timestamp,
) -> Option<(RevisionId, Claim)> {
    if !may_go(device, policy, now) {
        return None;
    }
    let assignment = &mut device.assignment;
    assignment.state = AssignState::Sent;
    assignment.next_attempt_at = Some(verify_at);
    let claim = Claim {
        serial: device.serial.clone(),
        attempts: assignment.attempts.saturating_add(1),
        drifted: has_drifted(&assignment.reason),
    };
    assignment.wanted.map(|revision| (revision, claim))
}

fn may_go(device: &Device, policy: &Policy, now: Timestamp) -> bool {
    let assignment = &device.assignment;
    assignment.state == AssignState::Due
        && assignment.next_attempt_at.is_some_and(|at| at <= now)
        && assignment.wanted.is_some_and(|revision| policy.published.contains_key(&revision))
}

/// The devices of each revision in the order of their serial numbers.
pub(super) fn sorted(claims: BTreeMap<RevisionId, Vec<Claim>>) -> impl Iterator<Item = Ready> {
    claims.into_iter().map(|(revision, mut claims)| {
        claims.sort_unstable_by(|a, b| a.serial.cmp(&b.serial));
        Ready { revision, claims }
    })
}
