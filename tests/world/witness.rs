//! Sees every request, every answer and every write of every copy, and notes what must never happen.

mod stored;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use adelie_dep::endpoints::{assign_profile, device_details};
use adelie_dep::{Delivery, DevicePage, DeviceResult, TransportError};
use adelie_model::{Clock, SerialNumber, ServerId, Timestamp};
use adelie_simulator::Simulator;
use chrono::TimeDelta;

use crate::call::Call;
use crate::clock::WorldClock;
use crate::executor::Owner;
use crate::locked;
use crate::operation::Lie;
use crate::world::APPLE_NAMES;

/// A device at one of the two MDM servers.
type Place = (usize, String);

pub struct Witness {
    clock: WorldClock,
    apple: Simulator,
    state: Mutex<State>,
}

#[derive(Default)]
pub struct State {
    /// What must not have happened.
    violations: Vec<String>,
    /// The profile that our own request gave a device last.
    ours: BTreeMap<String, String>,
    /// Devices that an operator wants to be tried again.
    excused: BTreeSet<Place>,
    /// Devices that Apple was asked about and did not tell of when it was asked last: they are sent once more all the
    /// same, because a device without its profile is worse than a needless assignment.
    untold: BTreeSet<Place>,
    /// Until when a device is not to be sent, by Apple's word that was stored.
    throttled: BTreeMap<Place, Timestamp>,
    /// Answers that were handed to a copy and are to be stored next.
    to_settle: BTreeMap<(Owner, usize), Vec<Answered>>,
    /// Until when Apple wants to be left alone, as it is stored.
    waits: BTreeMap<usize, Timestamp>,
    /// When a copy was last resumed after a stop.
    resumed: BTreeMap<Owner, Timestamp>,
    /// The epoch of the last page of each MDM server.
    epochs: BTreeMap<usize, i64>,
    /// Listings begun since the run began, for each copy.
    listings: BTreeMap<(Owner, usize), u32>,
    /// Recoveries of each lease.
    recoveries: BTreeMap<(usize, i64), u32>,
    /// Whether the last refused cursor of a copy was an exhausted one.
    exhausted: BTreeMap<(Owner, usize), bool>,
    /// Runs begun and not ended. With two at a time nobody can tell from outside whose request it is.
    open_runs: BTreeMap<(Owner, usize), u32>,
    /// The cursor with which Apple has answered in this run although it was sent.
    stuck: BTreeMap<(Owner, usize), String>,
    /// Copies that an operator has told to accept removals.
    accepting: BTreeMap<(Owner, usize), u32>,
    /// Requests by MDM server and hour, and how much was done in that hour to bring them on.
    requests: BTreeMap<(usize, i64), u64>,
    reasons: BTreeMap<i64, u64>,
    /// How often a device may have arrived at most, as far as it can be seen from outside.
    arrivals: BTreeMap<Place, u32>,
    /// How often a device has come back since the beginning.
    arrived: BTreeMap<Place, u32>,
    /// Devices that only a full sync can get right.
    pub needs_full: BTreeSet<Place>,
    /// How often things happened that a world is about.
    pub seen: BTreeMap<&'static str, u64>,
}

struct Answered {
    serials: BTreeSet<String>,
    throttled: BTreeSet<String>,
    until: Timestamp,
}

impl Witness {
    pub fn new(clock: WorldClock, apple: Simulator) -> Arc<Self> {
        Arc::new(Self { clock, apple, state: Mutex::default() })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }

    pub fn violation(&self, text: String) {
        let at = self.clock.now();
        self.state().violations.push(format!("at {at}: {text}"));
    }

    /// What has gone wrong first.
    pub fn first_violation(&self) -> Option<String> {
        self.state().violations.first().cloned()
    }

    pub fn see(&self, what: &'static str) {
        *self.state().seen.entry(what).or_default() += 1;
    }

    /// A request enters the network.
    pub fn request(&self, call: &Call) {
        self.see("requests");
        let now = self.clock.now();
        let server = call.server;
        let mut wrong = Vec::new();
        {
            let mut state = self.state();
            // A copy that has just been resumed may have one step left before it finds its lease lost.
            let just_resumed = state.resumed.get(&call.copy) == Some(&now);
            if let Some(until) = state.waits.get(&server).filter(|until| **until > now && !just_resumed) {
                wrong.push(format!(
                    "{} is asked although Apple wants to be left alone until {until}",
                    call.path
                ));
            }
            *state.requests.entry((server, hour(now))).or_default() += 1;
            if call.cursor.is_some() && state.stuck.get(&(call.copy, server)) == call.cursor.as_ref() {
                wrong.push("a run goes on with a cursor that does not move".to_owned());
            }
            if call.begins_listing {
                let begun = state.listings.entry((call.copy, server)).or_default();
                *begun += 1;
                if *begun > 8 {
                    wrong.push(format!("a run begins the listing {begun} times"));
                }
            }
        }
        if let Some(assignment) = &call.assignment {
            wrong.extend(self.assignment(call, assignment, now));
        }
        for text in wrong {
            self.violation(format!("copy {} at MDM server {server}: {text}", call.copy));
        }
    }

