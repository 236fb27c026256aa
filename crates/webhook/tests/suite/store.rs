//! A store of deliveries in memory, with switches for what can go wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use adelie_model::{
    DeliveryId, Device, EventId, ProfileName, RevisionId, SerialNumber, ServerId, Timestamp, WebhookId,
};
use adelie_store::{
    Attempt, Attempted, Backlog, ClaimedDelivery, Delivery, DeliveryFilter, DeliveryOutcome, EventFilter,
    NewWebhook, Operator, Replay, Result, StoreError, StoredEvent, Webhook, WebhookChange, WebhookState,
    WebhookStore,
};
use async_trait::async_trait;
use serde_json::json;
use tokio::sync::Notify;
use uuid::Uuid;

/// A delivery as the tests look at it.
#[derive(Clone, Debug)]
pub struct Row {
    pub webhook: WebhookId,
    pub event: StoredEvent,
    pub claim: u32,
    pub failures: u32,
    /// `None` once it is finished.
    pub due_at: Option<Timestamp>,
    pub outcome: Option<DeliveryOutcome>,
    pub attempts: Vec<Attempt>,
    /// Whether nobody holds a claim of it.
    pub free: bool,
}

#[derive(Default)]
pub struct State {
    pub webhooks: BTreeMap<WebhookId, Webhook>,
    pub rows: BTreeMap<DeliveryId, Row>,
    /// As long as it is set, the store does not answer.
    pub broken: bool,
    /// Results of these are refused.
    pub poisoned: BTreeSet<DeliveryId>,
    pub settled_batches: usize,
    pub claims: usize,
}

#[derive(Default)]
pub struct FakeStore {
    state: Mutex<State>,
    written: Notify,
}

impl FakeStore {
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    /// Commits so many events for an endpoint, and tells who listens.
    pub fn commit(&self, webhook: i64, count: usize, now: Timestamp) {
        let mut state = self.state();
        for _ in 0..count {
            let number = state.rows.len() as i64 + 1;
            let event = StoredEvent {
                id: EventId(number),
                server: None,
                at: now,
                kind: "device.added".into(),
                serial: Some(SerialNumber::from_apple(format!("C{number:05}"))),
                run: None,
                data: json!({ "number": number }),
            };
            let row = Row {
                webhook: WebhookId(webhook),
                event,
                claim: 0,
                failures: 0,
                due_at: Some(now),
                outcome: None,
                attempts: Vec::new(),
                free: true,
            };
            state.rows.insert(DeliveryId(number), row);
        }
        drop(state);
        self.written.notify_one();
    }

    /// How many deliveries of an endpoint have this outcome.
    pub fn count(&self, webhook: i64, outcome: DeliveryOutcome) -> usize {
        let state = self.state();
        let fits = |row: &&Row| row.webhook.0 == webhook && row.outcome == Some(outcome);
        state.rows.values().filter(fits).count()
    }

    fn answer(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.broken { Err(refused("answer")) } else { Ok(state) }
    }
}

fn refused(doing: &'static str) -> StoreError {
    StoreError::Database { doing, source: "it is switched off".into() }
}

fn served(webhook: &Webhook, now: Timestamp) -> bool {
    webhook.state == WebhookState::Active && webhook.wait_until.is_none_or(|until| until <= now)
}

fn claimed(id: DeliveryId, row: &mut Row, until: Timestamp) -> ClaimedDelivery {
    row.claim += 1;
    row.due_at = Some(until);
    row.free = false;
    ClaimedDelivery {
        id,
        webhook: row.webhook,
        claim: row.claim,
        failures: row.failures,
        until,
        event: row.event.clone(),
        server: None,
    }
}

#[async_trait]
impl WebhookStore for FakeStore {
    async fn installation(&self) -> Result<Uuid> {
        Ok(Uuid::nil())
    }

    async fn profile_of(&self, _revision: RevisionId) -> Result<Option<(ProfileName, u32)>> {
        Ok(None)
    }

    async fn webhooks(&self) -> Result<Vec<Webhook>> {
        Ok(self.answer()?.webhooks.values().cloned().collect())
    }

    async fn due_webhooks(&self, now: Timestamp) -> Result<(Vec<WebhookId>, Option<Timestamp>)> {
        let state = self.answer()?;
        let of_active = |row: &&Row| state.webhooks[&row.webhook].state == WebhookState::Active;
        let moments =
            || state.rows.values().filter(of_active).filter_map(|row| Some((row.webhook, row.due_at?)));
        let due: BTreeSet<_> = moments().filter(|(_, at)| *at <= now).map(|(id, _)| id).collect();
        Ok((due.into_iter().collect(), moments().map(|(_, at)| at).filter(|at| *at > now).min()))
    }

