use adelie_model::{SerialNumber, ServerId, Tag, Timestamp};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::page::Action;
use crate::{Operator, Result};

/// A change of many devices at once, with how it is undone.
#[derive(Clone, Debug, PartialEq)]
pub struct NewBulkChange {
    /// What it is, for people.
    pub what: String,
    /// What undoes it.
    pub undo: Vec<Undo>,
}

/// What undoes a change of some devices at an MDM server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// The MDM server.
    pub server: ServerId,
    /// The devices there.
    pub serials: Vec<SerialNumber>,
    /// What to do to them.
    pub by: Reverse,
}

/// What takes back what was done to a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reverse {
    /// Give it the tags that were taken away, and take away those that were given.
    Tag {
        /// Tags to give it.
        add: Vec<Tag>,
        /// Tags to take away.
        remove: Vec<Tag>,
    },
    /// Hold it again.
    Hold {
        /// Why it was held.
        reason: String,
    },
    /// Let it go.
    Unhold,
}

impl From<Reverse> for Action {
    fn from(reverse: Reverse) -> Self {
        match reverse {
            Reverse::Tag { add, remove } => Self::Tag { add, remove },
            Reverse::Hold { reason } => Self::Hold { reason },
            Reverse::Unhold => Self::Unhold,
        }
    }
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
