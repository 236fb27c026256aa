//! What clients do to devices: assign, remove, disown, lock.

use std::time::Duration;

use super::device::{CHECKED_IN, DISOWNED, LOCKED, NOBODY, Status};
use super::events::Op;
use super::{Moment, World};

/// The result for one serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    NotAccessible,
    Failed,
    Throttled,
}

impl Outcome {
    /// Apple's word; below version 9 a throttled device is reported as failed (protocol section 2.4).
    pub(crate) fn as_str(self, version: u8) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::NotAccessible => "NOT_ACCESSIBLE",
            Self::Throttled if version >= 9 => "THROTTLED",
            Self::Failed | Self::Throttled => "FAILED",
        }
    }
}

/// The results of one request, in the order of the request and without repeats.
#[derive(Debug, Default)]
pub(crate) struct Assigned {
    pub(crate) outcomes: Vec<(String, Outcome)>,
    /// The longest cool-down among the throttled, in whole seconds.
    pub(crate) retry_after: Option<i64>,
}

impl World {
    /// Gives devices a profile (protocol section 3.7).
    pub(crate) fn assign(
        &mut self,
        server: u16,
        profile: u32,
        serials: &[&str],
        moment: &Moment<'_>,
    ) -> Assigned {
        let mut assigned = Assigned::default();
        self.each(server, serials, &mut assigned, |world, number, assigned| {
            if let Some(until) = world.throttled(number, moment) {
                let left = (until - moment.now_ms + 999).div_euclid(1000).max(1);
                assigned.retry_after = Some(assigned.retry_after.unwrap_or(0).max(left));
                return Outcome::Throttled;
            }
            if world.fails(number) {
                return Outcome::Failed;
            }
            let now = moment.now_ms.div_euclid(1000);
            world.change(number, |device| {
                device.profile = profile;
                device.status = if device.has(CHECKED_IN) { Status::Pushed } else { Status::Assigned };
                device.assign_time = now;
                device.push_time = 0;
                device.assigns = device.assigns.saturating_add(1);
            });
            if moment.settings.own_changes_in_sync {
                world.record(server, number, Op::Modified, moment);
            }
            Outcome::Success
        });
        assigned
    }

    /// Takes profiles away (protocol section 3.8). The identifier stays visible beside `removed` (field lesson L5).
    pub(crate) fn unassign(&mut self, server: u16, serials: &[&str], moment: &Moment<'_>) -> Assigned {
        let mut assigned = Assigned::default();
        self.each(server, serials, &mut assigned, |world, number, _| {
            if world.fails(number) {
                return Outcome::Failed;
            }
            world.change(number, |device| device.status = Status::Removed);
            if moment.settings.own_changes_in_sync {
                world.record(server, number, Op::Modified, moment);
            }
            Outcome::Success
        });
        assigned
    }

    /// Releases devices from the organization for good (protocol section 3.9).
    pub(crate) fn disown(&mut self, server: u16, serials: &[&str], moment: &Moment<'_>) -> Assigned {
        let mut assigned = Assigned::default();
        self.each(server, serials, &mut assigned, |world, number, _| {
            if world.fails(number) {
                return Outcome::Failed;
            }
            world.record(server, number, Op::Deleted, moment);
            world.unplace(number);
            world.change(number, |device| device.flags |= DISOWNED);
            Outcome::Success
        });
        assigned
    }

