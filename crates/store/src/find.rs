//! What drivers share when they look serial numbers up.

use std::collections::HashMap;

use adelie_model::SerialNumber;

use crate::DeviceView;

/// How often a driver looks into its index on serial numbers before it reads all devices instead.
const LOOKS: i64 = 50_000;

/// Whether serial numbers are looked up at each MDM server in turn, and not among all devices at once.
#[must_use]
pub fn one_by_one(serials: usize, servers: i64) -> bool {
    i64::try_from(serials).unwrap_or(i64::MAX).saturating_mul(servers) <= LOOKS
}

/// Devices by their serial number; each one's stay in their order.
#[must_use]
pub fn by_serial(views: Vec<DeviceView>) -> HashMap<SerialNumber, Vec<DeviceView>> {
    let mut found: HashMap<SerialNumber, Vec<DeviceView>> = HashMap::new();
    for view in views {
        found.entry(view.device.serial.clone()).or_default().push(view);
    }
    found
}
