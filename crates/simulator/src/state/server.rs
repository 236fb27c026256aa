use serde::{Deserialize, Serialize};

use super::events::EventLog;
use super::listing::Listing;

/// Whether the organization has accepted Apple's terms (protocol section 1.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Terms {
    /// Accepted.
    #[default]
    Signed,
    /// Everything is refused, `/session` included.
    Unsigned,
    /// `/session` succeeds and every later call is refused.
    UnsignedAfterSession,
}

/// How the current server token of an MDM server is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenSwitch {
    /// By its dates.
    #[default]
    Live,
    /// As past its year.
    Expired,
    /// As revoked.
    Rejected,
    /// As if a newer one had been generated in the portal.
    Replaced,
}

/// An issued server token.
#[derive(Clone)]
pub(crate) struct Token {
    /// Grows with each token of the simulator; sessions are bound to it.
    pub(crate) number: u32,
    pub(crate) consumer_secret: String,
    pub(crate) access_token: String,
    pub(crate) access_secret: String,
    /// In simulated milliseconds.
    pub(crate) expires_ms: i64,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Secrets of a simulator open nothing, but they teach bad habits in logs.
        write!(f, "Token({}, ***)", self.number)
    }
}

/// One "device management service" of the portal.
pub(crate) struct Server {
    pub(crate) name: String,
    /// 32 upper-case hex digits, from the seed and the name.
    pub(crate) uuid: String,
    pub(crate) organization: String,
    /// Stays over renewals, from the seed and the name.
    pub(crate) consumer_key: String,
    pub(crate) token: Option<Token>,
    /// Access tokens that a newer one has replaced.
    pub(crate) replaced: Vec<String>,
    pub(crate) token_switch: TokenSwitch,
    pub(crate) terms: Terms,
    pub(crate) may_release: bool,
    pub(crate) listing: Listing,
    pub(crate) events: EventLog,
    /// Cursors with a number up to this one are expired.
    pub(crate) cursors_expired_up_to: u64,
    /// Cursors with a number up to this one are invalid.
    pub(crate) cursors_invalid: u64,
}
