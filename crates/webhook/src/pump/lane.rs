use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use adelie_model::{Timestamp, WebhookId};
use adelie_store::{Keyring, Result, Webhook, WebhookStore};
use tokio::sync::Semaphore;

use super::desk::Desk;
use super::room::Load;
use crate::Secret;
use crate::sealing::open_secret;

/// How old what we know of endpoints may be: a new secret or another concurrency is used after this.
const FRESH: Duration = Duration::from_secs(1);

/// An endpoint as it was read, with its secrets open.
pub(super) struct Lane {
    pub(super) webhook: Webhook,
    secrets: Arc<Secrets>,
    pub(super) traffic: Arc<Traffic>,
}

/// The secrets of an endpoint with the moments until which they sign, or why one of them does not open.
type Secrets = std::result::Result<Vec<(Secret, Option<Timestamp>)>, String>;

/// What is on its way to an endpoint. It outlives what is read of the endpoint anew.
pub(super) struct Traffic {
    concurrency: usize,
    /// Who posts holds one.
    pub(super) slots: Semaphore,
    held: AtomicUsize,
    /// Milliseconds since 1970 before which nothing more is posted.
    quiet_until: AtomicI64,
}

impl Lane {
    async fn open(webhook: Webhook, keyring: &Keyring, before: Option<&Self>) -> Self {
        let traffic = match before {
            Some(before) if before.webhook.concurrency == webhook.concurrency => Arc::clone(&before.traffic),
            _ => Arc::new(Traffic::new(webhook.concurrency)),
        };
        let secrets = match before {
            // What did not open may open now.
            Some(before) if before.webhook.secrets == webhook.secrets && before.secrets.is_ok() => {
                Arc::clone(&before.secrets)
            }
            _ => Arc::new(secrets(&webhook, keyring).await),
        };
        Self { webhook, secrets, traffic }
    }

    /// An endpoint that is posted to once, outside the lines.
    pub(super) async fn single(webhook: Webhook, keyring: &Keyring) -> Self {
        Self::open(webhook, keyring, None).await
    }

    /// The secrets that sign at this moment.
    ///
    /// # Errors
    /// Why nothing can be signed, with what to do: nothing is ever sent unsigned.
    pub(super) fn signing(&self, now: Timestamp) -> std::result::Result<Vec<Secret>, String> {
        let known = self.secrets.as_ref().as_ref().map_err(Clone::clone)?;
        let valid = known.iter().filter(|(_, until)| until.is_none_or(|until| now < until));
        let valid: Vec<Secret> = valid.map(|(secret, _)| secret.clone()).collect();
        if valid.is_empty() {
            return Err("the endpoint has no secret to sign with: rotate its secret".to_owned());
        }
        Ok(valid)
    }
}

async fn secrets(webhook: &Webhook, keyring: &Keyring) -> Secrets {
    let mut open = Vec::with_capacity(webhook.secrets.len());
    for sealed in &webhook.secrets {
        let secret = open_secret(keyring, sealed).await.map_err(|error| crate::chain(&error))?;
        open.push((secret, sealed.valid_until));
    }
    Ok(open)
}

impl Traffic {
    fn new(concurrency: u32) -> Self {
        let concurrency =
            usize::try_from(concurrency.max(1)).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let slots = Semaphore::new(concurrency);
        Self { concurrency, slots, held: AtomicUsize::new(0), quiet_until: AtomicI64::new(i64::MIN) }
    }

    /// A claim of this endpoint stands in line or is being posted, until what is returned is dropped.
    pub(super) fn hold(self: &Arc<Self>, desk: &Arc<Desk>) -> Held {
        self.held.fetch_add(1, Ordering::Relaxed);
        Held { traffic: Arc::clone(self), desk: Arc::clone(desk) }
    }

    /// Keeps back what stands in line, until the store knows why.
    pub(super) fn quiet(&self, until: Timestamp) {
        self.quiet_until.fetch_max(until.timestamp_millis(), Ordering::Relaxed);
    }

    pub(super) fn is_quiet(&self, now: Timestamp) -> bool {
        now.timestamp_millis() < self.quiet_until.load(Ordering::Relaxed)
    }
}

/// Counts one claim of an endpoint.
pub(super) struct Held {
    traffic: Arc<Traffic>,
    desk: Arc<Desk>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let before = self.traffic.held.fetch_sub(1, Ordering::Relaxed);
        if before == self.traffic.concurrency + 1 {
            // The line is half empty from now on: the moment to claim more, without waiting for results to be stored.
            self.desk.again.notify_one();
        }
    }
}

/// All endpoints that we know.
#[derive(Default)]
pub(super) struct Lanes {
    known: HashMap<WebhookId, Arc<Lane>>,
    read_at: Option<Timestamp>,
}

impl Lanes {
    pub(super) fn get(&self, id: WebhookId) -> Option<&Arc<Lane>> {
        self.known.get(&id)
    }

    /// Reads the endpoints anew when one of these is unknown, or when it was long ago.
    pub(super) async fn refresh(
        &mut self,
        due: &[WebhookId],
        store: &dyn WebhookStore,
        keyring: &Keyring,
        now: Timestamp,
    ) -> Result<()> {
        // A clock that was set back makes it long ago, too.
        let fresh = self.read_at.is_some_and(|read_at| (now - read_at).to_std().is_ok_and(|age| age < FRESH));
        if fresh && due.iter().all(|id| self.known.contains_key(id)) {
            return Ok(());
        }
        let rows = store.webhooks().await?;
        let mut known = HashMap::with_capacity(rows.len());
        for row in rows {
            let before = self.known.get(&row.id).map(AsRef::as_ref);
            known.insert(row.id, Arc::new(Lane::open(row, keyring, before).await));
        }
        self.known = known;
        self.read_at = Some(now);
        Ok(())
    }

    /// What the endpoints have to do: those with something due, and those that fail, whether due or not.
    pub(super) fn loads(&self, due: &[WebhookId], now: Timestamp) -> Vec<Load> {
        let due: HashSet<&WebhookId> = due.iter().collect();
        let load = |lane: &Arc<Lane>| {
            let held = lane.traffic.held.load(Ordering::Relaxed);
            let failing = lane.webhook.failing_since.is_some();
            // What is not due, or must not be, wants nothing; what it holds counts.
            let open = due.contains(&lane.webhook.id) && !lane.traffic.is_quiet(now);
            let concurrency = if open { lane.traffic.concurrency } else { 0 };
            Load { webhook: lane.webhook.id, concurrency, held, failing }
        };
        self.known.values().map(load).collect()
    }
}