    /// Turns activation lock on and gives the status word (protocol section 3.10).
    pub(crate) fn lock(&mut self, server: u16, serial: &str) -> &'static str {
        let Some(number) = self.find_at(server, serial) else { return "NOT_ACCESSIBLE" };
        if self.fails(number) {
            return "FAILED";
        }
        let Some(device) = self.device(number) else { return "FAILED" };
        let family = super::catalog::KINDS.get(usize::from(device.kind)).map_or("", |kind| kind.family);
        if family == "AppleTV" {
            return "DEVICE_NOT_SUPPORTED";
        }
        if device.has(LOCKED) {
            return "DEVICE_ALREADY_LOCKED";
        }
        self.change(number, |device| device.flags |= LOCKED);
        "SUCCESS"
    }

    fn each(
        &mut self,
        server: u16,
        serials: &[&str],
        assigned: &mut Assigned,
        mut act: impl FnMut(&mut Self, u32, &mut Assigned) -> Outcome,
    ) {
        let mut seen = std::collections::HashSet::with_capacity(serials.len());
        for serial in serials {
            if !seen.insert(*serial) {
                continue;
            }
            let outcome = match self.find_at(server, serial) {
                Some(number) => act(self, number, assigned),
                None => Outcome::NotAccessible,
            };
            assigned.outcomes.push(((*serial).to_owned(), outcome));
        }
    }

    /// Counts an assign and tells until when the device refuses, if it does.
    fn throttled(&mut self, number: u32, moment: &Moment<'_>) -> Option<i64> {
        let settings = moment.settings;
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4);
        let cooldown = millis(settings.throttle_cooldown);
        if let Some(special) = self.specials.get_mut(&number)
            && special.throttled_until > moment.now_ms
        {
            if settings.throttle_prolongs {
                special.throttled_until = special.throttled_until.max(moment.now_ms + cooldown);
            }
            return Some(special.throttled_until);
        }
        if settings.throttle_threshold == 0 {
            return None;
        }
        let special = self.specials.entry(number).or_default();
        let oldest = moment.now_ms - millis(settings.throttle_window);
        while special.recent_assigns.front().is_some_and(|at| *at <= oldest) {
            special.recent_assigns.pop_front();
        }
        if special.recent_assigns.len() >= settings.throttle_threshold as usize {
            special.recent_assigns.clear();
            special.throttled_until = moment.now_ms + cooldown;
            return Some(special.throttled_until);
        }
        special.recent_assigns.push_back(moment.now_ms);
        None
    }

    fn fails(&mut self, number: u32) -> bool {
        let Some(special) = self.specials.get_mut(&number) else { return false };
        let fails = special.failures_left > 0;
        special.failures_left = special.failures_left.saturating_sub(1);
        fails
    }

    /// Whether the device belongs to an MDM server at present.
    pub(crate) fn owned(&self, number: u32) -> bool {
        self.device(number).is_some_and(|device| device.owner != NOBODY)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;
    use crate::settings::Settings;

    fn world(settings: &Settings) -> (World, Vec<String>) {
        let mut world = World::new(settings, 1_700_000_000_000);
        world.profiles.add("F0", Some(0), Map::new());
        let serials = world.devices.iter().map(|device| device.serial.as_str().to_owned()).collect();
        (world, serials)
    }

    #[test]
    fn every_serial_has_a_result_and_repeats_count_once() {
        let settings = Settings { devices: 2, ..Settings::default() };
        let (mut world, serials) = world(&settings);
        let moment = Moment { now_ms: 1_700_000_000_000, settings: &settings };
        let asked = [serials[0].as_str(), "NOPE00000000", serials[0].as_str()];
        let assigned = world.assign(0, 0, &asked, &moment);
        let words: Vec<_> = assigned.outcomes.iter().map(|(_, outcome)| outcome.as_str(10)).collect();
        assert_eq!(words, ["SUCCESS", "NOT_ACCESSIBLE"]);
        assert_eq!(world.devices[0].assigns, 1);
        assert_eq!(world.devices[0].status, Status::Assigned);
    }

    /// L21: throttling sits with the device and ends with the cool-down.
    #[test]
    fn too_many_assigns_throttle_the_device() {
        let settings = Settings { devices: 2, throttle_threshold: 2, ..Settings::default() };
        let (mut world, serials) = world(&settings);
        let mut now_ms = 1_700_000_000_000;
        let mut assign = |now_ms| {
            let moment = Moment { now_ms, settings: &settings };
            let assigned = world.assign(0, 0, &[serials[0].as_str()], &moment);
            (assigned.outcomes[0].1, assigned.retry_after)
        };
        assert_eq!(assign(now_ms), (Outcome::Success, None));
        assert_eq!(assign(now_ms), (Outcome::Success, None));
        assert_eq!(assign(now_ms), (Outcome::Throttled, Some(86_400)));
        now_ms += 86_000_000;
        assert_eq!(assign(now_ms), (Outcome::Throttled, Some(400)));
        now_ms += 400_000;
        assert_eq!(assign(now_ms), (Outcome::Success, None));
        assert_eq!((Outcome::Throttled.as_str(8), Outcome::Throttled.as_str(9)), ("FAILED", "THROTTLED"));
    }

    #[test]
    fn a_disowned_device_is_gone() {
        let settings = Settings { devices: 1, ..Settings::default() };
        let (mut world, serials) = world(&settings);
        let moment = Moment { now_ms: 1_700_000_000_000, settings: &settings };
        assert_eq!(world.disown(0, &[&serials[0]], &moment).outcomes[0].1, Outcome::Success);
        assert_eq!(world.disown(0, &[&serials[0]], &moment).outcomes[0].1, Outcome::NotAccessible);
        assert_eq!(world.servers[0].listing.live(), 0);
    }
}
