//! How server tokens stand: what every answer of Apple's says of one, kept in one place.

use adelie_dep::Client;
use adelie_dep::endpoints::account;
use adelie_model::{ServerId, ServerTokenId, Timestamp, TokenState};
use adelie_store::{MdmServer, StoreError, TokenSeen};
use chrono::TimeDelta;

use crate::sync::to_account;
use crate::{Engine, WorkError, policy};

/// A clock that is further off than this is worth mentioning. Apple refuses requests of one that is off by minutes.
const SKEW: TimeDelta = TimeDelta::seconds(60);

impl Engine {
    /// Asks Apple about the account now, keeps how the token stands, and gives the state. What was held up by a trouble
    /// that is over is due at once. Needs no lease, so that it also works while another copy works on the server.
    ///
    /// # Errors
    /// [`WorkError::NoToken`], [`WorkError::Sealed`], [`WorkError::Asked`], [`WorkError::Apple`], those of the store.
    pub async fn check_token(&self, id: ServerId) -> Result<TokenState, WorkError> {
        let server = self.server(id).await?;
        let (token, client) = self.connector.client_of_token(&server).await?;
        let answer = client.send(&account::Request).await;
        self.note_skew(&server, &client).await;
        match answer {
            Ok(response) => {
                self.token_taken(&server, token, &response, true).await?;
                Ok(TokenState::Valid.at_expiry(&server, self.clock.now()))
            }
            Err(error) => {
                if let Some(until) = error.wait_until() {
                    self.store.set_wait_until(id, until).await?;
                }
                self.token_refused(&server, Some(token), &error).await?;
                Err(WorkError::Apple(server.name, "tell about the account", error))
            }
        }
    }

    /// Tells of every token that stands on a new rung of the expiry ladder. Needs no Apple. Returns how many were told.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn tell_expiry(&self) -> Result<u64, StoreError> {
        self.store.tell_expiry(self.clock.now()).await
    }

    /// Keeps that Apple takes a token; only the calendar can say more.
    pub(crate) async fn token_taken(
        &self,
        server: &MdmServer,
        token: ServerTokenId,
        response: &account::Response,
        wakes: bool,
    ) -> Result<(), WorkError> {
        let account = to_account(response, response.limit_for("/server/devices"));
        if server.account.as_ref() != Some(&account) {
            self.store.set_account(server.id, &account).await?;
        }
        let state = TokenState::Valid.at_expiry(server, self.clock.now());
        let wakes = wakes && server.token.state.is_bad();
        let seen = TokenSeen { about: Some(token), wakes, ..state.into() };
        Ok(self.store.set_token_state(server.id, &seen, self.clock.now()).await?)
    }

    /// Keeps what an error of Apple's says of a token, if it says anything, and when it is tried again.
    pub(crate) async fn token_refused(
        &self,
        server: &MdmServer,
        token: Option<ServerTokenId>,
        error: &adelie_dep::Error,
    ) -> Result<(), StoreError> {
        let Some(state) = error.token_state() else { return Ok(()) };
        let (now, detail) = (self.clock.now(), crate::chain(error));
        let known = server.token.state.after(state);
        let next_check_at = policy::next_token_check(&self.settings, known, now, &*self.entropy);
        let seen = TokenSeen { about: token, state, detail: Some(&detail), next_check_at, wakes: false };
        self.store.set_token_state(server.id, &seen, now).await
    }

    /// Keeps how far Apple's clock is ahead of ours, when that is news. It is a help and no reason to stop.
    pub(crate) async fn note_skew(&self, server: &MdmServer, client: &Client) {
        let Some(seen) = client.clock_skew() else { return };
        let worth = Some(seen).filter(|skew| skew.abs() > SKEW);
        let same = match (server.token.clock_skew, worth) {
            (Some(known), Some(seen)) => (known - seen).abs() <= SKEW,
            (None, None) => true,
            _ => false,
        };
        if same {
            return;
        }
        if let Err(error) = self.store.set_clock_skew(server.id, worth).await {
            tracing::warn!(server = %server.name, %error, "how far Apple's clock is ahead could not be stored");
        }
    }
}

/// What the calendar makes of a state.
trait AtExpiry {
    fn at_expiry(self, server: &MdmServer, now: Timestamp) -> Self;
}

impl AtExpiry for TokenState {
    fn at_expiry(self, server: &MdmServer, now: Timestamp) -> Self {
        server.token.expires_at.map_or(self, |at| self.at(at, now))
    }
}
