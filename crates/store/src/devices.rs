use std::collections::HashMap;

use adelie_model::{
    AssignState, Device, DeviceFamily, EventId, ProfileName, RuleId, RuleName, RunId, SerialNumber, ServerId,
    ServerName, Tag, Timestamp,
};
use async_trait::async_trait;
use serde_json::Value;

use crate::Result;

/// Which devices to list. Everything that is `None` matches all.
#[derive(Clone, Debug, Default)]
pub struct DeviceFilter {
    /// Of this MDM server.
    pub server: Option<ServerId>,
    /// Of this family.
    pub family: Option<DeviceFamily>,
    /// In this state of assignment.
    pub state: Option<AssignState>,
    /// With this tag of ours.
    pub tag: Option<Tag>,
    /// Whose profile is given by this rule.
    pub rule: Option<RuleId>,
    /// Which are to have this profile, in whatever revision.
    pub wanted: Option<ProfileName>,
    /// Serial number, model, description, asset tag or colour contains this text, whatever its case.
    pub query: Option<String>,
}

/// Where a page of a list ended; the next page starts after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DevicePosition {
    /// The MDM server of the last device.
    pub server: ServerId,
    /// Its serial number.
    pub serial: SerialNumber,
}

/// A device with the names that people know its relations by.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceView {
    /// The device.
    pub device: Device,
    /// The name of its MDM server.
    pub server: ServerName,
    /// The name of the profile it is to have.
    pub wanted_profile: Option<ProfileName>,
    /// The number of the revision of that profile.
    pub wanted_revision: Option<u32>,
    /// The rule that gives it that profile; `None` when it is a default, or when the rule is gone.
    pub wanted_by: Option<RuleName>,
    /// Why Apple does not take that profile: then the device is held by it.
    pub profile_error: Option<String>,
}

impl DeviceView {
    /// The state to show, with its reason: a device that is due for a profile that Apple refuses is held.
    #[must_use]
    pub fn state(&self) -> (AssignState, &str) {
        let assignment = &self.device.assignment;
        match &self.profile_error {
            Some(error) if matches!(assignment.state, AssignState::Due | AssignState::Drifted) => {
                (AssignState::Held, error)
            }
            _ => (assignment.state, &assignment.reason),
        }
    }
}

/// How many devices are in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateCount {
    /// The MDM server.
    pub server: ServerId,
    /// The state of assignment, with devices of a refused profile counted as held.
    pub state: AssignState,
    /// The devices in it.
    pub devices: u64,
    /// Those of them that are held because Apple refuses their profile; the others in `held` are an operator's.
    pub refused: u64,
}

/// Something that happened, as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// Its number; later events have greater ones.
    pub id: EventId,
    /// The MDM server that it happened at; `None` for what concerns none of them.
    pub server: Option<ServerId>,
    /// When.
    pub at: Timestamp,
    /// One of the [types](crate::event::TYPES).
    pub kind: String,
    /// The device it is about; `None` when it is about several or about the server.
    pub serial: Option<SerialNumber>,
    /// The run that found it.
    pub run: Option<RunId>,
    /// Details. A list of serial numbers is left out of the history of a single device.
    pub data: Value,
}

impl StateCount {
    /// How many of them wait for somebody: what an operator holds is as somebody wants it.
    #[must_use]
    pub fn need_attention(&self) -> u64 {
        match self.state {
            AssignState::Held => self.refused,
            state if state.needs_attention() => self.devices,
            _ => 0,
        }
    }
}

/// Reading devices.
#[async_trait]
pub trait DeviceStore: Send + Sync {
    /// Up to `limit` devices in the order of (MDM server, serial number), after `after`.
    async fn devices(
        &self,
        filter: &DeviceFilter,
        after: Option<&DevicePosition>,
        limit: u32,
    ) -> Result<Vec<DeviceView>>;

    /// Each of these serial numbers at every MDM server that has or had it, in the order of the servers. What nobody has
    /// or had is left out.
    async fn find(&self, serials: &[SerialNumber]) -> Result<HashMap<SerialNumber, Vec<DeviceView>>>;

    /// A serial number at every MDM server that has or had it.
    async fn device(&self, serial: &SerialNumber) -> Result<Vec<DeviceView>> {
        Ok(self.find(std::slice::from_ref(serial)).await?.remove(serial).unwrap_or_default())
    }

    /// What happened to a device at an MDM server, newest first, up to `limit` events before `before`: those about it
    /// alone, and those about several whose `serial_numbers` name it.
    async fn device_events(
        &self,
        server: ServerId,
        serial: &SerialNumber,
        before: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<StoredEvent>>;

    /// Devices by state, of one MDM server or of all.
    async fn state_counts(&self, server: Option<ServerId>) -> Result<Vec<StateCount>>;
}
