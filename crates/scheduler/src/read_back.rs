use std::collections::HashSet;

use adelie_dep::endpoints::device_details::{self, Detail};
use adelie_dep::{Client, DeviceResult, Error};
use adelie_model::{ProfileStatus, SerialNumber};
use adelie_store::Details;
use adelie_store::page::Record;
use chrono::TimeDelta;

use crate::job::Job;
use crate::record::record;
use crate::{WorkError, retry};

/// What Apple shows for one device when asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// It is this MDM server's, and so it stands.
    Device(Box<Record>),
    /// Apple says that it is not this MDM server's.
    NotOurs(SerialNumber),
    /// Apple said nothing that can be understood.
    Unclear(SerialNumber),
}

/// Asks Apple what it shows for devices whose outcome is in doubt and stores it (field lessons L28, L29): those
/// that already are as wanted are left alone, those that are gone become removed, the rest are due again.
///
/// The inner result is Apple's error; then nothing was concluded.
pub(crate) async fn read_back(
    job: &Job<'_>,
    serials: &[SerialNumber],
) -> Result<Result<(), Error>, WorkError> {
    let request = device_details::Request { devices: serials.to_vec() };
    match retry::patiently(job, &request).await {
        Ok(response) => Ok(Ok(store(job, &shown(response, serials), false).await?)),
        Err(error) => Ok(Err(error)),
    }
}

/// Asks Apple about devices that an operator names, and stores what it shows.
pub(crate) async fn refresh(
    job: &Job<'_>,
    serials: &[SerialNumber],
    add: bool,
) -> Result<Vec<Shown>, WorkError> {
    let mut all = Vec::with_capacity(serials.len());
    for batch in serials.chunks(device_details::MAX_SERIALS) {
        let mut shown = ask(job, batch).await?;
        store(job, &shown, add).await?;
        all.append(&mut shown);
    }
    Ok(all)
}

/// Asks Apple about the devices of intents whose pages were never stored, and about `others`, stored ones in doubt. Of
/// the intended ones those are stored that show a profile: what their pages say, fetched again, may be older. The rest
/// is new with its page.
pub(crate) async fn intended(
    job: &Job<'_>,
    intended: &[SerialNumber],
    others: &[SerialNumber],
) -> Result<(), WorkError> {
    let unstored: HashSet<&SerialNumber> = intended.iter().collect();
    for batch in [intended, others].concat().chunks(device_details::MAX_SERIALS) {
        let mut shown = ask(job, batch).await?;
        shown.retain(|one| match one {
            Shown::Device(record) => !unstored.contains(&record.serial) || shows_a_profile(record),
            Shown::NotOurs(serial) | Shown::Unclear(serial) => !unstored.contains(serial),
        });
        store(job, &shown, true).await?;
    }
    Ok(())
}

fn shows_a_profile(record: &Record) -> bool {
    matches!(record.actual.profile_status, Some(ProfileStatus::Assigned | ProfileStatus::Pushed))
}

async fn ask(job: &Job<'_>, batch: &[SerialNumber]) -> Result<Vec<Shown>, WorkError> {
    let request = device_details::Request { devices: batch.to_vec() };
    match retry::patiently(job, &request).await {
        Ok(response) => Ok(shown(response, batch)),
        Err(error) => Err(job.apple("tell what it shows for devices", error).await),
    }
}

/// Asks Apple about devices, once and without storing anything.
pub(crate) async fn look(client: &Client, serials: &[SerialNumber]) -> Result<Vec<Shown>, Error> {
    let mut all = Vec::with_capacity(serials.len());
    for batch in serials.chunks(device_details::MAX_SERIALS) {
        let response = client.send(&device_details::Request { devices: batch.to_vec() }).await?;
        all.append(&mut shown(response, batch));
    }
    Ok(all)
}

/// One answer for each device that was asked for, in their order.
fn shown(mut response: device_details::Response, serials: &[SerialNumber]) -> Vec<Shown> {
    let one = |serial: &SerialNumber| match response.devices.remove(serial) {
        // Asked for by this name, and as it is now, whatever else the answer says.
        Some(Detail::Device(device)) => Shown::Device(Box::new(Record {
            serial: serial.clone(),
            op_type: None,
            op_date: None,
            ..record(*device)
        })),
        Some(Detail::Refused(DeviceResult::NotAccessible)) => Shown::NotOurs(serial.clone()),
        Some(Detail::Refused(_)) | None => Shown::Unclear(serial.clone()),
    };
    serials.iter().map(one).collect()
}

async fn store(job: &Job<'_>, shown: &[Shown], add: bool) -> Result<(), WorkError> {
    let mut details = Details { add, ..Details::default() };
    let mut unclear = Vec::new();
    for one in shown {
        match one {
            Shown::Device(record) => details.records.push((**record).clone()),
            Shown::NotOurs(serial) => details.gone.push(serial.clone()),
            Shown::Unclear(serial) => unclear.push(serial.clone()),
        }
    }
    let now = job.now();
    job.store().commit_details(&job.lease, &details, now).await?;
    if !unclear.is_empty() {
        let reason = "Apple did not say what it shows for this device";
        job.store().not_told(&job.lease, &unclear, reason, now, now + TimeDelta::hours(1)).await?;
    }
    Ok(())
}
