//! The words of Adelie as types: identifiers, devices, profiles, tokens, states, time and chance.
//!
//! Everything stands on this crate and it stands on nothing of ours. It does no I/O: the clock and the
//! source of randomness are traits, and only the `adelie` binary brings the real ones.

mod assignment;
mod clock;
mod device;
mod entropy;
pub mod expiry;
mod extra;
mod family;
pub mod halt;
mod ids;
mod mask;
mod names;
mod server_token;
mod sync;
mod token_state;
mod wire_words;

pub use assignment::{AssignState, Assignment};
pub use clock::{Clock, ManualClock, Timestamp, to_millis};
pub use device::{Actual, Device, Fact};
pub use entropy::{Entropy, SeededEntropy};
pub use extra::Extra;
pub use family::DeviceFamily;
pub use ids::{
    DeliveryId, EscrowId, EventId, ProfileId, PublishedId, RevisionId, RuleId, RunId, ServerId,
    ServerTokenId, TokenKeyId, WebhookId, WebhookSecretId, new_uuid,
};
pub use mask::Mask;
pub use names::{NameError, ProfileName, RuleName, ServerName, Tag};
pub use server_token::{Secret, ServerToken};
pub use sync::{Counts, DriftMode, RunOutcome, SyncKind, SyncPhase, SyncRun, Trigger};
pub use token_state::TokenState;
pub use wire_words::{Cursor, OpType, ProfileStatus, ProfileUuid, SerialError, SerialNumber};
