//! Sends what is due: claims deliveries from the store, posts them endpoint by endpoint in parallel, and stores what
//! came of each.
//!
//! Like every reconciler the pump takes no input: what there is to do stands in the store, so waking it is always safe,
//! and what a killed process had claimed is due again when the claim ends. A post may therefore arrive twice, never not at
//! all.

mod attempt;
mod deaf;
mod desk;
mod forgetting;
mod lane;
mod request;
mod room;
mod run;
mod settler;
mod telling;

use std::sync::Arc;
use std::time::Duration;

use adelie_model::{Clock, DeliveryId, Entropy};
use adelie_store::{Attempted, Keyring, StoreError, WebhookStore};
use tokio_util::sync::CancellationToken;

use crate::{Ladder, Sender};
use run::Run;

/// How a [`Pump`] works.
#[derive(Clone, Debug)]
pub struct PumpSettings {
    /// How many posts may be under way at once, over all endpoints.
    pub at_once: usize,
    /// How long a claim lasts. What waits in line for so long that an attempt no longer fits in is not sent under it; what
    /// a killed process leaves is sent again after it.
    pub claim: Duration,
    /// How long posts that are under way may take when the pump is stopped.
    pub grace: Duration,
    /// How long after each failed attempt the next one comes.
    pub ladder: Ladder,
    /// Deliveries that are older are deleted, with what was sent and answered.
    pub keep: Duration,
}

impl Default for PumpSettings {
    fn default() -> Self {
        Self {
            at_once: 512,
            claim: Duration::from_secs(60),
            grace: Duration::from_secs(30),
            ladder: Ladder::default(),
            keep: Duration::from_secs(30 * 86_400),
        }
    }
}

/// What a [`Pump`] works with.
#[derive(Clone)]
pub struct PumpTools {
    /// Where endpoints and deliveries are.
    pub store: Arc<dyn WebhookStore>,
    /// What posts.
    pub sender: Sender,
    /// What opens the secrets of endpoints.
    pub keyring: Arc<Keyring>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// What gives the jitter.
    pub entropy: Arc<dyn Entropy>,
    /// How it works.
    pub settings: PumpSettings,
}

/// Sends what is due.
#[derive(Clone)]
pub struct Pump {
    tools: PumpTools,
}

/// What [`Pump::drain`] has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Deliveries that their receivers have now.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Whether the time was over before nothing was due any more.
    pub cut: bool,
}

/// How long the pump sleeps when nobody wakes it.
const HEARTBEAT: Duration = Duration::from_secs(1);

impl Pump {
    /// A pump that has not sent anything yet. Claims last for two attempts at least: what has just been claimed must have
    /// time to be sent.
    #[must_use]
    pub fn new(mut tools: PumpTools) -> Self {
        tools.settings.claim = tools.settings.claim.max(tools.sender.deadline().saturating_mul(2));
        Self { tools }
    }

    /// Sends whatever becomes due, until `stop`. Then nothing is claimed any more, posts that are under way get the grace
    /// of the settings, and what was claimed and not sent is given back. No trouble with a receiver or the store ends it.
    pub async fn run(&self, stop: CancellationToken) {
        let mut run = Run::start(&self.tools);
        let ear = run.listen();
        // A task of its own: half done and left alone, it would keep a transaction open that the others wait for.
        let forgetting = tokio::spawn(forgetting::forget(self.tools.clone()));
        loop {
            let next = run.round().await.next();
            let pause = next.unwrap_or(HEARTBEAT).min(HEARTBEAT);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = run.woken() => {}
                () = self.tools.clock.sleep(pause) => {}
            }
        }
        ear.abort();
        forgetting.abort();
        run.finish().await;
    }

    /// Sends what is due now, and returns when nothing is, or when `limit` is over: for a program that cron starts.
    /// Posts that are under way then still get the grace of the settings.
    pub async fn drain(&self, limit: Duration) -> Drained {
        let mut run = Run::start(&self.tools);
        let mut over = self.tools.clock.sleep(limit);
        let cut = loop {
            let idle = run.is_idle();
            let round = run.round().await;
            if idle && round.found_nothing() {
                break false;
            }
            tokio::select! {
                biased;
                () = &mut over => break true,
                () = run.woken() => {}
                () = self.tools.clock.sleep(HEARTBEAT) => {}
            }
        };
        Drained { cut, ..run.finish().await }
    }

    /// Sends this delivery now, whatever its time and the state of its endpoint are, and returns what came of it: for
    /// trying an endpoint out. `None` when somebody else is at it, or when it was delivered.
    ///
    /// # Errors
    /// What the store says.
    pub async fn send_one(&self, id: DeliveryId) -> Result<Option<Attempted>, StoreError> {
        attempt::send_one(&self.tools, id).await
    }
}
