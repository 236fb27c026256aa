use std::time::Duration;

use adelie_model::{DeliveryId, EventId, ServerName, Timestamp, WebhookId};
use serde::{Deserialize, Serialize};

use crate::StoredEvent;

/// How far an event has come on its way to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// It was never tried.
    Pending,
    /// It has failed and is tried again.
    Retrying,
    /// The endpoint has it.
    Delivered,
    /// It was given up.
    Dead,
}

impl DeliveryState {
    const ALL: [Self; 4] = [Self::Pending, Self::Retrying, Self::Delivered, Self::Dead];

    /// The name that stores, JSON and tables use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Retrying => "retrying",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }

    /// The state with that name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// A delivery that is ours to send until a moment.
#[derive(Clone, Debug, PartialEq)]
pub struct ClaimedDelivery {
    /// Its number.
    pub id: DeliveryId,
    /// The endpoint.
    pub webhook: WebhookId,
    /// The number of this claim of the delivery: who settles it names it, so that a claim that was lost settles nothing.
    pub claim: u32,
    /// Tries that failed since it was written or replayed.
    pub failures: u32,
    /// Until when it is ours.
    pub until: Timestamp,
    /// What happened.
    pub event: StoredEvent,
    /// The name of the MDM server at which it happened.
    pub server: Option<ServerName>,
}

/// What becomes of a delivery after a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// The endpoint has it.
    Delivered,
    /// It is tried again at this moment.
    Retry(Timestamp),
    /// It is given up.
    Dead,
}

/// One try, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub at: Timestamp,
    /// How long it took, to whole milliseconds.
    pub duration: Duration,
    /// The status that the endpoint answered with.
    pub status: Option<u16>,
    /// Why it failed, for people; `None` when it did not.
    pub error: Option<String>,
    /// The request: its headers without the signature, and the beginning of its body.
    pub request: String,
    /// The beginning of the answer's body.
    pub answer: String,
}

/// What came of one claimed delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempted {
    /// The delivery.
    pub delivery: DeliveryId,
    /// The endpoint.
    pub webhook: WebhookId,
    /// The claim under which it was sent.
    pub claim: u32,
    /// The try.
    pub attempt: Attempt,
    /// What becomes of the delivery.
    pub outcome: DeliveryOutcome,
    /// The endpoint asks to be left alone until then.
    pub wait_until: Option<Timestamp>,
}

/// A delivery as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its number.
    pub id: DeliveryId,
    /// The endpoint.
    pub webhook: WebhookId,
    /// The event.
    pub event: EventId,
    /// The type of the event.
    pub kind: String,
    /// When the event happened.
    pub at: Timestamp,
    /// How far it has come.
    pub state: DeliveryState,
    /// Tries that failed since it was written or replayed.
    pub failures: u32,
    /// When it is tried next; for one that is being sent, when it would be tried again if nothing were heard of it.
    pub due_at: Option<Timestamp>,
    /// When it was delivered or given up.
    pub finished_at: Option<Timestamp>,
    /// What the endpoint answered last.
    pub last_status: Option<u16>,
    /// Why the last try failed.
    pub last_error: Option<String>,
}

/// Which deliveries to list. Everything that is `None` matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Of this endpoint.
    pub webhook: Option<WebhookId>,
    /// Only those that failed: that are tried again, or were given up.
    pub failed: bool,
    /// Of this event.
    pub event: Option<EventId>,
}

/// Which deliveries to make due again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// This one.
    One(DeliveryId),
    /// Those that were given up or are being tried again, of one endpoint or of all.
    Failed(Option<WebhookId>),
    /// Of one endpoint, all events of a time range that it subscribes to.
    Range {
        /// The endpoint.
        webhook: WebhookId,
        /// From this moment on.
        since: Timestamp,
        /// Before this moment.
        until: Timestamp,
    },
}
