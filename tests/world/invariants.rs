//! What must hold once everything has come to rest.

use std::collections::{BTreeMap, BTreeSet};

use adelie_model::{AssignState, Clock, Device, DriftMode, ProfileStatus, ProfileUuid, RevisionId};
use adelie_simulator::TruthDevice;
use adelie_store::{DeviceFilter, MdmServer, StoredEvent};
use serde_json::Value;

use crate::wishes::wanted;
use crate::world::{APPLE_NAMES, World, server_id};

impl World {
    /// After some days without a full sync: whatever Apple has told of is known.
    pub fn check_before_full_sync(&self) {
        for server in 0..2 {
            let needs_full = {
                let state = self.witness.state();
                let here = state.needs_full.iter().filter(|(of, _)| *of == server);
                here.map(|(_, serial)| serial.clone()).collect::<BTreeSet<_>>()
            };
            let counts = |serial: &str| !needs_full.contains(serial);
            self.compare(server, false, counts);
            // An event from before an assignment of which Apple tells nothing hides it until the next full sync.
            if self.apple.settings().own_changes_in_sync {
                self.check_assignments(server, "before a full sync", counts);
            }
        }
    }

    /// After a full sync and all retries.
    pub fn check_at_rest(&self) {
        if self.witness.first_violation().is_some() {
            return;
        }
        for server in 0..2 {
            self.compare(server, true, |_| true);
            self.check_assignments(server, "at rest", |_| true);
            self.check_history(server);
        }
        if self.network.waiting() > 0 {
            self.witness.violation("at rest: a request is still on its way".to_owned());
        }
        self.witness.check_requests();
    }

    pub fn row(&self, server: usize) -> MdmServer {
        let found = self.block_on(self.store.server_by_id(server_id(server)));
        found.expect("the store answers").expect("it is there")
    }

    pub fn stored(&self, server: usize) -> BTreeMap<String, Device> {
        let filter = DeviceFilter { server: Some(server_id(server)), ..DeviceFilter::default() };
        let devices = self.block_on(self.store.devices(&filter, None, 10_000)).expect("the store answers");
        devices.into_iter().map(|view| (view.device.serial.as_str().to_owned(), view.device)).collect()
    }

    fn truth(&self, server: usize) -> BTreeMap<String, TruthDevice> {
        let truth = self.apple.truth(APPLE_NAMES[server]).expect("it is there");
        truth.into_iter().map(|device| (device.serial_number.clone(), device)).collect()
    }

    /// I1: the devices that are not removed are Apple's, with Apple's facts.
    /// Without a full sync, events that Apple repeats may hide an assignment of which it has told nothing.
    fn compare(&self, server: usize, full: bool, counts: impl Fn(&str) -> bool) {
        let when = if full { "at rest" } else { "before a full sync" };
        let (stored, truth) = (self.stored(server), self.truth(server));
        // Removals that wait for an operator's word are all that is missing then.
        let waits = self.row(server).attention.is_some();
        let wrong = |serial: &str, what: String| {
            self.witness.violation(format!("{when}: {serial} at MDM server {server} {what}"));
        };
        for (serial, device) in stored.iter().filter(|(_, device)| device.removed_at.is_none()) {
            if !truth.contains_key(serial) && counts(serial) && !waits {
                wrong(serial, format!("has left, and it is stored as {}", device.assignment.state));
            }
        }
        for (serial, shown) in truth.iter().filter(|(serial, _)| counts(serial)) {
            let Some(device) = stored.get(serial).filter(|device| device.removed_at.is_none()) else {
                wrong(serial, "is not stored".to_owned());
                continue;
            };
            let actual = &device.actual;
            if actual.asset_tag.as_ref() != self.model.tags.get(serial) {
                wrong(serial, format!("has asset tag {:?}", actual.asset_tag));
            }
            let status = actual.profile_status.as_ref().map(ProfileStatus::as_str);
            let uuid = actual.profile_uuid.as_ref().map(ProfileUuid::as_str);
            let (real_status, real_uuid) = (shown.profile_status.as_str(), shown.profile_uuid.as_deref());
            let profiles = full || self.apple.settings().own_changes_in_sync;
            if profiles && (!self.is_as_told(status, real_status) || uuid != real_uuid) {
                wrong(
                    serial,
                    format!("shows {real_status} {real_uuid:?}, and {status:?} {uuid:?} is stored"),
                );
            }
        }
    }

    /// Whether a stored status is Apple's. A device that has been switched on before shows what we assign as pushed at
    /// once, which an Apple that tells nothing of our own changes lets us know by a full sync only.
    fn is_as_told(&self, stored: Option<&str>, real: &str) -> bool {
        let told = self.apple.settings().own_changes_in_sync;
        stored == Some(real) || (!told && (stored, real) == (Some("assigned"), "pushed"))
    }

