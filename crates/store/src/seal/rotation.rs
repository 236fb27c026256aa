//! What becomes of the data keys of a database. Pure: a caller reads them, asks one of these functions, and stores the
//! answer only if nobody has changed them meanwhile.

use std::collections::BTreeSet;

use adelie_model::{Entropy, Timestamp};
use chrono::TimeDelta;

use super::{MasterKeys, SealError, StoredDataKey};

/// How long a data key is kept when nothing is sealed under it any more: whoever has read it before may still seal.
pub const KEPT: TimeDelta = TimeDelta::days(1);

/// Begins a rotation, or goes on with one that was interrupted: all data keys stand under the first of the master keys, and
/// there is a new one unless the newest still waits for secrets to be sealed under it.
///
/// # Errors
/// [`SealError`] when a data key does not open.
pub fn begin(
    before: &[StoredDataKey],
    masters: &MasterKeys,
    entropy: &dyn Entropy,
    now: Timestamp,
) -> Result<Vec<StoredDataKey>, SealError> {
    let first = masters.first().ok_or(SealError::BadKey)?;
    let mut after =
        before.iter().map(|key| key.clone().under(first, masters, entropy)).collect::<Result<Vec<_>, _>>()?;
    let newest = after.last().ok_or(SealError::DamagedDataKey(1))?;
    if newest.completed_at.is_some() {
        after.push(StoredDataKey::fresh(newest.version + 1, first, entropy, now)?);
    }
    Ok(after)
}

/// Ends the rotation that made data key `version`: a pass over all secrets has found none to seal under it.
#[must_use]
pub fn complete(before: &[StoredDataKey], version: u32, now: Timestamp) -> Vec<StoredDataKey> {
    let mut after = before.to_vec();
    for key in &mut after {
        if key.version <= version && key.completed_at.is_none() {
            key.completed_at = Some(now);
        }
    }
    after
}

/// Takes data keys out of use that seal nothing, and forgets those that have sealed nothing for a day. `used` are the
/// versions under which something is sealed. The newest always stays.
#[must_use]
pub fn retire(before: &[StoredDataKey], used: &BTreeSet<u32>, now: Timestamp) -> Vec<StoredDataKey> {
    let newest = before.iter().map(|key| key.version).max();
    let mut after = Vec::with_capacity(before.len());
    for key in before {
        let in_use = used.contains(&key.version) || Some(key.version) == newest;
        let retired_at = if in_use { None } else { Some(key.retired_at.unwrap_or(now)) };
        if retired_at.is_none_or(|since| now - since < KEPT) {
            after.push(StoredDataKey { retired_at, ..key.clone() });
        }
    }
    after
}
