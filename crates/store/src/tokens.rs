use adelie_model::{ServerId, ServerTokenId, Timestamp, TokenKeyId, TokenState};
use async_trait::async_trait;

use crate::{Result, Sealed};

/// A token key as stored.
#[derive(Clone, Debug)]
pub struct StoredKey {
    /// Its id; the seal is bound to it.
    pub id: TokenKeyId,
    /// The MDM server it was made for.
    pub server: ServerId,
    /// The certificate that is uploaded to Apple, DER.
    pub certificate: Vec<u8>,
    /// The private key, PKCS #8 DER, sealed.
    pub private_key: Sealed,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A server token to be stored and used from now on.
#[derive(Clone, Debug)]
pub struct NewServerToken {
    /// Its id; the seal is bound to it.
    pub id: ServerTokenId,
    /// The MDM server it belongs to.
    pub server: ServerId,
    /// The key that opened it.
    pub key: TokenKeyId,
    /// Identifies the MDM server at Apple; no secret.
    pub consumer_key: String,
    /// Consumer secret, access token and access secret, sealed together.
    pub secrets: Sealed,
    /// After this moment Apple refuses it.
    pub expires_at: Timestamp,
}

/// A server token as stored.
#[derive(Clone, Debug)]
pub struct StoredToken {
    /// What was stored.
    pub token: NewServerToken,
    /// When it was imported.
    pub imported_at: Timestamp,
}

/// How the token of an MDM server stands, as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHealth {
    /// The state.
    pub state: TokenState,
    /// Apple's word or the cause, for people.
    pub detail: Option<String>,
    /// Since when it has been so.
    pub since: Option<Timestamp>,
    /// The expiry of the current token, if there is one.
    pub expires_at: Option<Timestamp>,
}

/// Token keys and server tokens, sealed.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// Stores a new token key.
    async fn add_token_key(&self, key: &StoredKey) -> Result<()>;

    /// The token keys of an MDM server, newest first.
    async fn token_keys(&self, server: ServerId) -> Result<Vec<StoredKey>>;

    /// Makes this the current token, in one transaction: the old one is kept but no longer used, the
    /// health becomes `state`, and the next sync is due at once. The lease is taken from whoever works with the
    /// old token. A token with another consumer key is for another MDM server of Apple's: cursors, a full sync
    /// under way and published profiles are forgotten, because they are the former server's.
    async fn import_token(&self, token: &NewServerToken, state: TokenState, now: Timestamp) -> Result<()>;

    /// The current token of an MDM server.
    async fn current_token(&self, server: ServerId) -> Result<Option<StoredToken>>;

    /// Keeps how the token stands. `since` changes only when the state does.
    async fn set_token_state(
        &self,
        server: ServerId,
        state: TokenState,
        detail: Option<&str>,
        now: Timestamp,
    ) -> Result<()>;
}
