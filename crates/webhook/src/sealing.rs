use adelie_model::{Entropy, WebhookSecretId};
use adelie_store::seal::WEBHOOK_SECRET;
use adelie_store::{Keyring, SealError, Sealed, SealedSecret, Vault};

use crate::{Secret, SecretError};

/// Why a stored secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It does not open.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// It opens, and is no secret.
    #[error("the stored webhook secret {id} cannot be read: rotate the secret of its endpoint")]
    Secret {
        /// The id of the secret.
        id: WebhookSecretId,
        /// What is wrong with it.
        source: SecretError,
    },
}

/// Seals a secret for the row with this id.
///
/// # Errors
/// [`OpenError`] when OpenSSL fails.
pub fn seal_secret(
    vault: &Vault,
    id: WebhookSecretId,
    secret: &Secret,
    entropy: &dyn Entropy,
) -> Result<Sealed, OpenError> {
    let text = secret.to_text().map_err(|source| OpenError::Secret { id, source })?;
    Ok(vault.seal(WEBHOOK_SECRET.at(id.0), text.as_bytes(), entropy)?)
}

/// Opens a stored secret.
///
/// # Errors
/// [`OpenError`] when the row was changed or copied from elsewhere, or holds something else, or its data key is not at hand.
pub async fn open_secret(keyring: &Keyring, stored: &SealedSecret) -> Result<Secret, OpenError> {
    let id = stored.id;
    let plain = keyring.unseal(WEBHOOK_SECRET.at(id.0), &stored.secret).await?;
    let text = std::str::from_utf8(&plain).unwrap_or_default();
    text.parse().map_err(|source| OpenError::Secret { id, source })
}
