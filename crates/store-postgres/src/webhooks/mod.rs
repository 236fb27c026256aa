//! Endpoints that receive webhooks, and what is on its way to them.

mod bell;
mod claim;
mod endpoints;
mod events;
pub(crate) mod fan_out;
mod list;
mod replay;
mod retention;
mod settle;

use adelie_model::{
    DeliveryId, Device, EventId, ProfileName, RevisionId, SerialNumber, ServerId, Timestamp, WebhookId,
};
use adelie_store::{
    Attempt, Attempted, Backlog, ClaimedDelivery, Delivery, DeliveryFilter, EventFilter, NewWebhook,
    Operator, ProfileStore, Replay, Result, StoredEvent, Webhook, WebhookChange, WebhookStore,
};
use async_trait::async_trait;
use uuid::Uuid;

pub(crate) use self::bell::Bell;
pub(crate) use self::events::installation;
use crate::PostgresStore;
use crate::failure::run;

#[async_trait]
impl WebhookStore for PostgresStore {
    async fn installation(&self) -> Result<Uuid> {
        run("read the name of the database", move || async move {
            installation(&mut *self.pool.acquire().await?).await
        })
        .await
    }

    async fn events_after(
        &self,
        filter: &EventFilter,
        after: EventId,
        limit: u32,
    ) -> Result<Vec<StoredEvent>> {
        run("read events", move || events::after(&self.pool, filter, after, limit)).await
    }

    async fn events_before(
        &self,
        filter: &EventFilter,
        before: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<StoredEvent>> {
        run("read events", move || events::before(&self.pool, filter, before, limit)).await
    }

    async fn profile_of(&self, revision: RevisionId) -> Result<Option<(ProfileName, u32)>> {
        Ok(self.revision(revision).await?.map(|revision| (revision.name, revision.number)))
    }

    async fn devices_of(&self, server: ServerId, serials: &[SerialNumber]) -> Result<Vec<Device>> {
        run("look devices up", move || events::devices(&self.pool, server, serials)).await
    }

    async fn add_webhook(&self, new: &NewWebhook, by: &Operator) -> Result<WebhookId> {
        run("add an endpoint", move || endpoints::add(&self.pool, new, by)).await
    }

    async fn webhooks(&self) -> Result<Vec<Webhook>> {
        run("list the endpoints", move || endpoints::list(&self.pool)).await
    }

    async fn backlogs(&self) -> Result<Vec<Backlog>> {
        run("count deliveries", move || list::backlogs(&self.pool)).await
    }

    async fn change_webhook(&self, id: WebhookId, change: &WebhookChange, by: &Operator) -> Result<bool> {
        run("change an endpoint", move || endpoints::change(&self.pool, id, change, by)).await
    }

    async fn disable_webhook(&self, id: WebhookId, why: &str, now: Timestamp) -> Result<bool> {
        run("disable an endpoint", move || endpoints::disable(&self.pool, id, why, now)).await
    }

    async fn remove_webhook(&self, id: WebhookId, by: &Operator) -> Result<()> {
        run("remove an endpoint", move || endpoints::remove(&self.pool, id, by)).await
    }

    async fn add_test_delivery(&self, id: WebhookId, by: &Operator) -> Result<DeliveryId> {
        run("add a test delivery", move || endpoints::test(&self.pool, id, by)).await
    }

    async fn claim_deliveries(
        &self,
        room: &[(WebhookId, u32)],
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<ClaimedDelivery>> {
        run("claim deliveries", move || claim::due(&self.pool, room, now, until)).await
    }

    async fn claim_one(
        &self,
        id: DeliveryId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ClaimedDelivery>> {
        run("claim a delivery", move || claim::one(&self.pool, id, now, until)).await
    }

    async fn settle_deliveries(&self, results: &[Attempted], now: Timestamp) -> Result<()> {
        run("store the outcome of deliveries", move || settle::settle(&self.pool, results, now)).await
    }

    async fn release_deliveries(&self, claims: &[(DeliveryId, u32)], now: Timestamp) -> Result<()> {
        run("give deliveries back", move || settle::release(&self.pool, claims, now)).await
    }

    async fn due_webhooks(&self, now: Timestamp) -> Result<(Vec<WebhookId>, Option<Timestamp>)> {
        run("look for due deliveries", move || claim::due_webhooks(&self.pool, now)).await
    }

    async fn wait_for_deliveries(&self) -> Result<()> {
        self.bell.wait(&self.pool).await
    }

    async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<Delivery>> {
        run("list deliveries", move || list::deliveries(&self.pool, filter, before, limit)).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<(Delivery, StoredEvent, Vec<Attempt>)>> {
        run("read a delivery", move || list::delivery(&self.pool, id)).await
    }

    async fn replay(&self, which: &Replay, by: &Operator) -> Result<u64> {
        run("replay deliveries", move || replay::replay(&self.pool, which, by)).await
    }

    async fn forget_deliveries(&self, before: Timestamp, limit: u32) -> Result<u64> {
        run("forget deliveries", move || retention::forget(&self.pool, before, limit)).await
    }
}
