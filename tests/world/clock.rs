//! The time of a world. It moves only when the test says so.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use adelie_model::{Clock, ManualClock, Timestamp};
use async_trait::async_trait;

use crate::locked;

/// A manual clock that knows who sleeps on it until when, so that time can go from one alarm to the next.
#[derive(Clone)]
pub struct WorldClock {
    manual: ManualClock,
    alarms: Arc<Mutex<BTreeMap<u64, Timestamp>>>,
    next: Arc<AtomicU64>,
}

impl WorldClock {
    pub fn new(start: Timestamp) -> Self {
        Self { manual: ManualClock::new(start), alarms: Arc::default(), next: Arc::default() }
    }

    /// The next moment, up to `end`, at which somebody wants to be woken; `end` when nobody does.
    pub fn next_alarm(&self, end: Timestamp) -> Timestamp {
        let now = self.now();
        // An alarm that has passed and still stands is that of a stopped copy.
        let ahead = locked(&self.alarms).values().copied().filter(|at| *at > now).min();
        ahead.map_or(end, |at| at.min(end))
    }

    /// Moves on to a moment.
    pub fn move_to(&self, moment: Timestamp) {
        if let Ok(by) = (moment - self.now()).to_std() {
            self.manual.advance(by);
        }
    }
}

#[async_trait]
impl Clock for WorldClock {
    fn now(&self) -> Timestamp {
        self.manual.now()
    }

    async fn sleep(&self, duration: Duration) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        locked(&self.alarms).insert(id, self.now() + duration);
        let _alarm = Alarm { clock: self, id };
        self.manual.sleep(duration).await;
    }
}

/// Takes the alarm back when the sleeper has woken or is gone.
struct Alarm<'a> {
    clock: &'a WorldClock,
    id: u64,
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        locked(&self.clock.alarms).remove(&self.id);
    }
}
