use adelie_model::{EscrowId, SerialNumber, ServerId, ServerName, Timestamp};
use async_trait::async_trait;

use crate::{Operator, Result, Sealed};

/// What is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EscrowKind {
    /// The code that takes a device out of activation lock.
    BypassCode,
    /// The password of the managed administrator of a Mac.
    AdminPassword,
}

/// How it stands with a secret of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EscrowState {
    /// Kept, and whether the device took it is not known (yet).
    Escrowed,
    /// The device has it.
    Active,
    /// The device does not have it, for certain.
    Refused,
    /// The device had it before another.
    Replaced,
}

macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $type {
            /// The word that stores and JSON use.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The one with that word.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words!(EscrowKind { BypassCode = "bypass_code", AdminPassword = "admin_password" });
words!(EscrowState { Escrowed = "escrowed", Active = "active", Refused = "refused", Replaced = "replaced" });

/// A secret of a device, to be kept before anybody is told of it.
#[derive(Clone, Debug)]
pub struct NewEscrow {
    /// Its id; the seal is bound to it.
    pub id: EscrowId,
    /// The MDM server.
    pub server: ServerId,
    /// The device.
    pub serial: SerialNumber,
    /// What it is.
    pub kind: EscrowKind,
    /// The secret, sealed.
    pub secret: Sealed,
}

/// A secret of a device as it is kept.
#[derive(Clone, Debug)]
pub struct Escrowed {
    /// Its id.
    pub id: EscrowId,
    /// The MDM server.
    pub server: ServerId,
    /// The name of the MDM server.
    pub server_name: ServerName,
    /// The device.
    pub serial: SerialNumber,
    /// What it is.
    pub kind: EscrowKind,
    /// The secret, sealed.
    pub secret: Sealed,
    /// How it stands.
    pub state: EscrowState,
    /// Why it stands there, for people; empty when the state says it all.
    pub detail: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who had it made.
    pub created_by: String,
    /// Since when it has stood there.
    pub since: Timestamp,
    /// When somebody last looked at it.
    pub viewed_at: Option<Timestamp>,
    /// When another is to take its place; `None` for never.
    pub rotate_at: Option<Timestamp>,
}

/// Which secrets of devices are listed.
#[derive(Clone, Debug, Default)]
pub struct EscrowFilter {
    /// What they are.
    pub kind: Option<EscrowKind>,
    /// Of one MDM server.
    pub server: Option<ServerId>,
    /// Of one device.
    pub serial: Option<SerialNumber>,
    /// Whose time to be replaced has come by this moment, and that a device has.
    pub to_rotate_by: Option<Timestamp>,
}

/// Secrets of devices that a person may need one day. None is ever deleted: which of several a device has cannot always
/// be known.
#[async_trait]
pub trait EscrowStore: Send + Sync {
    /// Keeps a secret, `Escrowed`.
    ///
    /// # Errors
    /// `Missing` when there is no such MDM server.
    async fn escrow(&self, new: &NewEscrow, by: &Operator) -> Result<()>;

    /// Keeps what became of it, and when another is to take its place. One that is `Active` makes those `Replaced` that
    /// were `Active` for the same device at the same MDM server. `false` when there is none with that id, or when it is
    /// replaced already.
    async fn settle_escrow(
        &self,
        id: EscrowId,
        state: EscrowState,
        detail: &str,
        rotate_at: Option<Timestamp>,
        by: &Operator,
    ) -> Result<bool>;

    /// Keeps that somebody looks at a secret. One that a device has or may have is to be replaced at `rotate_at`, unless
    /// it is earlier anyway. The secret may be shown once this has returned.
    async fn view_escrow(&self, id: EscrowId, rotate_at: Option<Timestamp>, by: &Operator) -> Result<bool>;

    /// Makes the time come to replace the secret that a device has. `false` when it has none of that kind.
    async fn rotate_escrow(
        &self,
        server: ServerId,
        serial: &SerialNumber,
        kind: EscrowKind,
        by: &Operator,
    ) -> Result<bool>;

    /// Secrets by id, newest first, at most `limit`; those before `before`, where a list goes on.
    async fn escrowed(
        &self,
        filter: &EscrowFilter,
        before: Option<EscrowId>,
        limit: u32,
    ) -> Result<Vec<Escrowed>>;
}
