//! Endpoints of cases, and what is on its way to them.

use std::time::Duration;

use adelie_model::{Timestamp, WebhookId, WebhookSecretId};
use uuid::Uuid;

use super::world::{at, operator};
use crate::{
    Attempt, Attempted, ClaimedDelivery, Delivery, DeliveryFilter, DeliveryOutcome, NewWebhook, Result,
    Sealed, SealedSecret, Store, WebhookFormat,
};

/// A secret; `number` tells several apart.
pub(super) fn secret(number: u128) -> SealedSecret {
    SealedSecret {
        id: WebhookSecretId(Uuid::from_u128(number)),
        secret: Sealed(vec![0, 255, u8::try_from(number).unwrap_or(0)]),
        valid_until: None,
    }
}

/// An endpoint for these types of events.
pub(super) fn endpoint(events: &[&str]) -> NewWebhook {
    NewWebhook {
        url: format!("https://example.com/{}", events.join("/")),
        events: events.iter().map(|pattern| (*pattern).to_owned()).collect(),
        servers: Vec::new(),
        format: WebhookFormat::Standard,
        thin: false,
        ordered: false,
        concurrency: 4,
        secret: secret(0),
    }
}

/// Adds an endpoint with a secret of its own.
pub(super) async fn add(store: &dyn Store, new: NewWebhook) -> Result<WebhookId> {
    let number = store.webhooks().await?.len() as u128 + 100;
    store.add_webhook(&NewWebhook { secret: secret(number), ..new }, &operator(0)).await
}

/// Adds an endpoint for these types of events.
pub(super) async fn listening(store: &dyn Store, events: &[&str]) -> Result<WebhookId> {
    add(store, endpoint(events)).await
}

/// All deliveries to an endpoint, in the order in which they were written.
pub(super) async fn deliveries(store: &dyn Store, webhook: WebhookId) -> Result<Vec<Delivery>> {
    let filter = DeliveryFilter { webhook: Some(webhook), ..DeliveryFilter::default() };
    let mut all = store.deliveries(&filter, None, 10_000).await?;
    all.reverse();
    Ok(all)
}

/// The types of the events on their way to an endpoint or there already.
pub(super) async fn kinds(store: &dyn Store, webhook: WebhookId) -> Result<Vec<String>> {
    Ok(deliveries(store, webhook).await?.into_iter().map(|delivery| delivery.kind).collect())
}

/// Claims up to so much for an endpoint, for half a minute.
pub(super) async fn claim(
    store: &dyn Store,
    webhook: WebhookId,
    room: u32,
    now: i64,
) -> Result<Vec<ClaimedDelivery>> {
    store.claim_deliveries(&[(webhook, room)], at(now), at(now + 30)).await
}

/// What a try has come to that began at this moment and took a second.
pub(super) fn tried(claimed: &ClaimedDelivery, outcome: DeliveryOutcome, now: i64) -> Attempted {
    let good = outcome == DeliveryOutcome::Delivered;
    Attempted {
        delivery: claimed.id,
        webhook: claimed.webhook,
        claim: claimed.claim,
        attempt: Attempt {
            at: at(now),
            duration: Duration::from_millis(1000),
            status: Some(if good { 200 } else { 500 }),
            error: (!good).then(|| "the endpoint answered 500".to_owned()),
            request: "POST / with \"quotes\", ü and \n a new line".to_owned(),
            answer: "thanks".to_owned(),
        },
        outcome,
        wait_until: None,
    }
}

/// Settles claims with one outcome for all.
pub(super) async fn settle(
    store: &dyn Store,
    claimed: &[ClaimedDelivery],
    outcome: DeliveryOutcome,
    now: i64,
) -> Result<()> {
    let results: Vec<_> = claimed.iter().map(|one| tried(one, outcome, now)).collect();
    store.settle_deliveries(&results, at(now)).await
}

/// Delivers all that can be delivered, one after the other; the serial numbers of the events, in their order.
pub(super) async fn deliver_all(
    store: &dyn Store,
    webhook: WebhookId,
    now: i64,
) -> Result<Vec<Option<String>>> {
    let mut delivered = Vec::new();
    loop {
        let claimed = claim(store, webhook, 1, now).await?;
        if claimed.is_empty() {
            return Ok(delivered);
        }
        settle(store, &claimed, DeliveryOutcome::Delivered, now).await?;
        delivered
            .extend(claimed.into_iter().map(|one| one.event.serial.map(|serial| serial.as_str().to_owned())));
    }
}

/// Long before everything in the suite.
pub(super) const EVER: Timestamp = Timestamp::UNIX_EPOCH;
