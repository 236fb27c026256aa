//! What happens to devices in the portal or by themselves, on a control command.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::device::{CHECKED_IN, DISOWNED, NO_PROFILE, NOBODY, Overrides, SPARSE, Special, Status};
use super::events::{Event, Op};
use super::serial::Serial;
use super::{Moment, World, catalog, mix};
use crate::control::ControlError;

/// How a device shows up at the MDM server that it was given to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrival {
    /// As Apple documents it: `added`, without a profile.
    #[default]
    Added,
    /// As the field has seen it for moved devices: only `modified`, with profile status `removed`.
    Modified,
    /// No event; only a full fetch finds it.
    Silent,
}

/// How a device shows that it has left an MDM server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Departure {
    /// A `deleted` event.
    #[default]
    Deleted,
    /// No event; it is missing from the next full fetch.
    Silent,
}

impl World {
    /// Buys devices: new ones by number, or the given serial numbers. Gives their numbers.
    pub(crate) fn buy(
        &mut self,
        server: u16,
        wanted: &Purchase<'_>,
        moment: &Moment<'_>,
    ) -> Result<Vec<u32>, ControlError> {
        let kinds = catalog::kinds_of(wanted.family, wanted.model);
        if kinds.is_empty() {
            return Err(ControlError::NoSuchModel {
                family: wanted.family.unwrap_or("any").to_owned(),
                model: wanted.model.unwrap_or("any").to_owned(),
            });
        }
        // All serial numbers are looked at before the first device is made: all or nothing.
        let mut given = Vec::with_capacity(wanted.serials.len());
        let mut seen = std::collections::HashSet::new();
        for text in wanted.serials {
            let serial = Serial::parse(text)?;
            if !seen.insert(serial) {
                continue;
            }
            match self.index.get(&serial) {
                Some(number) if self.owned(*number) => return Err(ControlError::SerialTaken(text.clone())),
                known => given.push((serial, known.copied())),
            }
        }
        let mut numbers = Vec::with_capacity(given.len() + wanted.count);
        for (serial, known) in given {
            // A device that was here before comes back under its old number.
            numbers.push(known.unwrap_or_else(|| self.insert(catalog::with_serial(serial, &kinds))));
        }
        for _ in 0..wanted.count {
            let device = self.next_device(wanted.seed.unwrap_or(self.seed), &kinds);
            numbers.push(self.insert(device));
        }
        for number in &numbers {
            if wanted.sparse
                && let Some(device) = self.devices.get_mut(*number as usize)
            {
                device.flags |= SPARSE;
            }
            self.arrive(*number, server, wanted.arrival, &wanted.overrides, moment);
        }
        Ok(numbers)
    }

    /// Takes devices from their MDM server.
    pub(crate) fn leave(&mut self, numbers: &[u32], departure: Departure, moment: &Moment<'_>) {
        for number in numbers {
            let Some(owner) = self.device(*number).map(|device| device.owner) else { continue };
            if departure == Departure::Deleted {
                self.record(owner, *number, Op::Deleted, moment);
            }
            self.unplace(*number);
        }
    }

    /// Gives a device that nobody has to an MDM server.
    pub(crate) fn arrive(
        &mut self,
        number: u32,
        server: u16,
        arrival: Arrival,
        overrides: &Overrides,
        moment: &Moment<'_>,
    ) {
        let status = if arrival == Arrival::Modified { Status::Removed } else { Status::Empty };
        if let Some(device) = self.devices.get_mut(number as usize) {
            device.clear_profile(status);
            device.flags &= !DISOWNED;
            device.assigned_at = moment.now_ms.div_euclid(1000);
        }
        self.place(number, server);
        self.overlay(&[number], overrides, false, moment);
        match arrival {
            Arrival::Added => self.record(server, number, Op::Added, moment),
            Arrival::Modified => self.record(server, number, Op::Modified, moment),
            Arrival::Silent => {}
        }
    }

