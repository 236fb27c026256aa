use crate::{
    Assignment, DeviceFamily, Extra, ProfileStatus, ProfileUuid, RunId, SerialNumber, ServerId, Timestamp,
};

/// A fact about a device that Apple may leave out; absent, `null` and `""` are alike (field lesson L12).
pub type Fact = Option<String>;

/// What Apple has last said of a device (protocol section 4.6).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Actual {
    /// The name of the model, like `MacBook Pro`.
    pub model: Fact,
    /// A description, like `MBP 14.2`.
    pub description: Fact,
    /// The colour; left out on some models.
    pub color: Fact,
    /// The organization's asset tag.
    pub asset_tag: Fact,
    /// The product family.
    pub device_family: Option<DeviceFamily>,
    /// The operating system: `iOS`, `iPadOS`, `OSX`, `tvOS`, `visionOS`, or a newer one.
    pub os: Fact,
    /// What Apple says of its profile.
    pub profile_status: Option<ProfileStatus>,
    /// The profile that Apple shows, whatever the status says of it.
    pub profile_uuid: Option<ProfileUuid>,
    /// When that profile was assigned.
    pub profile_assign_time: Option<Timestamp>,
    /// When the device fetched it.
    pub profile_push_time: Option<Timestamp>,
    /// Who gave the device to this MDM server; `-1` for an automatic assignment.
    pub device_assigned_by: Fact,
    /// When the device was given to this MDM server.
    pub device_assigned_date: Option<Timestamp>,
    /// Until when the device must have moved from another management service (protocol section 8.7).
    pub mdm_migration_deadline: Option<Timestamp>,
    /// Whatever else Apple sent, unchanged: newer fields, MAC addresses, `imei`.
    pub extra: Extra,
}

/// One serial number at one MDM server, as stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// The MDM server that Apple has given it to.
    pub server: ServerId,
    /// Its serial number.
    pub serial: SerialNumber,
    /// What Apple has last said.
    pub actual: Actual,
    /// The newest `op_date` that has been folded in; older events of a sync page are ignored.
    pub op_date: Option<Timestamp>,
    /// A digest of the event with that `op_date`, by which the same event is known when Apple delivers it again
    /// (field lesson L11).
    pub op_digest: Option<i64>,
    /// When we first saw it at this MDM server.
    pub first_seen_at: Timestamp,
    /// When Apple last listed it or told of it.
    pub last_seen_at: Timestamp,
    /// The run that saw it last; a full sync finds the absent by it (field lesson L8).
    pub seen_run: RunId,
    /// When it left. A removed device is a tombstone.
    pub removed_at: Option<Timestamp>,
    /// Why an operator keeps it from being assigned; `None` when nobody does.
    pub hold: Option<String>,
    /// Our tags of it, sorted, each once.
    pub tags: Vec<String>,
    /// Its way to the wanted profile.
    pub assignment: Assignment,
}
