//! Server tokens: issuing, replacing, and what `/session` says of them.

use super::server::Token;
use super::{Moment, Terms, TokenSwitch, World, random_hex};
use crate::clock::time_text;

/// Days that a token lives (protocol section 1.5).
const LIFETIME_MS: i64 = 365 * 86_400_000;

/// The content of a token file.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) consumer_key: String,
    pub(crate) consumer_secret: String,
    pub(crate) access_token: String,
    pub(crate) access_secret: String,
    pub(crate) expiry: String,
}

/// What is wrong with an OAuth request, by the standard names; the number is the HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OAuthProblem(pub(crate) u16, pub(crate) &'static str);

impl World {
    /// Issues a server token. The one before is refused from now on (protocol section 1.6).
    pub(crate) fn issue_token(&mut self, server: u16, now_ms: i64) -> Option<Credentials> {
        let number = self.next_token;
        let hex = |bytes| random_hex(&self.entropy, bytes);
        let token = Token {
            number,
            consumer_secret: format!("CS_{}", hex(20)),
            access_token: format!("AT_O{}O{}O{now_ms}", 10_000_000 + u64::from(number), hex(20)),
            access_secret: format!("AS_{}", hex(20)),
            expires_ms: now_ms.saturating_add(LIFETIME_MS),
        };
        self.next_token += 1;
        let server = self.server_mut(server)?;
        if let Some(old) = server.token.replace(token.clone()) {
            server.replaced.push(old.access_token);
        }
        server.token_switch = TokenSwitch::Live;
        Some(Credentials {
            consumer_key: server.consumer_key.clone(),
            consumer_secret: token.consumer_secret,
            access_token: token.access_token,
            access_secret: token.access_secret,
            expiry: time_text(token.expires_ms.div_euclid(1000)),
        })
    }

    /// The MDM server and its token for a pair of keys, or why there is none.
    pub(crate) fn token_for(
        &self,
        consumer_key: &str,
        access_token: &str,
        moment: &Moment<'_>,
    ) -> Result<(u16, &Token), OAuthProblem> {
        let status = moment.settings.token_error_status;
        let server = (0_u16..).zip(&self.servers).find(|(_, server)| server.consumer_key == consumer_key);
        let (number, server) = server.ok_or(OAuthProblem(401, "consumer_key_unknown"))?;
        let token = match &server.token {
            Some(token) if token.access_token == access_token => token,
            // A newer token was generated in the portal: as the field has seen it.
            _ if server.replaced.iter().any(|old| old == access_token) => {
                return Err(OAuthProblem(status, "signature_invalid"));
            }
            _ => return Err(OAuthProblem(status, "token_rejected")),
        };
        match server.token_switch {
            TokenSwitch::Rejected => Err(OAuthProblem(status, "token_rejected")),
            TokenSwitch::Replaced => Err(OAuthProblem(status, "signature_invalid")),
            TokenSwitch::Expired => Err(OAuthProblem(status, "token_expired")),
            TokenSwitch::Live if token.expires_ms <= moment.now_ms => {
                Err(OAuthProblem(status, "token_expired"))
            }
            TokenSwitch::Live => Ok((number, token)),
        }
    }

    /// Whether sessions of a token still count.
    pub(crate) fn token_is_live(&self, server: u16, token: u32, now_ms: i64) -> bool {
        self.server(server).is_some_and(|server| {
            server.token_switch == TokenSwitch::Live
                && server.token.as_ref().is_some_and(|live| live.number == token && live.expires_ms > now_ms)
        })
    }

    /// Terms are accepted or refused by a whole organization.
    pub(crate) fn set_terms(&mut self, server: u16, terms: Terms) {
        let Some(organization) = self.server(server).map(|server| server.organization.clone()) else {
            return;
        };
        for server in self.servers.iter_mut().filter(|server| server.organization == organization) {
            server.terms = terms;
        }
    }
}