    /// I2: every device has what it is to have, or a reason why not.
    fn check_assignments(&self, server: usize, when: &str, counts: impl Fn(&str) -> bool) {
        let (row, truth, now) = (self.row(server), self.truth(server), self.clock.now());
        let report_only = row.sync.drift == Some(DriftMode::Report);
        let decided = self.what_is_decided();
        for (serial, device) in self.stored(server).into_iter().filter(|(serial, _)| counts(serial)) {
            let assignment = &device.assignment;
            let wrong = |what: String| {
                let (state, reason) = (assignment.state, &assignment.reason);
                self.witness.violation(format!(
                    "{when}: {serial} at MDM server {server} is {state} ({reason}): {what}"
                ));
            };
            // A device for which there is nothing to do only remembers how long Apple throttles it.
            let rests = matches!(
                assignment.state,
                AssignState::Held | AssignState::Unmatched | AssignState::Assigned | AssignState::Pushed
            );
            if !rests && assignment.next_attempt_at.is_some_and(|at| at <= now) {
                wrong("its time has passed".to_owned());
            }
            let Some(shown) = truth.get(&serial).filter(|_| device.removed_at.is_none()) else { continue };
            let wanted = wanted(&decided, server, &device);
            match (wanted.is_empty(), &device.hold, assignment.state) {
                (_, Some(_), AssignState::Held) | (true, None, AssignState::Unmatched) => {}
                (_, Some(_), _) | (true, None, _) => wrong("it should be held or unmatched".to_owned()),
                (false, None, AssignState::Drifted) if report_only => {}
                (false, None, state) => {
                    let revision = assignment.wanted.filter(|revision| wanted.contains(revision));
                    if revision.is_none() {
                        wrong(format!("{:?} is wanted, and it is to be of {wanted:?}", assignment.wanted));
                    }
                    let uuid = revision.and_then(|revision| self.uuid(server, revision));
                    if uuid.is_none()
                        || shown.profile_uuid.as_deref() != uuid.as_ref().map(ProfileUuid::as_str)
                    {
                        wrong(format!("{uuid:?} is wanted and Apple shows {:?}", shown.profile_uuid));
                    }
                    if !self.is_as_told(Some(state.as_str()), &shown.profile_status) {
                        wrong(format!("Apple shows it as {}", shown.profile_status));
                    }
                }
            }
        }
    }

    /// Apple's name of a revision at an MDM server.
    fn uuid(&self, server: usize, revision: RevisionId) -> Option<ProfileUuid> {
        let published = self.block_on(self.store.published_at(server_id(server), revision));
        published.expect("the store answers").and_then(|published| published.profile_uuid)
    }

    /// I3: each device's history has every arrival and departure once, and ends in what is so.
    fn check_history(&self, server: usize) {
        let stored = self.stored(server);
        for (serial, device) in &stored {
            let reading = self.store.device_events(server_id(server), &device.serial, None, 10_000);
            let mut events = self.block_on(reading).expect("the store answers");
            events.reverse();
            let arrivals = self.witness.arrivals(server, serial);
            if let Err(what) = history(&events, device, arrivals) {
                self.witness.violation(format!("the history of {serial} at MDM server {server}: {what}"));
            }
        }
    }
}

/// What is wrong with a history, oldest event first.
fn history(events: &[StoredEvent], device: &Device, arrivals: u32) -> Result<(), String> {
    let mut present = false;
    let mut tag: Option<Value> = None;
    let arrives = |event: &&StoredEvent| matches!(event.kind.as_str(), "device.added" | "devices.imported");
    let told = events.iter().filter(arrives).count();
    if told > usize::try_from(arrivals).unwrap_or(usize::MAX) {
        return Err(format!("{told} arrivals are told, and there were {arrivals}"));
    }
    for event in events {
        match event.kind.as_str() {
            "device.added" | "devices.imported" if present => return Err("it arrives twice".to_owned()),
            "device.added" | "devices.imported" => (present, tag) = (true, None),
            "device.removed" if !present => return Err("it leaves and was not there".to_owned()),
            "device.removed" => present = false,
            "device.modified" if !present => return Err("it changes and was not there".to_owned()),
            "device.modified" => {
                if let Some([before, after]) =
                    event.data["changes"]["asset_tag"].as_array().map(Vec::as_slice)
                {
                    if tag.as_ref().is_some_and(|tag| tag != before) {
                        return Err(format!("the asset tag was {tag:?} and then {before}"));
                    }
                    tag = Some(after.clone());
                }
            }
            _ => {}
        }
    }
    if present != device.removed_at.is_none() {
        return Err(format!("it ends with the device {}", if present { "there" } else { "gone" }));
    }
    let now = serde_json::json!(device.actual.asset_tag);
    if present && tag.as_ref().is_some_and(|tag| *tag != now) {
        return Err(format!("the asset tag ends as {tag:?} and is {now}"));
    }
    Ok(())
}
