use adelie_model::{SerialNumber, ServerId, Tag, Timestamp};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Operator, Result};

/// A change of many devices at once, with how it is undone.
#[derive(Clone, Debug, PartialEq)]
pub struct NewBulkChange {
    /// What it is, for people.
    pub what: String,
    /// What undoes it.
    pub undo: Vec<Undo>,
}

/// Tags to be given and taken away to undo a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// The MDM server.
    pub server: ServerId,
    /// The devices there.
    pub serials: Vec<SerialNumber>,
    /// Tags that the change took away.
    pub add: Vec<Tag>,
    /// Tags that it gave.
    pub remove: Vec<Tag>,
}

/// A change of many devices that was kept.
#[derive(Clone, Debug, PartialEq)]
pub struct BulkChange {
    /// Its number; later changes have greater ones.
    pub id: i64,
    /// When it was made.
    pub at: Timestamp,
    /// Who made it.
    pub by: String,
    /// What it is, for people.
    pub what: String,
    /// What undoes it.
    pub undo: Vec<Undo>,
}

/// Changes of many devices, kept so that they can be undone.
#[async_trait]
pub trait BulkStore: Send + Sync {
    /// Keeps a change that is about to be made, and forgets all but the last hundred.
    async fn note_bulk(&self, change: &NewBulkChange, by: &Operator) -> Result<i64>;

    /// The last change that was not undone.
    async fn last_bulk(&self) -> Result<Option<BulkChange>>;

    /// Keeps that a change was undone, and by whom.
    async fn set_undone(&self, id: i64, by: &Operator) -> Result<()>;
}