    async fn claim_deliveries(
        &self,
        room: &[(WebhookId, u32)],
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<ClaimedDelivery>> {
        let mut state = self.answer()?;
        let State { webhooks, rows, claims, .. } = &mut *state;
        let mut all = Vec::new();
        for (id, most) in room.iter().filter(|(id, _)| served(&webhooks[id], now)) {
            let due = |row: &Row| row.webhook == *id && row.due_at.is_some_and(|at| at <= now);
            let rows = rows.iter_mut().filter(|(_, row)| due(row)).take(*most as usize);
            all.extend(rows.map(|(id, row)| claimed(*id, row, until)));
        }
        *claims += all.len();
        Ok(all)
    }

    async fn claim_one(
        &self,
        id: DeliveryId,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<ClaimedDelivery>> {
        let mut state = self.answer()?;
        let row = state.rows.get_mut(&id).filter(|row| row.due_at.is_some_and(|at| row.free || at <= now));
        Ok(row.map(|row| claimed(id, row, until)))
    }

    async fn settle_deliveries(&self, results: &[Attempted], now: Timestamp) -> Result<()> {
        // A commit takes its time.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        let mut state = self.answer()?;
        if results.iter().any(|one| state.poisoned.contains(&one.delivery)) {
            return Err(refused("store a result"));
        }
        state.settled_batches += 1;
        for one in results {
            let State { webhooks, rows, .. } = &mut *state;
            let (Some(row), Some(webhook)) = (rows.get_mut(&one.delivery), webhooks.get_mut(&one.webhook))
            else {
                continue;
            };
            row.attempts.push(one.attempt.clone());
            webhook.wait_until = one.wait_until.or(webhook.wait_until);
            if one.outcome == DeliveryOutcome::Delivered {
                webhook.failing_since = None;
            } else {
                row.failures += 1;
                webhook.failing_since.get_or_insert(now);
            }
            if one.claim == row.claim {
                row.free = true;
                row.outcome = Some(one.outcome);
                row.due_at = if let DeliveryOutcome::Retry(at) = one.outcome { Some(at) } else { None };
            }
        }
        Ok(())
    }

    async fn release_deliveries(&self, claims: &[(DeliveryId, u32)], now: Timestamp) -> Result<()> {
        let mut state = self.answer()?;
        for (id, claim) in claims {
            let row = state.rows.get_mut(id).filter(|row| row.claim == *claim && !row.free);
            if let Some(row) = row {
                row.due_at = Some(now);
                row.free = true;
            }
        }
        Ok(())
    }

    async fn disable_webhook(&self, id: WebhookId, why: &str, now: Timestamp) -> Result<bool> {
        let mut state = self.answer()?;
        let active = state.webhooks.get_mut(&id).filter(|webhook| webhook.state == WebhookState::Active);
        let Some(webhook) = active else { return Ok(false) };
        webhook.state = WebhookState::Disabled;
        webhook.reason = why.to_owned();
        webhook.since = now;
        Ok(true)
    }

    async fn wait_for_deliveries(&self) -> Result<()> {
        self.written.notified().await;
        self.answer().map(drop)
    }

    // What the pump never asks for.

    async fn events_after(&self, _: &EventFilter, _: EventId, _: u32) -> Result<Vec<StoredEvent>> {
        Err(refused("read events"))
    }

    async fn events_before(&self, _: &EventFilter, _: Option<EventId>, _: u32) -> Result<Vec<StoredEvent>> {
        Err(refused("read events"))
    }

    async fn devices_of(&self, _: ServerId, _: &[SerialNumber]) -> Result<Vec<Device>> {
        Err(refused("read devices"))
    }

    async fn add_webhook(&self, _: &NewWebhook, _: &Operator) -> Result<WebhookId> {
        Err(refused("add an endpoint"))
    }

    async fn backlogs(&self) -> Result<Vec<Backlog>> {
        Err(refused("count"))
    }

    async fn change_webhook(&self, _: WebhookId, _: &WebhookChange, _: &Operator) -> Result<bool> {
        Err(refused("change an endpoint"))
    }

    async fn remove_webhook(&self, _: WebhookId, _: &Operator) -> Result<()> {
        Err(refused("remove an endpoint"))
    }

    async fn add_test_delivery(&self, _: WebhookId, _: &Operator) -> Result<DeliveryId> {
        Err(refused("add a test"))
    }

    async fn deliveries(&self, _: &DeliveryFilter, _: Option<DeliveryId>, _: u32) -> Result<Vec<Delivery>> {
        Err(refused("list deliveries"))
    }

    async fn delivery(&self, _: DeliveryId) -> Result<Option<(Delivery, StoredEvent, Vec<Attempt>)>> {
        Err(refused("read a delivery"))
    }

    async fn replay(&self, _: &Replay, _: &Operator) -> Result<u64> {
        Err(refused("replay"))
    }

    async fn forget_deliveries(&self, _: Timestamp, _: u32) -> Result<u64> {
        Err(refused("forget"))
    }
}
