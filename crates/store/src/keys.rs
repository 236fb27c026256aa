use std::collections::BTreeMap;

use async_trait::async_trait;
use uuid::Uuid;

use crate::seal::{Column, Sealed, StoredDataKey};
use crate::{Operator, Result};

/// A sealed value that takes the place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resealed {
    /// Whose it is.
    pub row: Uuid,
    /// What stands there.
    pub before: Sealed,
    /// What is to stand there.
    pub after: Sealed,
}

/// Data keys, and sealed values wherever they stand.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// The data keys, oldest first; none in a new database.
    async fn data_keys(&self) -> Result<Vec<StoredDataKey>>;

    /// Makes the data keys what they are in `after`, in one transaction, if they are still what they are in `before`, and
    /// says whether it has. So two processes that start, or rotate, at once never undo what the other one did.
    async fn change_data_keys(
        &self,
        before: &[StoredDataKey],
        after: &[StoredDataKey],
        by: Option<&Operator>,
    ) -> Result<bool>;

    /// Values of a column that are not sealed under this data key, in the order of their rows, from behind `after` on.
    async fn sealed_otherwise(
        &self,
        column: Column,
        version: u32,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<(Uuid, Sealed)>>;

    /// Exchanges values of a column in one transaction, each only if it is still what it was, in all rows that share its
    /// UUID. Says how many there were.
    async fn reseal(&self, column: Column, values: &[Resealed]) -> Result<u64>;

    /// How many values of a column are sealed under each data key. What was never sealed counts for version 0.
    async fn seal_counts(&self, column: Column) -> Result<BTreeMap<u32, u64>>;
}
