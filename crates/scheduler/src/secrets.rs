//! Server tokens and token keys between their sealed form and the form in which they are used.

use adelie_model::{Entropy, Secret, ServerToken, ServerTokenId};
use adelie_store::seal::SERVER_TOKEN_SECRETS;
use adelie_store::{Keyring, SealError, Sealed, StoredToken, Vault};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

#[derive(Serialize, Deserialize)]
struct Secrets<'a> {
    consumer_secret: std::borrow::Cow<'a, str>,
    access_token: std::borrow::Cow<'a, str>,
    access_secret: std::borrow::Cow<'a, str>,
}

/// Seals the secrets of a token for the row with this id.
///
/// # Errors
/// [`SealError::Crypto`] when OpenSSL fails.
pub fn seal_token(
    vault: &Vault,
    id: ServerTokenId,
    token: &ServerToken,
    entropy: &dyn Entropy,
) -> Result<Sealed, SealError> {
    let secrets = Secrets {
        consumer_secret: token.consumer_secret.expose_secret().into(),
        access_token: token.access_token.expose_secret().into(),
        access_secret: token.access_secret.expose_secret().into(),
    };
    let place = SERVER_TOKEN_SECRETS.at(id.0);
    let plain = Zeroizing::new(serde_json::to_vec(&secrets).map_err(|_| SealError::Unreadable(place))?);
    vault.seal(place, &plain, entropy)
}

/// Opens a stored token.
///
/// # Errors
/// [`SealError`] when the row does not open, or its data key does not.
pub async fn open_token(keyring: &Keyring, stored: &StoredToken) -> Result<ServerToken, SealError> {
    let place = SERVER_TOKEN_SECRETS.at(stored.token.id.0);
    let plain = keyring.unseal(place, &stored.token.secrets).await?;
    let secrets: Secrets<'_> = serde_json::from_slice(&plain).map_err(|_| SealError::Unreadable(place))?;
    let secret = |text: std::borrow::Cow<'_, str>| Secret::from(text.into_owned());
    Ok(ServerToken {
        consumer_key: stored.token.consumer_key.clone(),
        consumer_secret: secret(secrets.consumer_secret),
        access_token: secret(secrets.access_token),
        access_secret: secret(secrets.access_secret),
        expires_at: stored.token.expires_at,
    })
}