    fn assignment(&self, call: &Call, assignment: &assign_profile::Request, now: Timestamp) -> Vec<String> {
        let mut wrong = Vec::new();
        if assignment.devices.len() > assign_profile::MAX_SERIALS {
            wrong.push(format!("{} devices in one assignment", assignment.devices.len()));
        }
        let uuid = assignment.profile_uuid.as_str();
        for serial in &assignment.devices {
            let serial = serial.as_str();
            let place = (call.server, serial.to_owned());
            let truth = self.apple.truth_of(serial);
            let mut state = self.state();
            if state.excused.contains(&place) {
                continue;
            }
            if let Some(until) = state.throttled.get(&place).filter(|until| **until > now) {
                wrong.push(format!("{serial} is sent although it is throttled until {until}"));
            }
            let shown = truth.is_some_and(|truth| {
                truth.server.as_deref() == Some(APPLE_NAMES[call.server])
                    && truth.profile_uuid.as_deref() == Some(uuid)
                    && matches!(truth.profile_status.as_str(), "assigned" | "pushed")
            });
            let needless = shown
                && !state.untold.contains(&place)
                && state.ours.get(serial).is_some_and(|ours| ours == uuid);
            // An event of its arrival that comes after our assignment makes it look as if it had none. That is a known
            // gap: one needless assignment for each arrival.
            let arrived = if needless { state.arrived.get_mut(&place) } else { None };
            if let Some(arrived) = arrived.filter(|times| **times > 0) {
                *arrived -= 1;
            } else if needless {
                wrong.push(format!("{serial} is given the profile that it already has from us"));
            }
        }
        wrong
    }

    /// A request was worked on.
    pub fn effect(&self, call: &Call, answer: &Result<Delivery, TransportError>) {
        let Some(assignment) = &call.assignment else { return };
        // What Apple did counts, not what its answer says.
        let uuid = assignment.profile_uuid.as_str();
        let mut state = self.state();
        let answered = answer.as_ref().is_ok_and(|delivery| delivery.head.status == 200);
        for serial in &assignment.devices {
            let place = (call.server, serial.as_str().to_owned());
            let has_it = self
                .apple
                .truth_of(serial.as_str())
                .is_some_and(|truth| truth.profile_uuid.as_deref() == Some(uuid) && truth.assigns > 0);
            if has_it {
                state.ours.insert(serial.as_str().to_owned(), uuid.to_owned());
            }
            if answered {
                state.untold.remove(&place);
            }
            // An excuse is good for one request that Apple has worked on.
            if answered && state.excused.remove(&place) {
                state.throttled.remove(&place);
            }
        }
    }

    /// An answer is not as it should be.
    pub fn lied(&self, call: &Call, lie: Lie) {
        self.see("lies");
        match lie {
            Lie::ShortListing { .. } => {
                for device in self.apple.truth(APPLE_NAMES[call.server]).into_iter().flatten() {
                    self.only_full_sync(call.server, &device.serial_number);
                    // It may be removed and come back.
                    self.arrives(call.server, &device.serial_number);
                }
            }
            Lie::LeaveOut { .. } | Lie::MoreToFollow | Lie::Forget { .. } => {}
        }
    }

    /// A copy has the answer to a request.
    pub fn answered(&self, call: &Call, answer: &Result<Delivery, TransportError>) {
        let Ok(delivery) = answer else { return };
        let key = (call.copy, call.server);
        let now = self.clock.now();
        if delivery.head.status == 400 && call.path.contains("devices") && call.assignment.is_none() {
            let text = String::from_utf8_lossy(&delivery.body).into_owned();
            if text.contains("CURSOR") {
                let exhausted = text.contains("EXHAUSTED");
                self.see(if exhausted { "exhausted cursors" } else { "lost cursors" });
                self.state().exhausted.insert(key, exhausted);
            }
        }
        if call.cursor.is_some()
            && let Ok(page) = serde_json::from_slice::<DevicePage>(&delivery.body)
            && page.more_to_follow
            && call.cursor.as_deref() == Some(page.cursor.as_str())
        {
            self.see("cursors that do not move");
            let mut state = self.state();
            if state.open_runs.get(&key) == Some(&1) {
                state.stuck.insert(key, page.cursor.0);
            }
        }
        if call.path == "/devices"
            && let Ok(response) = serde_json::from_slice::<device_details::Response>(&delivery.body)
        {
            let mut state = self.state();
            for serial in &call.devices {
                let place = (call.server, serial.as_str().to_owned());
                if response.devices.contains_key(serial) {
                    state.untold.remove(&place);
                } else {
                    state.untold.insert(place);
                }
            }
        }
        let Some(assignment) = call.assignment.as_ref().filter(|_| delivery.head.status == 200) else {
            return;
        };
        let Ok(response) = serde_json::from_slice::<assign_profile::Response>(&delivery.body) else { return };
        let throttled: BTreeSet<String> = response
            .devices
            .iter()
            .filter(|(_, result)| **result == DeviceResult::Throttled)
            .map(|(serial, _)| serial.as_str().to_owned())
            .collect();
        let wait = i64::try_from(response.retry_after_seconds.unwrap_or(86_400)).unwrap_or(86_400);
        if !throttled.is_empty() {
            self.see("throttled answers");
        }
        let answered = Answered {
            serials: assignment.devices.iter().map(|serial| serial.as_str().to_owned()).collect(),
            throttled,
            until: now + TimeDelta::seconds(wait),
        };
        self.state().to_settle.entry(key).or_default().push(answered);
    }

