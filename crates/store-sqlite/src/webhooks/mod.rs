//! Endpoints that receive webhooks, and what is on its way to them.

mod bell;
mod claim;
mod endpoints;
mod events;
mod fan_out;
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
pub(crate) use self::endpoints::pages_wanted;
pub(crate) use self::events::installation;
pub(crate) use self::fan_out::fan_out;
use crate::SqliteStore;
use crate::failure::run;

#[async_trait]
impl WebhookStore for SqliteStore {
    async fn installation(&self) -> Result<Uuid> {
        run("read the name of the database", async { installation(&mut *self.read().await?).await }).await
    }

    async fn events_after(
        &self,
        filter: &EventFilter,
        after: EventId,
        limit: u32,
    ) -> Result<Vec<StoredEvent>> {
        run("read events", async { events::after(&mut *self.read().await?, filter, after, limit).await })
            .await
    }

    async fn events_before(
        &self,
        filter: &EventFilter,
        before: Option<EventId>,
        limit: u32,
    ) -> Result<Vec<StoredEvent>> {
        run("read events", async { events::before(&mut *self.read().await?, filter, before, limit).await })
            .await
    }

    async fn profile_of(&self, revision: RevisionId) -> Result<Option<(ProfileName, u32)>> {
        Ok(self.revision(revision).await?.map(|revision| (revision.name, revision.number)))
    }

    async fn devices_of(&self, server: ServerId, serials: &[SerialNumber]) -> Result<Vec<Device>> {
        run("look devices up", async {
            let found = crate::batch::load(&mut *self.read().await?, server, serials).await?;
            Ok(found.into_values().collect())
        })
        .await
    }

    async fn add_webhook(&self, new: &NewWebhook, by: &Operator) -> Result<WebhookId> {
        run("add an endpoint", async {
            let mut transaction = self.write().await?;
            let id = endpoints::add(&mut transaction, new, by).await?;
            transaction.commit().await?;
            Ok(id)
        })
        .await
    }

    async fn webhooks(&self) -> Result<Vec<Webhook>> {
        run("list the endpoints", async { endpoints::list(&mut *self.read().await?).await }).await
    }

    async fn backlogs(&self) -> Result<Vec<Backlog>> {
        run("count deliveries", async { list::backlogs(&mut *self.read().await?).await }).await
    }

    async fn change_webhook(&self, id: WebhookId, change: &WebhookChange, by: &Operator) -> Result<bool> {
        run("change an endpoint", async {
            let mut transaction = self.write().await?;
            let changed = endpoints::change(&mut transaction, id, change, by).await?;
            transaction.commit().await?;
            Ok(changed)
        })
        .await
    }

    async fn disable_webhook(&self, id: WebhookId, why: &str, now: Timestamp) -> Result<bool> {
        run("disable an endpoint", async {
            let mut transaction = self.write().await?;
            let disabled = endpoints::disable(&mut transaction, id, why, now).await?;
            transaction.commit().await?;
            Ok(disabled)
        })
        .await
    }

    async fn remove_webhook(&self, id: WebhookId, by: &Operator) -> Result<()> {
        run("remove an endpoint", async {
            let mut transaction = self.write().await?;
            endpoints::remove(&mut transaction, id, by).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn add_test_delivery(&self, id: WebhookId, by: &Operator) -> Result<DeliveryId> {
        run("add a test delivery", async {
            let mut transaction = self.write().await?;
            let delivery = endpoints::test(&mut transaction, id, by).await?;
            transaction.commit().await?;
            Ok(delivery)
        })
        .await
    }

    async fn claim_deliveries(
        &self,
        room: &[(WebhookId, u32)],
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<ClaimedDelivery>> {
        run("claim deliveries", async { claim::due(self, room, now, until).await }).await
    }

    async fn claim_one(
        &self,
        id: DeliveryId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ClaimedDelivery>> {
        run("claim a delivery", async {
            let mut transaction = self.write().await?;
            let claimed = claim::one(&mut transaction, id, now, until).await?;
            transaction.commit().await?;
            Ok(claimed)
        })
        .await
    }

    async fn settle_deliveries(&self, results: &[Attempted], now: Timestamp) -> Result<()> {
        run("store the outcome of deliveries", async {
            let mut transaction = self.write().await?;
            settle::settle(&mut transaction, results, now).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn release_deliveries(&self, claims: &[(DeliveryId, u32)], now: Timestamp) -> Result<()> {
        run("give deliveries back", async {
            let mut transaction = self.write().await?;
            settle::release(&mut transaction, claims, now).await?;
            Ok(transaction.commit().await?)
        })
        .await
    }

    async fn due_webhooks(&self, now: Timestamp) -> Result<(Vec<WebhookId>, Option<Timestamp>)> {
        run("look for due deliveries", async { claim::due_webhooks(&mut *self.read().await?, now).await })
            .await
    }

    async fn wait_for_deliveries(&self) -> Result<()> {
        run("wait for deliveries", async { self.bell.wait(&self.readers).await }).await
    }

    async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<Delivery>> {
        run("list deliveries", async {
            list::deliveries(&mut *self.read().await?, filter, before, limit).await
        })
        .await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<(Delivery, StoredEvent, Vec<Attempt>)>> {
        run("read a delivery", async { list::delivery(&mut *self.read().await?, id).await }).await
    }

    async fn replay(&self, which: &Replay, by: &Operator) -> Result<u64> {
        run("replay deliveries", async {
            let mut transaction = self.write().await?;
            let deliveries = replay::replay(&mut transaction, which, by).await?;
            transaction.commit().await?;
            Ok(deliveries)
        })
        .await
    }

    async fn forget_deliveries(&self, before: Timestamp, limit: u32) -> Result<u64> {
        run("forget deliveries", async {
            let now = self.clock.now();
            let mut transaction = self.write().await?;
            let rows = retention::forget(&mut transaction, before, limit, now).await?;
            transaction.commit().await?;
            Ok(rows)
        })
        .await
    }
}
