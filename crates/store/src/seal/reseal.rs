//! Seals under the newest data key what is sealed under an older one, while everybody goes on working.

use std::collections::{BTreeMap, BTreeSet};

use adelie_model::{Entropy, Timestamp, halt};

use super::{Column, SEALED, SealError, Sealed, Vault, rotation};
use crate::{KeyStore, Resealed, Result};

/// Values in one transaction. Others wait for it no longer than a few milliseconds.
const BATCH: u32 = 200;

/// What [`all`] has done.
#[derive(Debug, Default)]
pub struct Outcome {
    /// So many values were sealed anew. One that several rows share counts for each.
    pub sealed: u64,
    /// Values that do not open, and were left as they are.
    pub refused: Vec<SealError>,
}

/// Seals everything anew that is not under the newest data key of the vault. What is there already is left alone, so that it
/// can be called again after whatever has ended it, and by several at once. `told` hears how many values were done.
///
/// # Errors
/// [`SealError::Store`] when the store refuses. What was done stays done.
pub async fn all(
    store: &dyn KeyStore,
    vault: &Vault,
    entropy: &dyn Entropy,
    told: &(dyn Fn(u64) + Sync),
) -> Result<Outcome, SealError> {
    let mut outcome = Outcome::default();
    // Whoever has not met the new data key yet may seal under the old one behind our back, so that only a pass that finds
    // nothing to do is the last.
    loop {
        let mut tried = 0;
        outcome.refused.clear();
        for column in SEALED {
            tried += pass(store, *column, vault, entropy, &mut outcome, told).await?;
        }
        if tried == 0 {
            return Ok(outcome);
        }
    }
}

/// One pass over a column; says how many values were to be sealed anew.
async fn pass(
    store: &dyn KeyStore,
    column: Column,
    vault: &Vault,
    entropy: &dyn Entropy,
    outcome: &mut Outcome,
    told: &(dyn Fn(u64) + Sync),
) -> Result<u64, SealError> {
    let (mut after, mut tried) = (None, 0);
    loop {
        let found = store.sealed_otherwise(column, vault.newest(), after, BATCH).await?;
        let Some((last, _)) = found.last() else { return Ok(tried) };
        after = Some(*last);
        let mut values = Vec::with_capacity(found.len());
        for (row, before) in found {
            if is_newer(&before, vault) {
                continue;
            }
            match anew(column, row, &before, vault, entropy) {
                Ok(sealed) => values.push(Resealed { row, before, after: sealed }),
                Err(error) => outcome.refused.push(error),
            }
        }
        if values.is_empty() {
            continue;
        }
        tried += values.len() as u64;
        halt::point("key.before_batch");
        outcome.sealed += store.reseal(column, &values).await?;
        halt::point("key.after_batch");
        told(values.len() as u64);
    }
}

/// Somebody else has begun another rotation meanwhile, and got there first.
fn is_newer(sealed: &Sealed, vault: &Vault) -> bool {
    sealed.key_version().is_some_and(|version| version > vault.newest())
}

fn anew(
    column: Column,
    row: uuid::Uuid,
    before: &Sealed,
    vault: &Vault,
    entropy: &dyn Entropy,
) -> Result<Sealed, SealError> {
    let place = column.at(row);
    vault.seal(place, &vault.unseal(place, before)?, entropy)
}

/// How many values are sealed under each data key, over all columns. What was never sealed counts for version 0.
///
/// # Errors
/// What the store says.
pub async fn counts(store: &dyn KeyStore) -> Result<BTreeMap<u32, u64>> {
    let mut all = BTreeMap::new();
    for column in SEALED {
        for (version, count) in store.seal_counts(*column).await? {
            *all.entry(version).or_default() += count;
        }
    }
    Ok(all)
}

/// Takes data keys out of use that seal nothing, and forgets those that have sealed nothing for a day. Says how many were
/// forgotten; none when somebody else changes the data keys at the same moment.
///
/// # Errors
/// What the store says.
pub async fn forget_unused(store: &dyn KeyStore, now: Timestamp) -> Result<usize> {
    let before = store.data_keys().await?;
    let used: BTreeSet<u32> = counts(store).await?.into_keys().collect();
    let after = rotation::retire(&before, &used, now);
    if after == before || !store.change_data_keys(&before, &after, None).await? {
        return Ok(0);
    }
    Ok(before.len() - after.len())
}
