use adelie_model::{ServerId, ServerTokenId, Timestamp, TokenKeyId, TokenState};
use async_trait::async_trait;
use chrono::TimeDelta;

use crate::{Account, Operator, Result, Sealed};

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
    /// What Apple says of the account behind it, with who made it; `None` until Apple was asked.
    pub account: Option<Account>,
}

/// A server token as stored.
#[derive(Clone, Debug)]
pub struct StoredToken {
    /// What was stored.
    pub token: NewServerToken,
    /// When it was imported.
    pub imported_at: Timestamp,
    /// Who imported it; `None` for those of older versions.
    pub imported_by: Option<String>,
    /// When another one took its place; `None` while it is in use.
    pub replaced_at: Option<Timestamp>,
    /// When it was last put back into use, and by whom.
    pub restored: Option<(Timestamp, String)>,
    /// Whether it is the one in use.
    pub is_current: bool,
}

/// How the token of an MDM server stands, as last seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHealth {
    /// The state, as Apple has last told it. See [`TokenHealth::state_at`].
    pub state: TokenState,
    /// Apple's word or the cause, for people.
    pub detail: Option<String>,
    /// Since when it has been so.
    pub since: Option<Timestamp>,
    /// The expiry of the current token, if there is one.
    pub expires_at: Option<Timestamp>,
    /// When a token that Apple refuses is tried again by itself; `None` while it is not refused.
    pub next_check_at: Option<Timestamp>,
    /// How far Apple's clock is ahead of ours; `None` while that is less than a minute.
    pub clock_skew: Option<TimeDelta>,
}

impl TokenHealth {
    /// A token in this state, of which nothing else is known.
    #[must_use]
    pub fn of(state: TokenState) -> Self {
        Self { state, detail: None, since: None, expires_at: None, next_check_at: None, clock_skew: None }
    }

    /// The state at a moment: where Apple has said nothing against the token, the calendar may.
    #[must_use]
    pub fn state_at(&self, now: Timestamp) -> TokenState {
        self.expires_at.map_or(self.state, |at| self.state.at(at, now))
    }

    /// Whole days until the expiry, negative after it.
    #[must_use]
    pub fn days_left(&self, now: Timestamp) -> Option<i64> {
        self.expires_at.map(|at| (at - now).num_milliseconds().div_euclid(86_400_000))
    }
}

/// What was found out about a token.
#[derive(Clone, Copy, Debug)]
pub struct TokenSeen<'a> {
    /// About which one; what is said of a token that is no longer in use is not kept. `None`: the one in use.
    pub about: Option<ServerTokenId>,
    /// How it stands.
    pub state: TokenState,
    /// Apple's word or the cause, for people.
    pub detail: Option<&'a str>,
    /// When it is to be tried again by itself, while Apple refuses it.
    pub next_check_at: Option<Timestamp>,
    /// Whether a sync is due at once, because the token was in trouble and no longer is.
    pub wakes: bool,
}

impl From<TokenState> for TokenSeen<'_> {
    fn from(state: TokenState) -> Self {
        Self { about: None, state, detail: None, next_check_at: None, wakes: false }
    }
}

/// Token keys and server tokens, sealed.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// Stores a new token key.
    async fn add_token_key(&self, key: &StoredKey, by: &Operator) -> Result<()>;

    /// The token keys of an MDM server, newest first.
    async fn token_keys(&self, server: ServerId) -> Result<Vec<StoredKey>>;

    /// Makes this the current token, in one transaction: the old one is kept but no longer used, the
    /// health becomes `seen`, what Apple says of the account is kept, and the next sync is due at once. The lease is
    /// taken from whoever works with the old token. A token with another consumer key is for another MDM server of
    /// Apple's: cursors, a full sync under way and published profiles are forgotten, because they are the former
    /// server's. Writes who did it.
    async fn import_token(&self, token: &NewServerToken, seen: &TokenSeen<'_>, by: &Operator) -> Result<()>;

    /// Puts a former token back into use, as [`import_token`](Self::import_token) puts a new one. `account` is what
    /// Apple says of it now, if it was asked. One that is in use already stays so.
    ///
    /// # Errors
    /// `Missing` when this MDM server has no such token.
    async fn restore_token(
        &self,
        server: ServerId,
        token: ServerTokenId,
        account: Option<&Account>,
        seen: &TokenSeen<'_>,
        by: &Operator,
    ) -> Result<()>;

    /// The current token of an MDM server.
    async fn current_token(&self, server: ServerId) -> Result<Option<StoredToken>>;

    /// All tokens of an MDM server, the former ones too, last imported first.
    async fn tokens(&self, server: ServerId) -> Result<Vec<StoredToken>>;

    /// Keeps what was found out about the token, by the rules of [`TokenState::after`], and tells it where it is news.
    /// `since` changes only when the state does.
    async fn set_token_state(&self, server: ServerId, seen: &TokenSeen<'_>, now: Timestamp) -> Result<()>;

    /// Keeps how far Apple's clock is ahead of ours; `None` when it is not worth mentioning.
    async fn set_clock_skew(&self, server: ServerId, skew: Option<TimeDelta>) -> Result<()>;

    /// Tells of every token in use that stands on a new rung of the expiry ladder
    /// ([`adelie_model::expiry::rung`]), each in a transaction with the note that it was told, so that no rung is told
    /// twice, whoever asks and how often. Returns how many were told. Where Apple has said nothing worse, the state
    /// becomes what the calendar says.
    async fn tell_expiry(&self, now: Timestamp) -> Result<u64>;
}
