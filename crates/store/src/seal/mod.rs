//! Secrets at rest (design, section 6). A master key, kept outside the database, seals the database's data keys; the newest
//! data key seals each secret with AES-256-GCM. What is sealed is bound to its table, column and row and to the version of
//! its data key, so that it opens nowhere else.
//!
//! - [`SEALED`] lists the columns that hold sealed values; a [`Place`] is one row of one of them.
//! - [`Vault`] seals and opens with the data keys of one moment; a [`Keyring`] is for whoever lives longer, and notices new
//!   ones.
//! - [`rotation`] works out what becomes of the data keys; [`reseal`] seals under the newest what is sealed under an older one.

mod cipher;
mod data_key;
mod error;
mod keyring;
mod master_key;
mod place;
pub mod reseal;
pub mod rotation;
mod sealed;
#[cfg(test)]
mod tests;
mod vault;

pub use data_key::StoredDataKey;
pub use error::SealError;
pub use keyring::{Keyring, VaultSource};
pub use master_key::{MasterKey, MasterKeys};
pub use place::{
    Column, ESCROW_SECRET, PROFILE_SECRETS, Place, SEALED, SERVER_TOKEN_SECRETS, TOKEN_PRIVATE_KEY,
    WEBHOOK_SECRET,
};
pub use sealed::Sealed;
pub use vault::Vault;
