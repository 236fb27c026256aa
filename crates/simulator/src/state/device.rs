use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::serial::Serial;

/// The owner of a device that no MDM server has.
pub(crate) const NOBODY: u16 = u16::MAX;
/// The profile of a device that has none.
pub(crate) const NO_PROFILE: u32 = u32::MAX;
/// The place of a device that no listing has.
pub(crate) const NO_SLOT: u32 = u32::MAX;

/// The device has fetched a profile before: its next assign shows as `pushed` (protocol section 4.6).
pub(crate) const CHECKED_IN: u8 = 1;
/// Activation lock is on.
pub(crate) const LOCKED: u8 = 2;
/// It has left the organization for good.
pub(crate) const DISOWNED: u8 = 4;
/// Apple leaves every optional field out.
pub(crate) const SPARSE: u8 = 8;

/// What Apple says of the profile of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Empty,
    Assigned,
    Pushed,
    Removed,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Assigned => "assigned",
            Self::Pushed => "pushed",
            Self::Removed => "removed",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Empty, Self::Assigned, Self::Pushed, Self::Removed].into_iter().find(|s| s.as_str() == text)
    }
}

/// One device, small: a million of them stay below 100 MB.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    pub(crate) serial: Serial,
    /// Number of its MDM server, or [`NOBODY`].
    pub(crate) owner: u16,
    /// Index into the catalogue.
    pub(crate) kind: u8,
    /// Index into the colours of its kind.
    pub(crate) color: u8,
    pub(crate) assigned_by: u8,
    pub(crate) status: Status,
    pub(crate) flags: u8,
    /// Number of its profile, or [`NO_PROFILE`].
    pub(crate) profile: u32,
    /// Place in the listing of its owner, or [`NO_SLOT`].
    pub(crate) slot: u32,
    /// Times in whole seconds; 0 is "never".
    pub(crate) assigned_at: i64,
    pub(crate) assign_time: i64,
    pub(crate) push_time: i64,
    /// Successful assigns of a profile over the API.
    pub(crate) assigns: u32,
    /// Fields that a control command has set.
    pub(crate) overrides: Option<Arc<Overrides>>,
}

impl Device {
    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Forgets the profile, as when a device arrives at another MDM server.
    pub(crate) fn clear_profile(&mut self, status: Status) {
        self.profile = NO_PROFILE;
        self.status = status;
        self.assign_time = 0;
        self.push_time = 0;
    }
}

/// Fields laid over what the catalogue says: set (also to `null`) or dropped.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Overrides {
    pub(crate) set: Map<String, Value>,
    pub(crate) drop: Vec<String>,
}

impl Overrides {
    /// Lays them over a rendered device.
    pub(crate) fn apply(&self, fields: &mut Map<String, Value>) {
        for name in &self.drop {
            fields.remove(name);
        }
        for (name, value) in &self.set {
            fields.insert(name.clone(), value.clone());
        }
    }

    /// These, with later ones over them.
    pub(crate) fn merged(&self, later: &Self) -> Self {
        let mut all = self.clone();
        for (name, value) in &later.set {
            all.drop.retain(|dropped| dropped != name);
            all.set.insert(name.clone(), value.clone());
        }
        for name in &later.drop {
            all.set.remove(name);
            if !all.drop.contains(name) {
                all.drop.push(name.clone());
            }
        }
        all
    }
}

/// What only few devices have, kept beside them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Special {
    /// Assigns within the throttling window, in simulated milliseconds.
    pub(crate) recent_assigns: VecDeque<i64>,
    /// Until when assigns are refused.
    pub(crate) throttled_until: i64,
    /// How many assigns still answer FAILED.
    pub(crate) failures_left: u32,
    /// Until when its events are never reported (field lesson L7).
    pub(crate) withheld_until: i64,
    /// The device that it replaces, and since when (`YYYY-MM-DD`).
    pub(crate) replaces: Option<(String, String)>,
}
