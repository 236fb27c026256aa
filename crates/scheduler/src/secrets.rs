//! Server tokens and token keys between their sealed form and the form in which they are used.

use adelie_model::{Entropy, Secret, ServerToken, ServerTokenId, TokenKeyId};
use adelie_store::{SealError, Sealed, StoredToken, Vault};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Where the private key of a token key is sealed for.
#[must_use]
pub fn key_place(id: TokenKeyId) -> String {
    format!("token_keys.private_key/{id}")
}

fn token_place(id: ServerTokenId) -> String {
    format!("server_tokens.secrets/{id}")
}

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
    let plain =
        Zeroizing::new(serde_json::to_vec(&secrets).map_err(|_| SealError::Tampered(token_place(id)))?);
    vault.seal(&token_place(id), &plain, entropy)
}

/// Opens a stored token.
///
/// # Errors
/// [`SealError::Tampered`] when the row does not open.
pub fn open_token(vault: &Vault, stored: &StoredToken) -> Result<ServerToken, SealError> {
    let place = token_place(stored.token.id);
    let plain = vault.unseal(&place, &stored.token.secrets)?;
    let secrets: Secrets<'_> = serde_json::from_slice(&plain).map_err(|_| SealError::Tampered(place))?;
    let secret = |text: std::borrow::Cow<'_, str>| Secret::from(text.into_owned());
    Ok(ServerToken {
        consumer_key: stored.token.consumer_key.clone(),
        consumer_secret: secret(secrets.consumer_secret),
        access_token: secret(secrets.access_token),
        access_secret: secret(secrets.access_secret),
        expires_at: stored.token.expires_at,
    })
}
