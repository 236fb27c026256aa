//! What Adelie stores, as traits; and the pure logic that every driver runs inside its transactions.
//!
//! - The traits ([`Store`] and its parts) name transactions by what they mean: "commit this page",
//!   "claim these assignments". A driver implements each as exactly one database transaction. None of
//!   them spans a network call, because none of them can make one.
//! - [`page`] folds a page by serial number, merges it into what is known and decides what each device
//!   is to have. A driver loads the rows, calls it, and writes what it returns, all in one transaction
//!   (field lesson L1).
//! - [`audit`] keeps what people did by hand, as a chain of hashes; what each change comes to there, and the hashes, are
//!   worked out here, and drivers write them in the transaction of the change.
//! - [`backup`] is the file that holds everything, and the catalogue of what that is; drivers read and load rows.
//! - [`event`] says what happened, in types with a JSON Schema each.
//! - [`find`] is what drivers share when they look serial numbers up.
//! - [`seal`] turns secrets into [`Sealed`] bytes, the only form in which a driver ever sees one.
//! - `contract` (feature `contract`) is the suite that every driver must pass.

mod assign;
pub mod audit;
pub mod backup;
mod bulk;
pub mod configuration;
mod configuration_error;
#[cfg(feature = "contract")]
pub mod contract;
mod devices;
mod error;
mod escrow;
pub mod event;
pub mod find;
mod keys;
mod last_rules;
mod leases;
mod operator;
pub mod page;
mod policy;
mod profiles;
pub mod seal;
mod servers;
mod sync;
mod tokens;
mod turn;
mod webhooks;

pub use assign::{AssignStore, Claim, Details, DueGroup, Settlement, Trouble};
pub use audit::{AuditEntry, AuditFilter, AuditHead, AuditStore, NewAudit};
pub use backup::BackupStore;
pub use bulk::{BulkChange, BulkStore, NewBulkChange, Reverse, Undo};
pub use configuration::ConfigurationStore;
pub use configuration_error::ConfigurationError;
pub use devices::{DeviceFilter, DevicePosition, DeviceStore, DeviceView, StateCount, StoredEvent};
pub use error::{StoreError, moment};
pub use escrow::{EscrowFilter, EscrowKind, EscrowState, EscrowStore, Escrowed, NewEscrow};
pub use keys::{KeyStore, Resealed};
pub use last_rules::LastRules;
pub use leases::{Lease, LeaseAnswer, LeaseStore, WorkEnd};
pub use operator::Operator;
pub use policy::{Policy, Published, RuleBook, Wanted};
pub use profiles::{ProfileStore, PublishOutcome, Revision};
pub use seal::{Keyring, MasterKey, MasterKeys, SealError, Sealed, Vault};
pub use servers::{Account, MdmServer, NewServer, ServerDefault, ServerStore, SyncSettings};
pub use sync::{
    AbsentCount, Committed, FullPhase, PageCommit, Retention, RunEnd, RunStart, SendAhead, SyncPosition,
    SyncStore,
};
pub use tokens::{NewServerToken, StoredKey, StoredToken, TokenHealth, TokenSeen, TokenStore};
pub use turn::{Before, Turn};
pub use webhooks::{
    Attempt, Attempted, Backlog, ClaimedDelivery, Delivery, DeliveryFilter, DeliveryOutcome, DeliveryState,
    EventFilter, NewWebhook, Replay, SealedSecret, Touched, Webhook, WebhookChange, WebhookFormat,
    WebhookState, WebhookStore, deciding, touched,
};

/// Everything stored, behind one handle. `adelie` picks the driver; nobody else knows which it is.
pub trait Store:
    ServerStore
    + KeyStore
    + TokenStore
    + ProfileStore
    + ConfigurationStore
    + DeviceStore
    + LeaseStore
    + SyncStore
    + AssignStore
    + BulkStore
    + WebhookStore
    + EscrowStore
    + AuditStore
    + BackupStore
{
}

impl<T> Store for T where
    T: ServerStore
        + KeyStore
        + TokenStore
        + ProfileStore
        + ConfigurationStore
        + DeviceStore
        + LeaseStore
        + SyncStore
        + AssignStore
        + BulkStore
        + WebhookStore
        + EscrowStore
        + AuditStore
        + BackupStore
{
}

/// The result of every call to a store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;
