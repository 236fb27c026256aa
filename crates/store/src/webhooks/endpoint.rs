use adelie_model::{ServerId, Timestamp, WebhookId, WebhookSecretId};
use serde::{Deserialize, Serialize};

use crate::Sealed;

/// How events are written for an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookFormat {
    /// The payload of Standard Webhooks.
    Standard,
    /// CloudEvents 1.0.2, structured JSON.
    CloudEvents,
    /// What nanodep's syncer posts of each page, for receivers that exist.
    Nanodep,
}

impl WebhookFormat {
    const ALL: [Self; 3] = [Self::Standard, Self::CloudEvents, Self::Nanodep];

    /// The name that stores, JSON and tables use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::CloudEvents => "cloudevents",
            Self::Nanodep => "nanodep",
        }
    }

    /// The format with that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == text)
    }
}

/// Whether an endpoint receives anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebhookState {
    /// It does.
    Active,
    /// An operator has paused it. What happens meanwhile waits for it.
    Paused,
    /// We have given it up. What happens meanwhile waits for it, as long as deliveries are kept.
    Disabled,
}

impl WebhookState {
    const ALL: [Self; 3] = [Self::Active, Self::Paused, Self::Disabled];

    /// The name that stores, JSON and tables use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }

    /// The state with that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// A secret of an endpoint, sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSecret {
    /// Its id; the seal is bound to it.
    pub id: WebhookSecretId,
    /// The secret as Standard Webhooks writes it (`whsec_…`, `whsk_…`), sealed.
    pub secret: Sealed,
    /// Until when it signs; `None` for the one in use.
    pub valid_until: Option<Timestamp>,
}

/// An endpoint to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewWebhook {
    /// Where events are posted to.
    pub url: String,
    /// Patterns of the types of events that it receives, like `device.*`.
    pub events: Vec<String>,
    /// The MDM servers whose events it receives; empty for all. Events of no MDM server go to everybody.
    pub servers: Vec<ServerId>,
    /// How events are written.
    pub format: WebhookFormat,
    /// Without details: only which devices an event is about.
    pub thin: bool,
    /// Whether the events of a device must arrive in their order.
    pub ordered: bool,
    /// How many posts may be under way at once.
    pub concurrency: u32,
    /// Its secret; what stands in `valid_until` is not looked at.
    pub secret: SealedSecret,
}

/// An endpoint as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Its number.
    pub id: WebhookId,
    /// Where events are posted to.
    pub url: String,
    /// Patterns of the types of events that it receives.
    pub events: Vec<String>,
    /// The MDM servers whose events it receives; empty for all.
    pub servers: Vec<ServerId>,
    /// How events are written.
    pub format: WebhookFormat,
    /// Without details.
    pub thin: bool,
    /// Whether the events of a device must arrive in their order.
    pub ordered: bool,
    /// How many posts may be under way at once.
    pub concurrency: u32,
    /// Its secrets, the one in use first. Those whose time is over are left out by whoever signs.
    pub secrets: Vec<SealedSecret>,
    /// Whether it receives anything.
    pub state: WebhookState,
    /// Why it stands there, for people; empty when it is active.
    pub reason: String,
    /// Since when it has been so.
    pub since: Timestamp,
    /// When it was added.
    pub created_at: Timestamp,
    /// Its first failed try since the last good one.
    pub failing_since: Option<Timestamp>,
    /// Its last good answer.
    pub last_delivered_at: Option<Timestamp>,
    /// It has asked to be left alone until then.
    pub wait_until: Option<Timestamp>,
}

/// What lies before an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// The endpoint.
    pub webhook: WebhookId,
    /// Deliveries that were never tried.
    pub pending: u64,
    /// Deliveries that failed and are tried again.
    pub retrying: u64,
    /// Deliveries that were given up and not deleted yet.
    pub dead: u64,
    /// When the event of the oldest unfinished delivery happened.
    pub oldest: Option<Timestamp>,
}

/// A change of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebhookChange {
    /// Nothing is sent until it is resumed.
    Pause {
        /// Why, for people.
        reason: String,
    },
    /// It is active again, also after we had given it up; all that waits is due at once, from the start of the ladder.
    Resume,
    /// A new secret signs from now on; the one in use signs beside it until a moment. Older ones go.
    Rotate {
        /// The new secret.
        secret: SealedSecret,
        /// Until when the old one signs, too.
        old_until: Timestamp,
    },
}
