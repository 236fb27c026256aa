use std::collections::HashMap;

use adelie_model::{AssignState, Device, ProfileStatus, RevisionId, SerialNumber, ServerId, Timestamp};

use super::{GroupPlan, Known, NewEvent, decide, plan_group, settled};
use crate::{PageCommit, Policy, SendAhead, Settlement};

/// Pages that are worked out and not stored: only the intent to send some of their devices is (field lesson L29). They
/// are stored with Apple's answers, so that a device of a first import is written once and not twice.
#[derive(Clone, Debug)]
pub struct Intended {
    /// What the pages change, with the devices to be sent.
    pub group: GroupPlan,
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
    pub settlements: Vec<Settlement>,
}

/// Works out pages of which no device is stored. `None` when a device is in more than one of them, or does not stay
/// one to be inserted for another reason: then they have to be stored before anything is sent.
#[must_use]
pub fn intend(
    server: ServerId,
    first_import: bool,
    pages: &[PageCommit],
    policy: Policy,
    ahead: SendAhead,
) -> Option<Intended> {
    let group = plan_group(server, first_import, pages, HashMap::new(), &policy, Some(ahead));
    let inserts = group
        .pages
        .iter()
        .all(|page| page.writes.known.is_empty() && page.sent.known.is_empty() && page.seen.is_empty());
    inserts.then_some(Intended { group, policy, intent: None })
}

impl Intended {
    /// The devices that are to be sent, of all revisions.
    pub fn serials(&self) -> impl Iterator<Item = &SerialNumber> {
        self.group.ready.iter().flat_map(|ready| &ready.claims).map(|claim| &claim.serial)
    }

    /// Takes in what Apple answered, as [`settle`](crate::AssignStore::settle) does with stored devices, and decides
    /// anew if the defaults have changed since the pages were worked out. Returns the events that tell of the answers.
    #[must_use]
    pub fn settle(&mut self, answers: &[Answer], policy: &Policy, now: Timestamp) -> Vec<NewEvent> {
        let mut by_serial: HashMap<&SerialNumber, (RevisionId, &Settlement)> = HashMap::new();
        for answer in answers {
            by_serial.extend(answer.settlements.iter().map(|one| (&one.serial, (answer.revision, one))));
        }
        let changed = policy.defaults != self.policy.defaults || policy.drift != self.policy.drift;
        for page in &mut self.group.pages {
            for device in &mut page.sent.new {
                match by_serial.get(&device.serial) {
                    Some((revision, one)) if device.assignment.wanted == Some(*revision) => {
                        settle(device, one, now);
                    }
                    _ => {}
                }
            }
            if changed {
                for device in page.sent.new.iter_mut().chain(&mut page.writes.new) {
                    device.assignment = decide(device, policy, Known::Before, now);
                }
            }
        }
        answers.iter().flat_map(|answer| settled(answer.revision, &answer.settlements)).collect()
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
