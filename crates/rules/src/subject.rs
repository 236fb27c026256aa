use adelie_model::{Device, DeviceFamily, SerialNumber, ServerId, ServerName, Timestamp};

use crate::Field;

/// What rules see of a device. Borrowed, so that it costs nothing to make.
///
/// A fact that is an empty text counts as absent (field lesson L12), but for the two that every device has.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The MDM server that the device is at.
    pub server: ServerId,
    /// The name of that MDM server.
    pub server_name: &'a ServerName,
    /// The serial number.
    pub serial: &'a SerialNumber,
    /// Apple's product family.
    pub family: Option<&'a DeviceFamily>,
    /// The name of the model.
    pub model: Option<&'a str>,
    /// The operating system.
    pub os: Option<&'a str>,
    /// The colour.
    pub color: Option<&'a str>,
    /// Apple's description.
    pub description: Option<&'a str>,
    /// The organization's asset tag.
    pub asset_tag: Option<&'a str>,
    /// Who gave the device to the MDM server.
    pub assigned_by: Option<&'a str>,
    /// When the device was given to the MDM server; rules see its UTC day.
    pub assigned_date: Option<Timestamp>,
    /// Our tags of the device, in any order.
    pub tags: &'a [String],
}

impl<'a> Subject<'a> {
    /// The view of a device of which nothing more is known.
    #[must_use]
    pub fn unknown(server: ServerId, server_name: &'a ServerName, serial: &'a SerialNumber) -> Self {
        Self {
            server,
            server_name,
            serial,
            family: None,
            model: None,
            os: None,
            color: None,
            description: None,
            asset_tag: None,
            assigned_by: None,
            assigned_date: None,
            tags: &[],
        }
    }

    /// The view of a stored device. Its MDM server's name and its tags are not stored with it.
    #[must_use]
    pub fn new(device: &'a Device, server_name: &'a ServerName, tags: &'a [String]) -> Self {
        let actual = &device.actual;
        Self {
            server: device.server,
            server_name,
            serial: &device.serial,
            family: actual.device_family.as_ref(),
            model: actual.model.as_deref(),
            os: actual.os.as_deref(),
            color: actual.color.as_deref(),
            description: actual.description.as_deref(),
            asset_tag: actual.asset_tag.as_deref(),
            assigned_by: actual.device_assigned_by.as_deref(),
            assigned_date: actual.device_assigned_date,
            tags,
        }
    }

    /// The value of a field that is one text; `None` for the others.
    pub(crate) fn text(&self, field: Field) -> Option<&'a str> {
        let fact = match field {
            Field::Serial => return Some(self.serial.as_str()),
            Field::Server => return Some(self.server_name.as_str()),
            Field::Family => self.family.map(DeviceFamily::as_str),
            Field::Model => self.model,
            Field::Os => self.os,
            Field::Color => self.color,
            Field::Description => self.description,
            Field::AssetTag => self.asset_tag,
            Field::AssignedBy => self.assigned_by,
            Field::AssignedDate | Field::Tag => None,
        };
        fact.filter(|text| !text.is_empty())
    }

    /// The tags that are not empty.
    pub(crate) fn tags(&self) -> impl Iterator<Item = &'a str> {
        self.tags.iter().map(String::as_str).filter(|tag| !tag.is_empty())
    }
}
