//! Whether what was measured was also right.

use std::collections::HashMap;

use anyhow::Context as _;
use serde::Deserialize;

use crate::apple::Apple;
use crate::installation::Installation;

/// A line of `adelie device list --json`, as far as it counts here.
#[derive(Deserialize)]
struct Listed {
    serial_number: String,
    profile_uuid: Option<String>,
    assignment: Assignment,
}

#[derive(Deserialize)]
struct Assignment {
    state: String,
}

/// Fails unless every device at Apple has the profile of its family by exactly one assignment, and our table says
/// the same of exactly these devices.
pub async fn verify(apple: &Apple, installation: &Installation<'_>, devices: u64) -> anyhow::Result<()> {
    let (macs, others) =
        (installation.profile_uuid("macs").await?, installation.profile_uuid("others").await?);
    let wanted = |is_mac: bool| if is_mac { &macs } else { &others };
    // By serial number: whether it is a Mac.
    let mut truth: HashMap<String, bool> = HashMap::new();
    apple
        .each_device(|device| {
            let is_mac = device.device_family == "Mac";
            let good = device.profile_uuid.as_ref() == Some(wanted(is_mac))
                && device.profile_status == "assigned"
                && device.assigns == 1;
            anyhow::ensure!(good, "at Apple a device is not as it should be: {device:?}");
            truth.insert(device.serial_number, is_mac);
            Ok(())
        })
        .await?;
    anyhow::ensure!(truth.len() as u64 == devices, "Apple has {} of {devices} devices", truth.len());
    installation
        .each_device(|line| {
            let listed: Listed = serde_json::from_str(line).with_context(|| format!("the line {line:?}"))?;
            let is_mac = truth.remove(&listed.serial_number);
            let is_mac = is_mac.with_context(|| format!("listed twice, or not Apple's: {line}"))?;
            let good =
                listed.profile_uuid.as_ref() == Some(wanted(is_mac)) && listed.assignment.state == "assigned";
            anyhow::ensure!(good, "listed, and not as it should be: {line}");
            Ok(())
        })
        .await?;
    anyhow::ensure!(truth.is_empty(), "{} devices are not in our table", truth.len());
    Ok(())
}
