//! What the witness sees of the writes to the store.

use std::collections::BTreeSet;

use adelie_model::{AssignState, Assignment, Device, RevisionId, SerialNumber, ServerId, Timestamp, Trigger};
use adelie_store::{Lease, RunStart, Settlement, page};

use super::{Witness, number};
use crate::executor::Owner;

impl Witness {
    /// A copy has stored what became of devices that it had sent for a revision. Those in `before` were `sent`, some of
    /// them only to be asked about.
    pub fn settled(
        &self,
        copy: Owner,
        lease: &Lease,
        revision: RevisionId,
        settlements: &[Settlement],
        before: &[Device],
        after: &[Device],
    ) {
        self.see("settlements");
        let server = number(lease.server);
        let wanted = |serial: &SerialNumber| {
            let waits = |sent: &Assignment| sent.wanted == Some(revision) && sent.reason != page::ASKED_FIRST;
            before.iter().any(|sent| sent.serial == *serial && waits(&sent.assignment))
        };
        for settlement in settlements.iter().filter(|settlement| wanted(&settlement.serial)) {
            let state = after.iter().find(|d| d.serial == settlement.serial).map(|d| d.assignment.state);
            if state != Some(settlement.state) && state != Some(AssignState::Held) {
                let (serial, wanted) = (&settlement.serial, settlement.state);
                self.violation(format!(
                    "copy {copy}: {serial} is {state:?} after it was settled as {wanted}"
                ));
            }
        }
        // That nothing clear was answered is counted in the same way. An answer that came before to a copy without its lease
        // is not what is stored then.
        if settlements.iter().all(|settlement| settlement.state == AssignState::Sent) {
            return;
        }
        let settled: BTreeSet<String> =
            settlements.iter().map(|settlement| settlement.serial.as_str().to_owned()).collect();
        let mut state = self.state();
        let answers = state.to_settle.entry((copy, server)).or_default();
        // The newest: the lease was lost before an older one could be stored.
        let Some(place) = answers.iter().rposition(|answer| !answer.serials.is_disjoint(&settled)) else {
            return;
        };
        let answer = answers.remove(place);
        // What was not waited for any more, because it has left or was read back meanwhile, is not stored.
        let waited_for = |one: &&String| before.iter().any(|sent| sent.serial.as_str() == *one);
        for serial in answer.throttled.iter().filter(waited_for) {
            state.throttled.insert((server, serial.clone()), answer.until);
        }
        drop(state);
        if answer.serials != settled {
            let missing: Vec<_> = answer.serials.difference(&settled).collect();
            self.violation(format!(
                "copy {copy}: nothing is stored of {missing:?}, which Apple answered about"
            ));
        }
    }

    /// Whether a device of an MDM server is not to be sent for now.
    pub fn any_throttled(&self, server: ServerId) -> bool {
        self.state().throttled.keys().any(|(of, _)| *of == number(server))
    }

    /// A device that shows the profile that is wanted by now, or has left, does not remember how long Apple throttles
    /// it. That is a known gap: should the wish change once more, it is sent before its time.
    pub fn forgets_cool_downs(&self, server: ServerId, devices: &[Device]) {
        let forgets = |device: &&Device| {
            use AssignState::{Assigned, Drifted, Pushed, Removed};
            matches!(device.assignment.state, Assigned | Pushed | Drifted | Removed)
        };
        let mut state = self.state();
        for device in devices.iter().filter(forgets) {
            state.throttled.remove(&(number(server), device.serial.as_str().to_owned()));
        }
    }

    /// Pages were stored.
    pub fn pages_committed(&self, copy: Owner, lease: &Lease, pages: usize) {
        (0..pages).for_each(|_| self.see("pages"));
        let server = number(lease.server);
        let before = self.state().epochs.insert(server, lease.epoch);
        if before.is_some_and(|before| before > lease.epoch) {
            self.violation(format!(
                "copy {copy} stored a page of MDM server {server} under epoch {} after one under {before:?}",
                lease.epoch
            ));
        }
    }

    /// A run has begun.
    pub fn run_begun(&self, copy: Owner, lease: &Lease, start: &RunStart) {
        self.see("runs");
        let server = number(lease.server);
        let mut wrong = None;
        {
            let mut state = self.state();
            state.listings.insert((copy, server), 0);
            state.stuck.remove(&(copy, server));
            *state.open_runs.entry((copy, server)).or_default() += 1;
            if start.trigger == Trigger::Recovery {
                let times = state.recoveries.entry((server, lease.epoch)).or_default();
                *times += 1;
                if *times > 1 {
                    wrong = Some("a second recovery under one lease");
                }
                if state.exhausted.get(&(copy, server)) == Some(&true) {
                    wrong = Some("an exhausted cursor is taken for a lost one");
                }
            }
        }
        if let Some(wrong) = wrong {
            self.violation(format!("copy {copy} at MDM server {server}: {wrong}"));
        }
    }

    /// A run has ended.
    pub fn run_ended(&self, copy: Owner, lease: &Lease) {
        if let Some(open) = self.state().open_runs.get_mut(&(copy, number(lease.server))) {
            *open = open.saturating_sub(1);
        }
    }

    /// That Apple wants to be left alone is stored.
    pub fn waits(&self, server: ServerId, until: Timestamp) {
        self.see("waits");
        let mut state = self.state();
        let known = state.waits.entry(number(server)).or_insert(until);
        *known = until.max(*known);
    }

    /// A copy is about to remove what a listing did not show.
    pub fn removes(&self, copy: Owner, server: ServerId, absent: u64, present: u64) {
        if absent == 0 {
            return;
        }
        self.see("removals");
        let accepted = self.state().accepting.get(&(copy, number(server))).is_some_and(|syncs| *syncs > 0);
        let plausible = absent < present && (absent <= 5 || absent <= present / 10);
        if !accepted && !plausible {
            self.violation(format!(
                "copy {copy} removes {absent} of {present} devices without anybody's word"
            ));
        }
    }
}