    /// A sync for which an operator accepts removals begins or ends. Several may be under way in a copy.
    pub fn accepts_removals(&self, copy: Owner, server: usize, begins: bool) {
        let mut state = self.state();
        let accepting = state.accepting.entry((copy, server)).or_default();
        *accepting = if begins { *accepting + 1 } else { accepting.saturating_sub(1) };
    }

    /// A copy is another process from now on.
    pub fn crashed(&self, copy: Owner) {
        let mut state = self.state();
        for server in 0..2 {
            state.to_settle.remove(&(copy, server));
            state.exhausted.remove(&(copy, server));
            state.accepting.remove(&(copy, server));
            state.listings.remove(&(copy, server));
            state.stuck.remove(&(copy, server));
            state.open_runs.remove(&(copy, server));
        }
    }

    pub fn resumed(&self, copy: Owner) {
        let now = self.clock.now();
        self.state().resumed.insert(copy, now);
    }

    /// An operator wants devices to be tried again.
    pub fn excuse(&self, server: usize, serial: &SerialNumber) {
        self.state().excused.insert((server, serial.as_str().to_owned()));
    }

    /// A device leaves or may leave an MDM server: with it goes what was stored of it.
    pub fn leaves(&self, server: usize, serial: &str) {
        let mut state = self.state();
        state.throttled.remove(&(server, serial.to_owned()));
        state.ours.remove(serial);
    }

    /// A device has arrived, or something has happened by which it may look so.
    pub fn arrives(&self, server: usize, serial: &str) {
        *self.state().arrivals.entry((server, serial.to_owned())).or_default() += 1;
    }

    /// A device has come back, or comes from the other MDM server.
    pub fn comes_back(&self, server: usize, serial: &str) {
        *self.state().arrived.entry((server, serial.to_owned())).or_default() += 1;
    }

    pub fn arrivals(&self, server: usize, serial: &str) -> u32 {
        self.state().arrivals.get(&(server, serial.to_owned())).copied().unwrap_or_default()
    }

    /// The profile that Apple shows is not our doing any more.
    pub fn touched(&self, server: usize, serial: &str) {
        let mut state = self.state();
        state.ours.remove(serial);
        // What has drifted is read back and repaired whatever was remembered of it.
        state.throttled.remove(&(server, serial.to_owned()));
    }

    /// Only a full sync can get this device right.
    pub fn only_full_sync(&self, server: usize, serial: &str) {
        let mut state = self.state();
        state.throttled.remove(&(server, serial.to_owned()));
        state.needs_full.insert((server, serial.to_owned()));
    }

    /// Something happens that may bring on requests.
    pub fn reason(&self) {
        let hour = hour(self.clock.now());
        *self.state().reasons.entry(hour).or_default() += 1;
    }

    /// No hour has more requests to an MDM server than what happened in it explains.
    pub fn check_requests(&self) {
        let state = self.state();
        let too_many = state.requests.iter().find_map(|((server, hour), requests)| {
            let reasons: u64 = [hour - 1, *hour].iter().filter_map(|hour| state.reasons.get(hour)).sum();
            let bound = 200 + 60 * reasons;
            (*requests > bound)
                .then(|| format!("MDM server {server}: {requests} requests in an hour, {reasons} reasons"))
        });
        drop(state);
        if let Some(text) = too_many {
            self.violation(text);
        }
    }
}

/// Which of the two it is.
pub fn number(server: ServerId) -> usize {
    usize::try_from(server.0 - 1).unwrap_or_default()
}

fn hour(moment: Timestamp) -> i64 {
    moment.timestamp().div_euclid(3600)
}