    /// Lays fields over devices. `profile_status` and `profile_uuid` become the real state of the device.
    pub(crate) fn overlay(
        &mut self,
        numbers: &[u32],
        overrides: &Overrides,
        event: bool,
        moment: &Moment<'_>,
    ) {
        let mut rest = overrides.clone();
        let status = rest.set.get("profile_status").and_then(Value::as_str).and_then(Status::parse);
        if status.is_some() {
            rest.set.remove("profile_status");
        }
        let profile = match rest.set.get("profile_uuid") {
            Some(Value::String(uuid)) if !uuid.is_empty() => {
                let uuid = uuid.clone();
                rest.set.remove("profile_uuid");
                Some(self.foreign_profile(&uuid))
            }
            // A field that were laid over for good would hide every profile that is assigned later.
            Some(Value::String(_) | Value::Null) => {
                rest.set.remove("profile_uuid");
                Some(NO_PROFILE)
            }
            _ => None,
        };
        let now = moment.now_ms.div_euclid(1000);
        for number in numbers {
            let rest = &rest;
            self.change(*number, |device| {
                if let Some(status) = status {
                    device.status = status;
                    if status == Status::Empty {
                        device.profile = NO_PROFILE;
                    }
                }
                match profile {
                    Some(NO_PROFILE) => {
                        let kept = status.is_some() || device.status == Status::Removed;
                        device.clear_profile(if kept { device.status } else { Status::Empty });
                    }
                    Some(profile) => {
                        device.profile = profile;
                        device.assign_time = now;
                    }
                    None => {}
                }
                if !rest.set.is_empty() || !rest.drop.is_empty() {
                    let merged =
                        device.overrides.as_deref().map_or_else(|| rest.clone(), |old| old.merged(rest));
                    device.overrides = Some(Arc::new(merged));
                }
            });
            self.tell(*number, event, moment);
        }
    }

    /// Devices are switched on and fetch the profile that waits for them.
    pub(crate) fn fetch_profile(&mut self, numbers: &[u32], event: bool, moment: &Moment<'_>) {
        let now = moment.now_ms.div_euclid(1000);
        for number in numbers {
            self.change(*number, |device| {
                device.flags |= CHECKED_IN;
                if device.status == Status::Assigned {
                    device.status = Status::Pushed;
                    device.push_time = now;
                }
            });
            self.tell(*number, event, moment);
        }
    }

    /// Puts an event into the log of a device's MDM server as it is given.
    pub(crate) fn inject(
        &mut self,
        server: u16,
        number: u32,
        op: Op,
        overrides: &Overrides,
        moment: &Moment<'_>,
    ) {
        let Some(device) = self.device(number) else { return };
        let event = Event::of(number, device, op, moment.now_ms).with(overrides);
        if let Some(server) = self.server_mut(server) {
            server.events.push(event);
        }
    }

    /// The special facts of a device, for a change.
    pub(crate) fn special(&mut self, number: u32) -> &mut Special {
        self.specials.entry(number).or_default()
    }

    /// Devices of an MDM server, chosen by the seed; fewer when it has fewer.
    pub(crate) fn choose(&self, server: u16, count: usize, seed: u64) -> Vec<u32> {
        let Some(server) = self.server(server) else { return Vec::new() };
        let mut all: Vec<u32> = server.listing.devices().collect();
        if count < all.len() {
            all.sort_by_cached_key(|number| mix(mix(seed) ^ u64::from(*number)));
            all.truncate(count);
        }
        all
    }

    fn tell(&mut self, number: u32, event: bool, moment: &Moment<'_>) {
        let owner = self.device(number).map_or(NOBODY, |device| device.owner);
        if event && owner != NOBODY {
            self.record(owner, number, Op::Modified, moment);
        }
    }

    /// A profile identifier that somebody else has defined, or one of ours.
    fn foreign_profile(&mut self, uuid: &str) -> u32 {
        self.profiles.number(uuid).unwrap_or_else(|| self.profiles.add(uuid, None, serde_json::Map::new()))
    }
}

/// What [`World::buy`] is asked for.
#[derive(Default)]
pub(crate) struct Purchase<'a> {
    pub(crate) serials: &'a [String],
    pub(crate) count: usize,
    pub(crate) seed: Option<u64>,
    pub(crate) family: Option<&'a str>,
    pub(crate) model: Option<&'a str>,
    pub(crate) sparse: bool,
    pub(crate) arrival: Arrival,
    pub(crate) overrides: Overrides,
}
