use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use adelie_model::DeliveryId;
use adelie_store::Attempted;
use tokio::sync::{Notify, Semaphore};

use super::telling::Telling;
use super::{Drained, PumpTools};
use crate::DisableReason;

/// What all tasks of one run of the pump share.
pub(super) struct Desk {
    pub(super) tools: PumpTools,
    pub(super) telling: Telling,
    /// How many posts may be under way at once, over all endpoints.
    pub(super) slots: Semaphore,
    /// Rung when something was written, when a line is half empty and when results are stored.
    pub(super) again: Notify,
    /// Claims that nothing is stored for yet, with their numbers.
    open: Mutex<HashMap<DeliveryId, u32>>,
    delivered: AtomicU64,
    failed: AtomicU64,
}

/// What came of a claim.
pub(super) enum Finished {
    /// It was tried.
    Tried {
        /// What is stored.
        attempted: Attempted,
        /// Why its endpoint is to be disabled.
        disable: Option<DisableReason>,
    },
    /// It goes back as it was.
    Unsent {
        /// The delivery.
        delivery: DeliveryId,
        /// The number of the claim.
        claim: u32,
    },
}

impl Desk {
    pub(super) fn new(tools: PumpTools) -> Self {
        Self {
            slots: Semaphore::new(tools.settings.at_once.clamp(1, Semaphore::MAX_PERMITS)),
            tools,
            telling: Telling::default(),
            again: Notify::new(),
            open: Mutex::default(),
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// A claim is ours now.
    pub(super) fn opened(&self, delivery: DeliveryId, claim: u32) {
        self.open().insert(delivery, claim);
    }

    /// Its outcome is stored, or cannot be.
    pub(super) fn closed(&self, delivery: DeliveryId, claim: u32) {
        let mut open = self.open();
        // By now it may be ours again, under another number.
        if open.get(&delivery) == Some(&claim) {
            open.remove(&delivery);
        }
    }

    pub(super) fn count(&self, success: bool) {
        let counter = if success { &self.delivered } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn open_count(&self) -> usize {
        self.open().len()
    }

    pub(super) fn open_claims(&self) -> Vec<(DeliveryId, u32)> {
        self.open().iter().map(|(delivery, claim)| (*delivery, *claim)).collect()
    }

    pub(super) fn counted(&self) -> Drained {
        Drained {
            delivered: self.delivered.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            cut: false,
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<DeliveryId, u32>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
