//! Endpoints that receive webhooks, and what is on its way to them.
//!
//! A delivery is written in the transaction that writes its event: one for each endpoint that wants it. Whoever sends
//! it claims it by its state and its time, never by its number, because transactions do not commit in the order of
//! their numbers (field lessons L15, L60).

mod delivery;
mod endpoint;
mod touched;

use adelie_model::{
    DeliveryId, Device, EventId, ProfileName, RevisionId, SerialNumber, ServerId, Timestamp, WebhookId,
};
use async_trait::async_trait;
use uuid::Uuid;

pub use self::delivery::{
    Attempt, Attempted, ClaimedDelivery, Delivery, DeliveryFilter, DeliveryOutcome, DeliveryState, Replay,
};
pub use self::endpoint::{
    Backlog, NewWebhook, SealedSecret, Webhook, WebhookChange, WebhookFormat, WebhookState,
};
pub use self::touched::{Touched, deciding, touched};
use crate::{Operator, Result, StoredEvent};

/// Which events to read. Everything that is empty or `None` matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Of types that match one of these patterns, like `device.*`.
    pub kinds: Vec<String>,
    /// Of this MDM server.
    pub server: Option<ServerId>,
    /// About this device: alone, or among several.
    pub serial: Option<SerialNumber>,
    /// Not before this moment.
    pub since: Option<Timestamp>,
}

/// Endpoints, deliveries, and the events that they carry.
#[async_trait]
pub trait WebhookStore: Send + Sync {
    /// A name for this database that no other has: ids of events carry it, so that those of two installations differ.
    async fn installation(&self) -> Result<Uuid>;

    /// Events after a number, in the order of their numbers, up to `limit`. An event of a transaction that is still
    /// open may get a smaller number than one that is seen already; whoever follows events reads some again.
    async fn events_after(
        &self,
        filter: &EventFilter,
        after: EventId,
        limit: u32,
    ) -> Result<Vec<StoredEvent>>;

    /// Events before a number (`None`: the latest), newest first, up to `limit`.
    async fn events_before(
        &self,
        filter: &EventFilter,
        before: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<StoredEvent>>;

    /// The name of the profile that a revision is of, and its number.
    async fn profile_of(&self, revision: RevisionId) -> Result<Option<(ProfileName, u32)>>;

    /// The stored devices of an MDM server among these, tombstones included.
    async fn devices_of(&self, server: ServerId, serials: &[SerialNumber]) -> Result<Vec<Device>>;

    /// Adds an endpoint. Events that are written from then on reach it. Writes `webhook.added`.
    async fn add_webhook(&self, new: &NewWebhook, by: &Operator) -> Result<WebhookId>;

    /// All endpoints, by number.
    async fn webhooks(&self) -> Result<Vec<Webhook>>;

    /// What lies before each endpoint, in the order of their numbers.
    async fn backlogs(&self) -> Result<Vec<Backlog>>;

    /// Changes an endpoint, and writes who did it. `false` when it is so already.
    ///
    /// # Errors
    /// `Missing` when there is no such endpoint.
    async fn change_webhook(&self, id: WebhookId, change: &WebhookChange, by: &Operator) -> Result<bool>;

    /// Disables an endpoint by ourselves and writes `webhook.disabled`, which the other endpoints receive. `false` when
    /// it is no longer active.
    async fn disable_webhook(&self, id: WebhookId, why: &str, now: Timestamp) -> Result<bool>;

    /// Removes an endpoint with its secrets, and what is on its way to it. Writes `webhook.removed`.
    ///
    /// # Errors
    /// `Missing` when there is no such endpoint.
    async fn remove_webhook(&self, id: WebhookId, by: &Operator) -> Result<()>;

    /// Writes the event `webhook.test` with a delivery for this endpoint alone, whatever it subscribes to, and whether it
    /// is active or not. Nobody but [`claim_one`](Self::claim_one) sends it as long as the endpoint is not active.
    async fn add_test_delivery(&self, id: WebhookId, by: &Operator) -> Result<DeliveryId>;

    /// Claims deliveries that are due, of active endpoints that do not ask to be left alone at this moment: for each of
    /// these endpoints up to so many, the longest due first. They are due again at `until` unless they are settled before.
    /// Of an endpoint that asks for order, no delivery of a device is claimed while an earlier one of it is unfinished; an
    /// event about several devices waits for all earlier ones of its MDM server, and later ones wait for it.
    async fn claim_deliveries(
        &self,
        room: &[(WebhookId, u32)],
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<ClaimedDelivery>>;

    /// Claims this delivery whatever its time is and whatever the state of its endpoint is; `None` when somebody else is
    /// at it, or when it is delivered.
    async fn claim_one(
        &self,
        id: DeliveryId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ClaimedDelivery>>;

    /// Stores what came of tries, all in one transaction: the tries themselves, and what becomes of their deliveries and
    /// endpoints. A delivery that somebody else has claimed meanwhile, because this try took too long, is still
    /// `Delivered` by a good answer; any other outcome leaves it to the other. When an endpoint last
    /// answered well is exact to a second only, so that its row is not written for every delivery.
    async fn settle_deliveries(&self, results: &[Attempted], now: Timestamp) -> Result<()>;

    /// Gives claims back that nothing was sent for: they are due at once.
    async fn release_deliveries(&self, claims: &[(DeliveryId, u32)], now: Timestamp) -> Result<()>;

    /// Active endpoints that have something due at `now`, and the next moment at which there will be something due.
    async fn due_webhooks(&self, now: Timestamp) -> Result<(Vec<WebhookId>, Option<Timestamp>)>;

    /// Returns when a transaction of whatever process may have written deliveries since the last call. It may also return
    /// without one, and it may miss one while it is not being waited for: whoever waits also looks from time to time.
    async fn wait_for_deliveries(&self) -> Result<()>;

    /// Deliveries before a number (`None`: the latest), newest first, up to `limit`.
    async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<Delivery>>;

    /// A delivery with its event and its tries, the first of them first.
    async fn delivery(&self, id: DeliveryId) -> Result<Option<(Delivery, StoredEvent, Vec<Attempt>)>>;

    /// Makes deliveries due again from the start of the ladder, and returns how many. Events that an endpoint subscribes
    /// to by now and never had a delivery of get one. Events keep their ids. Writes `webhook.replayed`.
    async fn replay(&self, which: &Replay, by: &Operator) -> Result<u64>;

    /// Deletes up to `limit` finished deliveries and tries from before a moment, and what is left of removed endpoints;
    /// returns how many rows went. Up to `limit` of what is unfinished and from before that moment becomes `Dead`, which
    /// counts as well: 0 means that nothing is left to do. A finished delivery is as old as its end, and its tries go with
    /// it.
    async fn forget_deliveries(&self, before: Timestamp, limit: u32) -> Result<u64>;
}
