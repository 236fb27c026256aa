use adelie_dep::DeviceResult;
use adelie_dep::Error;
use adelie_dep::endpoints::device_details::{self, Detail};
use adelie_model::SerialNumber;
use adelie_store::page::Record;
use chrono::TimeDelta;

use crate::engine::Job;
use crate::record::record;
use crate::{WorkError, retry};

/// Asks Apple what it shows for devices whose outcome is in doubt and stores it (field lessons L28, L29): those
/// that already are as wanted are left alone, those that are gone become removed, the rest are due again.
///
/// The inner result is Apple's error; then nothing was concluded.
pub(crate) async fn read_back(
    job: &Job<'_>,
    serials: &[SerialNumber],
) -> Result<Result<(), Error>, WorkError> {
    let request = device_details::Request { devices: serials.to_vec() };
    let mut response = match retry::patiently(job, &request).await {
        Ok(response) => response,
        Err(error) => return Ok(Err(error)),
    };
    let (mut records, mut gone, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for serial in serials {
        match response.devices.remove(serial) {
            // Asked for by this name, and as it is now, whatever else the answer says.
            Some(Detail::Device(device)) => records.push(Record {
                serial: serial.clone(),
                op_type: None,
                op_date: None,
                ..record(*device)
            }),
            Some(Detail::Refused(DeviceResult::NotAccessible)) => gone.push(serial.clone()),
            Some(Detail::Refused(_)) | None => unknown.push(serial.clone()),
        }
    }
    let (store, now) = (job.store(), job.now());
    store.commit_details(&job.lease, &records, &gone, now).await?;
    if !unknown.is_empty() {
        let at = now + TimeDelta::hours(1);
        store.unclaim(&job.lease, &unknown, "Apple did not say what it shows for this device", at).await?;
    }
    Ok(Ok(()))
}
