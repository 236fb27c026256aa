//! The secrets of a document, which are kept apart from it.

use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::Findings;
use crate::accounts::AccountSettings;

const PASSWORD: &str = "administrator_password";

/// A document asks for the secrets of a stored profile, which has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`accounts.administrator.password` is \"stored\", and the stored profile has no password to take over"
)]
pub struct NoStoredSecrets;

/// A stored document that is not of the form in which it was stored.
#[derive(Debug, thiserror::Error)]
pub enum StoredDocumentError {
    /// The account settings are none.
    #[error("the stored account settings cannot be read: {0}")]
    Accounts(#[from] Findings),
    /// The secrets are none, or belong to another document. What they are is not repeated.
    #[error("the stored secrets do not belong to the stored document")]
    Secrets,
}

/// The secrets of the settings, as JSON.
pub(super) fn of(accounts: &AccountSettings) -> Option<Zeroizing<Vec<u8>>> {
    let password = accounts.secret_password()?;
    Some(Zeroizing::new(json!({ PASSWORD: password }).to_string().into_bytes()))
}

/// Gives settings that say "stored" the password of others.
pub(super) fn give(
    accounts: &mut AccountSettings,
    stored: Option<&AccountSettings>,
) -> Result<(), NoStoredSecrets> {
    let password = stored.and_then(|stored| stored.administrator.as_ref()).map(|admin| &admin.password);
    let password = password.filter(|password| password.is_secret()).ok_or(NoStoredSecrets)?;
    if let Some(administrator) = &mut accounts.administrator {
        administrator.password = password.clone();
    }
    Ok(())
}

/// Gives settings their secrets back.
pub(super) fn restore(
    accounts: Option<&mut AccountSettings>,
    secrets: &[u8],
) -> Result<(), StoredDocumentError> {
    let accounts = accounts.ok_or(StoredDocumentError::Secrets)?;
    let secrets: Value = serde_json::from_slice(secrets).map_err(|_| StoredDocumentError::Secrets)?;
    let password = secrets.get(PASSWORD).ok_or(StoredDocumentError::Secrets)?;
    if accounts.restore_password(password) { Ok(()) } else { Err(StoredDocumentError::Secrets) }
}
