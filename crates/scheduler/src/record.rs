use adelie_dep::Device;
use adelie_model::Actual;
use adelie_store::page::Record;

/// Puts Apple's record of a device into our words. The newer flags are kept with the other extra facts.
pub(crate) fn record(device: Device) -> Record {
    let mut extra = device.extra;
    for (name, flag) in [
        ("is_replacement_device", device.is_replacement_device),
        ("released_by_replacement", device.released_by_replacement),
    ] {
        if let Some(flag) = flag {
            extra.insert(name.to_owned(), flag.into());
        }
    }
    Record {
        serial: device.serial_number,
        actual: Actual {
            model: device.model,
            description: device.description,
            color: device.color,
            asset_tag: device.asset_tag,
            device_family: device.device_family,
            os: device.os,
            profile_status: device.profile_status,
            profile_uuid: device.profile_uuid,
            profile_assign_time: device.profile_assign_time.map(adelie_model::to_millis),
            profile_push_time: device.profile_push_time.map(adelie_model::to_millis),
            device_assigned_by: device.device_assigned_by,
            device_assigned_date: device.device_assigned_date.map(adelie_model::to_millis),
            mdm_migration_deadline: device.mdm_migration_deadline.map(adelie_model::to_millis),
            extra,
        },
        op_type: device.op_type,
        op_date: device.op_date.map(adelie_model::to_millis),
    }
}
