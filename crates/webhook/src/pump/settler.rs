use std::sync::Arc;

use adelie_model::{DeliveryId, WebhookId, halt};
use adelie_store::{Attempted, DeliveryOutcome};
use tokio::sync::mpsc::UnboundedReceiver;

use super::HEARTBEAT;
use super::deaf::Deaf;
use super::desk::{Desk, Finished};
use crate::DisableReason;

/// The most results that are stored in one transaction.
const BATCH: usize = 1000;
/// After so many failures each result is stored by itself, so that one that the store refuses does not keep the others.
const SINGLY: u32 = 3;

/// Stores results until nobody sends any more: each time all that have come while the last ones were stored.
pub(super) async fn settle(desk: Arc<Desk>, mut results: UnboundedReceiver<Finished>) {
    let deaf = Deaf::new("take results of webhooks");
    let mut settler = Settler { desk, deaf, fresh: Vec::new(), misses: 0, suspects: Vec::new() };
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        if settler.is_done() {
            if results.recv_many(&mut batch, BATCH).await == 0 {
                break;
            }
        } else {
            // What could not be stored is tried again after a while, together with what has come meanwhile.
            settler.desk.tools.clock.sleep(HEARTBEAT).await;
            if !results.is_empty() {
                results.recv_many(&mut batch, BATCH).await;
            }
        }
        settler.store(batch.drain(..)).await;
        settler.desk.again.notify_one();
    }
}

struct Settler {
    desk: Arc<Desk>,
    deaf: Deaf,
    /// Tries that are not stored yet.
    fresh: Vec<Attempted>,
    /// How often in a row they could not be stored.
    misses: u32,
    /// Tries that the store did not take although it took others.
    suspects: Vec<Attempted>,
}

impl Settler {
    fn is_done(&self) -> bool {
        self.fresh.is_empty() && self.suspects.is_empty()
    }

    async fn store(&mut self, finished: impl Iterator<Item = Finished>) {
        let (mut unsent, mut disabled) = (Vec::new(), Vec::new());
        for one in finished {
            match one {
                Finished::Tried { attempted, disable } => {
                    disabled.extend(disable.map(|why| (attempted.webhook, why)));
                    self.fresh.push(attempted);
                }
                Finished::Unsent { delivery, claim } => unsent.push((delivery, claim)),
            }
        }
        // Results first: an endpoint that asks to be left alone must be known before its deliveries are due again.
        self.tried().await;
        self.disable(disabled).await;
        self.unsent(&unsent).await;
    }

    /// Stores tries. What could not be stored stays for the next time, until its claim is over anyway.
    async fn tried(&mut self) {
        let fresh = std::mem::take(&mut self.fresh);
        if fresh.is_empty() || self.put(&fresh).await {
            self.misses = 0;
        } else {
            self.misses += 1;
            if self.misses < SINGLY {
                self.fresh = fresh;
            } else {
                self.singly(fresh).await;
            }
        }
        for one in std::mem::take(&mut self.suspects) {
            if !self.put(std::slice::from_ref(&one)).await {
                self.suspects.push(one);
            }
        }
        self.give_up();
    }

    async fn singly(&mut self, fresh: Vec<Attempted>) {
        let (mut left, mut stored) = (Vec::new(), 0);
        let mut rest = fresh.into_iter();
        for one in rest.by_ref() {
            if self.put(std::slice::from_ref(&one)).await {
                stored += 1;
                continue;
            }
            left.push(one);
            if left.len() > 1 && stored == 0 {
                // It takes nothing at all, so the fault is not theirs.
                break;
            }
        }
        if stored == 0 {
            self.fresh = left;
            self.fresh.extend(rest);
        } else {
            self.suspects.extend(left);
            self.misses = 0;
        }
    }

    /// Forgets tries whose claims are over: their deliveries are somebody else's now.
    fn give_up(&mut self) {
        let tools = &self.desk.tools;
        let (now, claim) = (tools.clock.now(), tools.settings.claim);
        let over = |one: &mut Attempted| now >= one.attempt.at + claim;
        let lost: Vec<_> =
            self.fresh.extract_if(.., over).chain(self.suspects.extract_if(.., over)).collect();
        if !lost.is_empty() {
            tracing::error!(
                lost = lost.len(),
                "results of webhooks could not be stored: they are sent again"
            );
            self.close(lost.iter().map(|one| (one.delivery, one.claim)));
        }
    }

    async fn put(&mut self, tried: &[Attempted]) -> bool {
        let tools = &self.desk.tools;
        halt::point("webhook.answered");
        let answer = tools.store.settle_deliveries(tried, tools.clock.now()).await;
        if self.deaf.hear(answer).is_none() {
            return false;
        }
        for one in tried {
            self.desk.count(one.outcome == DeliveryOutcome::Delivered);
            if let Some(error) = &one.attempt.error {
                let (webhook, delivery) = (one.webhook.0, one.delivery.0);
                tracing::debug!(webhook, delivery, error, "a webhook was not delivered");
            }
        }
        self.close(tried.iter().map(|one| (one.delivery, one.claim)));
        true
    }

    /// Disables endpoints. That one has failed for too long is looked at again, because it may just have been repaired.
    async fn disable(&mut self, disabled: Vec<(WebhookId, DisableReason)>) {
        for (place, (webhook, why)) in disabled.iter().enumerate() {
            if disabled[..place].iter().any(|(earlier, _)| earlier == webhook) {
                continue;
            }
            let tools = &self.desk.tools;
            if let DisableReason::Failing { since } = why {
                let Some(rows) = self.deaf.hear(tools.store.webhooks().await) else { continue };
                if !rows
                    .iter()
                    .any(|row| row.id == *webhook && row.failing_since.is_some_and(|now| now <= *since))
                {
                    continue;
                }
            }
            let answer = tools.store.disable_webhook(*webhook, &why.to_string(), tools.clock.now()).await;
            if self.deaf.hear(answer) == Some(true) {
                tracing::warn!(webhook = webhook.0, "the webhook endpoint was disabled: {why}");
            }
        }
    }

    /// Gives claims back. When that fails they are due again by themselves, a little later.
    async fn unsent(&mut self, unsent: &[(DeliveryId, u32)]) {
        if unsent.is_empty() {
            return;
        }
        let tools = &self.desk.tools;
        let answer = tools.store.release_deliveries(unsent, tools.clock.now()).await;
        self.deaf.hear(answer);
        self.close(unsent.iter().copied());
    }

    fn close(&self, claims: impl Iterator<Item = (DeliveryId, u32)>) {
        for (delivery, claim) in claims {
            self.desk.closed(delivery, claim);
        }
    }
}
