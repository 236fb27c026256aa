use std::collections::BTreeMap;

use adelie_model::{AssignState, Device, RevisionId, Timestamp};

use super::PagePlan;
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
    let may_go = |device: &Device| {
        let assignment = &device.assignment;
        assignment.state == AssignState::Due
            && assignment.next_attempt_at.is_some_and(|at| at <= now)
            && assignment.wanted.is_some_and(|revision| policy.published.contains_key(&revision))
    };
    let (mut sent, rest): (Vec<Device>, Vec<Device>) =
        std::mem::take(&mut plan.upserts).into_iter().partition(may_go);
    sent.sort_unstable_by(|a, b| a.serial.cmp(&b.serial));
    let mut ready: BTreeMap<RevisionId, Vec<Claim>> = BTreeMap::new();
    for device in &mut sent {
        let assignment = &mut device.assignment;
        assignment.state = AssignState::Sent;
        assignment.next_attempt_at = Some(verify_at);
        if let Some(revision) = assignment.wanted {
            let claim =
                Claim { serial: device.serial.clone(), attempts: assignment.attempts.saturating_add(1) };
            ready.entry(revision).or_default().push(claim);
        }
    }
    plan.upserts = rest;
    plan.sent = sent;
    ready.into_iter().map(|(revision, claims)| Ready { revision, claims }).collect()
}
